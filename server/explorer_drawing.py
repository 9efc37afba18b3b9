"""What the explorer draws: the pair's correspondence on one scale, the scatter of two columns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from server import urls
from server.figures.ranges import range_axis, range_line, scale_over
from server.figures.scatter import SINGLE, frame_of, panel
from server.pages.correspondence import Correspondence, LayerTwins, SideTwins
from server.pages.scatter import ScatterPage


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


@dataclass(frozen=True)
class ScatterPanel:
    """The points of one version, or of both ("") where a row is a pair."""

    side: str
    name: str
    n: int
    drawn: Markup


def draw_scatter(page: ScatterPage) -> tuple[ScatterPanel, ...]:
    """A panel a version, on the same axes."""
    x, y = np.array(page.points.x, np.float64), np.array(page.points.y, np.float64)
    frame = frame_of(x, y, log_x=page.x.log, log_y=page.y.log)
    if page.of == "pair":
        sides = [("", "both versions", np.ones(len(x), bool))]
    else:
        side = np.array(page.points.side, np.int8)
        sides = [("left", page.left_name, side == 0)]
        if page.right_name is not None:
            sides.append(("right", page.right_name, side == 1))
    panels = []
    for key, name, mine in sides:
        chosen = np.flatnonzero(mine)
        few = chosen.size <= SINGLE
        panels.append(
            ScatterPanel(
                side=key,
                name=name,
                n=int(chosen.size),
                drawn=panel(
                    name=name,
                    side=key,
                    frame=frame,
                    x=x[chosen],
                    y=y[chosen],
                    x_title=page.x.title,
                    y_title=page.y.title,
                    hrefs=_pages(page, chosen.tolist()) if few else (),
                ),
            )
        )
    return tuple(panels)


def _pages(page: ScatterPage, chosen: list[int]) -> list[tuple[str, str]]:
    """Address and name of each point's neuron."""
    layer, neuron = page.points.layer, page.points.neuron
    return [
        (
            urls.neuron(page.pair, layer[n], neuron[n]) + page.query,
            urls.neuron_name(layer[n], neuron[n]),
        )
        for n in chosen
    ]
