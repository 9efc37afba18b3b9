"""Page objects of blind studies: the list, a new one, one study, its protocol."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Literal

from server.pages.fields import HTML_ONLY

StateName = Literal["draft", "running", "closed"]


@dataclass(frozen=True)
class StudyLine:
    """A study in the list; `rated` and `cards` are of whoever asks, None when they rate it not."""

    slug: str
    title: str
    state: StateName
    created_by: str
    created_at: datetime | None
    href: str
    rate_href: str | None
    rated: int | None = None
    cards: int | None = None


@dataclass(frozen=True)
class StudiesPage:
    """`/studies`, newest first."""

    studies: tuple[StudyLine, ...]
    may_create: bool
    json_href: str = "/studies.json"


@dataclass(frozen=True)
class SizesView:
    """What a study comes to for one rater. `minutes`: at one to two minutes a card.

    `raters_a_card` is how many of the expected raters see a drawn neuron's card, on the average.
    """

    neurons: int
    repeats: int
    planted: int
    cards: int
    minutes: tuple[float, float]
    raters_a_card: float


@dataclass(frozen=True)
class PowerView:
    """What a study can see under one condition. `arm`: neurons of a version that are rated there.

    `smallest` is the least difference from `base` that is seen with `power` at `alpha` (two-sided),
    None when no difference is. `needed` gives neurons an arm for published differences.
    """

    arm: int
    base: float
    power: float
    alpha: float
    smallest: float | None
    needed: tuple[tuple[float, float, int], ...]


@dataclass(frozen=True)
class Term:
    """A line of a protocol; `value` is None where it is withheld while the study runs."""

    name: str
    value: str | None
    key: str


@dataclass(frozen=True)
class ProtocolView:
    """A study's protocol: what was fixed, in words and as values.

    `withheld` names what is kept from everybody who may rate until the study is closed; what was
    frozen, these too, has `frozen_sha256`.
    """

    slug: str
    title: str
    state: StateName
    question: str
    rule: str
    created_by: str
    created_at: datetime | None
    started_at: datetime | None
    closed_at: datetime | None
    frozen_sha256: str | None
    terms: tuple[Term, ...]
    procedure: tuple[str, ...]
    withheld: tuple[str, ...]


@dataclass(frozen=True)
class RaterLine:
    """How far a rater is, by pseudonym."""

    rater: str
    rated: int
    cards: int


@dataclass(frozen=True)
class EligibleView:
    """How many versions of a layer have enough examples for the study's cards."""

    side: Literal["left", "right"]
    layer: int
    eligible: int


@dataclass(frozen=True)
class StudyPage:
    """`/studies/{slug}`. `problem` says why a draft cannot be started. `own` is how far whoever
    asks is, None when they have not begun."""

    protocol: ProtocolView
    sizes: SizesView
    power: PowerView
    raters: tuple[RaterLine, ...]
    own: RaterLine | None
    eligible: tuple[EligibleView, ...]
    problem: str | None
    may_own: Annotated[bool, HTML_ONLY]
    may_rate: Annotated[bool, HTML_ONLY]
    pair_href: Annotated[str | None, HTML_ONLY]
    again_href: Annotated[str | None, HTML_ONLY]
    href: str
    rate_href: str
    results_href: str | None
    frozen_href: str | None
    protocol_href: str
    text_href: str
    json_href: str


@dataclass(frozen=True)
class RunChoice:
    """A run that a study may be of."""

    id: str
    title: str
    layers: int
    chosen: bool


@dataclass(frozen=True)
class StudyForm:
    """What the form of a new study holds, as text and plain values."""

    run: str = ""
    title: str = ""
    slug: str = ""
    question: str = ""
    rule: str = ""
    layers: str = "all"
    neurons: int = 60
    conditions: str = "top,range,silent"
    snippets: int = 20
    repeat_share: float = 0.1
    planted_share: float = 0.1
    raters: int = 3
    assignment: Literal["between", "within"] = "between"
    seed: int | None = None


@dataclass(frozen=True)
class NewStudyPage:
    """`/studies/new`: the form with what the settings in it come to. `strangers_read` warns that
    what is closed to raters is open to whoever is not logged in. `problem` says what is wrong
    with them."""

    form: StudyForm
    runs: tuple[RunChoice, ...]
    condition_choices: tuple[tuple[str, str], ...]
    sizes: SizesView | None
    power: PowerView | None
    strangers_read: bool = False
    problem: str | None = None
    json_href: str = "/studies/new.json"


@dataclass(frozen=True)
class StudyCreated:
    """The answer to a new study, a start and a close by JSON."""

    slug: str
    state: StateName
    href: str
    frozen_sha256: str | None = None


@dataclass(frozen=True)
class SnippetView:
    """A context of a card: tokens as display strings ("" where there is no text), a shade each."""

    tokens: tuple[str, ...]
    shades: tuple[int, ...]
    focus: int
    silent: bool


@dataclass(frozen=True)
class GivenView:
    """What the rater said of the card before."""

    verdict: Literal["monosemantic", "polysemantic", "unclear"]
    rule: str
    confidence: int | None


@dataclass(frozen=True)
class CardView:
    """The card that is shown. `name` is opaque and the rater's own; `place` counts from 1."""

    name: str
    place: int
    snippets: tuple[SnippetView, ...]
    given: GivenView | None
    back_href: str | None
    markup: Annotated[str, HTML_ONLY] = ""


@dataclass(frozen=True)
class RatePage:
    """`/studies/{slug}/rate`, for one rater. `state`: "begin" before they have begun, "card",
    "paused", "done" when every card is rated."""

    slug: str
    title: str
    question: str
    rule: str
    state: Literal["begin", "card", "paused", "done"]
    rated: int
    cards: int
    card: CardView | None
    href: str
    study_href: str
    back_href: str | None
    json_href: str
    verdicts: tuple[str, ...] = field(default=("monosemantic", "polysemantic", "unclear"))


@dataclass(frozen=True)
class Rated:
    """The answer to a rating by JSON; `kept` is False when the same had been said before."""

    kept: bool
    rated: int
    cards: int
    next_href: str
