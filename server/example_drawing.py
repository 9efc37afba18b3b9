"""The examples of a neuron page as they are drawn, all of a version at once."""

from __future__ import annotations

from collections.abc import Mapping

from markupsafe import escape

from server.activation_names import activation_name
from server.example_markup import example_item
from server.pages.evidence import SiteName
from server.pages.neuron import ExampleView, VersionView
from server.snippets import Snippet, draw_snippets, value_texts


def draw_examples(
    version: VersionView,
    versions: Mapping[str, VersionView],
    scales: Mapping[str, float | None],
    popovers: bool,
) -> list[str]:
    """All examples of one of the versions that the page shows, each as markup, in their order.

    With `popovers` each has all its values as attributes; else they are asked for when needed.
    """
    opposite = "right" if version.side == "left" else "left"
    other = versions.get(opposite)
    snippets = [
        Snippet(
            tokens=example.pieces,
            focus=example.focus,
            masked=1 if example.position == example.focus else 0,
            own=example.values,
            own_site=version.shown_site,
            scale=scales[version.side],
            other=None if example.other is None else example.other.values,
            other_site=_other_site(example, other),
            other_scale=scales.get(opposite),
        )
        for example in version.examples
    ]
    act = escape("" if other is None else activation_name(other.act_fn))
    return [
        example_item(
            example, anchor(version.side, example.band, example.rank), tokens, attributes, act
        )
        for example, (tokens, attributes) in zip(
            version.examples, draw_snippets(snippets, popovers), strict=True
        )
    ]


def anchor(side: str, band: str, rank: int) -> str:
    """The fragment of an example's address."""
    return f"{side}-{band.replace('.', '_')}-{rank}"


def _other_site(example: ExampleView, column: VersionView | None) -> SiteName | None:
    """The site of the other version that is drawn: the one that its column shows."""
    if example.other is None:
        return None
    shown = column.shown_site if column is not None else example.other.display_site
    return shown if shown in example.other.values else example.other.display_site


def example_values(versions: Mapping[str, VersionView]) -> dict[str, dict[str, str]]:
    """What the popovers of a page's examples read, by the examples' anchors."""
    return value_texts(
        [
            (
                anchor(version.side, example.band, example.rank),
                example.values,
                None if example.other is None else example.other.values,
            )
            for version in versions.values()
            for example in version.examples
        ]
    )
