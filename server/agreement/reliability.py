"""Agreement between a study's raters: α by condition, κ by pair of raters, Fleiss' κ.

reliability(cards, conditions)       # all conditions, then each
kappas(cards)                        # each two raters
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from server.agreement.answers import Card, clusters_of, code_matrix, raters_of
from server.agreement.chance_corrected import (
    Codes,
    alpha,
    alpha_interval,
    cohen,
    cohen_interval,
    fleiss,
    pair_agreement,
)
from server.agreement.proportions import Interval
from store.study_records import RATING_VERDICTS, Condition

CATEGORIES = len(RATING_VERDICTS)


@dataclass(frozen=True)
class Reliability:
    """Agreement of all raters over cards that two or more have rated.

    `condition` None is all of them. `alpha` of the three verdicts, `alpha_binary` of monosemantic
    against the rest; `agreement` the share of pairs of answers that are the same.
    """

    condition: Condition | None
    cards: int
    raters: int
    agreement: float | None
    alpha: float | None
    alpha_interval: Interval | None
    alpha_binary: float | None
    alpha_binary_interval: Interval | None
    fleiss: float | None
    fleiss_cards: int


@dataclass(frozen=True)
class PairKappa:
    """Cohen's κ of two raters over the cards that both have rated."""

    raters: tuple[str, str]
    cards: int
    agreement: float | None
    kappa: float | None
    interval: Interval | None


def reliability(cards: Sequence[Card], conditions: Sequence[Condition]) -> list[Reliability]:
    """Over all conditions, then under each where there are several; empty for one rater."""
    if len(raters_of(cards)) < 2:
        return []
    places: list[Condition | None] = [None, *(conditions if len(conditions) > 1 else ())]
    return [
        _reliability([card for card in cards if place in (None, card.condition)], place)
        for place in places
    ]


def _reliability(cards: Sequence[Card], condition: Condition | None) -> Reliability:
    shared = [card for card in cards if len(card.verdicts) >= 2]
    raters = raters_of(shared)
    codes, clusters = code_matrix(shared, raters), clusters_of(shared)
    binary: Codes = np.where(codes > 0, 1, codes)  # "monosemantic" is the first verdict
    kappa, complete = fleiss(codes, CATEGORIES)
    return Reliability(
        condition=condition,
        cards=len(shared),
        raters=len(raters),
        agreement=pair_agreement(codes, CATEGORIES),
        alpha=alpha(codes, CATEGORIES),
        alpha_interval=alpha_interval(codes, clusters, CATEGORIES),
        alpha_binary=alpha(binary, 2),
        alpha_binary_interval=alpha_interval(binary, clusters, 2),
        fleiss=kappa,
        fleiss_cards=complete,
    )


def kappas(cards: Sequence[Card]) -> list[PairKappa]:
    """Of each two raters, in their order."""
    raters = raters_of(cards)
    codes, clusters = code_matrix(cards, raters), clusters_of(cards)
    found = []
    for i, j in combinations(range(len(raters)), 2):
        one, other = codes[i], codes[j]
        both = (one >= 0) & (other >= 0)
        found.append(
            PairKappa(
                (raters[i], raters[j]),
                int(both.sum()),
                float((one[both] == other[both]).mean()) if both.any() else None,
                cohen(one, other),
                cohen_interval(one, other, clusters, CATEGORIES),
            )
        )
    return found
