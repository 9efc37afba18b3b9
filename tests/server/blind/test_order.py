"""Orders of cards: whole, balanced at any time, one index far from itself, repeats after."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import product

import pytest

from server.blind.order import cards_of, distances
from store.study_records import CONDITIONS, Assignment, StudyDesign, StudyItem

DESIGN = StudyDesign(layers=(0,), neurons_per_version=30)


def made(design: StudyDesign) -> list[StudyItem]:
    shown = [
        StudyItem(0, "neuron", condition, side, 0, neuron, {})
        for neuron, side, condition in product(
            range(design.neurons_per_version), ("left", "right"), CONDITIONS
        )
    ]
    planted = [
        StudyItem(0, "planted", CONDITIONS[n % 3], "left", 0, 100 + n, {}, truth="monosemantic")
        for n in range(6)
    ]
    numbered = [replace(item, number=n) for n, item in enumerate([*shown, *planted], start=1)]
    again = [i for i in numbered if i.kind == "neuron" and i.neuron < 3 and i.side == "left"]
    repeats = [
        replace(item, number=len(numbered) + n, kind="repeat", repeat_of=item.number)
        for n, item in enumerate(again, start=1)
    ]
    return [*numbered, *repeats]


@pytest.mark.parametrize("assignment", ["between", "within"])
@pytest.mark.parametrize("rater", [1, 2])
def test_an_order_is_balanced_and_apart(assignment: Assignment, rater: int) -> None:
    design = replace(DESIGN, assignment=assignment)
    items = made(design)
    by_number = {item.number: item for item in items}
    cards = cards_of(items, design, 7, rater)
    assert cards == cards_of(items, design, 7, rater)
    assert len(set(cards)) == len(cards) == (60 + 3 + 6 if assignment == "between" else 180 + 9 + 6)
    # thirty indices of six cards and more: fifteen apart cannot always be had
    assert min(distances(items, cards)) >= (15 if assignment == "between" else 10)
    for place, number in enumerate(cards):
        repeated = by_number[number].repeat_of
        assert repeated is None or cards.index(repeated) < place
    for part in (len(cards) // 4, len(cards) // 2, 3 * len(cards) // 4):
        seen = [by_number[number] for number in cards[:part] if by_number[number].kind == "neuron"]
        for of in (lambda item: item.side, lambda item: item.condition):
            counts = Counter(map(of, seen))
            assert max(counts.values()) - min(counts.values()) <= max(6, len(seen) // 6)


def test_the_conditions_go_round_among_raters() -> None:
    items = made(DESIGN)
    by_number = {item.number: item for item in items}
    seen: dict[tuple[str, int], list[str]] = {}
    for rater in (1, 2, 3):
        of_rater = Counter()
        for number in cards_of(items, DESIGN, 7, rater):
            item = by_number[number]
            if item.kind == "neuron":
                seen.setdefault((item.side, item.neuron), []).append(item.condition)
                of_rater[item.condition] += 1
        assert set(of_rater.values()) == {20}
    assert len(seen) == 60
    assert all(sorted(conditions) == sorted(CONDITIONS) for conditions in seen.values())
    assert cards_of(items, DESIGN, 8, 1) != cards_of(items, DESIGN, 7, 1)
    # a matched pair is seen under one condition by one rater
    assert all(seen["left", neuron] == seen["right", neuron] for neuron in range(30))
