"""Candidates and counterexamples as rows and back; see `store.rows`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from store import mined_packing, packing, tables_evidence
from store.bulk import Row, RowsByTable
from store.evidence_records import (
    CandidateRecord,
    ContextRecord,
    CounterexampleRecord,
    SubstitutionSearchRecord,
)
from store.records import BANDS, SIDES, Side
from store.rows import Read, integer, number
from store.types import clean_text


def of_candidate(run_key: int, record: CandidateRecord, n_vocabulary: int) -> RowsByTable:
    """Rows of `candidate`, `candidate_carrier` and `candidate_context`."""
    key = (run_key, record.side, int(record.layer), int(record.rank))
    carried = ((record.side, record.carriers), (_other(record.side), record.other_carriers))
    row = (
        *key,
        record.fingerprint,
        packing.pack_singles(record.direction),
        float(record.token_share),
        float(record.effect),
        float(record.random_quantile),
        float(record.random_median),
        float(record.participation),
        packing.pack_effects(record.promoted, n_vocabulary),
        packing.pack_effects(record.suppressed, n_vocabulary),
    )
    return {
        tables_evidence.candidate: [row],
        tables_evidence.candidate_carrier: [
            (*key, side, place, int(neuron), float(share))
            for side, carriers in carried
            for place, (neuron, share) in enumerate(carriers)
        ],
        tables_evidence.candidate_context: [
            (*key, BANDS.index(band), place, *_of_context(context))
            for band, contexts in record.contexts.items()
            for place, context in enumerate(contexts)
        ],
    }


def of_mined(run_key: int, records: Sequence[CounterexampleRecord]) -> Row:
    """The row of `mined_counterexample`: all of one version. ValueError for ones that cannot be."""
    first = records[0]
    version = (run_key, first.side, int(first.layer), int(first.neuron))
    return (*version, mined_packing.pack(records))


def of_counterexample(run_key: int, record: CounterexampleRecord, n_vocabulary: int) -> Row:
    """A row of `counterexample`, of a substitution. ValueError where focus, length or change make
    no sense."""
    length = len(next(iter(record.values.values()), ()))
    name = f"{record.side} L{record.layer}N{record.neuron}, {record.kind} {record.rank}"
    if not record.start <= record.position < record.start + length:
        raise ValueError(f"{name}: focus outside the snippet")
    tokens = record.tokens
    if tokens is not None and (record.changed is None or not 0 <= record.changed < len(tokens)):
        raise ValueError(f"{name}: the change lies outside the window")
    return (
        run_key,
        record.side,
        int(record.layer),
        int(record.neuron),
        int(record.rank),
        int(record.document),
        int(record.window),
        int(record.position),
        int(record.start),
        float(record.activation),
        packing.pack_values(record.values),
        number(record.distance),
        clean_text(record.rule),
        None if tokens is None else packing.pack_tokens(tokens, n_vocabulary),
        integer(record.changed),
        integer(record.original),
        number(record.original_activation),
    )


def to_candidate(
    row: Read,
    carriers: Iterable[Read],
    contexts: Mapping[str, tuple[ContextRecord, ...]],
    n_vocabulary: int,
) -> CandidateRecord:
    """The record of a row of `candidate`; carriers in the order of their place."""
    by_side: dict[str, list[tuple[int, float]]] = {side: [] for side in SIDES}
    for carrier in carriers:
        by_side[carrier["carrier_side"]].append((carrier["neuron"], carrier["share"]))
    return CandidateRecord(
        side=row["side"],
        layer=row["layer"],
        rank=row["rank"],
        direction=packing.unpack_singles(row["direction"]),
        token_share=row["token_share"],
        effect=row["effect"],
        random_quantile=row["random_quantile"],
        random_median=row["random_median"],
        participation=row["participation"],
        carriers=tuple(by_side[row["side"]]),
        other_carriers=tuple(by_side[_other(row["side"])]),
        promoted=packing.unpack_effects(row["promoted"], n_vocabulary),
        suppressed=packing.unpack_effects(row["suppressed"], n_vocabulary),
        contexts=dict(contexts),
    )


def to_context(row: Read) -> ContextRecord:
    """The record of a row of `candidate_context`."""
    return ContextRecord(
        document=row["document"],
        window=row["window"],
        position=row["position"],
        start=row["start"],
        value=row["value"],
        values=packing.unpack_halves(row["snippet_values"]),
    )


def to_counterexample(row: Read, n_vocabulary: int) -> CounterexampleRecord:
    """The record of a row of `counterexample`."""
    same: dict[str, Any] = {
        name: row[name]
        for name in (
            *("side", "layer", "neuron", "rank", "document", "window", "position", "start"),
            *("activation", "distance", "rule", "changed", "original", "original_activation"),
        )
    }
    return CounterexampleRecord(
        kind="substitution",
        values=packing.unpack_values(row["own_values"]),
        tokens=packing.unpack_tokens(row["tokens"], n_vocabulary),
        **same,
    )


def to_search(row: Read) -> SubstitutionSearchRecord:
    """The record of a row of `substitution_search`."""
    return SubstitutionSearchRecord(**{name: row[name] for name in row if name != "run_key"})


def _of_context(context: ContextRecord) -> Row:
    if not context.start <= context.position < context.start + len(context.values):
        raise ValueError("a context's focus lies outside its snippet")
    return (
        int(context.document),
        int(context.window),
        int(context.position),
        int(context.start),
        float(context.value),
        packing.pack_halves(context.values),
    )


def _other(side: Side) -> Side:
    return "right" if side == "left" else "left"
