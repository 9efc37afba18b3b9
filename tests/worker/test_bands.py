"""Draws from the sample against a plain sort of all its tokens."""

from __future__ import annotations

import numpy as np
import pytest

from worker.bands import DRAWN_BANDS, EDGES, draw, edge_ranks

RNG = np.random.default_rng(0)
COLUMNS = {
    "continuous": lambda n: RNG.standard_normal(n),
    "heavy ties": lambda n: RNG.integers(-2, 3, n) / 2,
    "mostly zero": lambda n: np.where(RNG.random(n) < 0.97, -0.0, RNG.random(n)),
    "constant": lambda n: np.full(n, 0.25),
}


@pytest.mark.parametrize("tokens", [1, 7, 400, 3000])
@pytest.mark.parametrize("name", COLUMNS)
def test_bands_equal_a_sort(name: str, tokens: int) -> None:
    values = np.stack([COLUMNS[name](tokens) for _ in range(3)], axis=1).astype(np.float16)
    hashes = RNG.permutation(tokens).astype(np.uint64) * np.uint64(2**40)
    found = draw(values, hashes, 5)
    assert found is not None
    assert found.lifted is None
    for neuron in range(3):
        column = [float(v) for v in values[:, neuron]]
        ranked = sorted(range(tokens), key=lambda i: (column[i], int(hashes[i])))
        starts = [0, *(-(-edge * tokens // 1000) for edge in EDGES), tokens]
        for band in range(len(DRAWN_BANDS)):
            members = ranked[starts[band] : starts[band + 1]]
            lowest = sorted(members, key=lambda i: int(hashes[i]))[:5]
            assert found.drawn[neuron, band, : len(lowest)].tolist() == lowest
            assert (found.drawn[neuron, band, len(lowest) :] == -1).all()
        for edge, start in zip(found.edges[neuron], starts[1:-1], strict=True):
            assert edge == column[ranked[min(start, tokens - 1)]]
            assert not np.signbit(edge) or edge != 0


def test_edges_of_the_full_sample() -> None:
    assert edge_ranks(32_768).tolist() == [16384, 29492, 32441, 32736]
    assert edge_ranks(1000).tolist() == [500, 900, 990, 999]


def test_lifted_are_the_highest_post_below_the_median() -> None:
    tokens = 300
    mid = RNG.integers(-5, 6, (tokens, 4)).astype(np.float16)
    post = RNG.integers(-3, 4, (tokens, 4)).astype(np.float16)
    pre = RNG.integers(-3, 4, (tokens, 4)).astype(np.float16)
    mid[:, 3] = 1.0  # nothing lies below the median
    found = draw(mid, RNG.permutation(tokens).astype(np.uint64), 5, post, pre)
    assert found is not None
    assert found.lifted is not None
    for neuron in range(4):
        median = sorted(mid[:, neuron].tolist())[tokens // 2]
        below = [i for i in range(tokens) if mid[i, neuron] < median]
        expected = sorted(below, key=lambda i: (-post[i, neuron], -pre[i, neuron], i))[:5]
        expected += [-1] * (5 - len(expected))
        assert found.lifted[neuron].tolist() == expected


def test_nothing_is_drawn_from_nothing() -> None:
    assert draw(np.empty((0, 3), np.float16), np.empty(0, np.uint64), 5) is None
