"""Activations as whole numbers on a scale that suits SoLU: fine enough for x and for x · exp(x).

    codes = encode(values)            int32, 0 for 0, negative for negative values
    decode(codes)                     float32, each within `allowed(values)` of its value

A step of the scale is STEP · |x| / (1 + |x|): a fixed part of a small value, a fixed distance
between large ones. It is even in ln |x| + |x|, the logarithm of |x| · exp(|x|): so SoLU's
x · exp(x) / Z keeps its precision wherever it is made from a stored x, and no code is spent on
more. From LARGE on steps are even in ln |x| again. The scale begins at half precision's smallest
number, 2⁻²⁴, and goes beyond its largest.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from math import erf, exp, log, sqrt, tanh
from typing import Any

import numpy as np
import numpy.typing as npt

Codes = npt.NDArray[np.int32]
Doubles = npt.NDArray[np.float64]

#: Width of a step in parts of x / (1 + |x|), and from where on steps are even in ln |x|.
STEP = 0.014
LARGE = 16.0
_SMALLEST = 2.0**-24
_START = log(_SMALLEST) + _SMALLEST
_BEND = (log(LARGE) + LARGE - _START) / STEP
#: The code of half precision's largest number and a little beyond it.
LARGEST = 2 + int(_BEND + (1 + LARGE) * log(65_504 / LARGE) / STEP)

#: |value as stored − value| ≤ PRECISION · |value| / (1 + |value|) up to LARGE: half a step; and
#: what half precision adds, to which values are rounded before and after.
PRECISION = STEP / 2
HALF_RELATIVE = 2.0**-11
HALF_ABSOLUTE = 2.0**-25


def encode(values: npt.ArrayLike) -> Codes:
    """Codes of values; what is below half of 2⁻²⁴ is 0. ValueError for what is not finite."""
    exact = np.asarray(values, np.float64)
    if not np.isfinite(exact).all():
        raise ValueError("an activation is not finite")
    size = np.abs(exact)
    tiny = size < _SMALLEST / 2
    size = np.clip(size, _SMALLEST, 65_504)
    curved = np.minimum(size, LARGE)
    steps = (np.log(curved) + curved - _START) / STEP
    if size.size and size.max() > LARGE:
        steps += np.log(np.maximum(size / LARGE, 1)) * ((1 + LARGE) / STEP)
    codes = np.rint(steps).astype(np.int32) + 1
    codes[tiny] = 0
    return np.where(exact < 0, -codes, codes)


def decode(codes: npt.ArrayLike) -> npt.NDArray[np.float32]:
    """The values of codes, single precision. ValueError for a code beyond the scale."""
    found: npt.NDArray[np.float32] = _at(_values(), codes)
    return found


def decode_halves(codes: npt.ArrayLike) -> npt.NDArray[np.float16]:
    """As `decode`, in half precision."""
    found: npt.NDArray[np.float16] = _at(_halves(), codes)
    return found


def _at(table: npt.NDArray[Any], codes: npt.ArrayLike) -> npt.NDArray[Any]:
    places = np.asarray(codes, np.int64) + LARGEST
    # As numbers without a sign, what lies below the scale is beyond its end, too.
    if places.size and places.view(np.uint64).max() >= len(table):
        raise ValueError("a value's code is beyond the scale")
    return table[places]


def allowed(values: npt.ArrayLike) -> Doubles:
    """How far stored values may lie from these."""
    size = np.abs(np.asarray(values, np.float64))
    step = PRECISION * size / (1 + np.minimum(size, LARGE))
    found: Doubles = step * (1 + PRECISION) + 2 * (HALF_RELATIVE * size + HALF_ABSOLUTE)
    return found


@lru_cache(maxsize=1)
def _values() -> npt.NDArray[np.float32]:
    """The value of each code from −LARGEST to LARGEST."""
    steps = np.arange(LARGEST, dtype=np.float64)
    wanted = np.minimum(steps, _BEND) * STEP + _START
    logarithm = np.where(wanted < 0, wanted, np.log(np.maximum(wanted, 1)))
    for _ in range(50):  # Newton: u + exp(u) = wanted
        grown = np.exp(logarithm)
        logarithm -= (logarithm + grown - wanted) / (1 + grown)
    positive = np.exp(logarithm + np.maximum(steps - _BEND, 0) * STEP / (1 + LARGE))
    positive = np.minimum(positive, 65_504)
    both: Doubles = np.concatenate([-positive[::-1], [0.0], positive])
    return both.astype(np.float32)


@lru_cache(maxsize=1)
def _halves() -> npt.NDArray[np.float16]:
    """`_values` in half precision."""
    return _values().astype("<f2")


#: Activation functions that work on each value alone, by the number that stands for them in the
#: database, none steeper than STEEPEST. What one gives is taken only where it holds.
FUNCTIONS: tuple[Callable[[float], float], ...] = (
    lambda x: 0.5 * x * (1 + erf(x / sqrt(2))),  # gelu
    lambda x: 0.5 * x * (1 + tanh(sqrt(2 / np.pi) * (x + 0.044715 * x**3))),  # gelu_new, gelu_fast
    lambda x: max(x, 0.0),  # relu
    lambda x: x / (1 + exp(-x)) if x > -80 else 0.0,  # silu
)
STEEPEST = 1.13


def function_values(number: int, codes: Codes) -> npt.NDArray[np.float32]:
    """What an activation function gives for the values of codes."""
    found: npt.NDArray[np.float32] = _function_table(number)[codes + LARGEST]
    return found


@lru_cache(maxsize=len(FUNCTIONS))
def _function_table(number: int) -> npt.NDArray[np.float32]:
    found = [FUNCTIONS[number](x) for x in _values().astype(np.float64).tolist()]
    table: npt.NDArray[np.float32] = np.clip(np.array(found), -65_504, 65_504).astype(np.float32)
    return table
