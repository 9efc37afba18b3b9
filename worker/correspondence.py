"""Which neuron is the other version: correlations across the two models (EVIDENCE §3).

Pearson correlations of the display sites over the token sample, of all neurons of one layer. The
values are in half precision; their products are summed in float32 within a block of rows and in
float64 over the blocks, which leaves a correlation right to 1e-5.

The null is the largest correlation with a basis of the other model rotated at random: what a
neuron reaches with *some* direction of the same space. The rotation is orthogonal (Q of the QR of
a Gaussian matrix, signs fixed so that it is uniform [Mezzadri 2007]), after Gurnee et al. 2024,
*Universal Neurons*. A constant neuron correlates with nothing: NaN here, None in the records.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from store.records import CorrespondenceRecord, HalfArray, PartnerRecord
from worker.halves import to_single

Doubles = npt.NDArray[np.float64]
_CHUNK_ROWS = 2048  # of a block: few enough for sums in float32

NOTHING = CorrespondenceRecord(None, None, None, None, None, None, None, None)


@dataclass(frozen=True)
class Covariances:
    """Centred sums of products of one layer: [n, n] each, float64."""

    left: Doubles
    right: Doubles
    across: Doubles  # [n_left, n_right]


@dataclass(frozen=True)
class _Range:
    """Where each column's values lie; [n] float32 each.

    `scaled` values lie about 0, within 1 of it, so that float32 holds any of their products.
    """

    centre: npt.NDArray[np.float32]  # about the mean
    scale: npt.NDArray[np.float32]  # a power of two, at least the range; 0 for a constant

    @classmethod
    def of(cls, values: HalfArray) -> _Range:
        n = values.shape[1]
        total = np.zeros(n)
        low, high = np.full(n, np.inf, np.float32), np.full(n, -np.inf, np.float32)
        for start in range(0, len(values), _CHUNK_ROWS):
            block = to_single(values[start : start + _CHUNK_ROWS])
            total += np.ones(len(block), np.float32) @ block
            np.minimum(low, block.min(axis=0), out=low)
            np.maximum(high, block.max(axis=0), out=high)
        varies = high > low
        power = np.frexp(np.where(varies, high - low, 0))[1]
        scale = np.where(varies, np.ldexp(np.float32(1), power), 0)
        return cls((total / max(1, len(values))).astype(np.float32), scale.astype(np.float32))

    def scaled(self, block: HalfArray) -> npt.NDArray[np.float32]:
        """Some rows [r, n]; all zero for a constant."""
        found = to_single(block)
        found -= self.centre
        found *= np.divide(1, self.scale, out=np.zeros_like(self.scale), where=self.scale > 0)
        return found


@dataclass(frozen=True)
class Correspondence:
    """What one layer of a run has; a list has an entry per neuron of that side."""

    left: list[CorrespondenceRecord]
    right: list[CorrespondenceRecord]
    left_partners: list[tuple[PartnerRecord, ...]]
    right_partners: list[tuple[PartnerRecord, ...]]
    cka: float | None


def covariances(left: HalfArray, right: HalfArray) -> Covariances:
    """From the sample's display sites, [K, n_left] and [K, n_right]."""
    ranges = (_Range.of(left), _Range.of(right))
    n, m = left.shape[1], right.shape[1]
    found = Covariances(np.zeros((n, n)), np.zeros((m, m)), np.zeros((n, m)))
    sums = np.zeros(n), np.zeros(m)  # what is left of the means
    for start in range(0, len(left), _CHUNK_ROWS):
        x = ranges[0].scaled(left[start : start + _CHUNK_ROWS])
        y = ranges[1].scaled(right[start : start + _CHUNK_ROWS])
        ones = np.ones(len(x), np.float32)
        sums[0][:] += ones @ x
        sums[1][:] += ones @ y
        # numpy sees that the first two are symmetric, and computes half of each.
        found.left[:] += x.T @ x
        found.right[:] += y.T @ y
        found.across[:] += x.T @ y
    for matrix, a, b in ((found.left, 0, 0), (found.right, 1, 1), (found.across, 0, 1)):
        matrix -= np.outer(sums[a], sums[b] / max(1, len(left)))
        # A constant neuron's rounding noise is no variance: its scale is 0.
        matrix *= ranges[a].scale.astype(np.float64)[:, None]
        matrix *= ranges[b].scale
    return found


def correlate(cov: Doubles, left_variance: Doubles, right_variance: Doubles) -> Doubles:
    """Correlations from sums of products; NaN for a neuron without variance."""
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = np.sqrt(left_variance)[:, None] * np.sqrt(right_variance)[None, :]
        return np.asarray(np.where(scale > 0, cov / scale, np.nan), dtype=np.float64)


def rotation(n: int, seed: int) -> Doubles:
    """A random orthogonal matrix [n, n], uniform and the same for the same seed."""
    q, r = np.linalg.qr(np.random.default_rng(seed).standard_normal((n, n)))
    return np.asarray(q * np.sign(np.diagonal(r)), dtype=np.float64)


def rotation_seed(seed: int, layer: int, side: int) -> int:
    """The seed of the rotation against which a layer of a side (0 left, 1 right) is held."""
    return int(np.random.SeedSequence([seed, layer, side]).generate_state(1)[0])


def nulls(cov: Doubles, variance: Doubles, other: Doubles, seed: int) -> Doubles:
    """Each neuron's largest correlation with the rotated basis of the other model; [n].

    cov: [n, m] sums of products with the other model, whose own are `other` [m, m].
    """
    q = rotation(len(other), seed)
    rotated = np.einsum("ij,ij->j", q, other @ q)
    return _largest(correlate(cov @ q, variance, rotated))


def correspondence(
    left: HalfArray, right: HalfArray, layer: int, partners: int, seed: int
) -> Correspondence:
    """All of EVIDENCE §3 for one layer, from the sample's display sites [K, n]."""
    cov = covariances(left, right)
    variances = np.diagonal(cov.left), np.diagonal(cov.right)
    across = correlate(cov.across, *variances)
    rows, columns = linear_sum_assignment(np.nan_to_num(across, nan=-1.0), maximize=True)
    assigned_left, assigned_right = dict(zip(rows, columns, strict=True)), {}
    assigned_right = {column: row for row, column in assigned_left.items()}
    null_left = nulls(cov.across, variances[0], cov.right, rotation_seed(seed, layer, 0))
    null_right = nulls(cov.across.T, variances[1], cov.left, rotation_seed(seed, layer, 1))
    within = (
        correlate(cov.left, variances[0], variances[0]),
        correlate(cov.right, variances[1], variances[1]),
    )
    return Correspondence(
        _records(across, null_left, assigned_left),
        _records(across.T, null_right, assigned_right),
        _partners(across, within[0], layer, partners),
        _partners(across.T, within[1], layer, partners),
        _cka(cov),
    )


def partners_within(
    values: HalfArray, layer: int, partners: int
) -> list[tuple[PartnerRecord, ...]]:
    """The most similar neurons of a single-sided run's layer."""
    cov = covariances(values, values[:, :0])
    variance = np.diagonal(cov.left)
    nothing = np.empty((len(variance), 0))
    return _partners(nothing, correlate(cov.left, variance, variance), layer, partners)


def _records(
    across: Doubles, null: Doubles, assigned: dict[int, int]
) -> list[CorrespondenceRecord]:
    best = _argmax(across)
    back = _argmax(across.T)
    found = []
    for i in range(len(across)):
        row = across[i]
        same = row[i] if i < len(row) else np.nan
        match, one_to_one = int(best[i]), assigned.get(i)
        pair = np.nan if one_to_one is None else row[one_to_one]
        found.append(
            CorrespondenceRecord(
                same_index_correlation=_defined(same),
                same_index_rank=None if np.isnan(same) else 1 + int((row > same).sum()),
                best_neuron=None if match < 0 else match,
                best_correlation=None if match < 0 else _defined(row[match]),
                null=_defined(null[i]),
                mutual=None if match < 0 else bool(back[match] == i),
                assigned_neuron=None if np.isnan(pair) else int(one_to_one or 0),
                assigned_correlation=_defined(pair),
            )
        )
    return found


def _partners(
    across: Doubles, within: Doubles, layer: int, partners: int
) -> list[tuple[PartnerRecord, ...]]:
    others = within.copy()
    np.fill_diagonal(others, np.nan)
    kinds = (
        ("across", across, _highest(across, partners)),
        ("within", others, _highest(others, partners)),
    )
    return [
        tuple(
            PartnerRecord(kind, rank, layer, int(j), float(of[i, j]))  # type: ignore[arg-type]
            for kind, of, highest in kinds
            for rank, j in enumerate(highest[i])
        )
        for i in range(len(within))
    ]


def _highest(matrix: Doubles, k: int) -> list[npt.NDArray[np.int64]]:
    """Columns of each row's k highest, highest first, the lower first among equals; no NaN."""
    falling = np.where(np.isnan(matrix), np.inf, -matrix)
    k = min(k, matrix.shape[1])
    if not k:
        return [np.empty(0, np.int64)] * len(matrix)
    last = np.partition(falling, k - 1, axis=1)[:, k - 1]
    found = []
    for row, limit in zip(falling, last, strict=True):
        among = np.flatnonzero((row <= limit) & (row < np.inf))
        found.append(among[np.argsort(row[among], kind="stable")][:k])
    return found


def _cka(cov: Covariances) -> float | None:
    """Linear CKA [Kornblith et al. 2019]: ‖XᵀY‖² / (‖XᵀX‖·‖YᵀY‖), Frobenius, centred."""
    scale = np.linalg.norm(cov.left) * np.linalg.norm(cov.right)
    return float(np.linalg.norm(cov.across) ** 2 / scale) if scale > 0 else None


def _argmax(matrix: Doubles) -> npt.NDArray[np.int64]:
    """Column of each row's maximum, the lowest among equals; −1 where all are undefined."""
    if not matrix.shape[1]:
        return np.full(len(matrix), -1)
    found = np.nan_to_num(matrix, nan=-2.0).argmax(axis=1)
    return np.where(np.isnan(matrix).all(axis=1), -1, found)


def _largest(matrix: Doubles) -> Doubles:
    best = _argmax(matrix)
    return np.where(best < 0, np.nan, matrix[np.arange(len(matrix)), best])


def _defined(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
