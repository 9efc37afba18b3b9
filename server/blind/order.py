"""Which cards a rater gets, and in which order.

*Balanced*: the cards of each stratum (kind, condition, side) are spread evenly over the whole, each
at a place drawn by lot within its own stretch; so after any number of cards a rater has seen about
as many of each condition and version, and tiredness falls on all alike.

*Apart*: between two cards of one index (either version, whatever the condition, a repeat too) lie
at least `apart` others, fewer where a study is too short for it. Originals of repeats come in the
first half and the repeats in the second.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import islice

from store.study_records import StudyDesign, StudyItem

#: How many cards early one may come, that they may lie apart.
AHEAD = 12


def cards_of(items: Sequence[StudyItem], design: StudyDesign, seed: int, rater: int) -> list[int]:
    """The numbers of the cards of rater `rater` (from 1), in order; the same for the same seed."""
    rng = random.Random(f"{seed} order of R{rater}")
    mine = _of_rater(items, design, rater)
    return _apart(_balanced(mine, rng), design.apart)


def distances(items: Iterable[StudyItem], cards: Sequence[int]) -> list[int]:
    """For each card whose index was before the rater already, how many cards earlier it was."""
    by_number = {item.number: item for item in items}
    last: dict[tuple[int, int], int] = {}
    found = []
    for place, number in enumerate(cards):
        for index in _indices(by_number[number]):
            if index in last:
                found.append(place - last[index])
            last[index] = place
    return found


def condition_of_list(design: StudyDesign, place: int, rater: int) -> int:
    """Which of the design's conditions a rater sees the neuron at this place of the draw under."""
    return (place + rater - 1) % len(design.conditions)


def _of_rater(items: Sequence[StudyItem], design: StudyDesign, rater: int) -> list[StudyItem]:
    """All cards, or ("between") planted ones and each neuron under one condition: a Latin square.

    The place of an index in the square is that of its first card, so both versions of a matched
    pair are seen under the same condition.
    """
    if design.assignment == "within":
        return list(items)
    places: dict[tuple[int, int], int] = {}
    for item in items:
        if item.kind == "neuron":
            places.setdefault((item.layer, item.neuron), len(places))
    return [
        item
        for item in items
        if item.kind == "planted"
        or design.conditions.index(item.condition)
        == condition_of_list(design, places[item.layer, item.neuron], rater)
    ]


def _balanced(items: Sequence[StudyItem], rng: random.Random) -> list[StudyItem]:
    repeated = {item.repeat_of for item in items}
    strata: dict[tuple[str, ...], list[StudyItem]] = {}
    for item in items:
        when = "first" if item.number in repeated else "any"
        strata.setdefault((item.kind, item.condition, item.side, when), []).append(item)
    keyed: list[tuple[float, float, StudyItem]] = []
    for (kind, _, _, when), members in sorted(strata.items()):
        rng.shuffle(members)
        for place, item in enumerate(members):
            key = (place + rng.random()) / len(members)
            if when == "first":
                key = key / 2
            elif kind == "repeat":
                key = 0.5 + key / 2
            keyed.append((key, rng.random(), item))
    return [item for *_, item in sorted(keyed, key=lambda one: one[:2])]


def _apart(items: list[StudyItem], apart: int) -> list[int]:
    """The items nearly in their order, each index `apart` cards from its last where that goes."""
    best: tuple[int, list[int]] | None = None
    least = min(apart, max(len(items) // 3, 1))
    while best is None or least > best[0]:
        ordered = _put_off(items, least)
        nearest = min(distances(items, ordered), default=apart)
        if best is None or nearest > best[0]:
            best = nearest, ordered
        least = least * 4 // 5
    return best[1]


def _put_off(items: list[StudyItem], least: int) -> list[int]:
    """The items in their order, each put off until its index is `least` cards behind.

    Of the first few that may come, that whose index has most cards to come does: else they would
    crowd at the end. Where none may come, the one whose index is furthest behind does.
    """
    waiting = list(items)
    ordered: list[int] = []
    to_come = Counter(index for item in items for index in _indices(item))
    last: dict[tuple[int, int], int] = {}
    given: set[int] = set()
    while waiting:
        place = len(ordered)

        def behind(item: StudyItem, place: int = place) -> int:
            if item.repeat_of is not None and item.repeat_of not in given:
                return -1  # never before what it repeats
            return min(place - last.get(index, -len(items)) for index in _indices(item))

        free = list(islice((item for item in waiting if behind(item) >= least), AHEAD))
        if free:
            chosen = max(free, key=lambda item: max(to_come[index] for index in _indices(item)))
        else:
            chosen = max(waiting, key=behind)
        waiting.remove(chosen)
        ordered.append(chosen.number)
        given.add(chosen.number)
        for index in _indices(chosen):
            last[index] = place
            to_come[index] -= 1
    return ordered


def _indices(item: StudyItem) -> list[tuple[int, int]]:
    """What a card shows, whichever the version."""
    found = [(item.layer, item.neuron)]
    return found if item.merged_with is None else [*found, (item.layer, item.merged_with)]
