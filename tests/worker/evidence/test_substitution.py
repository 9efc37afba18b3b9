"""Substitution: the changed token is real, verified, and the best there is."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from store.evidence_records import CounterexampleRecord, PolysemanticityRecord
from tests.worker.evidence.planting import DirectEngine, layout_of, random_model
from worker.evidence.passes import run
from worker.evidence.substitution import Goal, Start, SubstitutionJob, substitutions
from worker.evidence.substitution_starts import most_monosemantic
from worker.lean import LeanModel
from worker.reporter import Silent
from worker.settings import StatisticsSettings

TOKENS = np.array([0, 7, 3, 9, 12, 30, 4, 21], np.int32)
FOCUS = 5


def start(goal: Goal, layer: int = 1, excluded: tuple[int, ...] = ()) -> Start:
    return Start("left", layer, 3, 0, goal, 2, 1, FOCUS, TOKENS, excluded)


def search(lean: LeanModel, one: Start, candidates: int = 512) -> CounterexampleRecord:
    models = {"left": lean}
    job = SubstitutionJob(layout_of(models), StatisticsSettings(before=2, after=1), candidates)
    (found,) = DirectEngine(models).run(job, [one])
    assert isinstance(found, CounterexampleRecord)
    return found


def activation(lean: LeanModel, tokens: np.ndarray, layer: int) -> float:
    trace = run(lean, torch.from_numpy(tokens).long()[None])
    return float(trace.activated[layer][0, FOCUS, 3])


@pytest.mark.parametrize("act_fn", ["solu_ln", "gelu"])
@pytest.mark.parametrize("goal", ["focus", "silence", "raise"])
def test_with_all_replacements_tried_the_best_is_found(act_fn: str, goal: Goal) -> None:
    lean = random_model(act_fn)
    found = search(lean, start(goal, excluded=(11, 13)), candidates=10_000)
    assert found.changed is not None
    assert found.tokens is not None
    by_force = {}
    positions = [FOCUS] if goal == "focus" else range(1, FOCUS)
    for position, token in itertools.product(positions, range(1, 50)):
        if token == TOKENS[position] or (goal == "focus" and token in (11, 13)):
            continue
        tokens = TOKENS.copy()
        tokens[position] = token
        by_force[position, token] = activation(lean, tokens, 1)
    best = (min if goal == "silence" else max)(by_force.values())
    assert found.activation == pytest.approx(best, rel=1e-4, abs=1e-6)
    assert by_force[found.changed, int(found.tokens[found.changed])] == pytest.approx(best)
    assert found.original == TOKENS[found.changed]
    assert found.original_activation == pytest.approx(activation(lean, TOKENS, 1), rel=1e-4)
    assert (found.tokens != TOKENS).sum() == 1
    assert (found.start, found.position, found.document, found.window) == (3, FOCUS, 2, 1)
    display = "mid" if act_fn == "solu_ln" else "post"
    assert all(len(values) == 4 for values in found.values.values())
    assert found.values[display][FOCUS - 3] == pytest.approx(found.activation, rel=2e-3)


def test_the_gradient_puts_good_replacements_first() -> None:
    """Eight replacements by gradient do better than eight at random, over many models."""
    wins = 0
    for seed in range(12):
        lean = random_model("gelu", seed)
        found = search(lean, start("focus", layer=0), candidates=8)
        generator = np.random.default_rng(seed)
        drawn = []
        for token in generator.choice(np.arange(1, 50), 8, replace=False):
            tokens = TOKENS.copy()
            tokens[FOCUS] = token
            drawn.append(activation(lean, tokens, 0))
        wins += found.activation >= max(drawn)
    assert wins >= 9


def test_a_focus_without_a_token_before_it_has_nothing_to_change() -> None:
    lean = random_model("gelu")
    first = Start("left", 0, 3, 0, "silence", 0, 0, 1, TOKENS)
    layout = layout_of({"left": lean})
    both = [start("focus", 0), first]
    engine = DirectEngine({"left": lean})
    found = list(substitutions(engine, both, layout, StatisticsSettings(), Silent()))
    assert [one.rule for one in found] == ["another token at the focus"]
    assert [one.has_something_to_change for one in both] == [True, False]


def test_the_most_monosemantic_are_those_of_lowest_score() -> None:
    scores = [0.5, None, 0.1, 0.3]
    records = [
        PolysemanticityRecord(side, 0, i, score, {}, None, None, None)
        for side in ("left", "right")
        for i, score in enumerate(scores)
    ]
    assert most_monosemantic(records, 2) == [
        ("left", 0, 2), ("left", 0, 3), ("right", 0, 2), ("right", 0, 3)
    ]  # fmt: skip
