"""One version of a neuron as the side by side shows it: statistics, bands, examples, partners."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from server import urls
from server.pages.neuron import (
    BandEdges,
    BandView,
    CorrespondenceView,
    ExampleView,
    HistogramView,
    LogitEffectsView,
    OtherView,
    PartnerView,
    SimilarView,
    SiteName,
    SiteView,
    VersionView,
)
from server.token_text import token_string
from store.histogram_edges import inner_edges
from store.records import (
    BANDS,
    SITES,
    CorrespondenceRecord,
    HalfArray,
    LogitEffectsRecord,
    NeuronRecord,
    OtherValues,
    RunRecord,
    ShownExample,
    Site,
    SiteStatistics,
)

#: band → (title, definition, bounds as indices into (q50, q90, q99, q999), None is open)
BAND_WORDS: dict[str, tuple[str, str, int | None, int | None]] = {
    "top": ("Top", "The strongest activations, at most one a document.", None, None),
    "q99.9-100": (
        "99.9–100 %",
        "Drawn at random from the strongest 0.1 % of the token sample.",
        3,
        None,
    ),
    "q99-99.9": ("99–99.9 %", "Drawn between the quantiles 99 % and 99.9 %.", 2, 3),
    "q90-99": ("90–99 %", "Drawn between the quantiles 90 % and 99 %.", 1, 2),
    "q50-90": ("50–90 %", "Drawn between the median and the quantile 90 %.", 0, 1),
    "q0-50": ("0–50 %", "Drawn from below the median.", None, 0),
    "bottom": ("Bottom", "The most negative activations.", None, None),
    "lifted": (
        "Lifted by the LayerNorm",
        "The highest after the LayerNorm among tokens whose value before it is below its median.",
        None,
        None,
    ),
}


def version_view(
    *,
    run: RunRecord,
    record: NeuronRecord,
    examples: list[ShownExample],
    vocabulary: list[bytes],
    opposite: int | None,
    site: SiteName | None,
    pinned: bool,
) -> VersionView:
    """`opposite` is the neuron in the other column, `site` the one asked for by the address."""
    left = record.side == "left"
    model = run.pair.left if left else run.pair.right
    assert model is not None, "a version of a model that the pair does not have"
    slug, run_id = run.pair.slug, run.id if pinned else None
    name = urls.neuron_name(record.layer, record.neuron)

    def address(layer: int, neuron: int) -> str:
        return urls.neuron(slug, layer, neuron, run=run_id)

    views = tuple(example_view(shown, vocabulary, opposite) for shown in examples)
    return VersionView(
        side=record.side,
        model=model.name,
        act_fn=model.act_fn,
        weights_sha256=model.weights_sha256,
        layer=record.layer,
        neuron=record.neuron,
        name=name,
        display_site=record.display_site,
        shown_site=site if site in record.sites else record.display_site,
        sites={key: site_view(record.sites[key]) for key in SITES if key in record.sites},
        density=finite(record.density),
        density_threshold=finite(record.density_threshold),
        band_edges=None if record.band_edges is None else BandEdges(*record.band_edges),
        bands=band_views(record, views),
        examples=views,
        senses=(),
        logit_effects=logit_effects_view(record.logit_effects, vocabulary),
        evidence=None,
        partners=tuple(
            PartnerView(
                layer=partner.layer,
                neuron=partner.neuron,
                correlation=partner.correlation,
                null=finite(record.correspondence.null),
                mutual=(
                    record.correspondence.mutual
                    if partner.neuron == record.correspondence.best_neuron
                    else None
                ),
                name=urls.neuron_name(partner.layer, partner.neuron),
                href=address(partner.layer, partner.neuron),
            )
            for partner in record.partners
            if partner.kind == "across"
        ),
        similar=tuple(
            SimilarView(
                layer=partner.layer,
                neuron=partner.neuron,
                correlation=partner.correlation,
                name=urls.neuron_name(partner.layer, partner.neuron),
                href=address(partner.layer, partner.neuron),
            )
            for partner in record.partners
            if partner.kind == "within"
        ),
        correspondence=correspondence_view(record.correspondence),
        labels_action=urls.labels(slug, record.layer, record.neuron),
        labels_href=urls.labels(slug, record.layer, record.neuron, side=record.side, run=run_id),
    )


def finite(value: float | None) -> float | None:
    """None for a value that is undefined, however it was said."""
    return None if value is None or not math.isfinite(value) else float(value)


@lru_cache(maxsize=1)
def edges() -> tuple[float, ...]:
    """The inner edges of the histogram's bins, exact in float32 and so in JSON."""
    return tuple(inner_edges().tolist())


def site_view(statistics: SiteStatistics) -> SiteView:
    """Statistics at one site."""
    return SiteView(
        hook_point=statistics.hook_point,
        n=statistics.n,
        mean=finite(statistics.mean),
        std=finite(statistics.std),
        skewness=finite(statistics.skewness),
        kurtosis=finite(statistics.kurtosis),
        min=finite(statistics.min),
        max=finite(statistics.max),
        histogram=HistogramView(edges(), tuple(statistics.counts.tolist())),
    )


def band_views(record: NeuronRecord, examples: Sequence[ExampleView]) -> tuple[BandView, ...]:
    """Bands in the order in which they are shown; one without examples says so by having none."""
    bounds = record.band_edges
    views = []
    for key in BANDS:
        if key == "lifted" and "mid" not in record.sites:
            continue
        title, definition, low, high = BAND_WORDS[key]
        views.append(
            BandView(
                key=key,
                title=title,
                definition=definition,
                low=None if bounds is None or low is None else finite(bounds[low]),
                high=None if bounds is None or high is None else finite(bounds[high]),
                examples=tuple(n for n, example in enumerate(examples) if example.band == key),
            )
        )
    return tuple(views)


def example_view(shown: ShownExample, vocabulary: list[bytes], opposite: int | None) -> ExampleView:
    """One example with its tokens as bytes and for display."""
    example = shown.example
    pieces = tuple(vocabulary[token] for token in shown.tokens.tolist())
    return ExampleView(
        band=example.band,
        rank=example.rank,
        document=shown.document_name,
        document_id=example.document,
        source=shown.source,
        window=example.window,
        position=example.position,
        activation=example.activation,
        tokens=tuple(token_string(piece) for piece in pieces),
        focus=shown.focus,
        values=decimals(example.values),
        other=other_view(example.layer, shown, opposite),
        pieces=pieces,
    )


def other_view(layer: int, shown: ShownExample, opposite: int | None) -> OtherView | None:
    """The other version's values: of the neuron in the other column where they were kept.

    Kept are those of the same index and of this version's best match; where the other column
    shows a third neuron (a match that is not mutual), the best match's are shown under its name.
    """
    kept = [other for other in (shown.example.match, shown.example.same_index) if other is not None]
    if not kept:
        return None
    chosen: OtherValues = next((other for other in kept if other.neuron == opposite), kept[0])
    display_site: SiteName = "mid" if "mid" in chosen.values else "post"
    values = decimals(chosen.values)
    return OtherView(
        neuron=chosen.neuron,
        name=urls.neuron_name(layer, chosen.neuron),
        shown=chosen.neuron == opposite,
        display_site=display_site,
        activation=values[display_site][shown.focus] if display_site in values else None,
        quantile=finite(chosen.quantile),
        values=values,
    )


@lru_cache(maxsize=1)
def _half_decimals() -> npt.NDArray[np.float64]:
    """For each of the 65,536 half-precision numbers the shortest decimal that reads back as it.

    JSON knows no infinity: the two stand at the largest finite value, and the codes that are no
    number, which no run holds, at 0.
    """
    numbers = np.arange(65536, dtype=np.uint16).view(np.float16)
    limited = np.nan_to_num(numbers, nan=0.0)
    return np.array([float(str(number)) for number in limited])


def decimals(values: dict[Site, HalfArray]) -> dict[SiteName, tuple[float, ...]]:
    """Half-precision values per site as short decimals, in the order pre, mid, post."""
    table = _half_decimals()
    return {
        site: tuple(table[np.ascontiguousarray(values[site], np.float16).view(np.uint16)].tolist())
        for site in SITES
        if site in values
    }


def logit_effects_view(
    effects: LogitEffectsRecord | None, vocabulary: list[bytes]
) -> LogitEffectsView | None:
    """Promoted and suppressed tokens as display strings."""
    if effects is None:
        return None

    def named(pairs: tuple[tuple[int, float], ...]) -> tuple[tuple[str, float], ...]:
        return tuple((token_string(vocabulary[token]), effect) for token, effect in pairs)

    return LogitEffectsView(
        promoted=named(effects.promoted),
        suppressed=named(effects.suppressed),
        kurtosis=finite(effects.kurtosis),
        skewness=finite(effects.skewness),
    )


def correspondence_view(record: CorrespondenceRecord) -> CorrespondenceView:
    """How strongly the version corresponds to the other model's neurons."""
    return CorrespondenceView(
        same_index_correlation=finite(record.same_index_correlation),
        same_index_rank=record.same_index_rank,
        best_neuron=record.best_neuron,
        best_correlation=finite(record.best_correlation),
        null=finite(record.null),
        excess=finite(record.excess),
        mutual=record.mutual,
        assigned_neuron=record.assigned_neuron,
        assigned_correlation=finite(record.assigned_correlation),
    )
