"""The side by side as it is drawn: figures, heat maps and summaries made from a `NeuronPage`.

    drawn = draw(page)      drawn.sides["left"].histogram, drawn.bands, drawn.scales

Nothing here is part of the JSON: every number drawn is in the page object already. Both versions
share the axes of their histograms and, where they show the same site, the scale of their colours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from markupsafe import Markup

from server.activation_names import activation_name
from server.evidence_drawing import DrawnEvidence, draw_evidence, hidden_chart
from server.example_drawing import DrawnPlaces, draw_examples, drawn_places
from server.figures.correspondence import correspondence
from server.figures.histogram import Curve, Marker, histogram, shared_axes
from server.pages.neuron import BandView, NeuronPage, VersionView
from server.token_text import levels, token_markup
from store.histogram_edges import N_BINS, bin_of
from store.records import BANDS, SITES

_CHIPS = 12
"""Distinct focus tokens that a band's summary names, the most frequent first."""

_TAG = Markup('<p class="tag" aria-hidden="true">{} <span>{}</span></p>')


@dataclass(frozen=True)
class DrawnBand:
    """One band of one version; `share` is the part of all tokens that lies in it, if known.

    `examples` are the places of those of the shown sense, `lowest` and `highest` their activations,
    and `items` the first `n_drawn` of them as markup, or all; `more` says how many are left and
    where they are. `n_all` counts those of all senses. `chips` are the distinct focus tokens.
    """

    band: BandView
    share: float | None
    examples: tuple[int, ...]
    lowest: float | None
    highest: float | None
    items: Markup
    n_drawn: int
    more: Markup
    n_all: int
    chips: Markup


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
    """The figures of one version; `n_as_high` bounds the tokens as high as the lowest top one.
    `tag` names the version where columns stand below each other."""

    version: VersionView
    tag: Markup
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


def draw(page: NeuronPage, popovers: bool = False, every: bool = False) -> Drawing:
    """Everything on the page that is not plain text.

    `popovers`: with every token's values, for a file that cannot ask for them, and with every
    example. `every`: with every example, as where the address asks for all.
    """
    versions = page.versions.by_side()
    scales = _colour_scales(versions)
    every = every or popovers or page.examples == "all"
    all_href = page.links.examples[1].href
    places = drawn_places(versions, every, all_href, page.all_examples_href)
    bands = _draw_bands(versions, scales, popovers, places)
    return Drawing(
        sides=_draw_sides(versions, scales, places, popovers),
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
    versions: dict[str, VersionView],
    scales: dict[str, float | None],
    places: DrawnPlaces,
    popovers: bool,
) -> dict[str, DrawnSide]:
    counts = [
        site.histogram.counts for version in versions.values() for site in version.sites.values()
    ]
    spreads = (version.sites[version.display_site].std for version in versions.values())
    axis, counts_axis = shared_axes(counts, min((std for std in spreads if std), default=None))
    evidence = draw_evidence(versions, axis, scales, places, popovers)
    drawn = {}
    for side, version in versions.items():
        examples = version.examples
        top = [examples.activations[n] for n in examples.of_band("top")]
        lowest_top = min(top, default=None)
        drawn[side] = DrawnSide(
            version=version,
            tag=_TAG.format(activation_name(version.act_fn), version.name),
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
    return int(np.asarray(counts, np.int64)[bin_of(lowest_top) :].sum())


def _draw_bands(
    versions: dict[str, VersionView],
    scales: dict[str, float | None],
    popovers: bool,
    places: DrawnPlaces,
) -> tuple[BandRow, ...]:
    rows = []
    examples = draw_examples(versions, scales, popovers, places)
    in_focus = {
        side: levels(version.examples.at_focus(version.shown_site) or [], scales[side])
        for side, version in versions.items()
    }
    for key in BANDS:
        sides: dict[str, DrawnBand | None] = {}
        for side, version in versions.items():
            band = next((band for band in version.bands if band.key == key), None)
            sides[side] = (
                None
                if band is None
                else _draw_band(version, band, examples[side], in_focus[side], places)
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
    items: Mapping[int, str],
    levels_in_focus: Sequence[int],
    places: DrawnPlaces,
) -> DrawnBand:
    of_sense = {
        n for sense in version.senses if sense.rank == version.shown_sense for n in sense.examples
    }
    shown = [n for n in band.examples if version.shown_sense is None or n in of_sense]
    drawn, left_out = [n for n in shown if n in items], [n for n in shown if n not in items]
    low, high = _quantiles(band.key)
    activations = [version.examples.activations[n] for n in shown]
    return DrawnBand(
        band=band,
        share=None if low is None or high is None else high - low,
        examples=tuple(shown),
        lowest=min(activations, default=None),
        highest=max(activations, default=None),
        items=Markup("".join([items[n] for n in drawn])),
        n_drawn=len(drawn),
        more=_more(version, len(shown), left_out, places),
        n_all=len(band.examples),
        chips=_chips(version, band, levels_in_focus, places),
    )


def _more(
    version: VersionView, n_shown: int, left_out: Sequence[int], places: DrawnPlaces
) -> Markup:
    """How many examples of a band are drawn, and a link to all of them; nothing where all are.

    It has the names of those that are not drawn, so that an address of one leads here.
    """
    if not left_out:
        return Markup("")
    anchors, hrefs = places.anchors[version.side], places.hrefs[version.side]
    return Markup(
        '<p class="small dim more">'
        + "".join([f'<span id="{anchors[n]}"></span>' for n in left_out])
        + f"{n_shown - len(left_out)} of {n_shown} shown "
        f'<a href="{hrefs[left_out[0]]}">all {n_shown}</a></p>\n'
    )


def _quantiles(key: str) -> tuple[float | None, float | None]:
    """`q99-99.9` → (0.99, 0.999); (None, None) for a band that is no range of quantiles."""
    if not key.startswith("q"):
        return None, None
    low, _, high = key[1:].partition("-")
    return float(low) / 100, float(high) / 100


@lru_cache(maxsize=65536)
def _coloured(piece: bytes, level: int) -> str:
    """A token in its colour, markup."""
    colour = f" {'p' if level > 0 else 'n'}{abs(level)}" if level else ""
    return f'<span class="token{colour}">{token_markup(piece)}</span>'


def _chips(
    version: VersionView, band: BandView, levels_in_focus: Sequence[int], places: DrawnPlaces
) -> Markup:
    """The distinct focus tokens of a band, the most frequent first, then in order of rank; each
    links to its first example and has its colour."""
    focus, ranks, hrefs = version.examples.focus, version.examples.ranks, places.hrefs[version.side]
    with_focus: dict[bytes, list[int]] = {}
    for n in band.examples:
        with_focus.setdefault(focus[n], []).append(n)
    order = sorted(with_focus.items(), key=lambda one: (-len(one[1]), ranks[one[1][0]]))
    chips = ['<div class="chips">']
    for piece, examples in order[:_CHIPS]:
        n, many = examples[0], len(examples)
        times = f'<span class="times">×{many}</span>' if many > 1 else ""
        chips.append(
            f'<a href="{hrefs[n]}" title="to example {ranks[n] + 1}">'
            f"{_coloured(piece, levels_in_focus[n])}{times}</a>"
        )
    if len(order) > _CHIPS:
        chips.append(f'<span class="times">+{len(order) - _CHIPS}</span>')
    chips.append("</div>\n")
    return Markup("".join(chips))
