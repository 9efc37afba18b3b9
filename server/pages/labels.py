"""Page object of `/{pair}/{layer}/{neuron}/labels`: what people said about both versions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

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
    """One entry of the history; `latest` says that it is its annotator's latest, which counts."""

    id: int | None
    annotator: str
    verdict: VerdictName
    description: str
    confidence: int | None
    run: str | None
    created_at: datetime | None
    latest: bool


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
