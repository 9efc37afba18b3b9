"""Live text as it is drawn: both heat maps with their scales, made from a `LivePage`.

drawn = draw_live(page)      drawn.sides["left"].tokens, drawn.one_scale
"""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from server.pages.live import LivePage, LiveVersion
from server.token_text import heat_map, token_markup, value_attributes, visible_string


@dataclass(frozen=True)
class DrawnVersion:
    """One version's heat map; `attributes` are what a popover reads: both versions' values."""

    version: LiveVersion
    tokens: Markup
    attributes: Markup
    scale: float | None


@dataclass(frozen=True)
class LiveDrawing:
    """`choices` are the tokens one can ask about, as (position, text); `token` is the one asked.

    `one_scale` says that both versions show the same site, and so share their colours.
    """

    sides: dict[str, DrawnVersion]
    one_scale: bool
    token: Markup
    choices: tuple[tuple[int, str], ...]


def draw_live(page: LivePage) -> LiveDrawing | None:
    """Everything of the result that is not plain text; None where there is none."""
    result = page.result
    if result is None:
        return None
    versions = {
        side: version
        for side, version in (("left", result.versions.left), ("right", result.versions.right))
        if version is not None
    }
    one_scale = len({version.display_site for version in versions.values()}) == 1
    largest = max((version.scale or 0.0 for version in versions.values()), default=0.0)
    sides = {}
    for side, version in versions.items():
        scale = (largest or None) if one_scale else version.scale
        others = [other for key, other in versions.items() if key != side]
        sides[side] = DrawnVersion(
            version=version,
            tokens=heat_map(
                result.pieces,
                focus=result.token,
                own=version.values[version.display_site],
                scale=scale,
                masked=1,
            ),
            attributes=value_attributes(version.values, others[0].values if others else None),
            scale=scale,
        )
    return LiveDrawing(
        sides=sides,
        one_scale=one_scale,
        token=token_markup(result.pieces[result.token]),
        choices=tuple((n, visible_string(piece)) for n, piece in enumerate(result.pieces) if n > 0),
    )
