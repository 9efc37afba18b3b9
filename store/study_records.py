"""Frozen records of blind studies (EVIDENCE: §10).

A study draws neurons of both versions of a pair, shows each as cards without a name, and keeps what
raters say. `StudyItem` is one card as it was frozen; `Rating` is what one rater said of it, joined
to what the card was, for whoever analyses it after the study. Raters never see either.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

from store.records import Side

#: What a card shows of a neuron: its strongest firings alone; firings from all of its range; those,
#: and contexts in which its rule would have it fire and it is silent.
Condition = Literal["top", "range", "silent"]

#: A drawn neuron's card; the same card shown again; a card whose truth is known by construction.
ItemKind = Literal["neuron", "repeat", "planted"]

StudyState = Literal["draft", "running", "closed"]

#: What a rater may say. (A label's verdict may be "dead", too: dead neurons are not drawn.)
RatingVerdict = Literal["monosemantic", "polysemantic", "unclear"]

#: What a planted card is by construction.
Truth = Literal["monosemantic", "polysemantic"]

#: Who sees what. "between": a rater sees a neuron under one condition, others see it under the
#: others (a Latin square). "within": every rater sees every neuron under every condition.
Assignment = Literal["between", "within"]

CONDITIONS: tuple[Condition, ...] = ("top", "range", "silent")
ITEM_KINDS: tuple[ItemKind, ...] = ("neuron", "repeat", "planted")
STUDY_STATES: tuple[StudyState, ...] = ("draft", "running", "closed")
RATING_VERDICTS: tuple[RatingVerdict, ...] = ("monosemantic", "polysemantic", "unclear")
TRUTHS: tuple[Truth, ...] = ("monosemantic", "polysemantic")


@dataclass(frozen=True)
class StudyDesign:
    """What is asked of a study before anything is drawn.

    `neurons_per_version` are drawn from each version over all `layers` together. `repeat_share` and
    `planted_share` are shares of a rater's cards of drawn neurons, added to them. `apart` is the
    least number of cards from one of a neuron (of either version) to its next. `seconds_cap` is the
    longest that counts as time spent on a card at one go. A snippet has `before` tokens before its
    focus and `after` behind it, filled up where the text begins or ends.
    """

    layers: tuple[int, ...]
    neurons_per_version: int
    conditions: tuple[Condition, ...] = CONDITIONS
    snippets_per_card: int = 20
    repeat_share: float = 0.1
    planted_share: float = 0.1
    raters_expected: int = 3
    assignment: Assignment = "between"
    apart: int = 15
    seconds_cap: int = 600
    #: Tokens of a card's snippets: as many as a run's examples have (`worker.settings`), or planted
    #: cards, which are cut from whole windows, would be told by their longer contexts.
    before: int = 12
    after: int = 7

    def to_json(self) -> dict[str, Any]:
        """Plain values, as stored and as shown in the protocol."""
        return asdict(self) | {"layers": list(self.layers), "conditions": list(self.conditions)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> StudyDesign:
        """The design of `to_json`."""
        return cls(
            **{
                **values,
                "layers": tuple(values["layers"]),
                "conditions": tuple(values["conditions"]),
            }
        )


@dataclass(frozen=True)
class StudyRecord:
    """A study. `question` and `rule` are what raters read above each card.

    `weights` are the SHA-256 of the left and the right model (None in a single-sided run): what a
    rater may not look up is named by them. `frozen_sha256` is of everything that was frozen on
    start (`store.studies.frozen_digest`), None in a draft.
    """

    slug: str
    title: str
    pair: str
    run_id: str
    question: str
    rule: str
    design: StudyDesign
    seed: int
    state: StudyState = "draft"
    created_by: str = ""
    created_at: datetime | None = None
    started_at: datetime | None = None
    closed_at: datetime | None = None
    weights: tuple[str, str | None] = ("", None)
    frozen_sha256: str | None = None


@dataclass(frozen=True)
class StudyItem:
    """One card, frozen on start; `number` counts from 1 within the study.

    `side`, `layer`, `neuron` name the version shown. A planted polysemantic card holds contexts of
    that version and of `merged_with`, a neuron of the same side and layer. A planted monosemantic
    card holds contexts of one token or bigram, shaded as that version's contexts are; nothing else
    of the version is on it. `repeat_of` is the number of the card that a repeat shows again.
    `card` is what is shown, as JSON: `{"snippets": [{"tokens", "shades", "focus", "silent"}]}`.
    """

    number: int
    kind: ItemKind
    condition: Condition
    side: Side
    layer: int
    neuron: int
    card: dict[str, Any]
    merged_with: int | None = None
    truth: Truth | None = None
    repeat_of: int | None = None


@dataclass(frozen=True)
class Rating:
    """What one rater said of one card, with what the card was.

    `item` is its number; `rater` a pseudonym, "R1" …; `rule` the rater's own words; `confidence`
    1–5 or None; `seconds` the time spent on the card, pauses left out.
    """

    item: int
    kind: ItemKind
    condition: Condition
    side: Side
    layer: int
    neuron: int
    truth: Truth | None
    repeat_of: int | None
    rater: str
    verdict: RatingVerdict
    rule: str
    confidence: int | None
    seconds: float
    created_at: datetime


@dataclass(frozen=True)
class RaterRecord:
    """A rater's place in a study. `cards` are items' numbers in the order in which they come.

    `item` is the card that the clock is on, `paused` whether it stands; `rated` maps the number of
    each card that was rated to the latest rating's verdict, rule and confidence.
    """

    number: int
    cards: tuple[int, ...]
    item: int | None
    paused: bool
    rated: dict[int, GivenRating]

    @property
    def pseudonym(self) -> str:
        """How the rater is named in all that is shown of a study: R1, R2 and so on."""
        return f"R{self.number}"

    @property
    def next_card(self) -> int | None:
        """The first card that is not rated yet; None when all are."""
        return next((card for card in self.cards if card not in self.rated), None)


@dataclass(frozen=True)
class GivenRating:
    """What a rater said of a card."""

    verdict: RatingVerdict
    rule: str = ""
    confidence: int | None = None
