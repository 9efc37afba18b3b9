"""What a study asks: shares monosemantic, differences between versions, falls between conditions.

arms(cards, sides, conditions, "not_monosemantic")
falls(cards, "left", conditions, counting)      # top → range, top → silent, range → silent

All of them count neurons by `answers.called`, so that a neuron is one observation; `answers_*` say
the same of all answers, with intervals over neurons.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from server.agreement.answers import Card, Counting, Unit, called, said_monosemantic
from server.agreement.bootstrap import mean_interval
from server.agreement.mcnemar import McNemar, holm, mcnemar
from server.agreement.proportions import (
    Interval,
    PairCounts,
    clustered_share,
    difference_of,
    newcombe,
    newcombe_paired,
    pair_counts,
)
from server.intervals import wilson
from store.records import Side
from store.study_records import Condition


@dataclass(frozen=True)
class Arm:
    """The neurons of one version under one condition.

    `monosemantic` of `neurons` are called so by most of their raters (Wilson's interval);
    `answers_monosemantic` of `answers` are "monosemantic", `answers_unclear` "unclear".
    """

    side: Side
    condition: Condition
    neurons: int
    monosemantic: int
    share: float | None
    interval: Interval | None
    answers: int
    answers_monosemantic: int
    answers_polysemantic: int
    answers_unclear: int
    answers_share: float | None
    answers_interval: Interval | None


@dataclass(frozen=True)
class VersionDifference:
    """Share of the left version minus share of the right one, neurons as independent arms."""

    condition: Condition
    difference: float | None
    interval: Interval | None
    seen: bool


@dataclass(frozen=True)
class MatchedDifference:
    """The same of neurons with the same index in both versions: `pairs.first` is left only.

    `all_neurons`: every neuron of both versions is in such a pair, so this is the difference to
    read; independent arms would be wider, or too narrow where pairs disagree.
    """

    condition: Condition
    pairs: PairCounts
    all_neurons: bool
    difference: float | None
    interval: Interval | None
    test: McNemar | None
    p_adjusted: float | None
    seen: bool


@dataclass(frozen=True)
class Fall:
    """How the share falls from condition `first` to `then`, within the neurons that have both.

    `pairs.first` are monosemantic under `first` only. Positive: fewer are called monosemantic once
    more is shown. `answers_fall` is the mean over neurons of the share of answers under `first`
    minus that under `then`, bootstrapped over neurons.
    """

    side: Side
    first: Condition
    then: Condition
    pairs: PairCounts
    fall: float | None
    interval: Interval | None
    test: McNemar | None
    p_adjusted: float | None
    answers_fall: float | None
    answers_interval: Interval | None
    seen: bool


@dataclass(frozen=True)
class FallDifference:
    """The fall of the left version minus that of the right one."""

    first: Condition
    then: Condition
    difference: float
    interval: Interval
    seen: bool


def excludes_zero(interval: Interval | None) -> bool:
    """Whether all of an interval lies on one side of zero."""
    return interval is not None and (interval[0] > 0 or interval[1] < 0)


def arms(
    cards: Sequence[Card],
    sides: Sequence[Side],
    conditions: Sequence[Condition],
    counting: Counting,
) -> list[Arm]:
    """An arm a version and condition, also where nothing is rated yet."""
    return [
        _arm(
            [card for card in cards if card.side == side and card.condition == condition],
            side,
            condition,
            counting,
        )
        for side in sides
        for condition in conditions
    ]


def _arm(cards: Sequence[Card], side: Side, condition: Condition, counting: Counting) -> Arm:
    verdicts = [verdict for card in cards for verdict in card.verdicts.values()]
    answers = [said for card in cards if (said := said_monosemantic(card, counting))]
    judged = [one for card in cards if (one := called(card, counting)) is not None]
    hits, total = sum(map(sum, answers)), sum(map(len, answers))
    return Arm(
        side=side,
        condition=condition,
        neurons=len(judged),
        monosemantic=sum(judged),
        share=sum(judged) / len(judged) if judged else None,
        interval=wilson(sum(judged), len(judged)),
        answers=total,
        answers_monosemantic=hits,
        answers_polysemantic=verdicts.count("polysemantic"),
        answers_unclear=verdicts.count("unclear"),
        answers_share=hits / total if total else None,
        answers_interval=clustered_share([sum(a) for a in answers], [len(a) for a in answers]),
    )


def version_differences(
    found: Sequence[Arm], conditions: Sequence[Condition]
) -> list[VersionDifference]:
    """Left minus right under each condition that both were rated under."""
    by_place = {(arm.side, arm.condition): arm for arm in found}
    differences = []
    for condition in conditions:
        left, right = by_place.get(("left", condition)), by_place.get(("right", condition))
        if left is None or right is None or left.share is None or right.share is None:
            continue
        interval = newcombe(left.monosemantic, left.neurons, right.monosemantic, right.neurons)
        differences.append(
            VersionDifference(
                condition, left.share - right.share, interval, excludes_zero(interval)
            )
        )
    return differences


def _calls(
    cards: Sequence[Card], side: Side, condition: Condition, counting: Counting
) -> dict[Unit, bool]:
    """What each neuron of an arm is called."""
    return {
        card.unit: found
        for card in cards
        if card.side == side
        and card.condition == condition
        and (found := called(card, counting)) is not None
    }


def matched_differences(
    cards: Sequence[Card], conditions: Sequence[Condition], counting: Counting
) -> list[MatchedDifference]:
    """Left minus right of the same layer and index, under each condition with such pairs."""
    differences = []
    for condition in conditions:
        left, right = (
            {unit[1:]: found for unit, found in _calls(cards, side, condition, counting).items()}
            for side in ("left", "right")
        )
        both = sorted(left.keys() & right.keys())
        if not both:
            continue
        pairs = pair_counts([left[unit] for unit in both], [right[unit] for unit in both])
        interval = newcombe_paired(pairs)
        differences.append(
            MatchedDifference(
                condition,
                pairs,
                len(both) == len(left) == len(right),
                pairs.difference,
                interval,
                mcnemar(pairs),
                None,
                excludes_zero(interval),
            )
        )
    return differences


def falls(
    cards: Sequence[Card], side: Side, conditions: Sequence[Condition], counting: Counting
) -> list[Fall]:
    """The fall between each two conditions, the one that shows less first."""
    found = []
    for first, then in combinations(conditions, 2):
        before, after = (_calls(cards, side, one, counting) for one in (first, then))
        both = sorted(before.keys() & after.keys())
        if not both:
            continue
        pairs = pair_counts([before[unit] for unit in both], [after[unit] for unit in both])
        interval = newcombe_paired(pairs)
        gaps = _answer_gaps(cards, side, first, then, counting)
        found.append(
            Fall(
                side=side,
                first=first,
                then=then,
                pairs=pairs,
                fall=pairs.difference,
                interval=interval,
                test=mcnemar(pairs),
                p_adjusted=None,
                answers_fall=sum(gaps) / len(gaps) if gaps else None,
                answers_interval=mean_interval(gaps),
                seen=excludes_zero(interval),
            )
        )
    return found


def _answer_gaps(
    cards: Sequence[Card], side: Side, first: Condition, then: Condition, counting: Counting
) -> list[float]:
    """Of each neuron: its share of "monosemantic" under one condition minus under the other."""
    shares: dict[Condition, dict[Unit, float]] = {first: {}, then: {}}
    for card in cards:
        if card.side == side and card.condition in shares:
            answers = said_monosemantic(card, counting)
            if answers:
                shares[card.condition][card.unit] = sum(answers) / len(answers)
    both = sorted(shares[first].keys() & shares[then].keys())
    return [shares[first][unit] - shares[then][unit] for unit in both]


def fall_differences(left: Sequence[Fall], right: Sequence[Fall]) -> list[FallDifference]:
    """Whether one version falls more than the other; wide where their neurons are matched."""
    others = {(fall.first, fall.then): fall for fall in right}
    found = []
    for fall in left:
        other = others.get((fall.first, fall.then))
        if other is None or fall.fall is None or other.fall is None:
            continue
        if fall.interval is None or other.interval is None:
            continue
        interval = difference_of(fall.fall, fall.interval, other.fall, other.interval)
        found.append(
            FallDifference(
                fall.first, fall.then, fall.fall - other.fall, interval, excludes_zero(interval)
            )
        )
    return found


def adjusted(
    matched: Sequence[MatchedDifference], fallen: Sequence[Fall]
) -> tuple[list[MatchedDifference], list[Fall]]:
    """The same with p-values adjusted (Holm) for the number of McNemar's tests of the study."""
    tests = [one.test for one in matched if one.test] + [one.test for one in fallen if one.test]
    p_values = iter(holm([test.p for test in tests]))
    return (
        [replace(one, p_adjusted=next(p_values)) if one.test else one for one in matched],
        [replace(one, p_adjusted=next(p_values)) if one.test else one for one in fallen],
    )
