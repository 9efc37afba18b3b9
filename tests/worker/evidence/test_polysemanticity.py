"""Scores, senses and token statistics on planted clusters, where the truth is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from store.evidence_records import SCORED_BANDS
from worker.evidence.k_means import k_means
from worker.evidence.polysemanticity import contexts_of, scores, separation
from worker.evidence.senses import cluster, sense_records
from worker.evidence.token_purity import entropy_and_largest, variance_explained
from worker.evidence.whitening import Whitening

DIMS = 32


def contexts(meanings: list[int], n: int, seed: int, tightness: float = 2.0) -> np.ndarray:
    """n unit vectors around the given meanings in turn; meaning −1 is nothing in common."""
    generator = np.random.default_rng(seed)
    centres = np.linalg.qr(np.random.default_rng(99).standard_normal((DIMS, DIMS)))[0]
    which = np.resize(meanings, n)
    noise = generator.standard_normal((n, DIMS)) / np.sqrt(DIMS)
    x = np.where((which >= 0)[:, None], tightness * centres[which], 0.0) + noise
    return np.asarray(x / np.linalg.norm(x, axis=1, keepdims=True), dtype=np.float32)


def neurons(kinds: list[list[int]], n: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """Vectors of all neurons and the rows of each."""
    vectors = np.concatenate([contexts(kind, n, seed) for seed, kind in enumerate(kinds)])
    return vectors, np.arange(len(vectors)).reshape(len(kinds), n)


def test_two_meanings_are_further_apart_than_one_or_none() -> None:
    one = [[i] for i in range(10)]
    two = [[i, i + 10] for i in range(10)]
    three = [[i, i + 10, i + 20] for i in range(10)]
    none = [[-1]] * 10
    scores = separation(*neurons(one + two + three + none), seed=0).reshape(4, 10)
    assert scores[0].max() < 0.4 < 0.7 < scores[1].min()
    assert scores[2].min() > 0.7
    assert scores[3].min() > 0.7  # a heap without anything in common is not one meaning either


def test_a_rare_second_meaning_is_seen_and_the_seed_decides() -> None:
    vectors, rows = neurons([[0] * 4 + [1], [0]], n=60)
    scores = separation(vectors, rows, seed=3)
    assert scores[0] > 2 * scores[1] + 0.2
    np.testing.assert_array_equal(scores, separation(vectors, rows, seed=3))


def test_absent_contexts_do_not_count_and_too_few_give_no_score() -> None:
    vectors, rows = neurons([[0, 1], [2, 3]])
    fewer = rows.copy()
    fewer[0, 20:] = -1
    fewer[1, 5:] = -1
    found = separation(vectors, fewer, seed=0)
    np.testing.assert_allclose(found[0], separation(vectors, rows[:1, :20], seed=0)[0], atol=1e-6)
    assert np.isnan(found[1])


def test_the_bands_of_the_score_hold_what_they_say() -> None:
    generator = np.random.default_rng(0)
    hashes = generator.permutation(4000).astype(np.uint64)
    display = generator.exponential(size=(4000, 3)).astype(np.float32)
    display[:, 2] = 1.0
    highest = np.array([12.0, 10.0, np.nan], np.float32)
    top = np.arange(6).reshape(3, 2)
    rows = np.arange(4000) + 10
    found = contexts_of(display, hashes, highest, top, rows, most=16)
    assert tuple(found) == SCORED_BANDS
    np.testing.assert_array_equal(found["top"], top)
    for i in (0, 1):
        mean = display[:, i].mean()
        level = (display[:, i] - mean) / (highest[i] - mean)
        inside = np.flatnonzero((level >= 0.25) & (level < 0.5))
        expected = inside[np.argsort(hashes[inside])][:16]
        np.testing.assert_array_equal(found["max25-50"][i], expected + 10)
        ranks = display[:, i].argsort().argsort()
        assert (ranks[found["q99.9-100"][i, :4] - 10] >= 3996).all()
        assert (found["q99.9-100"][i, 4:] == -1).all()  # a thousandth of 4,000
        below = ranks[found["q99-99.9"][i] - 10]
        assert (below >= 3960).all()
        assert (below < 3996).all()
    assert (found["max25-50"][2] == -1).all()  # its maximum is unknown


def test_the_score_is_the_largest_separation_of_a_band() -> None:
    vectors, rows = neurons([[0, 1], [2], [3]])
    few = rows.copy()
    few[2, 3:] = -1
    bands = {"top": rows[[1, 1, 1]], "max25-50": rows[[0, 1, 2]]}
    bands["top"][2] = bands["max25-50"][2] = few[2]
    found = scores(vectors, bands, seed=0)
    assert found["score"][0] == found["max25-50"][0] > 0.7 > found["top"][0] > 0
    assert found["score"][1] == found["top"][1]
    assert np.isnan(found["score"][2])


def test_senses_are_as_many_as_meanings() -> None:
    kinds = [[0], [1, 2], [3, 4, 5], [6, 7, 8, 9]]
    vectors, rows = neurons(kinds, n=48)
    found = cluster(vectors, rows, seed=0)
    assert found.count.tolist() == [1, 2, 3, 4]
    for labels, kind in zip(found.labels, kinds, strict=True):
        truth = np.resize(kind, 48)
        pairs = set(zip(labels.tolist(), truth.tolist(), strict=True))
        assert len(pairs) == len(kind)  # a sense for each meaning
    empty = cluster(vectors, np.full((1, 5), -1), seed=0)
    assert empty.count.tolist() == [0]
    assert (empty.labels == -1).all()


def test_groups_of_one_meaning_are_joined() -> None:
    """A neuron for one thing in two tight phrasings has one sense, whatever the silhouette says."""
    generator = np.random.default_rng(5)
    near, far = generator.standard_normal((2, DIMS))
    phrasings = np.stack([near, near + 0.7 * far, far - (far @ near) / (near @ near) * near])
    points = phrasings[np.resize([0, 1], 40)], phrasings[np.resize([0, 2], 40)]
    vectors = np.concatenate(points) + 0.02 * generator.standard_normal((80, DIMS))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    found = cluster(vectors.astype(np.float32), np.arange(80).reshape(2, 40), seed=0)
    assert found.count.tolist() == [1, 2]
    assert set(found.labels[0].tolist()) == {0}


def test_a_sense_lives_where_its_share_is_largest() -> None:
    labels = np.array([0, 0, 0, 0, 1, 0, 1, 1, -1])
    bands = ["top"] * 4 + ["q99-99.9"] * 4 + ["top"]
    tokens = np.array([5, 5, 6, 5, 7, 5, 8, 8, 9])
    shown = [("top", 0), ("top", 1), ("q99-99.9", 0), ("bottom", 0)]
    records = sense_records(2, labels, bands, tokens, shown, np.array([0, 0, 1, -1]))
    assert [one.band for one in records] == ["top", "q99-99.9"]
    assert [one.share for one in records] == [5 / 8, 3 / 8]
    assert records[0].tokens == ((5, 4), (6, 1))
    assert records[1].tokens == ((8, 2), (7, 1))
    assert records[1].examples == (("q99-99.9", 0),)


def test_k_means_agrees_with_a_plain_loop_and_keeps_weights() -> None:
    generator = torch.Generator().manual_seed(1)
    points = torch.cat([torch.randn(20, 3, generator=generator) + 8 * i for i in range(3)])[None]
    weight = torch.rand(1, 60, generator=generator)
    found = k_means(points, weight, 3, starts=4, seed=0)
    inertia = 0.0
    for k in range(3):
        mine = found.labels[0] == k
        w = weight[0, mine]
        mean = (points[0, mine] * w[:, None]).sum(0) / w.sum()
        torch.testing.assert_close(found.centroids[0, k], mean, atol=1e-4, rtol=1e-4)
        inertia += float(((points[0, mine] - mean).square().sum(1) * w).sum())
        assert mine.sum() == 20
    assert float(found.inertia[0]) == pytest.approx(inertia, rel=1e-3)


def test_whitening_makes_every_direction_count_alike() -> None:
    generator = np.random.default_rng(0)
    x = generator.standard_normal((4000, 8)) * np.array([100, 30, 10, 3, 1, 1, 1, 1.0]) + 7
    whitening = Whitening.fit(x, shrinkage=0.0)
    raw = (x - whitening.mean) @ whitening.projection
    np.testing.assert_allclose(np.cov(raw.T, ddof=0), np.eye(8), atol=2e-3)
    np.testing.assert_allclose(np.linalg.norm(whitening(x), axis=1), 1, atol=1e-5)
    constant = Whitening.fit(np.ones((10, 4)))
    assert np.isfinite(constant(np.ones((2, 4)))).all()


def test_token_statistics_by_hand() -> None:
    entropy, largest = entropy_and_largest(np.array([[3, 3, 5, 5], [4, 4, 4, -1], [-1] * 4]))
    np.testing.assert_allclose(entropy[:2], [np.log(2), 0.0])
    np.testing.assert_allclose(largest[:2], [0.5, 1.0])
    assert np.isnan(entropy[2])
    generator = np.random.default_rng(0)
    tokens = generator.integers(0, 50, 2000)
    values = np.stack([tokens * 2.0, generator.standard_normal(2000), np.ones(2000)], axis=1)
    explained = variance_explained(values, tokens)
    assert explained[0] == pytest.approx(1.0)
    assert explained[1] < 0.03  # plainly, chance alone would explain 0.025
    assert np.isnan(explained[2])
