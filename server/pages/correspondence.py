"""How much of each layer has a twin in the other model, as the pair's page shows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class SideTwins:
    """One version of a layer. Shares are of its `n_defined` neurons that have a correlation.

    `above_null`: the best match is above a random basis by `store.records.ABOVE_NULL` at least;
    `twins`: it is mutual besides; `same_index`: it has the same number. `best_quantiles` are of the
    best correlation, at 5, 25, 50, 75 and 95 %; `assigned_median` the median correlation of the
    one-to-one assignment. None where undefined.
    `twins_href` lists the neurons that have a twin.
    """

    side: Literal["left", "right"]
    act_fn: str
    name: str
    n: int
    n_defined: int
    twins: float | None
    mutual: float | None
    above_null: float | None
    same_index: float | None
    best_quantiles: tuple[float, ...]
    assigned_median: float | None
    twins_href: str


@dataclass(frozen=True)
class LayerTwins:
    """Both versions of a layer, `cka` between them, and where to look: its neurons, the twins."""

    layer: int
    cka: float | None
    sides: tuple[SideTwins, ...]
    href: str
    invisible_href: str


@dataclass(frozen=True)
class Correspondence:
    """All layers; `summary` says it in a few sentences."""

    layers: tuple[LayerTwins, ...]
    summary: str
