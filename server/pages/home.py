"""Page object of `/`: pairs, runs, precomputes under way, where to begin."""

from __future__ import annotations

from dataclasses import dataclass

from server.pages.fields import Link
from server.pages.runs import ModelView, ProgressView, RunView


@dataclass(frozen=True)
class PairView:
    """A pair with its newest published run (None: nothing published yet) and places to begin.

    `begin` are the first ways in, `further` those after them.
    """

    slug: str
    name: str
    description: str
    href: str
    models: tuple[ModelView, ...]
    run: RunView | None
    n_versions: int
    begin: tuple[Link, ...]
    further: tuple[Link, ...]


@dataclass(frozen=True)
class HomePage:
    """`/`. `progress` holds the precomputes that run, failed or were interrupted."""

    pairs: tuple[PairView, ...]
    runs: tuple[RunView, ...]
    progress: tuple[ProgressView, ...]
    json_href: str = "/index.json"
