"""The inverted index against plain loops, on random values and on a published run."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np
import pytest

from store import search
from store.token_records import TokenNeuronsRecord
from tests.worker.published import token_neurons
from tests.worker.test_brute_force import DISPLAY, SETTINGS, Case, N, case
from worker import token_neuron
from worker.token_neuron import KEPT, ByToken, highest_on_tokens

__all__ = ["case"]  # the fixture of the brute-force tests


def by_hand(
    values: list[list[float]], ids: list[int], kept: int
) -> dict[int, list[tuple[int, float, float, float, float]]]:
    """token → (neuron, mean, mean in SD, maximum, maximum in SD), in order."""
    n = len(values[0])
    columns = [[row[j] for row in values] for j in range(n)]
    moments = []
    for column in columns:
        mean = math.fsum(column) / len(column)
        std = math.sqrt(math.fsum((x - mean) ** 2 for x in column) / len(column))
        moments.append((mean, 0.0 if min(column) == max(column) else std))
    found = {}
    for token in sorted(set(ids)):
        of_token = []
        for j in range(n):
            mine = [column for column, id_ in zip(columns[j], ids, strict=True) if id_ == token]
            mean, std = moments[j]
            if std == 0:
                continue
            average, highest = math.fsum(mine) / len(mine), max(mine)
            z = (float(np.float32((x - mean) / std)) for x in (average, highest))
            of_token.append((j, average, next(z), highest, next(z)))
        by_mean = sorted(of_token, key=lambda one: (-one[2], one[0]))
        by_max = sorted(of_token, key=lambda one: (-one[4], one[0]))
        chosen = {one[0] for one in (*by_mean[:kept], *by_max[:kept])}
        found[token] = [one for one in by_mean if one[0] in chosen]
    return found


@pytest.mark.parametrize("at_once", [1, 7, 60, 1 << 22])
def test_plain_loops_give_the_same(monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    """However many values are summed at once: a token may have more rows than that."""
    monkeypatch.setattr(token_neuron, "_VALUES_AT_ONCE", at_once)
    rng = np.random.default_rng(3)
    # Few different values: ties, which go to the lower neuron.
    block = rng.integers(-2, 3, (90, 11)).astype(np.float16)
    block[:, 4] = 0.1
    ids = np.where(rng.random(90) < 0.4, 7, rng.integers(0, 40, 90))
    offsets, entries = highest_on_tokens(block, ByToken.of_ids(ids), 3)
    expected = by_hand(block.astype(float).tolist(), ids.tolist(), 3)
    assert len(offsets) == len(expected) + 1
    for i, (token, wanted) in enumerate(expected.items()):
        got = entries[offsets[i] : offsets[i + 1]].tolist()
        assert [one[0] for one in got] == [one[0] for one in wanted], token
        assert 4 not in [one[0] for one in got]
        for one, other in zip(got, wanted, strict=True):
            assert one == pytest.approx(other, rel=1e-6)


def test_a_token_seen_once_has_one_list() -> None:
    block = np.random.default_rng(0).standard_normal((5, 50)).astype(np.float16)
    by_token = ByToken.of_ids(np.array([9, 3, 3, 8, 1]))
    assert by_token.tokens.tolist() == [1, 3, 8, 9]
    assert by_token.counts.tolist() == [1, 2, 1, 1]
    offsets, entries = highest_on_tokens(block, by_token, 20)
    assert np.diff(offsets)[[0, 2, 3]].tolist() == [20, 20, 20]
    assert 20 <= np.diff(offsets)[1] <= 40
    once = entries[: offsets[1]]
    np.testing.assert_array_equal(once["mean_sd"], once["max_sd"])


def test_a_layer_of_constant_neurons_is_in_no_list() -> None:
    offsets, entries = highest_on_tokens(
        np.full((6, 3), 0.1, np.float16), ByToken.of_ids(np.arange(6) % 2), 20
    )
    assert offsets.tolist() == [0, 0, 0]
    assert len(entries) == 0


def assert_near(
    found: list[float], exact: tuple[int, float, float, float, float], std: Any
) -> None:
    """Within what is said of an index: 0.5 % of values in SD, and of distances from the mean."""
    assert found[0] == exact[0]
    for value, in_sd in ((1, 2), (3, 4)):
        assert found[in_sd] == pytest.approx(exact[in_sd], rel=0.005, abs=1e-6)
        half = 2.0**-11 * abs(exact[value])
        assert found[value] == pytest.approx(
            exact[value], abs=0.005 * abs(exact[in_sd]) * std + half + 1e-6
        )


def test_a_published_index_is_right(case: Case) -> None:
    recorded = case.recorded
    ids = [recorded.rows[d, w][p] for d, w, p in recorded.sample]
    counts = search.token_counts(case.engine, case.run.id)
    assert counts is not None
    assert (counts.kept, counts.n) == (KEPT, SETTINGS.sample_size)
    assert dict(zip(counts.tokens.tolist(), counts.counts.tolist(), strict=True)) == Counter(ids)
    found: dict[Any, TokenNeuronsRecord] = {
        (one.side, one.layer, one.token): one for one in token_neurons(case.engine, case.run)
    }
    assert len(found) == 2 * 2 * len(counts.tokens)
    for side, site in DISPLAY.items():
        for layer in range(2):
            values = [
                [recorded.half(side, layer, site, key, j) for j in range(N)]
                for key in recorded.sample
            ]
            for token, wanted in by_hand(values, ids, KEPT).items():
                one = found[side, layer, token]
                got = zip(*(one.neurons, one.mean, one.mean_sd, one.max, one.max_sd), strict=True)
                for mine, other in zip(got, wanted, strict=True):
                    assert_near(
                        list(map(float, mine)), other, np.std([row[other[0]] for row in values])
                    )


def test_tokens_that_the_sample_does_not_have(case: Case) -> None:
    counts = search.token_counts(case.engine, case.run.id)
    assert counts is not None
    absent = set(range(300)) - set(counts.tokens.tolist())
    assert absent
    assert search.neurons_of_token(case.engine, case.run.id, min(absent)) == []
