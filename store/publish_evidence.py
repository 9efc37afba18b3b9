"""Loading a run's evidence: in chunks, unseen by readers, then published in one small transaction.

    with loading_stage(engine, run.id, parameters={...}, provenance={...}) as loader:
        loader.documents(documents)
        loader.windows(windows)
        loader.hidden_shares(records)
        ...
        loader.publish()

A run's statistics are published before; its evidence is a stage of its own, published once and
never changed. Counterexamples by substitution come later, version by version: `publish_search`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any

import numpy as np
from sqlalchemy import Engine, select

from store import rows, rows_candidates, rows_evidence, stages, tables, tables_evidence
from store.bulk import CHUNK, ChunkedLoad, Progress, RowsByTable, refresh_statistics
from store.engine import reading, writing
from store.errors import StoreError
from store.evidence_records import (
    CandidateRecord,
    CandidateSearchRecord,
    CounterexampleRecord,
    EstimateCheckRecord,
    HiddenShareRecord,
    JointDensityRecord,
    LayerEvidenceRecord,
    LossDifferenceRecord,
    PolysemanticityRecord,
    StageRecord,
)
from store.records import DocumentRecord, FloatArray, Side, WindowRecord
from store.rows_evidence import Summary
from store.searches import publish_search
from store.stages import EVIDENCE, StageClaim, refuse_paths
from store.windows import unknown_documents, unknown_windows

_NO_TOKENS = np.zeros(0, np.int32)

__all__ = ["EvidenceLoader", "loading_stage", "publish_search"]


class EvidenceLoader:
    """What `loading_stage` gives: a method a kind of record, which may be called repeatedly.

    Documents, then windows come before the candidates and counterexamples that show them; the rest
    in any order; publish last. Iterables may be generators: rows go out in chunks.
    """

    def __init__(
        self,
        engine: Engine,
        claim: StageClaim,
        parameters: dict[str, Any],
        provenance: dict[str, Any],
        progress: Progress | None,
    ) -> None:
        self.published = False
        self._engine = engine
        self._claim = claim
        self._key = claim.run.key
        self._n_tokens = claim.run.n_vocabulary
        self._parameters = parameters
        self._provenance = provenance
        self._chunks = ChunkedLoad(claim, progress)
        self._axes: dict[str, tuple[FloatArray, FloatArray]] = {}
        #: Scalars of each (side, layer, neuron), kept until their row can be written.
        self._summaries: defaultdict[tuple[str, int, int], Summary] = defaultdict(Summary)

    def documents(self, records: Iterable[DocumentRecord]) -> int:
        """Documents that contexts name; those that the run has already are left as they are."""
        table, stage = tables.document, self._claim.stage
        return self._chunks.load(
            "documents",
            records,
            lambda r: {table: [rows.of_document(self._key, r, stage)]},
            unless_known=lambda connection, part: unknown_documents(connection, self._key, part),
        )

    def windows(self, records: Iterable[WindowRecord]) -> int:
        """Token windows that contexts show; those that the run has already are left out."""
        table, stage = tables.window, self._claim.stage
        return self._chunks.load(
            "windows",
            records,
            lambda r: {table: [rows.of_window(self._key, r, self._n_tokens, stage)]},
            unless_known=lambda connection, part: unknown_windows(connection, self._key, part),
        )

    def hidden_shares(self, records: Iterable[HiddenShareRecord]) -> int:
        """Hidden shares, a version each."""

        def split(record: HiddenShareRecord) -> RowsByTable:
            summary = self._summaries[record.side, int(record.layer), int(record.neuron)]
            summary.hidden = rows_evidence.of_hidden_share(record)
            row = rows_evidence.of_hidden_curve(self._key, record)
            return {tables_evidence.hidden_curve: [row]}

        return self._chunks.load("hidden shares", records, split)

    def joint_densities(self, records: Iterable[JointDensityRecord]) -> int:
        """Joint densities, a version each; the edges are the same for all of a side."""

        def split(record: JointDensityRecord) -> RowsByTable:
            row = rows_evidence.of_joint_density(self._key, record)
            made: RowsByTable = {tables_evidence.joint_density: [row]}
            axes = (record.mid_edges, record.post_edges)
            known = self._axes.setdefault(record.side, axes)
            if known is axes:
                axes_row = rows_evidence.of_joint_axes(self._key, record)
                return {tables_evidence.joint_axes: [axes_row], **made}
            if not all(map(np.array_equal, known, axes)):
                raise ValueError(f"the edges of densities differ on the {record.side} side")
            return made

        return self._chunks.load("joint densities", records, split)

    def polysemanticities(self, records: Iterable[PolysemanticityRecord]) -> int:
        """Scores and senses, a version each."""

        def split(record: PolysemanticityRecord) -> RowsByTable:
            place = (record.side, int(record.layer), int(record.neuron))
            summary = self._summaries[place]
            if summary.meaning != Summary.meaning:
                raise ValueError(f"two scores for {record.side} L{record.layer}N{record.neuron}")
            summary.meaning = rows_evidence.of_meaning(record)
            senses = rows_evidence.of_senses(self._key, record, self._n_tokens)
            return {tables_evidence.sense: senses}

        return self._chunks.load("senses", records, split)

    def layers(self, records: Iterable[LayerEvidenceRecord]) -> int:
        """The panel of each layer and side."""
        return self._chunks.load(
            "layers",
            records,
            lambda r: {
                tables_evidence.layer_evidence: [rows_evidence.of_layer_evidence(self._key, r)]
            },
        )

    def estimate_checks(self, records: Iterable[EstimateCheckRecord]) -> int:
        """How far the estimate is to be trusted, a layer and side each."""
        return self._chunks.load(
            "estimate checks",
            records,
            lambda r: {
                tables_evidence.estimate_check: [rows_evidence.of_estimate_check(self._key, r)]
            },
        )

    def loss_differences(self, records: Iterable[LossDifferenceRecord]) -> int:
        """Loss differences on held-out documents, a source each."""
        return self._chunks.load(
            "loss differences",
            records,
            lambda r: {
                tables_evidence.loss_difference: [rows_evidence.of_loss_difference(self._key, r)]
            },
        )

    def candidate_searches(self, records: Iterable[CandidateSearchRecord]) -> int:
        """How the search for candidates went, a layer and side each."""
        return self._chunks.load(
            "candidate searches",
            records,
            lambda r: {
                tables_evidence.candidate_search: [rows_evidence.of_candidate_search(self._key, r)]
            },
        )

    def candidates(self, records: Iterable[CandidateRecord]) -> int:
        """Candidates with the neurons that carry them and the contexts that show them."""

        def split(record: CandidateRecord) -> RowsByTable:
            made = rows_candidates.of_candidate(self._key, record, self._n_tokens)
            for row in made[tables_evidence.candidate_carrier]:
                _, _, layer, _, side, _, neuron, _ = row
                self._summaries[side, layer, neuron].candidates += 1
            return made

        return self._chunks.load("candidates", records, split)

    def counterexamples(self, records: Iterable[CounterexampleRecord]) -> int:
        """Mined counterexamples, on windows that the run has; all of a version together. Returns
        how many these are."""
        by_version: defaultdict[tuple[Side, int, int], list[CounterexampleRecord]]
        by_version = defaultdict(list)
        for record in records:
            if record.kind == "substitution":
                raise StoreError("A substitution is not mined: use publish_search.")
            place = (record.side, int(record.layer), int(record.neuron))
            by_version[place].append(record)
        for place, some in by_version.items():
            self._summaries[place].counterexamples += len(some)
        self._require_windows(chain.from_iterable(by_version.values()))
        table = tables_evidence.mined_counterexample
        self._chunks.load(
            "counterexamples",
            by_version.values(),
            lambda some: {table: [rows_candidates.of_mined(self._key, some)]},
        )
        return sum(map(len, by_version.values()))

    def _require_windows(self, records: Iterable[CounterexampleRecord]) -> None:
        """`StoreError` where one stands on a window that the run does not have."""
        places = {(int(one.document), int(one.window)) for one in records}
        wanted = [WindowRecord(*place, _NO_TOKENS) for place in sorted(places)]
        with reading(self._engine) as connection:
            for start in range(0, len(wanted), CHUNK):
                part = wanted[start : start + CHUNK]
                for one in unknown_windows(connection, self._key, part):
                    raise StoreError(
                        f"Some counterexamples cannot be stored: window {one.window} of document "
                        f"{one.document} is not loaded."
                    )

    def publish(self) -> StageRecord:
        """Write the versions' rows, then name the stage as published; the stage as stored."""
        if not self._summaries:
            raise StoreError("A stage without evidence of any version is not published.")
        refuse_paths(self._provenance, "provenance")
        self._write_summaries()
        self._claim.publish(self._parameters, self._provenance, self._chunks.size)
        self.published = True
        with writing(self._engine) as connection:
            refresh_statistics(
                connection, (*tables_evidence.JOINED, tables.window, tables.document)
            )
        stored = stages.stage(self._engine, self._claim.run_id, self._claim.stage)
        assert stored is not None
        return stored

    def _write_summaries(self) -> None:
        """A row for every version of the run, with NULL where there is no evidence of it."""
        neuron = tables.neuron.c
        with reading(self._engine) as connection:
            places = connection.execute(
                select(neuron.side, neuron.layer, neuron.neuron)
                .where(neuron.run_key == self._key)
                .order_by(neuron.side, neuron.layer, neuron.neuron)
            ).all()
        unknown = self._summaries.keys() - {tuple(place) for place in places}
        if unknown:
            side, layer, number = min(unknown)
            raise StoreError(
                f"There is evidence of {len(unknown)} versions that the run does not have, such "
                f"as {side} L{layer}N{number}."
            )
        nothing = Summary()
        for start in range(0, len(places), CHUNK):
            part = [
                (self._key, *place, *self._summaries.get(tuple(place), nothing).row())
                for place in places[start : start + CHUNK]
            ]
            with self._claim() as connection:
                self._chunks.insert(connection, tables_evidence.neuron_evidence, part)


@contextmanager
def loading_stage(
    engine: Engine,
    run_id: str,
    stage: str = EVIDENCE,
    parameters: dict[str, Any] | None = None,
    provenance: dict[str, Any] | None = None,
    progress: Progress | None = None,
) -> Iterator[EvidenceLoader]:
    """Load a published run's evidence; a reader sees nothing of it until `publish`.

    `parameters` and `provenance` are stored as they are when it is published; neither names a path
    of this machine. Leaving without `publish`, or by an exception, removes what was loaded; an
    unfinished load of the stage is taken over. Errors: `RunNotFound`, `AlreadyPublished` (nothing
    to do), `LoadInterrupted` (another process took this load over).
    """
    if stage != EVIDENCE:
        raise StoreError(f"There is no stage {stage!r} to load.")
    parameters, provenance = parameters or {}, {} if provenance is None else provenance
    refuse_paths(parameters, "parameters")
    refuse_paths(provenance, "provenance")
    claim = stages.claim(engine, run_id, stage)
    loader = EvidenceLoader(engine, claim, parameters, provenance, progress)
    try:
        yield loader
    finally:
        if not loader.published:
            claim.abandon()
