"""The pair's correspondence as it is drawn: best correlations of each layer on one scale."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from server.figures.ranges import range_axis, range_line, scale_over
from server.pages.correspondence import Correspondence, LayerTwins, SideTwins


@dataclass(frozen=True)
class TwinsRow:
    """One version of a layer with its line; `first` of its layer."""

    layer: LayerTwins
    first: bool
    view: SideTwins
    line: Markup


@dataclass(frozen=True)
class TwinsTable:
    """All layers; `axis` is the last row."""

    rows: tuple[TwinsRow, ...]
    axis: Markup


def draw_correspondence(correspondence: Correspondence) -> TwinsTable:
    """Median, quartiles, 5 % and 95 % of the best correlation of every version's neurons."""
    ends = [
        end
        for layer in correspondence.layers
        for side in layer.sides
        for end in side.best_quantiles
    ]
    scale = scale_over(ends, around=(0.0, 1.0))
    rows = []
    for layer in correspondence.layers:
        for n, side in enumerate(layer.sides):
            known = len(side.best_quantiles) == 5
            q05, q25, median, q75, q95 = side.best_quantiles if known else (0.0,) * 5
            rows.append(
                TwinsRow(
                    layer,
                    n == 0,
                    side,
                    range_line(
                        name=f"{side.name}, layer {layer.layer}: correlation with the best match",
                        scale=scale,
                        side=side.side,
                        value=median if known else None,
                        inner=(q25, q75) if known else None,
                        outer=(q05, q95) if known else None,
                        reference=None,
                    ),
                )
            )
    return TwinsTable(tuple(rows), range_axis(scale, "correlation with the best match"))
