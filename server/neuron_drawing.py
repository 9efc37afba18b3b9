"""The side by side as it is drawn: figures, heat maps and summaries made from a `NeuronPage`.

    drawn = draw(page)      drawn.sides["left"].histogram, drawn.bands, drawn.scales

Nothing here is part of the JSON: every number drawn is in the page object already. Both versions
share the axes of their histograms and, where they show the same site, the scale of their colours.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from server.activation_names import activation_name
from server.evidence_drawing import DrawnEvidence, draw_evidence, hidden_chart
from server.example_drawing import DrawnExample, anchor, draw_examples
from server.figures.correspondence import correspondence
from server.figures.histogram import Curve, Marker, histogram, shared_axes
from server.pages.neuron import BandView, ExampleView, NeuronPage, VersionView
from server.token_text import levels, token_markup
from store.histogram_edges import N_BINS, bin_index
from store.records import BANDS, SITES

_CHIPS = 12
"""Distinct focus tokens that a band's summary names, the most frequent first."""


@dataclass(frozen=True)
class Chip:
    """A focus token of a band: how many examples have it; colour and rank of the first."""

    text: Markup
    count: int
    level: str
    href: str
    rank: int


@dataclass(frozen=True)
class DrawnBand:
    """One band of one version; `share` is the part of all tokens that lies in it, if known.

    `examples` are those of the shown sense, `n_all` counts those of all senses.
    """

    band: BandView
    share: float | None
    examples: tuple[DrawnExample, ...]
    n_all: int
    chips: tuple[Chip, ...]
    omitted_chips: int


@dataclass(frozen=True)
class BandRow:
    """One band across the page: a side without it (no LayerNorm, no version) is None."""

    key: str
    anchor: str
    title: str
    definition: str
    sides: dict[str, DrawnBand | None]


@dataclass(frozen=True)
class DrawnSide:
    """The figures of one version; `n_as_high` bounds the tokens as high as the lowest top one."""

    version: VersionView
    histogram: Markup
    correspondence: Markup
    lowest_top: float | None
    n_top: int
    n_as_high: int | None
    evidence: DrawnEvidence


@dataclass(frozen=True)
class Drawing:
    """`scales` has the activation of the deepest colour of each side, None: no colours.

    `one_scale` says that it is one for both, since both show the same site; `sites` are those that
    any version has, in order. `lifted` is the band of that name, which stands by itself.
    """

    sides: dict[str, DrawnSide]
    bands: tuple[BandRow, ...]
    lifted: BandRow | None
    hidden_chart: Markup | None
    scales: dict[str, float | None]
    one_scale: bool
    sites: tuple[str, ...]


def draw(page: NeuronPage) -> Drawing:
    """Everything on the page that is not plain text."""
    versions = {
        side: version
        for side, version in (("left", page.versions.left), ("right", page.versions.right))
        if version is not None
    }
    scales = _colour_scales(versions)
    bands = _draw_bands(versions, scales)
    return Drawing(
        sides=_draw_sides(versions, scales),
        bands=tuple(band for band in bands if band.key != "lifted"),
        lifted=next((band for band in bands if band.key == "lifted"), None),
        hidden_chart=hidden_chart(page),
        scales=scales,
        one_scale=len({version.shown_site for version in versions.values()}) == 1,
        sites=tuple(
            site for site in SITES if any(site in version.sites for version in versions.values())
        ),
    )


def _colour_scales(versions: dict[str, VersionView]) -> dict[str, float | None]:
    """The activation of the deepest colour of each side; None where the shown site is constant.

    The largest magnitude of the shown site. Both sides share the larger one where they show the
    same site; where they do not (SoLU's mid beside GeLU's post) activations have no common unit,
    and a colour is a share of the version's own largest.
    """
    scales: dict[str, float | None] = {}
    for side, version in versions.items():
        site = version.sites[version.shown_site]
        scales[side] = max(abs(site.min or 0.0), abs(site.max or 0.0)) if site.std else None
    if len({version.shown_site for version in versions.values()}) == 1:
        largest = max((scale for scale in scales.values() if scale), default=None)
        return dict.fromkeys(scales, largest)
    return scales


def _draw_sides(
    versions: dict[str, VersionView], scales: dict[str, float | None]
) -> dict[str, DrawnSide]:
    counts = [
        site.histogram.counts for version in versions.values() for site in version.sites.values()
    ]
    spreads = (version.sites[version.display_site].std for version in versions.values())
    axis, counts_axis = shared_axes(counts, min((std for std in spreads if std), default=None))
    evidence = draw_evidence(versions, axis, scales)
    drawn = {}
    for side, version in versions.items():
        top = [example.activation for example in version.examples if example.band == "top"]
        lowest_top = min(top, default=None)
        drawn[side] = DrawnSide(
            version=version,
            histogram=histogram(
                name=f"{activation_name(version.act_fn)} {version.name}",
                side=side,
                axis=axis,
                counts_axis=counts_axis,
                curves=[
                    Curve(
                        name, site.hook_point, site.histogram.counts, name == version.display_site
                    )
                    for name, site in version.sites.items()
                ],
                markers=_markers(version),
                lowest_top=lowest_top,
                n_top=len(top),
            ),
            correspondence=correspondence(
                name=f"{activation_name(version.act_fn)} {version.name}",
                side=side,
                same_index=version.correspondence.same_index_correlation,
                best=version.correspondence.best_correlation,
                null=version.correspondence.null,
            ),
            lowest_top=lowest_top,
            n_top=len(top),
            n_as_high=_n_as_high(version, lowest_top),
            evidence=evidence[side],
        )
    return drawn


def _markers(version: VersionView) -> list[Marker]:
    edges = version.band_edges
    if edges is None:
        return []
    named = (
        ("median", edges.q50),
        ("90 %", edges.q90),
        ("99 %", edges.q99),
        ("99.9 %", edges.q999),
    )
    return [Marker(name, activation) for name, activation in named]


def _n_as_high(version: VersionView, lowest_top: float | None) -> int | None:
    """Tokens in the lowest top example's bin and above: at most so many are as high as it."""
    counts = version.sites[version.display_site].histogram.counts
    if lowest_top is None or len(counts) != N_BINS:
        return None
    return sum(counts[int(bin_index([lowest_top])[0]) :])


def _draw_bands(
    versions: dict[str, VersionView], scales: dict[str, float | None]
) -> tuple[BandRow, ...]:
    rows = []
    examples = {
        side: draw_examples(version, versions, scales) for side, version in versions.items()
    }
    for key in BANDS:
        sides: dict[str, DrawnBand | None] = {}
        for side, version in versions.items():
            band = next((band for band in version.bands if band.key == key), None)
            sides[side] = (
                None if band is None else _draw_band(version, band, examples[side], scales[side])
            )
        drawn = [band for band in sides.values() if band is not None]
        if drawn:
            rows.append(
                BandRow(
                    key=key,
                    anchor=_anchor(key),
                    title=drawn[0].band.title,
                    definition=drawn[0].band.definition,
                    sides=sides,
                )
            )
    return tuple(rows)


def _anchor(key: str) -> str:
    return key.replace(".", "_")


def _draw_band(
    version: VersionView,
    band: BandView,
    drawn: Sequence[DrawnExample],
    scale: float | None,
) -> DrawnBand:
    examples = [version.examples[n] for n in band.examples]
    of_sense = {
        n for sense in version.senses if sense.rank == version.shown_sense for n in sense.examples
    }
    shown = (n for n in band.examples if version.shown_sense is None or n in of_sense)
    chips, omitted = _chips(version, examples, scale)
    low, high = _quantiles(band.key)
    return DrawnBand(
        band=band,
        share=None if low is None or high is None else high - low,
        examples=tuple(drawn[n] for n in shown),
        n_all=len(examples),
        chips=chips,
        omitted_chips=omitted,
    )


def _quantiles(key: str) -> tuple[float | None, float | None]:
    """`q99-99.9` → (0.99, 0.999); (None, None) for a band that is no range of quantiles."""
    if not key.startswith("q"):
        return None, None
    low, _, high = key[1:].partition("-")
    return float(low) / 100, float(high) / 100


def _chips(
    version: VersionView, examples: list[ExampleView], scale: float | None
) -> tuple[tuple[Chip, ...], int]:
    """The distinct focus tokens of a band, the most frequent first, then in order of rank."""
    counts = Counter(example.pieces[example.focus] for example in examples)
    first: dict[bytes, ExampleView] = {}
    for example in examples:
        first.setdefault(example.pieces[example.focus], example)
    order = sorted(first, key=lambda piece: (-counts[piece], first[piece].rank))
    chips = []
    for piece in order[:_CHIPS]:
        example = first[piece]
        level = levels([example.values[version.shown_site][example.focus]], scale)[0]
        chips.append(
            Chip(
                text=token_markup(piece),
                count=counts[piece],
                level=f"{'p' if level > 0 else 'n'}{abs(level)}" if level else "",
                href=f"#{anchor(version.side, example.band, example.rank)}",
                rank=example.rank,
            )
        )
    return tuple(chips), len(order) - len(chips)
