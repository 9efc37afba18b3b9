"""How often raters find what is known: planted cards, and cards shown twice.

detections(cards, conditions, counting)     # merged neurons found (sensitivity), single ones left
self_agreement(ratings)                     # per rater and for all of them together
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from server.agreement.answers import (
    Card,
    Counting,
    called,
    cards_of,
    clusters_of,
    raters_of,
    said_monosemantic,
)
from server.agreement.proportions import Interval
from server.agreement.raters import ClusteredShare, share_by_cluster
from server.intervals import wilson
from store.study_records import TRUTHS, Condition, Rating, Truth


@dataclass(frozen=True)
class Detection:
    """Planted cards of one truth: how many are called what they are.

    Of "polysemantic" ones (merged neurons) it is the sensitivity: not called monosemantic. Of
    "monosemantic" ones the specificity: called monosemantic. By majority with Wilson's interval
    for one condition; over all conditions (null) with one over neurons. `answers_*`: all answers.
    """

    truth: Truth
    condition: Condition | None
    cards: int
    right: int
    share: float | None
    interval: Interval | None
    answers: ClusteredShare


@dataclass(frozen=True)
class SelfAgreement:
    """How often a rater said the same of a card shown again; `rater` None is all of them."""

    rater: str | None
    same: ClusteredShare


def detections(
    cards: Sequence[Card], conditions: Sequence[Condition], counting: Counting
) -> list[Detection]:
    """Of each truth: all conditions together, then each where there are several."""
    places: list[Condition | None] = [None, *(conditions if len(conditions) > 1 else ())]
    return [
        _detection(
            [c for c in cards if c.truth == truth and place in (None, c.condition)],
            truth,
            place,
            counting,
        )
        for truth in reversed(TRUTHS)
        for place in places
    ]


def _detection(
    cards: Sequence[Card], truth: Truth, condition: Condition | None, counting: Counting
) -> Detection:
    expected = truth == "monosemantic"
    clusters = clusters_of(cards).tolist()
    judged = [
        (found == expected, cluster)
        for card, cluster in zip(cards, clusters, strict=True)
        if (found := called(card, counting)) is not None
    ]
    answers = [
        (said == expected, cluster)
        for card, cluster in zip(cards, clusters, strict=True)
        for said in said_monosemantic(card, counting)
    ]
    right = sum(hit for hit, _ in judged)
    together = share_by_cluster([hit for hit, _ in judged], [cluster for _, cluster in judged])
    alone = len({cluster for _, cluster in judged}) == len(judged)
    return Detection(
        truth=truth,
        condition=condition,
        cards=len(judged),
        right=right,
        share=together.share,
        interval=wilson(right, len(judged)) if alone else together.interval,
        answers=share_by_cluster([hit for hit, _ in answers], [cluster for _, cluster in answers]),
    )


def rater_detection(
    cards: Sequence[Card], rater: str, truth: Truth, counting: Counting
) -> ClusteredShare:
    """One rater's sensitivity or specificity."""
    mine = [
        Card(**{**vars(card), "verdicts": {rater: card.verdicts[rater]}})
        for card in cards
        if card.truth == truth and rater in card.verdicts
    ]
    return _detection(mine, truth, None, counting).answers


def self_agreement(ratings: Sequence[Rating]) -> list[SelfAgreement]:
    """Each rater's share of repeats with the same verdict, then all raters' together.

    Of those who have rated a card and its repeat; intervals over neurons.
    """
    firsts = {card.item: card for card in cards_of(ratings)}
    repeats = cards_of(ratings, "repeat")
    by_rater: dict[str, list[tuple[bool, int]]] = {}
    for repeat, cluster in zip(repeats, clusters_of(repeats).tolist(), strict=True):
        first = firsts.get(repeat.repeat_of) if repeat.repeat_of is not None else None
        for rater, verdict in repeat.verdicts.items():
            if first is not None and rater in first.verdicts:
                pair = (first.verdicts[rater] == verdict, cluster)
                by_rater.setdefault(rater, []).append(pair)
    names: list[str | None] = [name for name in raters_of(repeats) if name in by_rater]
    everything = [pair for pairs in by_rater.values() for pair in pairs]
    found = []
    for name in [*names, None]:
        pairs = everything if name is None else by_rater[name]
        found.append(
            SelfAgreement(
                name, share_by_cluster([same for same, _ in pairs], [c for _, c in pairs])
            )
        )
    return found
