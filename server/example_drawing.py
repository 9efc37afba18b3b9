"""The examples of a neuron page as they are drawn: which of them, and all of a version at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import escape

from server.activation_names import activation_name
from server.example_markup import example_item
from server.pages.evidence import SiteName
from server.pages.examples import ExampleView
from server.pages.lazy import ValueRows
from server.pages.neuron import VersionView
from server.snippets import Snippet, draw_snippets, texts_beside, value_texts

#: How many examples of a band are drawn unless all are asked for: of the top ones so many that the
#: next band begins on the same screen, of the further bands enough to see whether they are alike.
#: The rest of a band is a link away. All are a hundred, most of a page's weight and of its time.
FIRST_OF_TOP, FIRST_OF_OTHERS = 5, 2


@dataclass(frozen=True)
class DrawnPlaces:
    """Which examples a page draws: by side their indices into the version's `examples`.

    `anchors` are the names of all examples, `hrefs` where they stand: here, or on a page that draws
    all. Both are markup.
    """

    places: Mapping[str, frozenset[int]]
    anchors: Mapping[str, Sequence[str]]
    hrefs: Mapping[str, Sequence[str]]


def drawn_places(
    versions: Mapping[str, VersionView], every: bool, all_href: str, whole_href: str
) -> DrawnPlaces:
    """The first of each band, or `every` one; of a sense that is shown alone, all of its own.

    `all_href` is the page on which all are drawn, of the senses that are shown alone; `whole_href`
    that of all senses.
    """
    places: dict[str, frozenset[int]] = {}
    anchors: dict[str, list[str]] = {}
    hrefs: dict[str, list[str]] = {}
    for side, version in versions.items():
        if version.shown_sense is not None:
            of_sense = (one for one in version.senses if one.rank == version.shown_sense)
            places[side] = frozenset(n for sense in of_sense for n in sense.examples)
        else:
            places[side] = frozenset(
                n
                for band in version.bands
                for n in band.examples[: None if every else _first_of(band.key)]
            )
        examples, here = version.examples, places[side]
        elsewhere = escape(all_href if version.shown_sense is None else whole_href)
        ranked = zip(examples.bands, examples.ranks, strict=True)
        anchors[side] = [anchor(version.side, band, rank) for band, rank in ranked]
        hrefs[side] = [
            f"#{name}" if n in here else f"{elsewhere}#{name}"
            for n, name in enumerate(anchors[side])
        ]
    return DrawnPlaces(places, anchors, hrefs)


def _first_of(band: str) -> int:
    return FIRST_OF_TOP if band == "top" else FIRST_OF_OTHERS


def draw_examples(
    versions: Mapping[str, VersionView],
    scales: Mapping[str, float | None],
    popovers: bool,
    places: DrawnPlaces,
) -> dict[str, dict[int, str]]:
    """Examples of the versions that the page shows as markup, by side and their `places` among the
    version's `examples`, in order.

    With `popovers` each has all its values as attributes; else they are asked for when needed.
    """
    order = [(side, n) for side in versions for n in sorted(places.places[side])]
    examples = [
        one
        for side, version in versions.items()
        for one in version.examples.some(sorted(places.places[side]))
    ]
    others = {side: versions.get("right" if side == "left" else "left") for side in versions}
    snippets = [
        _snippet(example, versions[side], others[side], scales)
        for (side, _), example in zip(order, examples, strict=True)
    ]
    acts = {
        side: escape("" if other is None else activation_name(other.act_fn))
        for side, other in others.items()
    }
    beside = texts_beside([one.pieces for e in examples for one in (e.before, e.after)])
    drawn = draw_snippets(snippets, popovers)
    found: dict[str, dict[int, str]] = {side: {} for side in versions}
    for (side, n), one, (tokens, attributes), before, after in zip(
        order, examples, drawn, beside[::2], beside[1::2], strict=True
    ):
        name = places.anchors[side][n]
        found[side][n] = example_item(one, name, tokens, attributes, (before, after), acts[side])
    return found


def _snippet(
    example: ExampleView,
    version: VersionView,
    other: VersionView | None,
    scales: Mapping[str, float | None],
) -> Snippet:
    return Snippet(
        tokens=example.pieces,
        focus=example.focus,
        masked=1 if example.position == example.focus else 0,
        own=example.values,
        own_site=version.shown_site,
        scale=scales[version.side],
        other=None if example.other is None else example.other.values,
        other_site=_other_site(example, other),
        other_scale=None if other is None else scales[other.side],
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


def example_values(versions: Mapping[str, VersionView]) -> dict[str, dict[str, str]]:
    """What the popovers of a page's examples and counterexamples read, by their anchors."""
    named: list[tuple[str, ValueRows, ValueRows | None]] = []
    for version in versions.values():
        named += [
            (
                anchor(version.side, example.band, example.rank),
                example.values,
                None if example.other is None else example.other.values,
            )
            for example in version.examples
        ]
        if version.evidence is not None:
            named += [
                (anchor(version.side, one.kind, one.rank), one.values, None)
                for one in version.evidence.counterexamples
            ]
    return value_texts(named)
