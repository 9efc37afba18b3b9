"""Correlations, ranks, the null and CKA against plain loops."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from store.records import ABOVE_NULL
from worker.correspondence import (
    Correspondence,
    correspondence,
    covariances,
    partners_within,
    rotation,
    rotation_seed,
)

N, TOKENS, CONSTANT = 6, 500, 4


def activations() -> tuple[np.ndarray, np.ndarray]:
    """Right's neurons are left's in another order, with noise; one of each side is constant."""
    rng = np.random.default_rng(1)
    left = rng.exponential(1, (TOKENS, N)) * np.arange(1, N + 1)
    right = np.roll(left, 1, axis=1) + 0.7 * rng.standard_normal((TOKENS, N)) * np.arange(1, N + 1)
    left[:, CONSTANT] = 0.1
    right[:, CONSTANT] = 3.0
    return left.astype(np.float16), right.astype(np.float16)


def pearson(x: np.ndarray, y: np.ndarray) -> float | None:
    """By plain loops; None where one of them is constant."""
    a, b = [float(v) for v in x], [float(v) for v in y]
    mean_a, mean_b = math.fsum(a) / len(a), math.fsum(b) / len(b)
    sxy = math.fsum((u - mean_a) * (v - mean_b) for u, v in zip(a, b, strict=True))
    sxx = math.fsum((u - mean_a) ** 2 for u in a)
    syy = math.fsum((v - mean_b) ** 2 for v in b)
    if len(set(a)) == 1 or len(set(b)) == 1:
        return None
    return sxy / math.sqrt(sxx * syy)


@pytest.fixture(scope="module")
def found() -> Correspondence:
    return correspondence(*activations(), layer=1, partners=3, seed=7)


@pytest.mark.parametrize("tails", [1, 3])
def test_unrelated_layers_have_next_to_no_twins(tails: int) -> None:
    """Though half of their best matches exceed the null, one draw of a maximum, by a little."""
    rng = np.random.default_rng(tails)
    left, right = (
        (np.sign(x) * np.abs(x) ** tails).astype(np.float16)
        for x in rng.standard_normal((2, 6000, 100))
    )
    found = correspondence(left, right, layer=0, partners=1, seed=3)
    excess = np.array([one.excess for one in (*found.left, *found.right)], float)
    mutual = np.array([one.mutual for one in (*found.left, *found.right)])
    assert (mutual & (excess > 0)).mean() > 0.15
    assert (mutual & (excess >= ABOVE_NULL)).sum() <= 2


def plain_matrix(x: np.ndarray, y: np.ndarray) -> list[list[float | None]]:
    return [[pearson(x[:, i], y[:, j]) for j in range(N)] for i in range(N)]


@pytest.mark.parametrize("side", ["left", "right"])
def test_records_equal_plain_loops(found: Correspondence, side: str) -> None:
    left, right = activations()
    x, y = (left, right) if side == "left" else (right, left)
    rho, back = plain_matrix(x, y), plain_matrix(y, x)
    for i, record in enumerate(getattr(found, side)):
        row = rho[i]
        if i == CONSTANT:
            assert record.same_index_correlation is None
            assert record.same_index_rank is None
            assert record.best_neuron is None
            assert record.null is None
            assert record.excess is None
            assert record.mutual is None
            assert record.assigned_neuron is None
            continue
        known = {j: value for j, value in enumerate(row) if value is not None}
        best = max(known, key=known.__getitem__)
        assert record.best_neuron == best
        assert record.best_correlation == pytest.approx(known[best], abs=1e-4)
        returned = {j: value for j, value in enumerate(back[best]) if value is not None}
        assert record.mutual == (max(returned, key=returned.__getitem__) == i)
        assert record.same_index_correlation == pytest.approx(known[i], abs=1e-4)
        assert record.same_index_rank == 1 + sum(value > known[i] for value in known.values())


def test_the_assignment_is_the_best_of_all(found: Correspondence) -> None:
    left, right = activations()
    rho = [[-1.0 if v is None else v for v in row] for row in plain_matrix(left, right)]
    best = max(itertools.permutations(range(N)), key=lambda p: sum(rho[i][p[i]] for i in range(N)))
    for i, record in enumerate(found.left):
        if record.assigned_neuron is not None:
            assert record.assigned_neuron == best[i]
            assert record.assigned_correlation == pytest.approx(rho[i][best[i]], abs=1e-4)
            assert found.right[best[i]].assigned_neuron == i


def test_partners_are_the_most_correlated(found: Correspondence) -> None:
    left, right = activations()
    across, within = plain_matrix(left, right), plain_matrix(left, left)
    for i, records in enumerate(found.left_partners):
        for kind, row in (("across", across[i]), ("within", within[i])):
            own = [r for r in records if r.kind == kind]
            candidates = [
                (value, j)
                for j, value in enumerate(row)
                if value is not None and not (kind == "within" and j == i)
            ]
            expected = sorted(candidates, reverse=True)[:3]
            assert [r.neuron for r in own] == [j for _, j in expected]
            assert [r.rank for r in own] == list(range(len(expected)))
            assert [r.correlation for r in own] == pytest.approx([v for v, _ in expected], abs=1e-4)


@pytest.mark.parametrize("side", ["left", "right"])
def test_the_null_is_the_largest_correlation_with_the_rotated_activations(
    found: Correspondence, side: str
) -> None:
    x, y = activations() if side == "left" else activations()[::-1]
    q = rotation(N, rotation_seed(7, 1, ("left", "right").index(side)))
    # By the activations themselves; a constant neuron adds nothing to a rotated one.
    rotated = (y.astype(np.float64) - y.astype(np.float64).mean(0)) @ q
    for i, record in enumerate(getattr(found, side)):
        if i == CONSTANT:
            continue
        plain = [pearson(x[:, i], rotated[:, j]) for j in range(N)]
        assert record.null == pytest.approx(max(p for p in plain if p is not None), abs=1e-4)


def test_sums_in_blocks_keep_the_stated_error() -> None:
    """Several blocks; means far from zero, rare spikes, the ends of half precision's range."""
    rng = np.random.default_rng(3)
    left = rng.standard_normal((5000, 6))
    right = 0.3 * left + rng.standard_normal((5000, 6))
    left[:, 1] = 1000.0
    left[::1700, 1] += 0.5
    left[:, 2] *= 2.0**-22
    right[:, 1] = np.where(right[:, 1] > 3, 60_000.0, 1.0)
    right[:, 2] += 500.0
    right[:, 3] = np.where(rng.random(5000) < 0.001, 50_000.0, 2.0**-20)
    halves = left.astype(np.float16), right.astype(np.float16)
    x, y = (a.astype(np.float64) - a.astype(np.float64).mean(0) for a in halves)
    found = covariances(*halves)
    for cov, a, b in ((found.left, x, x), (found.right, y, y), (found.across, x, y)):
        scale = np.sqrt(np.outer((a**2).sum(0), (b**2).sum(0)))
        np.testing.assert_allclose(cov / scale, a.T @ b / scale, rtol=0, atol=1e-5)


def test_the_rotation_is_orthogonal_and_seeded() -> None:
    q = rotation(40, 5)
    np.testing.assert_allclose(q @ q.T, np.eye(40), atol=1e-12)
    np.testing.assert_array_equal(q, rotation(40, 5))
    assert abs(q - rotation(40, 6)).max() > 0.1


def test_cka_by_its_definition(found: Correspondence) -> None:
    left, right = (a.astype(np.float64) - a.astype(np.float64).mean(0) for a in activations())
    expected = np.linalg.norm(left.T @ right) ** 2
    expected /= np.linalg.norm(left.T @ left) * np.linalg.norm(right.T @ right)
    assert found.cka == pytest.approx(expected, abs=1e-6)
    same = correspondence(activations()[0], activations()[0], 0, 3, 0)
    assert same.cka == pytest.approx(1)


def test_a_single_side_has_partners_within(found: Correspondence) -> None:
    alone = partners_within(activations()[0], 1, 3)
    for records, both in zip(alone, found.left_partners, strict=True):
        assert records == tuple(r for r in both if r.kind == "within")
