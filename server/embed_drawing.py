"""An example in a frame: the tokens around its focus, few enough for two or three short lines."""

from __future__ import annotations

from markupsafe import Markup

from server.pages.examples import ExampleView
from server.pages.neuron import VersionView
from server.token_text import heat_map

BEFORE, AFTER = 44, 24
"""Characters kept before and after the focus, about: whole tokens are kept."""


def short_snippet(version: VersionView, example: ExampleView, scale: float | None) -> Markup:
    """The heat map of the tokens around the focus; `scale` as the page's figures have it."""
    lengths = [len(token) for token in example.tokens]
    start = example.focus
    while start > 0 and sum(lengths[start - 1 : example.focus]) <= BEFORE:
        start -= 1
    end = example.focus + 1
    while end < len(lengths) and sum(lengths[example.focus + 1 : end + 1]) <= AFTER:
        end += 1
    return heat_map(
        example.pieces[start:end],
        focus=example.focus - start,
        own=example.values[version.shown_site][start:end],
        scale=scale,
        masked=1 if example.position == example.focus and start == 0 else 0,
    )
