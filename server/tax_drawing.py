"""The tax page as it is drawn: figures made from a `TaxPage`, nothing that is not in its JSON.

drawn = draw_tax(page)      drawn.losses.rows, drawn.losses.axis, drawn.layers
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from server.figures.deciles import deciles
from server.figures.kept_curves import KeptCurve, kept_curves
from server.figures.ranges import LinearScale, range_axis, range_line, scale_over
from server.pages.tax import (
    ControlView,
    DifferenceView,
    LabelShareView,
    LayerPanelView,
    LayerSideView,
    TaxPage,
)


@dataclass(frozen=True)
class DifferenceRow:
    """A loss difference with its line."""

    view: DifferenceView
    line: Markup


@dataclass(frozen=True)
class DifferenceTable:
    """Differences on one scale; `axis` is its last row."""

    rows: tuple[DifferenceRow, ...]
    axis: Markup


@dataclass(frozen=True)
class SideRow:
    """One version of a layer with its line; `first` of its layer."""

    layer: int
    first: bool
    view: LayerSideView
    line: Markup


@dataclass(frozen=True)
class SideTable:
    """Versions of all layers on one scale."""

    rows: tuple[SideRow, ...]
    axis: Markup


@dataclass(frozen=True)
class DrawnLayer:
    """The figures of one layer; None where neither version has what they show."""

    panel: LayerPanelView
    kept: Markup | None
    rescue: Markup | None


@dataclass(frozen=True)
class LabelRow:
    """A share of labels with its line."""

    view: LabelShareView
    line: Markup


@dataclass(frozen=True)
class TaxDrawing:
    """All figures of the page."""

    losses: DifferenceTable
    control: DifferenceTable | None
    layers: tuple[DrawnLayer, ...]
    orphans: SideTable
    hidden: SideTable
    labels: tuple[LabelRow, ...]
    labels_axis: Markup


def draw_tax(page: TaxPage) -> TaxDrawing:
    """Every figure of the page."""
    shares = LinearScale(0.0, 1.0)
    return TaxDrawing(
        losses=_differences(page.losses),
        control=_control(page.control),
        layers=tuple(_layer(panel) for panel in page.layers),
        orphans=_orphans(page.layers),
        hidden=_hidden(page.layers),
        labels=tuple(
            LabelRow(
                one,
                range_line(
                    name=f"{one.name}: share labelled monosemantic",
                    scale=shares,
                    side=one.side,
                    value=one.share,
                    outer=one.interval,
                    reference=None,
                ),
            )
            for one in page.labels
        ),
        labels_axis=range_axis(shares, "labelled monosemantic", percent=True),
    )


def _control(control: ControlView | None) -> DifferenceTable | None:
    return None if control is None else _differences(control.differences)


def _differences(views: Sequence[DifferenceView]) -> DifferenceTable:
    ends = [end for one in views for end in one.nats_interval or ()]
    scale = scale_over([*ends, *(one.nats_per_token for one in views)], around=(0.0,))
    return DifferenceTable(
        tuple(
            DifferenceRow(
                one,
                range_line(
                    name=f"{one.side_name} − {one.against_name}, {one.source}",
                    scale=scale,
                    value=one.nats_per_token,
                    outer=one.nats_interval,
                ),
            )
            for one in views
        ),
        range_axis(scale, "nats a token"),
    )


def _sides(panels: Sequence[LayerPanelView]) -> list[tuple[int, bool, LayerSideView]]:
    found = []
    for panel in panels:
        sides = [one for one in (panel.versions.left, panel.versions.right) if one is not None]
        found += [(panel.layer, n == 0, one) for n, one in enumerate(sides)]
    return found


def _layer(panel: LayerPanelView) -> DrawnLayer:
    sides = [one for _, _, one in _sides([panel])]
    curves: dict[str, KeptCurve] = {
        one.side: KeptCurve(one.name, one.kept_share, one.loss_recovered)
        for one in sides
        if one.kept_share
    }
    rescue: dict[str, Sequence[float]] = {
        one.side: one.rescue for one in sides if one.rescue is not None
    }
    named = " and ".join(one.name for one in sides if one.rescue is not None)
    return DrawnLayer(
        panel=panel,
        kept=kept_curves(f"Layer {panel.layer}", curves) if curves else None,
        rescue=deciles(
            f"Layer {panel.layer}, {named}: effect by decile of the spread before the LayerNorm",
            "the spread before the LayerNorm",
            rescue,
        )
        if rescue
        else None,
    )


def _orphans(panels: Sequence[LayerPanelView]) -> SideTable:
    sides = _sides(panels)
    ends = [end for _, _, one in sides for end in one.orphan_interval or ()]
    scale = scale_over([*ends, *(one.orphan_effect for _, _, one in sides)], around=(0.0,))
    return SideTable(
        tuple(
            SideRow(
                layer,
                first,
                one,
                range_line(
                    name=f"{one.name}, layer {layer}: orphan effect",
                    scale=scale,
                    side=one.side,
                    value=one.orphan_effect,
                    outer=one.orphan_interval,
                ),
            )
            for layer, first, one in sides
        ),
        range_axis(scale, "share of the layer’s effect", percent=True),
    )


def _hidden(panels: Sequence[LayerPanelView]) -> SideTable:
    scale = LinearScale(0.0, 1.0)
    rows = []
    for layer, first, one in _sides(panels):
        hidden = one.hidden
        quarters = None if hidden.q25 is None or hidden.q75 is None else (hidden.q25, hidden.q75)
        ends = None if hidden.q05 is None or hidden.q95 is None else (hidden.q05, hidden.q95)
        line = range_line(
            name=f"{one.name}, layer {layer}: hidden shares of its neurons",
            scale=scale,
            side=one.side,
            value=hidden.median,
            inner=quarters,
            outer=ends,
            reference=None,
        )
        rows.append(SideRow(layer, first, one, line))
    return SideTable(tuple(rows), range_axis(scale, "hidden share", percent=True))
