"""Records as rows and back: the tuples that `publish` writes, in the order of the tables' columns.

Both directions of a table stand beside each other, so that they change together.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from store import packing, tables
from store.bulk import Row
from store.example_columns import ExampleColumns
from store.example_packing import pack_places, pack_values
from store.histogram_edges import N_BINS
from store.records import (
    SITES,
    CorrespondenceRecord,
    DocumentRecord,
    LayerRecord,
    LogitEffectsRecord,
    LossRecord,
    NeuronRecord,
    PartnerRecord,
    Site,
    SiteStatistics,
    WindowRecord,
)
from store.scale_packing import Scales, pack_scales
from store.types import clean_text

#: Kinds of partners by the number that stands for them.
KINDS: tuple[Literal["across", "within"], ...] = ("across", "within")

#: A row as read: SQLAlchemy's mapping of a result row.
Read = Mapping[Any, Any]


def of_document(run_key: int, record: DocumentRecord, stage: str | None = None) -> Row:
    """A row of `document`; `stage` is the one that brings it, None for statistics."""
    return (
        run_key,
        int(record.document),
        clean_text(record.source),
        clean_text(record.name),
        bool(record.held_out),
        stage,
    )


def of_window(
    run_key: int, record: WindowRecord, n_vocabulary: int, stage: str | None = None
) -> Row:
    """A row of `window` without scales; `stage` as for documents."""
    return of_windows(run_key, [record], n_vocabulary, [None], stage)[0]


def of_windows(
    run_key: int,
    records: Sequence[WindowRecord],
    n_vocabulary: int,
    scales: Sequence[Scales | None],
    stage: str | None = None,
) -> list[Row]:
    """Rows of `window`, with the scales that their examples need."""
    return [
        (
            run_key,
            int(record.document),
            int(record.window),
            packing.pack_window(record.tokens, n_vocabulary),
            packed,
            stage,
        )
        for record, packed in zip(records, pack_scales(scales), strict=True)
    ]


def of_layer(run_key: int, record: LayerRecord) -> Row:
    """A row of `layer`."""
    return run_key, int(record.layer), number(record.cka)


def of_loss(run_key: int, record: LossRecord) -> Row:
    """A row of `run_loss`."""
    return (
        run_key,
        record.side,
        clean_text(record.source),
        int(record.n_documents),
        int(record.n_tokens),
        int(record.n_bytes),
        float(record.nats),
    )


def of_hook_points(run_key: int, record: NeuronRecord) -> list[Row]:
    """Rows of `hook_point`: the same for all neurons of a side and layer."""
    return [
        (run_key, record.side, int(record.layer), site, clean_text(statistics.hook_point))
        for site, statistics in record.sites.items()
    ]


def of_neuron(run_key: int, record: NeuronRecord) -> Row:
    """A row of `neuron`. ValueError for a record without its display site or with odd edges."""
    shown = record.sites.get(record.display_site)
    if shown is None:
        raise ValueError(f"{_name(record)} has no statistics at its display site")
    edges = record.band_edges or (None, None, None, None)
    match = record.correspondence
    effects = record.logit_effects
    return (
        *_version(run_key, record),
        record.display_site,
        int(shown.n),
        *(number(getattr(shown, name)) for name in tables.STATISTICS),
        *(
            number(getattr(record.sites[site], name)) if site in record.sites else None
            for site in SITES
            for name in tables.STATISTICS
        ),
        number(record.density),
        number(record.density_threshold),
        *map(number, edges),
        number(match.same_index_correlation),
        integer(match.same_index_rank),
        integer(match.best_neuron),
        number(match.best_correlation),
        number(match.null),
        None if match.mutual is None else bool(match.mutual),
        integer(match.assigned_neuron),
        number(match.assigned_correlation),
        number(effects.kurtosis) if effects else None,
        number(effects.skewness) if effects else None,
    )


def of_histogram(run_key: int, record: NeuronRecord) -> Row:
    """The row of `histogram`. ValueError where counts are not 387 or do not sum to n."""
    for site, statistics in record.sites.items():
        counts = np.asarray(statistics.counts)
        if counts.shape != (N_BINS,) or int(counts.sum()) != statistics.n:
            raise ValueError(
                f"{_name(record)}, {site}: {counts.shape} counts sum to {counts.sum()}, "
                f"n is {statistics.n}"
            )
        if statistics.n != record.sites[record.display_site].n:
            raise ValueError(f"{_name(record)}: n differs between sites")
    counts_of = {site: statistics.counts for site, statistics in record.sites.items()}
    return (*_version(run_key, record), packing.pack_histograms(counts_of))


def of_beside(records: Sequence[NeuronRecord], n_vocabulary: int) -> list[Row]:
    """Columns `partners` to `suppressed` of `example`, which belong to the versions themselves."""
    partners = [
        [
            (KINDS.index(p.kind), int(p.rank), int(p.layer), int(p.neuron), float(p.correlation))
            for p in sorted(record.partners, key=lambda p: (p.kind, p.rank))
        ]
        for record in records
    ]
    made: list[Row] = []
    for record, packed in zip(records, packing.pack_partners(partners), strict=True):
        effects = record.logit_effects
        if effects is None:
            made.append((packed, None, None))
            continue
        both = (effects.promoted, effects.suppressed)
        made.append((packed, *(packing.pack_effects(one, n_vocabulary) for one in both)))
    return made


def of_examples(run_key: int, versions: Sequence[ExampleColumns]) -> list[Row]:
    """Columns of `example` up to `snippets`, a row a version. ValueError for examples that cannot
    be."""
    places = pack_places(versions)  # which names those that cannot be
    return [
        (*_version(run_key, one), *packed)
        for one, *packed in zip(versions, places, pack_values(versions), strict=True)
    ]


def to_neuron(
    row: Read,
    hook_points: Mapping[str, str],
    histogram: Read | None,
    beside: Read | None,
    n_vocabulary: int,
) -> NeuronRecord:
    """The record of a row of `neuron` with the rows that hang on it; `beside`: that of `example`,
    of which the columns of `of_beside`."""
    sites: dict[Site, SiteStatistics] = {}
    counts = {} if histogram is None else packing.unpack_histograms(histogram["counts"])
    for site in SITES:
        if site in counts:
            values = {name: row[f"{site}_{name}"] for name in tables.STATISTICS}
            sites[site] = SiteStatistics(
                hook_point=hook_points[site], n=row["n"], counts=counts[site], **values
            )
    edges = (row["q50"], row["q90"], row["q99"], row["q999"])
    return NeuronRecord(
        side=row["side"],
        layer=row["layer"],
        neuron=row["neuron"],
        display_site=row["display_site"],
        sites=sites,
        density=row["density"],
        density_threshold=row["density_threshold"],
        band_edges=None if None in edges else edges,
        correspondence=CorrespondenceRecord(*(row[name] for name, _ in tables.CORRESPONDENCE)),
        logit_effects=None
        if beside is None or beside["promoted"] is None
        else LogitEffectsRecord(
            promoted=packing.unpack_effects(beside["promoted"], n_vocabulary),
            suppressed=packing.unpack_effects(beside["suppressed"], n_vocabulary),
            kurtosis=row["logit_kurtosis"],
            skewness=row["logit_skewness"],
        ),
        partners=()
        if beside is None
        else tuple(
            PartnerRecord(KINDS[kind], rank, layer, neuron, correlation)
            for kind, rank, layer, neuron, correlation in packing.unpack_partners(
                beside["partners"]
            )
        ),
    )


def _version(run_key: int, record: NeuronRecord | ExampleColumns) -> Row:
    return run_key, record.side, int(record.layer), int(record.neuron)


def _name(record: NeuronRecord) -> str:
    return f"{record.side} L{record.layer}N{record.neuron}"


def number(value: float | None) -> float | None:
    """A finite float, else None: what is undefined is NULL, never NaN."""
    return float(value) if value is not None and math.isfinite(value) else None


def integer(value: int | None) -> int | None:
    """A plain int, where there is one."""
    return None if value is None else int(value)
