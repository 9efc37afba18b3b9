"""Page objects of a layer's candidate invisible features: the list, one of them, its labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from server.pages.fields import HTML_ONLY, Link
from server.pages.labels import LabelView, SideLabels, VerdictName
from server.pages.pair_links import PairLinks, StageView

SideName = Literal["left", "right"]


@dataclass(frozen=True)
class CarrierView:
    """A neuron and its share of a direction's output; negative: it works against it."""

    neuron: int
    name: str
    href: str
    share: float


@dataclass(frozen=True)
class ContextView:
    """A token in its snippet with the projection (less its mean) at each of them.

    `focus` is the token's index among `tokens` and `values`. `tokens` are for display, one by one;
    a page joins `pieces`, the bytes, before it decodes.
    """

    band: str
    rank: int
    document: str
    document_id: int
    source: str
    window: int
    position: int
    value: float
    tokens: tuple[str, ...]
    focus: int
    values: tuple[float, ...]
    pieces: Annotated[tuple[bytes, ...], HTML_ONLY] = ()


@dataclass(frozen=True)
class SearchView:
    """How the search went in one layer of one side, and the same in a sentence.

    `n_tokens` were looked at, on `orphan_share` of them no neuron is strong; `n_tried` directions
    were tested on other documents, `n_kept` beat 95 % of random ones.
    """

    n_tokens: int
    orphan_share: float | None
    n_tried: int
    n_kept: int
    text: str


@dataclass(frozen=True)
class ListedView:
    """A candidate in the list of its layer; `context` is one that it answers to most."""

    k: int
    name: str
    href: str
    effect: float
    random_quantile: float
    random_median: float
    participation: float
    token_share: float
    carriers: tuple[CarrierView, ...]
    context: ContextView | None


@dataclass(frozen=True)
class SideCandidates:
    """One version of a layer: how it was searched (None: no record of it) and what was found."""

    side: SideName
    act_fn: str
    name: str
    search: SearchView | None
    candidates: tuple[ListedView, ...]


@dataclass(frozen=True)
class CandidateSides:
    """Both versions; `right` is None in a single-sided run."""

    left: SideCandidates | None
    right: SideCandidates | None


@dataclass(frozen=True)
class InvisiblePage:
    """`/{pair}/{layer}/invisible`. Without the evidence stage there are no versions."""

    pair: str
    pair_name: str
    run: str
    pinned: bool
    permalink: str
    layer: int
    left_act_fn: str
    right_act_fn: str | None
    stage: StageView
    versions: CandidateSides
    links: PairLinks
    json_href: str


@dataclass(frozen=True)
class ContextBandView:
    """A range of the projection; `contexts` are indices into the page's contexts."""

    key: str
    title: str
    definition: str
    contexts: tuple[int, ...]


@dataclass(frozen=True)
class CandidatePage:
    """`/{pair}/{layer}/invisible/{k}`: one candidate. `summary` says in a sentence what it is.

    `fingerprint` names the direction (the first 16 hex digits of the SHA-256 of its half-precision
    bytes): labels belong to it. `promoted` and `suppressed` are (token, logits per unit of the
    projection). `other_name` is the other version, None in a single-sided run. `labels_action` is
    where a label is sent, `labels_href` where they are read.
    """

    pair: str
    pair_name: str
    run: str
    pinned: bool
    permalink: str
    layer: int
    k: int
    name: str
    side: SideName
    act_fn: str
    side_name: str
    other_name: str | None
    rank: int
    fingerprint: str
    direction: tuple[float, ...]
    summary: str
    effect: float
    random_quantile: float
    random_median: float
    participation: float
    token_share: float
    carriers: tuple[CarrierView, ...]
    other_carriers: tuple[CarrierView, ...]
    promoted: tuple[tuple[str, float], ...]
    suppressed: tuple[tuple[str, float], ...]
    bands: tuple[ContextBandView, ...]
    contexts: tuple[ContextView, ...]
    list_href: str
    siblings: tuple[Link, ...]
    previous: str | None
    next: str | None
    labels_action: str
    labels_href: str
    links: PairLinks
    json_href: str


@dataclass(frozen=True)
class CandidateLabelsPage:
    """`GET /{pair}/{layer}/invisible/{k}/labels`: always fresh, never part of a pinned page."""

    pair: str
    run: str
    layer: int
    k: int
    name: str
    fingerprint: str
    annotator: str | None
    verdicts: tuple[VerdictName, ...]
    labels: SideLabels
    action: str
    candidate_href: str
    json_href: str


@dataclass(frozen=True)
class CandidateLabelCreated:
    """The answer to a label (201): the label as it was kept, and the candidate's labels now."""

    pair: str
    layer: int
    k: int
    fingerprint: str
    label: LabelView
    labels: SideLabels
