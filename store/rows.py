"""Records as rows and back: the tuples that `publish` writes, in the order of the tables' columns.

Both directions of a table stand beside each other, so that they change together.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from store import packing, tables
from store.bulk import Row
from store.histogram_edges import N_BINS
from store.records import (
    BANDS,
    SITES,
    CorrespondenceRecord,
    DocumentRecord,
    ExampleRecord,
    HalfArray,
    LayerRecord,
    LogitEffectsRecord,
    LossRecord,
    NeuronRecord,
    OtherValues,
    PartnerRecord,
    Site,
    SiteStatistics,
    WindowRecord,
)
from store.types import clean_text

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
    """A row of `window`; `stage` as for documents."""
    tokens = packing.pack_tokens(record.tokens, n_vocabulary)
    return run_key, int(record.document), int(record.window), tokens, stage


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


def of_histograms(run_key: int, record: NeuronRecord) -> list[Row]:
    """Rows of `histogram`. ValueError where counts are not 387 or do not sum to n."""
    made = []
    for site, statistics in record.sites.items():
        counts = np.asarray(statistics.counts)
        if counts.shape != (N_BINS,) or int(counts.sum()) != statistics.n:
            raise ValueError(
                f"{_name(record)}, {site}: {counts.shape} counts sum to {counts.sum()}, "
                f"n is {statistics.n}"
            )
        if statistics.n != record.sites[record.display_site].n:
            raise ValueError(f"{_name(record)}: n differs between sites")
        made.append((*_version(run_key, record), site, packing.pack_counts(counts)))
    return made


def of_partners(run_key: int, record: NeuronRecord) -> list[Row]:
    """Rows of `partner`."""
    return [
        (
            *_version(run_key, record),
            partner.kind,
            int(partner.rank),
            int(partner.layer),
            int(partner.neuron),
            float(partner.correlation),
        )
        for partner in record.partners
    ]


def of_logit_effects(run_key: int, record: NeuronRecord, n_vocabulary: int) -> list[Row]:
    """The row of `logit_effect`, if the version has one."""
    effects = record.logit_effects
    if effects is None:
        return []
    return [
        (
            *_version(run_key, record),
            packing.pack_effects(effects.promoted, n_vocabulary),
            packing.pack_effects(effects.suppressed, n_vocabulary),
        )
    ]


def of_example(run_key: int, record: ExampleRecord) -> Row:
    """A row of `example`. ValueError where the focus lies outside the snippet."""
    length = len(next(iter(record.values.values()), ()))
    if not record.start <= record.position < record.start + length:
        raise ValueError(f"{_name(record)}, {record.band} {record.rank}: focus outside the snippet")
    same, match = record.same_index, record.match
    if same is not None and same.neuron != record.neuron:
        raise ValueError(f"{_name(record)}: the same index is {same.neuron}?")
    return (
        *_version(run_key, record),
        BANDS.index(record.band),
        int(record.rank),
        int(record.document),
        int(record.window),
        int(record.position),
        int(record.start),
        float(record.activation),
        packing.pack_values(record.values),
        number(same.quantile) if same else None,
        _values(same, length),
        int(match.neuron) if match else None,
        number(match.quantile) if match else None,
        _values(match, length),
    )


def to_neuron(
    row: Read,
    hook_points: Mapping[str, str],
    histograms: Iterable[Read],
    partners: Iterable[Read],
    effects: Read | None,
    n_vocabulary: int,
) -> NeuronRecord:
    """The record of a row of `neuron` with the rows that hang on it."""
    sites: dict[Site, SiteStatistics] = {}
    counts = {h["site"]: packing.unpack_counts(h["counts"]) for h in histograms}
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
        if effects is None
        else LogitEffectsRecord(
            promoted=packing.unpack_effects(effects["promoted"], n_vocabulary),
            suppressed=packing.unpack_effects(effects["suppressed"], n_vocabulary),
            kurtosis=row["logit_kurtosis"],
            skewness=row["logit_skewness"],
        ),
        partners=tuple(
            PartnerRecord(
                kind=p["kind"],
                rank=p["rank"],
                layer=p["partner_layer"],
                neuron=p["partner_neuron"],
                correlation=p["correlation"],
            )
            for p in partners
        ),
    )


def to_example(row: Sequence[Any]) -> ExampleRecord:
    """The record of a row's values in the order of `example`'s columns.

    By their places and not by their names, which a page's hundred rows took as long to look up as
    the database to find.
    """
    (
        _,
        side,
        layer,
        neuron,
        band,
        rank,
        document,
        window,
        position,
        start,
        activation,
        own,
        same_quantile,
        same,
        match_neuron,
        match_quantile,
        match,
    ) = row
    return ExampleRecord(
        side=side,
        layer=layer,
        neuron=neuron,
        band=BANDS[band],
        rank=rank,
        document=document,
        window=window,
        position=position,
        activation=activation,
        start=start,
        values=packing.PackedValues(own),
        same_index=_other(neuron, same, same_quantile),
        match=_other(match_neuron, match, match_quantile),
    )


def _other(neuron: int, packed: bytes | None, quantile: float | None) -> OtherValues | None:
    if packed is None:
        return None
    return OtherValues(neuron=neuron, values=packing.PackedValues(packed), quantile=quantile)


def _values(other: OtherValues | None, length: int) -> bytes | None:
    if other is None:
        return None
    arrays: Iterable[HalfArray] = other.values.values()
    if any(len(array) != length for array in arrays):
        raise ValueError(f"the other version's values are not {length} long")
    return packing.pack_values(other.values)


def _version(run_key: int, record: NeuronRecord | ExampleRecord) -> Row:
    return run_key, record.side, int(record.layer), int(record.neuron)


def _name(record: NeuronRecord | ExampleRecord) -> str:
    return f"{record.side} L{record.layer}N{record.neuron}"


def number(value: float | None) -> float | None:
    """A finite float, else None: what is undefined is NULL, never NaN."""
    return float(value) if value is not None and math.isfinite(value) else None


def integer(value: int | None) -> int | None:
    """A plain int, where there is one."""
    return None if value is None else int(value)
