"""Page object of `/studies/{slug}/results`: what a closed study found.

Statistics are those of `server.agreement`, as they are; here they get names, readings and links.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from server.agreement.answers import Counting
from server.agreement.contrasts import (
    Arm,
    Fall,
    FallDifference,
    MatchedDifference,
    VersionDifference,
)
from server.agreement.planted import Detection, SelfAgreement
from server.agreement.raters import ClusteredShare, Strictness
from server.agreement.reliability import PairKappa, Reliability
from server.pages.fields import Link
from server.pages.tax import Reading
from store.records import Side
from store.study_records import Condition, RatingVerdict


@dataclass(frozen=True)
class SideView:
    """A version of the pair that the study drew neurons of."""

    side: Side
    name: str


@dataclass(frozen=True)
class ConditionView:
    """A condition; `title` as a heading has it, `shown` what its cards hold."""

    condition: Condition
    title: str
    shown: str


@dataclass(frozen=True)
class Analysis:
    """All that depends on how "unclear" counts."""

    counting: Counting
    arms: tuple[Arm, ...]
    versions: tuple[VersionDifference, ...]
    matched: tuple[MatchedDifference, ...]
    falls: tuple[Fall, ...]
    fall_differences: tuple[FallDifference, ...]
    detections: tuple[Detection, ...]


@dataclass(frozen=True)
class Quartiles:
    """Of seconds a card; None without ratings."""

    ratings: int
    q25: float | None
    median: float | None
    q75: float | None


@dataclass(frozen=True)
class ConditionTime:
    """Seconds a card under a condition, all raters and kinds of cards."""

    condition: Condition
    seconds: Quartiles


@dataclass(frozen=True)
class RaterView:
    """One rater. `strictness` is over the cards of drawn neurons; the rest over what it names."""

    rater: str
    ratings: int
    strictness: Strictness
    self_agreement: ClusteredShare | None
    sensitivity: ClusteredShare
    specificity: ClusteredShare
    seconds: Quartiles


@dataclass(frozen=True)
class CellView:
    """A neuron under one condition; `called` by most of its raters, None where nobody answered."""

    condition: Condition
    verdicts: tuple[RatingVerdict, ...]
    monosemantic: int
    called: bool | None


@dataclass(frozen=True)
class NeuronView:
    """A drawn neuron, unblinded; a cell a condition."""

    side: Side
    layer: int
    neuron: int
    name: str
    href: str | None
    cells: tuple[CellView, ...]


@dataclass(frozen=True)
class Readings:
    """Each part in plain words."""

    falls: Reading
    versions: Reading
    agreement: Reading
    planted: Reading
    raters: Reading


@dataclass(frozen=True)
class StudyResultsPage:
    """`/studies/{slug}/results` of a closed study.

    `main` counts "unclear" as not monosemantic, `excluded` leaves such answers out. `neurons` are
    the drawn ones by side, layer and index. `ratings` counts all answers, `answers` those on cards
    of drawn neurons. `not_shown` says what is missing and why.
    """

    slug: str
    title: str
    pair: str
    run: str
    question: str
    rule: str
    seed: int
    frozen_sha256: str | None
    started_at: datetime | None
    closed_at: datetime | None
    sides: tuple[SideView, ...]
    conditions: tuple[ConditionView, ...]
    cards: int
    ratings: int
    answers: int
    raters: tuple[RaterView, ...]
    main: Analysis
    excluded: Analysis
    reliability: tuple[Reliability, ...]
    kappas: tuple[PairKappa, ...]
    self_agreement: tuple[SelfAgreement, ...]
    times: tuple[ConditionTime, ...]
    neurons: tuple[NeuronView, ...]
    readings: Readings
    methods: str
    not_shown: tuple[str, ...]
    files: tuple[Link, ...]
    study_href: str
    explorer_href: str | None
    json_href: str
