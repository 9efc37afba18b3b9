"""The score and the senses on units of known meaning: single, merged, and with a second meaning
in the middle of the range alone. `bench.evidence_meanings` does the same with a real pair."""

from __future__ import annotations

import numpy as np
import pytest

from bench.merged_neurons import Neurons, Unit, adjusted_rand, auc, spread_out
from worker.evidence.meanings_job import to_cluster
from worker.evidence.polysemanticity import contexts_of, scores
from worker.evidence.senses import cluster

TOKENS, MEANINGS, DIMS = 8000, 24, 32
OF_A_MEANING = 200


class Layer:
    """Neurons that answer to one meaning each, on a token sample with as many rows as tokens."""

    def __init__(self) -> None:
        draw = np.random.default_rng(0)
        meaning = np.full(TOKENS, -1)
        meaning[: MEANINGS * OF_A_MEANING] = np.repeat(np.arange(MEANINGS), OF_A_MEANING)
        meaning = draw.permutation(meaning)
        centres = np.linalg.qr(draw.standard_normal((DIMS, DIMS)))[0]
        x = draw.standard_normal((TOKENS, DIMS)) / np.sqrt(DIMS)
        x += np.where((meaning >= 0)[:, None], 1.5 * centres[meaning], 0.0)
        self.vectors = (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)
        self.hashes = draw.permutation(TOKENS).astype(np.uint64)
        self.rows = np.arange(TOKENS)
        levels = 0.01 * draw.random((TOKENS, MEANINGS))
        for i in range(MEANINGS):
            mine = np.flatnonzero(meaning == i)
            levels[mine, i] = 0.02 + draw.exponential(0.25, len(mine))
        levels /= levels.max(axis=0)
        top = np.argsort(-levels, axis=0)[:20].T
        self.neurons = Neurons(
            levels.astype(np.float32), np.take_along_axis(levels.T, top, axis=1), top, top
        )
        alive = self.neurons.alive()
        assert len(alive) == MEANINGS
        self.single = [self.neurons.single(i) for i in range(MEANINGS)]
        self.pairs = [[i, (i + 1 + i % 5) % MEANINGS] for i in range(MEANINGS)]

    def contexts(self, units: list[Unit]) -> dict[str, np.ndarray]:
        levels = np.stack([unit.levels for unit in units], axis=1)
        ones = np.ones(len(units), np.float32)
        top = np.stack([unit.top for unit in units])
        return contexts_of(levels, self.hashes, ones, top, self.rows)

    def scores(self, units: list[Unit]) -> dict[str, np.ndarray]:
        return scores(self.vectors, self.contexts(units), seed=0)


@pytest.fixture(scope="module")
def layer() -> Layer:
    return Layer()


@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_merged_neurons_score_above_single_ones(layer: Layer, scale: float) -> None:
    merged = layer.scores([layer.neurons.merged(pair, [1.0, scale]) for pair in layer.pairs])
    assert auc(merged["score"], layer.scores(layer.single)["score"]) >= 0.9


def test_a_meaning_in_the_middle_shows_in_the_score_and_not_at_the_top(layer: Layer) -> None:
    middle = layer.scores([layer.neurons.with_middle(i, j) for i, j in layer.pairs])
    single = layer.scores(layer.single)
    assert auc(middle["score"], single["score"]) >= 0.85
    assert auc(middle["top"], single["top"]) <= 0.65


def test_a_denser_neuron_is_no_merged_one(layer: Layer) -> None:
    single = layer.scores(layer.single)
    denser = layer.scores([spread_out(unit, 1.5) for unit in layer.single])
    sparser = [spread_out(layer.neurons.merged(pair), 0.5) for pair in layer.pairs]
    assert auc(denser["score"], single["score"]) <= 0.65
    assert auc(layer.scores(sparser)["score"], single["score"]) >= 0.9


def test_senses_of_merged_neurons_are_their_parts(layer: Layer) -> None:
    def counted(units: list[Unit]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        rows, _ = to_cluster(layer.contexts(units))
        found = cluster(layer.vectors, rows, seed=0)
        return found.count, found.labels, rows

    count, _, _ = counted(layer.single)
    assert (count == 1).mean() >= 0.9
    merged = [layer.neurons.merged(pair) for pair in layer.pairs]
    count, labels, rows = counted(merged)
    assert (count == 2).mean() >= 0.9
    agreed = []
    for unit, label, row in zip(merged, labels, rows, strict=True):
        here = row >= 0
        agreed.append(adjusted_rand(label[here], unit.part[row[here]]))
    assert np.median(agreed) >= 0.9


def test_merged_units_are_made_as_they_say(layer: Layer) -> None:
    unit = layer.neurons.merged([0, 1])
    np.testing.assert_array_equal(unit.levels, layer.neurons.levels[:, :2].max(axis=1))
    assert set(unit.part[unit.top].tolist()) == {0, 1}
    np.testing.assert_array_equal(unit.top, np.argsort(-unit.levels, kind="stable")[:20])
    middle = layer.neurons.with_middle(0, 1, count=40)
    second = middle.levels[middle.part == 1]
    assert 30 <= len(second) <= 40
    assert second.min() >= 0.1
    assert second.max() <= 0.4
    np.testing.assert_array_equal(middle.top, layer.neurons.top_rows[0])
    denser = spread_out(layer.single[0], 2.0).levels
    for level in (0.2, 0.5):
        twice = 2 * (layer.single[0].levels >= level).sum()
        assert (denser >= level).sum() == pytest.approx(twice, abs=1)


def test_adjusted_rand_by_hand() -> None:
    one = np.array([0, 0, 1, 1, 2, 2])
    assert adjusted_rand(one, np.array([1, 1, 0, 0, 3, 3])) == 1.0
    assert adjusted_rand(one, np.array([0, 0, 1, 2, 2, 2])) == pytest.approx(0.444, abs=1e-3)
    assert adjusted_rand(np.array([0, 1, 0, 1]), np.array([0, 0, 1, 1])) == pytest.approx(-0.5)
