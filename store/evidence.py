"""A run's evidence, once its stage is published; before, nothing of it.

`RunNotFound` for an unknown run throughout.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, Select, Table, and_, case, select

from store import (
    mined_packing,
    packing,
    rows_candidates,
    rows_evidence,
    runs,
    tables_evidence,
)
from store.candidates import candidate, candidates, carried_by
from store.correspondence import correspondence
from store.engine import reading
from store.evidence_records import (
    CandidateSearchRecord,
    EstimateCheckRecord,
    LayerEvidenceRecord,
    LossDifferenceRecord,
)
from store.examples import windows_of
from store.prepared import Prepared
from store.records import SIDES, Side
from store.rows import Read
from store.shown_evidence import (
    CarriedCandidate,
    LayerCorrespondence,
    ListedCandidate,
    NeuronEvidence,
    ShownCandidate,
    ShownContext,
    ShownCounterexample,
)
from store.stages import EVIDENCE, stage
from store.version_query import at, here, of_version

__all__ = [
    "EVIDENCE",
    "CarriedCandidate",
    "LayerCorrespondence",
    "ListedCandidate",
    "NeuronEvidence",
    "ShownCandidate",
    "ShownContext",
    "ShownCounterexample",
    "candidate",
    "candidate_searches",
    "candidates",
    "correspondence",
    "estimate_checks",
    "layers",
    "loss_differences",
    "of_neuron",
    "stage",
]

_Made = TypeVar("_Made")


def of_neuron(
    engine: Engine, run_id: str, side: Side, layer: int, neuron: int
) -> NeuronEvidence | None:
    """All evidence of a version; None while the stage is unpublished, and for no such version."""
    with reading(engine) as connection:
        run = runs.published(connection, run_id)
        place = at(run, side, layer, neuron)
        row = _summary.one(connection, place) if run.has_evidence else None
        if row is None:
            return None
        checked, joint = _check.one(connection, place), _joint_density.one(connection, place)
        search, curve = _search.one(connection, place), _curve.one(connection, place)
        return NeuronEvidence(
            hidden=rows_evidence.to_hidden_share(row, curve),
            joint=None if joint is None else rows_evidence.to_joint_density(joint),
            meaning=rows_evidence.to_meaning(
                row, _senses.rows(connection, place), run.n_vocabulary
            ),
            check=None if checked is None else rows_evidence.to_estimate_check(checked),
            candidates=carried_by(connection, run, side, layer, neuron),
            counterexamples=_counterexamples(connection, run, side, layer, neuron),
            search=None if search is None else rows_candidates.to_search(search),
        )


def layers(engine: Engine, run_id: str) -> list[LayerEvidenceRecord]:
    """The panels of all layers, by layer, then left and right."""
    made = rows_evidence.to_layer_evidence
    return _of_stage(engine, run_id, tables_evidence.layer_evidence, made)


def estimate_checks(engine: Engine, run_id: str) -> list[EstimateCheckRecord]:
    """The checks of the estimate, by layer, then left and right."""
    made = rows_evidence.to_estimate_check
    return _of_stage(engine, run_id, tables_evidence.estimate_check, made)


def candidate_searches(engine: Engine, run_id: str) -> list[CandidateSearchRecord]:
    """How the searches for candidates went, by layer, then left and right."""
    made = rows_evidence.to_candidate_search
    return _of_stage(engine, run_id, tables_evidence.candidate_search, made)


def loss_differences(engine: Engine, run_id: str) -> list[LossDifferenceRecord]:
    """Loss differences: the pair's first, then the control's; all sources first, then by name."""
    difference = tables_evidence.loss_difference
    pair = case(
        (and_(difference.c.side == SIDES[0], difference.c.against == SIDES[1]), 0),
        (difference.c.side == SIDES[0], 1),
        else_=2,
    )
    order = (pair, difference.c.side, difference.c.against, difference.c.source)
    return _of_stage(engine, run_id, difference, rows_evidence.to_loss_difference, order)


def _of_stage(
    engine: Engine,
    run_id: str,
    table: Table,
    made: Callable[[Read], _Made],
    order: tuple[Any, ...] = (),
) -> list[_Made]:
    """The records of a run's rows in a table of the stage."""
    with reading(engine) as connection:
        run = runs.published(connection, run_id)
        if not run.has_evidence:
            return []
        found = connection.execute(
            select(table)
            .where(table.c.run_key == run.key)
            .order_by(*(order or (table.c.layer, table.c.side)))
        )
        return [made(row) for row in found.mappings()]


_summary = Prepared(lambda: of_version(tables_evidence.neuron_evidence))
_senses = Prepared(lambda: of_version(tables_evidence.sense, "rank"))
_search = Prepared(lambda: of_version(tables_evidence.substitution_search))
_curve = Prepared(lambda: of_version(tables_evidence.hidden_curve))


@Prepared
def _check() -> Select[Any]:
    """How far the estimates of a version's layer are off."""
    check = tables_evidence.estimate_check
    return select(check).where(*here(check, "run_key", "side", "layer"))


@Prepared
def _joint_density() -> Select[Any]:
    """A version's joint density with its edges."""
    density, axes = tables_evidence.joint_density, tables_evidence.joint_axes
    same = and_(axes.c.run_key == density.c.run_key, axes.c.side == density.c.side)
    query = of_version(density).add_columns(axes.c.mid_edges, axes.c.post_edges)
    return query.join(axes, same)


@Prepared
def _mined() -> Select[Any]:
    """A version's mined counterexamples, packed."""
    table = tables_evidence.mined_counterexample
    return select(table.c.mined).where(*here(table))


@Prepared
def _substitutions() -> Select[Any]:
    """A version's counterexamples by substitution, by rank."""
    return of_version(tables_evidence.counterexample, "rank")


def _counterexamples(
    connection: Connection, run: runs.PublishedRun, side: Side, layer: int, neuron: int
) -> tuple[ShownCounterexample, ...]:
    """A version's counterexamples by kind and rank, with their snippets and documents."""
    place = at(run, side, layer, neuron)
    packed = _mined.one(connection, place)
    found = [] if packed is None else mined_packing.unpack(side, layer, neuron, packed["mined"])
    found += [
        rows_candidates.to_counterexample(row, run.n_vocabulary)
        for row in _substitutions.rows(connection, place)
    ]
    if not found:
        return ()
    windows = windows_of(connection, run, sorted({(one.document, one.window) for one in found}))
    made = []
    for one in found:
        window, tokens = windows[one.document, one.window], one.tokens
        if tokens is None:
            tokens = packing.unpack_window(window.tokens, run.n_vocabulary)
        length = len(next(iter(one.values.values())))
        snippet = tokens[one.start : one.start + length]
        made.append(ShownCounterexample(one, window.name, window.source, snippet))
    return tuple(made)
