"""Candidates as they are drawn: heat maps and lines made from the page objects.

drawn = draw_candidate(page)      drawn.bands, drawn.scale
"""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from server.figures.ranges import LinearScale, range_axis, range_line, scale_over
from server.pages.invisible import (
    CandidatePage,
    CarrierView,
    ContextBandView,
    ContextView,
    InvisiblePage,
    ListedView,
)
from server.token_text import heat_map, value_attributes

PROJECTION = "projection"
"""What a popover calls the values of a candidate: it has no site."""


@dataclass(frozen=True)
class DrawnContext:
    """A context with its tokens as spans, and what a popover reads as attributes."""

    context: ContextView
    anchor: str
    tokens: Markup
    attributes: Markup


@dataclass(frozen=True)
class DrawnContextBand:
    """A range of the projection with its contexts."""

    band: ContextBandView
    anchor: str
    contexts: tuple[DrawnContext, ...]


@dataclass(frozen=True)
class DrawnCarrier:
    """A carrier with its share as a line."""

    carrier: CarrierView
    line: Markup


@dataclass(frozen=True)
class CandidateDrawing:
    """`scale` is the projection of the deepest colour; None: all projections are zero."""

    scale: float | None
    bands: tuple[DrawnContextBand, ...]
    carriers: tuple[DrawnCarrier, ...]
    other_carriers: tuple[DrawnCarrier, ...]


@dataclass(frozen=True)
class DrawnListed:
    """A candidate of the list: its effect on the page's common scale, its best context."""

    view: ListedView
    line: Markup
    context: DrawnContext | None


@dataclass(frozen=True)
class InvisibleDrawing:
    """The candidates of each side, on one scale of effect."""

    sides: dict[str, tuple[DrawnListed, ...]]
    axis: Markup


def draw_candidate(page: CandidatePage) -> CandidateDrawing:
    """Contexts of a candidate on one scale of colours, and its carriers on one scale of shares."""
    scale = _largest(page.contexts)
    carriers = (*page.carriers, *page.other_carriers)
    shares = scale_over([one.share for one in carriers], around=(0.0,))
    opposite = "right" if page.side == "left" else "left"
    return CandidateDrawing(
        scale=scale,
        bands=tuple(
            DrawnContextBand(
                band=band,
                anchor=_anchor(band.key),
                contexts=tuple(_draw(page.contexts[n], scale) for n in band.contexts),
            )
            for band in page.bands
        ),
        carriers=tuple(_carrier(one, page.side, shares) for one in page.carriers),
        other_carriers=tuple(_carrier(one, opposite, shares) for one in page.other_carriers),
    )


def draw_invisible(page: InvisiblePage) -> InvisibleDrawing:
    """The lists of both sides."""
    sides = {
        side.side: side for side in (page.versions.left, page.versions.right) if side is not None
    }
    listed = [one for side in sides.values() for one in side.candidates]
    ends = [end for one in listed for end in (one.effect, one.random_median)]
    scale = scale_over(ends, around=(0.0,))
    return InvisibleDrawing(
        sides={
            key: tuple(_listed(one, key, scale) for one in side.candidates)
            for key, side in sides.items()
        },
        axis=range_axis(scale, "nats a token"),
    )


def _listed(one: ListedView, side: str, scale: LinearScale) -> DrawnListed:
    return DrawnListed(
        view=one,
        line=range_line(
            name=f"{one.name}: effect, with the median of random directions",
            scale=scale,
            side=side,
            value=one.effect,
            reference=one.random_median,
        ),
        context=None if one.context is None else _draw(one.context, _largest((one.context,))),
    )


def _carrier(carrier: CarrierView, side: str, scale: LinearScale) -> DrawnCarrier:
    inner = (min(0.0, carrier.share), max(0.0, carrier.share))
    line = range_line(
        name=f"{carrier.name}: share of the direction",
        scale=scale,
        side=side,
        value=None,
        inner=inner,
    )
    return DrawnCarrier(carrier, line)


def _largest(contexts: tuple[ContextView, ...]) -> float | None:
    largest = max((abs(value) for one in contexts for value in one.values), default=0.0)
    return largest or None


def _anchor(band: str) -> str:
    return band.replace(".", "_")


def _draw(context: ContextView, scale: float | None) -> DrawnContext:
    return DrawnContext(
        context=context,
        anchor=f"{_anchor(context.band)}-{context.rank}",
        tokens=heat_map(
            context.pieces,
            focus=context.focus,
            own=context.values,
            scale=scale,
            masked=1 if context.position == context.focus else 0,
        ),
        attributes=value_attributes({PROJECTION: context.values}),
    )
