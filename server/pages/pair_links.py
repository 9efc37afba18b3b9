"""What the pages of a pair link to: each other."""

from __future__ import annotations

from dataclasses import dataclass

from server.pages.fields import Link


@dataclass(frozen=True)
class PairLinks:
    """The pages of one pair. `invisible` has a link a layer, in order."""

    explorer: Link
    tax: Link
    live: Link
    invisible: tuple[Link, ...]
    run: str


@dataclass(frozen=True)
class StageView:
    """Whether the run's evidence is there, and the command that brings it.

    `summary` says when it was published, of how many tokens; "" when it is not there.
    """

    published: bool
    summary: str
    command: str
