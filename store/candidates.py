"""Candidate invisible features of a run. `k` numbers those of a layer: the left's by rank, then
the right's, from 0.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from sqlalchemy import Connection, Engine, Select, Subquery, and_, bindparam, func, select

from store import packing, rows_candidates, runs, tables, tables_evidence
from store.engine import reading
from store.prepared import Prepared
from store.records import BANDS
from store.rows import Read
from store.runs import PublishedRun
from store.shown_evidence import (
    CarriedCandidate,
    ListedCandidate,
    ShownCandidate,
    ShownContext,
)
from store.version_query import at, here

_KEY = ("side", "layer", "rank")

_Key = tuple[str, int, int]


def candidates(engine: Engine, run_id: str, layer: int | None = None) -> list[ListedCandidate]:
    """Candidates by layer and k; with `layer`, those of one. Empty while the stage is unpublished.

    `RunNotFound` for an unknown run.
    """
    with reading(engine) as connection:
        run = runs.published(connection, run_id)
        if not run.has_evidence:
            return []
        numbered = with_k(run)
        query = select(numbered).order_by(numbered.c.layer, numbered.c.k)
        context = tables_evidence.candidate_context.c
        best = [context.band == BANDS.index("top"), context.place == 0]
        carriers = []
        if layer is not None:
            query = query.where(numbered.c.layer == layer)
            best.append(context.layer == layer)
            carriers.append(tables_evidence.candidate_carrier.c.layer == layer)
        carried = _carriers(connection, run, carriers)
        shown = _contexts(connection, run, best)
        made = []
        for row in connection.execute(query).mappings():
            key = _key(row)
            record = rows_candidates.to_candidate(row, carried[key], {}, run.n_vocabulary)
            top = shown[key].get("top", ())
            made.append(ListedCandidate(row["k"], record, top[0] if top else None))
        return made


def candidate(engine: Engine, run_id: str, layer: int, k: int) -> ShownCandidate | None:
    """One candidate with all of its contexts; None where there is none of this number.

    `RunNotFound` for an unknown run.
    """
    with reading(engine) as connection:
        run = runs.published(connection, run_id)
        if not run.has_evidence:
            return None
        numbered = with_k(run)
        query = select(numbered).where(numbered.c.layer == layer, numbered.c.k == k)
        row = connection.execute(query).mappings().one_or_none()
        if row is None:
            return None
        key = _key(row)

        def only(table: Any) -> list[Any]:
            return [table.c[name] == value for name, value in zip(_KEY, key, strict=True)]

        carried = _carriers(connection, run, only(tables_evidence.candidate_carrier))[key]
        shown = _contexts(connection, run, only(tables_evidence.candidate_context))[key]
        contexts = {
            band: tuple(each.context for each in in_band) for band, in_band in shown.items()
        }
        record = rows_candidates.to_candidate(row, carried, contexts, run.n_vocabulary)
        return ShownCandidate(k, record, shown)


def carried_by(
    connection: Connection, run: PublishedRun, side: str, layer: int, neuron: int
) -> tuple[CarriedCandidate, ...]:
    """The candidates in which a version takes part, by k."""
    found = _carried.rows(connection, at(run, side, layer, neuron))
    return tuple(CarriedCandidate(**row, own=row["side"] == side) for row in found)


@Prepared
def _carried() -> Select[Any]:
    """The candidates that a version carries, with its share of each."""
    carrier = tables_evidence.candidate_carrier
    run_key = bindparam("at_run_key", type_=carrier.c.run_key.type)
    numbered = _numbered(run_key)
    same = (carrier.c[name] == numbered.c[name] for name in _KEY)
    return (
        select(
            *(numbered.c[name] for name in (*_KEY, "k", "fingerprint", "effect")), carrier.c.share
        )
        .join(carrier, and_(carrier.c.run_key == run_key, *same))
        .where(
            carrier.c.carrier_side == bindparam("at_side", type_=carrier.c.side.type),
            *here(carrier, "layer", "neuron"),
        )
        .order_by(numbered.c.k)
    )


def with_k(run: PublishedRun) -> Subquery:
    """The run's candidates with their k."""
    return _numbered(run.key)


def _numbered(run_key: Any) -> Subquery:
    candidate = tables_evidence.candidate
    order = (candidate.c.side, candidate.c.rank)  # "left" comes before "right"
    number = func.row_number().over(partition_by=candidate.c.layer, order_by=order) - 1
    return select(candidate, number.label("k")).where(candidate.c.run_key == run_key).subquery()


def _carriers(
    connection: Connection, run: PublishedRun, where: list[Any]
) -> dict[_Key, list[Read]]:
    """Carriers of both sides in the order of their place, by candidate."""
    carrier = tables_evidence.candidate_carrier
    found = connection.execute(
        select(carrier)
        .where(carrier.c.run_key == run.key, *where)
        .order_by(carrier.c.carrier_side, carrier.c.place)
    )
    by_candidate: defaultdict[_Key, list[Read]] = defaultdict(list)
    for row in found.mappings():
        by_candidate[_key(row)].append(row)
    return by_candidate


def _contexts(
    connection: Connection, run: PublishedRun, where: list[Any]
) -> dict[_Key, dict[str, tuple[ShownContext, ...]]]:
    """Contexts with their tokens and documents, by candidate and band."""
    context, window, document = tables_evidence.candidate_context, tables.window, tables.document
    found = connection.execute(
        select(context, window.c.tokens, document.c.name, document.c.source)
        .join(
            window,
            and_(
                *(window.c[name] == context.c[name] for name in ("run_key", "document", "window"))
            ),
        )
        .join(
            document,
            and_(*(document.c[name] == context.c[name] for name in ("run_key", "document"))),
        )
        .where(context.c.run_key == run.key, *where)
        .order_by(context.c.band, context.c.place)
    )
    by_candidate: defaultdict[_Key, dict[str, tuple[ShownContext, ...]]] = defaultdict(dict)
    for row in found.mappings():
        record = rows_candidates.to_context(row)
        tokens = packing.unpack_window(row["tokens"], run.n_vocabulary)
        shown = ShownContext(
            context=record,
            document_name=row["name"],
            source=row["source"],
            tokens=tokens[record.start : record.start + len(record.values)],
        )
        of_candidate = by_candidate[_key(row)]
        band = BANDS[row["band"]]
        of_candidate[band] = (*of_candidate.get(band, ()), shown)
    return by_candidate


def _key(row: Read) -> _Key:
    return row["side"], row["layer"], row["rank"]
