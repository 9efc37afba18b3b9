"""Page object of `/{pair}/{layer}/{neuron}/labels`: what people said about both versions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal

from server.pages.fields import HTML_ONLY, Link
from server.pages.neuron import NeuronPage, VersionView

VerdictName = Literal["monosemantic", "polysemantic", "unclear", "dead"]


@dataclass(frozen=True)
class CountsView:
    """Annotators whose latest verdict is this; `total` is their sum."""

    monosemantic: int = 0
    polysemantic: int = 0
    unclear: int = 0
    dead: int = 0
    total: int = 0


@dataclass(frozen=True)
class LabelView:
    """One entry of the history; `latest` says that it is its annotator's latest that was not taken
    back (`withdrawn_at`): that one counts."""

    id: int | None
    annotator: str
    verdict: VerdictName
    description: str
    confidence: int | None
    run: str | None
    created_at: datetime | None
    latest: bool
    withdrawn_at: datetime | None = None


@dataclass(frozen=True)
class SideLabels:
    """Labels of one version, the newest first. `own` is the latest of whoever is asking."""

    side: Literal["left", "right"]
    act_fn: str
    counts: CountsView
    history: tuple[LabelView, ...]
    own: LabelView | None


@dataclass(frozen=True)
class LabelVersions:
    """Both versions; None in a single-sided run, or when `?side=` asked for the other one."""

    left: SideLabels | None
    right: SideLabels | None


@dataclass(frozen=True)
class LabelsPage:
    """`GET /{pair}/{layer}/{neuron}/labels`: always fresh, never part of a pinned page.

    `annotator` is whose label a POST here would be, None for whoever may not label.
    `action` is where the form goes.
    """

    pair: str
    layer: int
    neuron: int
    name: str
    annotator: str | None
    verdicts: tuple[VerdictName, ...]
    versions: LabelVersions
    action: str
    neuron_href: str
    json_href: str


@dataclass(frozen=True)
class LabelCreated:
    """The answer to a label (201): the label as it was kept, and the version's counts now."""

    pair: str
    side: Literal["left", "right"]
    layer: int
    neuron: int
    label: LabelView
    counts: CountsView


@dataclass(frozen=True)
class LabelRow:
    """A label in the list, on a neuron or a candidate (`name`: L0N17, L0C3, or the fingerprint of a
    candidate that no run here shows). `href` is its page, None where no run here has its model;
    `withdraw_href` is where whoever asks can take it back."""

    id: int
    pair: str | None
    side: Literal["left", "right"] | None
    act_fn: str
    weights_sha256: str
    layer: int
    neuron: int | None
    candidate: str | None
    name: str
    href: str | None
    annotator: str
    verdict: VerdictName
    description: str
    confidence: int | None
    run: str | None
    created_at: datetime
    latest: bool
    withdrawn_at: datetime | None
    withdraw_href: str | None


@dataclass(frozen=True)
class LabelListPage:
    """`/labels`: the newest first; with `history` those that count no more, too.

    `annotators` are all who have labelled, with the labels of each in the history; `queues` lead to
    each pair's queue, for whoever may label.
    """

    pair: str | None
    annotator: str | None
    verdict: VerdictName | None
    text: str
    history: bool
    labels: tuple[LabelRow, ...]
    total: int
    page: int
    n_pages: int
    pairs: tuple[str, ...]
    annotators: tuple[tuple[str, int], ...]
    verdicts: tuple[VerdictName, ...]
    queues: tuple[Link, ...]
    previous_href: str | None
    next_href: str | None
    downloads: tuple[Link, ...]
    json_href: str


@dataclass(frozen=True)
class LabelWithdrawn:
    """The answer to taking a label back: it stays in the history and counts no more."""

    id: int
    layer: int
    neuron: int | None
    candidate: str | None
    verdict: VerdictName
    withdrawn_at: datetime


@dataclass(frozen=True)
class LastLabel:
    """The newest label of whoever asks in this run, which they may take back."""

    id: int
    name: str
    side: Literal["left", "right"]
    act_fn: str
    verdict: VerdictName
    undo_href: str
    back: str


@dataclass(frozen=True)
class QueuePage:
    """`/labels/queue`: a version to label, None when none is left.

    `shared` says that someone else has it before them, too. `labelled` of `total` versions that the
    filters let through are labelled by whoever asks. `key` names the label to come, so that one
    that is sent twice is kept once. `queue_href` is the queue at whatever comes next, `here_href`
    at this version.
    """

    pair: str
    run: str
    pinned: bool
    annotator: str
    filters: tuple[str, ...]
    sort: str
    labelled: int
    total: int
    side: Literal["left", "right"] | None
    layer: int | None
    neuron: int | None
    name: str | None
    shared: bool
    version: VersionView | None
    verdicts: tuple[VerdictName, ...]
    last: LastLabel | None
    key: str
    action: str
    skip_href: str
    queue_href: str
    here_href: str
    next_href: str
    explorer_href: str
    neuron_href: str | None
    json_href: str
    drawn_from: Annotated[NeuronPage | None, HTML_ONLY] = None
