"""Page object of `/{pair}/scatter.json`: two columns of the rows that the explorer's filters let
through, as arrays."""

from __future__ import annotations

from dataclasses import dataclass

from server.pages.fields import Rows


@dataclass(frozen=True)
class AxisView:
    """One axis: which column, on which scale. `n_outside` counts the points that a logarithmic
    axis cannot hold: those at zero or below."""

    key: str
    title: str
    unit: str
    definition: str
    log: bool
    n_outside: int


@dataclass(frozen=True)
class PointsView:
    """Arrays of one length: a point is (x[i], y[i]), five significant digits each, of the neuron
    `L{layer[i]}N{neuron[i]}`; `side[i]` is 0 for the left version, 1 for the right one, and `side`
    is empty for rows that are pairs."""

    side: list[int]
    layer: list[int]
    neuron: list[int]
    x: list[float]
    y: list[float]


@dataclass(frozen=True)
class ScatterPage:
    """`matching` counts the rows that the filters let through, `defined` those of them in which
    both columns are; `subset` says that there are more than are given, which are then those of the
    lowest hash of their place. `summary` says all of it in a sentence. A point's page is
    `/{pair}/{layer}/{neuron}` with `query`."""

    pair: str
    run: str
    of: Rows
    left_name: str
    right_name: str | None
    x: AxisView
    y: AxisView
    matching: int
    defined: int
    subset: bool
    summary: str
    query: str
    permalink: str
    href: str
    points: PointsView
