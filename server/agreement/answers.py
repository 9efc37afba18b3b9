"""Ratings of a study as cards with their raters' verdicts, and what a card is called.

cards = cards_of(ratings)
called(card, "not_monosemantic")    # True: more than half of its raters say monosemantic

The unit of analysis is the neuron: a card is one neuron under one condition, and its raters'
verdicts become one, by majority, before it is counted. So a share's interval holds its level
however much the raters' answers are correlated. Shares of all answers stand beside it, with
intervals over neurons.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from server.agreement.bootstrap import Floats
from server.agreement.chance_corrected import Codes
from store.records import Side
from store.study_records import (
    RATING_VERDICTS,
    Condition,
    ItemKind,
    Rating,
    RatingVerdict,
    Truth,
)

Counting = Literal["not_monosemantic", "excluded"]
"""What becomes of "unclear": it counts as not monosemantic (the main analysis), or the answer is
left out."""

Unit = tuple[Side, int, int]
"""A neuron's version: side, layer, neuron."""


@dataclass(frozen=True)
class Card:
    """A card with what its raters said; `verdicts` by pseudonym."""

    item: int
    kind: ItemKind
    condition: Condition
    side: Side
    layer: int
    neuron: int
    truth: Truth | None
    repeat_of: int | None
    verdicts: dict[str, RatingVerdict]

    @property
    def unit(self) -> Unit:
        """The version that the card shows."""
        return self.side, self.layer, self.neuron


def cards_of(ratings: Iterable[Rating], kind: ItemKind | None = None) -> list[Card]:
    """The cards that have been rated, by number; `kind` for only these."""
    found: dict[int, Card] = {}
    for one in ratings:
        if kind is not None and one.kind != kind:
            continue
        card = found.setdefault(
            one.item,
            Card(
                one.item,
                one.kind,
                one.condition,
                one.side,
                one.layer,
                one.neuron,
                one.truth,
                one.repeat_of,
                {},
            ),
        )
        card.verdicts[one.rater] = one.verdict
    return [found[item] for item in sorted(found)]


def raters_of(cards: Iterable[Card]) -> list[str]:
    """Pseudonyms in their order: R1, R2, …, R10."""
    names = {name for card in cards for name in card.verdicts}
    return sorted(names, key=lambda name: (len(name), name))


def said_monosemantic(card: Card, counting: Counting) -> list[bool]:
    """Of each answer that counts whether it is "monosemantic"."""
    return [
        verdict == "monosemantic"
        for verdict in card.verdicts.values()
        if counting == "not_monosemantic" or verdict != "unclear"
    ]


def called(card: Card, counting: Counting) -> bool | None:
    """Whether more than half of the answers that count say monosemantic; None without any."""
    answers = said_monosemantic(card, counting)
    return 2 * sum(answers) > len(answers) if answers else None


def code_matrix(cards: Sequence[Card], raters: Sequence[str]) -> Codes:
    """Verdicts as their index in RATING_VERDICTS, −1 where not rated; [raters, cards]."""
    codes = {verdict: code for code, verdict in enumerate(RATING_VERDICTS)}
    rows = [
        [codes[card.verdicts[name]] if name in card.verdicts else -1 for card in cards]
        for name in raters
    ]
    return np.array(rows, dtype=np.int64).reshape(len(raters), len(cards))


def hit_matrix(cards: Sequence[Card], raters: Sequence[str], counting: Counting) -> Floats:
    """1 for monosemantic, 0 for another verdict, NaN for none that counts; [raters, cards]."""
    codes = code_matrix(cards, raters)
    monosemantic = RATING_VERDICTS.index("monosemantic")
    left_out = codes < 0
    if counting == "excluded":
        left_out |= codes == RATING_VERDICTS.index("unclear")
    return np.where(left_out, np.nan, (codes == monosemantic).astype(np.float64))


def clusters_of(cards: Sequence[Card]) -> Codes:
    """A number for each card's layer and index, the same for both versions of one; [cards].

    What is drawn when a study is made is an index; its two versions, which may be judged alike,
    come together.
    """
    numbers: dict[tuple[int, int], int] = {}
    return np.array(
        [numbers.setdefault((card.layer, card.neuron), len(numbers)) for card in cards],
        dtype=np.int64,
    )
