"""KL divergence of a changed prediction from the model's own, for many changes at once.

For base probabilities p and changed logits l + y, with ȳ = E_p[y]:

    KL(p ‖ p') = log E_p[exp(y − ȳ)] = log(1 + E_p[g(y − ȳ)]),   g(x) = eˣ − 1 − x ≥ 0

Every term is non-negative, so nothing cancels: in float32 the result is good to about 1e-6 of
itself however small it is, and an error e in ȳ costs only e². g comes from its own series on the
reduced argument, never from eˣ − 1 − x. A change is y = a·A[i] + b·B[j], given by its places and
factors: the ablation of a last-layer neuron is of this kind for all neurons and tokens (`A` the
logits before the final LayerNorm's scale, `B` the neurons' logit effects), and any other change is
one row of `A` with b = 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

_LIMIT = 80.0  # |y − ȳ| beyond it would overflow float32
_CHUNK = 1 << 26  # elements of a device's buffers


@dataclass(frozen=True)
class Changes:
    """K changes; every array [K]. Change k is a·A[first] + b·B[second] at token `row`, centred
    by `centre` = E_p of it."""

    row: Tensor  # int64
    first: Tensor  # int64
    second: Tensor  # int64
    a: Tensor
    b: Tensor
    centre: Tensor


def divergences(p: Tensor, changes: Changes, first: Tensor, second: Tensor) -> Tensor:
    """p: probabilities [T, V]; first, second: the two matrices of rows [·, V]; all float32.

    Returns the divergences in nats [K], float32.
    """
    if p.device.type != "cpu":
        return _on_device(p, changes, first, second)
    out = np.empty(len(changes.row), np.float32)
    _sweep(
        p.contiguous().numpy(),
        first.contiguous().numpy(),
        second.contiguous().numpy(),
        changes.row.numpy(),
        changes.first.numpy(),
        changes.second.numpy(),
        changes.a.contiguous().numpy(),
        changes.b.contiguous().numpy(),
        changes.centre.contiguous().numpy(),
        out,
    )
    return torch.from_numpy(np.log1p(out))


def dense_divergences(p: Tensor, row: Tensor, y: Tensor, centre: Tensor) -> Tensor:
    """Changes y [K, V], each at token row[k]; centre[k] = E_p[y[k]]. Divergences [K]."""
    k = len(row)
    places = torch.arange(k, device=y.device)
    ones, zeros = torch.ones(k, device=y.device), torch.zeros(k, device=y.device)
    return divergences(p, Changes(row, places, places, ones, zeros, centre), y, y)


def _on_device(p: Tensor, changes: Changes, first: Tensor, second: Tensor) -> Tensor:
    step = max(1, _CHUNK // p.shape[1])
    found = []
    for start in range(0, len(changes.row), step):
        part = slice(start, start + step)
        y = first[changes.first[part]] * changes.a[part, None]
        y.addcmul_(second[changes.second[part]], changes.b[part, None])
        y.sub_(changes.centre[part, None]).clamp_(-_LIMIT, _LIMIT)
        series = y * y * (0.5 + y * (1 / 6 + y * (1 / 24 + y * (1 / 120 + y / 720))))
        g = torch.where(y.abs() < 0.25, series, torch.expm1(y) - y)
        found.append(torch.log1p((g * p[changes.row[part]]).sum(1)))
    return torch.cat(found) if found else p.new_zeros(0)


@numba.njit(cache=True, nogil=True)
def _sweep(p, first, second, row, i, j, a, b, centre, out):  # type: ignore[no-untyped-def]
    """out[k] = E_p[g(a·first[i] + b·second[j] − centre)] at token row[k]."""
    terms = np.empty(p.shape[1], np.float32)
    for k in range(len(row)):
        _terms(p[row[k]], first[i[k]], second[j[k]], a[k], b[k], centre[k], terms)
        out[k] = _total(terms)


# No "reassoc" here: regrouping the last line would cancel what it is written to keep.
@numba.njit(cache=True, nogil=True, fastmath={"contract", "nnan", "ninf", "nsz"})
def _terms(p, first, second, a, b, centre, out):  # type: ignore[no-untyped-def]
    """p·g(y) of each token of the vocabulary: y = n·ln 2 + r, and g by parts. Vectorized."""
    for v in range(len(p)):
        y = a * first[v] + b * second[v] - centre
        y = max(np.float32(-_LIMIT), min(np.float32(_LIMIT), y))
        n = np.rint(y * np.float32(1.4426950408889634))
        r = y - n * np.float32(0.6931471805599453)
        q = np.float32(1 / 720) + r * np.float32(1 / 5040)
        q = np.float32(1 / 120) + r * q
        q = np.float32(1 / 24) + r * q
        q = np.float32(1 / 6) + r * q
        q = np.float32(1 / 2) + r * q
        bits = (np.int32(n) + np.int32(127)) << np.int32(23)
        power = np.int32(bits).view(np.float32)  # 2ⁿ
        out[v] = p[v] * (power * (r * r * q) + ((power - np.float32(1)) + (power * r - y)))


@numba.njit(cache=True, nogil=True, fastmath={"reassoc", "nsz"})
def _total(terms: npt.NDArray[np.float32]) -> np.float32:
    total = np.float32(0)
    for v in range(len(terms)):
        total += terms[v]
    return total
