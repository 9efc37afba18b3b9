"""The examples of a neuron page as they are drawn: tokens as spans, values for the popover."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from markupsafe import Markup

from server.pages.evidence import SiteName
from server.pages.neuron import ExampleView, VersionView
from server.snippets import Snippet, draw_snippets


@dataclass(frozen=True)
class DrawnExample:
    """An example with its tokens as spans, and what a popover reads as attributes."""

    example: ExampleView
    anchor: str
    tokens: Markup
    attributes: Markup
    silent: bool


def draw_examples(
    version: VersionView,
    versions: Mapping[str, VersionView],
    scales: Mapping[str, float | None],
) -> tuple[DrawnExample, ...]:
    """All examples of one of the versions that the page shows, in their order."""
    opposite = "right" if version.side == "left" else "left"
    snippets = [
        Snippet(
            tokens=example.pieces,
            focus=example.focus,
            masked=1 if example.position == example.focus else 0,
            own=example.values,
            own_site=version.shown_site,
            scale=scales[version.side],
            other=None if example.other is None else example.other.values,
            other_site=_other_site(example, versions.get(opposite)),
            other_scale=scales.get(opposite),
        )
        for example in version.examples
    ]
    return tuple(
        DrawnExample(
            example=example,
            anchor=anchor(version.side, example.band, example.rank),
            tokens=tokens,
            attributes=attributes,
            silent=example.band == "top"
            and example.other is not None
            and example.other.quantile is not None
            and example.other.quantile < 0.9,
        )
        for example, (tokens, attributes) in zip(
            version.examples, draw_snippets(snippets), strict=True
        )
    )


def anchor(side: str, band: str, rank: int) -> str:
    """The fragment of an example's address."""
    return f"{side}-{band.replace('.', '_')}-{rank}"


def _other_site(example: ExampleView, column: VersionView | None) -> SiteName | None:
    """The site of the other version that is drawn: the one that its column shows."""
    if example.other is None:
        return None
    shown = column.shown_site if column is not None else example.other.display_site
    return shown if shown in example.other.values else example.other.display_site
