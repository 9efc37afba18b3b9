"""Activations as whole numbers on a logarithmic scale: the error is relative, whatever the size.

    codes = encode(values)            int32, 0 for 0, negative for negative values
    decode(codes)                     float32, within PRECISION of the values

A value's code is its sign times 1 + STEPS · (log2 |value| + 24), rounded: STEPS codes an octave
over the whole range of half precision, down to its smallest number, 2⁻²⁴. So a value of 0.0003 is
kept as well as one of 30, which a scale of equal steps would not do.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from math import erf, exp, sqrt, tanh

import numpy as np
import numpy.typing as npt

Codes = npt.NDArray[np.int32]
Floats = npt.NDArray[np.floating]

#: Codes an octave, and where the scale begins: the exponent of half precision's smallest number.
STEPS = 100
LOWEST = -24
#: The largest code: that of half precision's largest number, 65,504, and a little beyond it.
LARGEST = 1 + STEPS * 40

#: |value as stored − value| ≤ PRECISION · |value|: half a code, 2^(1/200) − 1 = 0.35 %, and what
#: rounding to half precision adds (more below 6e-5, where half precision itself is coarser).
PRECISION = 0.004


def encode(values: npt.ArrayLike) -> Codes:
    """Codes of values; what is below half of 2⁻²⁴ is 0. ValueError for what is not finite."""
    exact = np.asarray(values, np.float32)
    if not np.isfinite(exact).all():
        raise ValueError("an activation is not finite")
    size = np.abs(exact)
    tiny = size < 2.0 ** (LOWEST - 1)
    scaled = np.log2(np.where(tiny, 1, size)) - LOWEST
    codes = np.clip(np.rint(scaled * STEPS).astype(np.int32) + 1, 1, LARGEST)
    return np.where(tiny, 0, np.where(exact < 0, -codes, codes)).astype(np.int32, copy=False)


def decode(codes: Codes) -> npt.NDArray[np.float32]:
    """The values of codes, single precision."""
    return _values()[codes + LARGEST]


@lru_cache(maxsize=1)
def _values() -> npt.NDArray[np.float32]:
    positive = 2.0 ** (np.arange(LARGEST) / STEPS + LOWEST)
    return np.concatenate([-positive[::-1], [0.0], positive]).astype(np.float32)


#: Activation functions that work on each value alone, by the number that stands for them in the
#: database. Only predictions are made with them: one that is missing costs bytes, nothing else.
FUNCTIONS: tuple[Callable[[float], float], ...] = (
    lambda x: 0.5 * x * (1 + erf(x / sqrt(2))),  # gelu
    lambda x: 0.5 * x * (1 + tanh(sqrt(2 / np.pi) * (x + 0.044715 * x**3))),  # gelu_new, gelu_fast
    lambda x: max(x, 0.0),  # relu
    lambda x: x / (1 + exp(-x)) if x > -80 else 0.0,  # silu
)


@lru_cache(maxsize=len(FUNCTIONS))
def function_codes(number: int) -> Codes:
    """The code of a function's value at each code, [2 · LARGEST + 1], from −LARGEST up."""
    values = _values().astype(np.float64).tolist()
    found = np.array([FUNCTIONS[number](x) for x in values])
    return encode(np.clip(found, -65_504, 65_504))
