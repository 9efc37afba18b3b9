"""What search asks: versions by token, from the run's inverted index, and labels by their text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Engine, FromClause, Subquery, and_, case, func, or_, select

from store import rows_tokens, runs
from store.candidates import with_k
from store.engine import reading
from store.labels import is_latest
from store.records import Side, Verdict
from store.runs import PublishedRun
from store.tables import annotator, label
from store.tables_tokens import token_count, token_neuron, token_spread
from store.token_records import TokenCountsRecord, TokenNeuronsRecord
from store.types import folded_text


@dataclass(frozen=True)
class LabelHit:
    """An annotator's latest label whose description fits.

    It is on `neuron`, or on the run's candidate invisible feature number `k` of the layer.
    """

    side: Side
    layer: int
    neuron: int | None
    k: int | None
    annotator: str
    verdict: Verdict
    description: str
    confidence: int | None
    created_at: datetime


def token_counts(engine: Engine, run_id: str) -> TokenCountsRecord | None:
    """How often the run's token sample has each token; None for a run without an index.

    `RunNotFound` for an unknown run.
    """
    with reading(engine) as connection:
        run = runs.published(connection, run_id)
        row = connection.execute(
            select(token_count).where(token_count.c.run_key == run.key)
        ).mappings()
        found = row.one_or_none()
        return None if found is None else rows_tokens.to_token_counts(found, run.n_vocabulary)


def neurons_of_token(engine: Engine, run_id: str, token: int) -> list[TokenNeuronsRecord]:
    """The versions that are highest on a token, a record a side and layer; none without an index.

    `RunNotFound` for an unknown run.
    """
    with reading(engine) as connection:
        run = runs.published(connection, run_id)
        found = connection.execute(
            select(token_neuron, token_spread.c.spread)
            .outerjoin(
                token_spread,
                and_(
                    token_spread.c.run_key == token_neuron.c.run_key,
                    token_spread.c.side == token_neuron.c.side,
                    token_spread.c.layer == token_neuron.c.layer,
                ),
            )
            .where(token_neuron.c.run_key == run.key, token_neuron.c.token == token)
            .order_by(token_neuron.c.side, token_neuron.c.layer)
        )
        return [rows_tokens.to_token_neurons(row) for row in found.mappings()]


def words_of(text: str) -> tuple[str, ...]:
    """The words that a description must hold, as searches compare them."""
    return tuple(dict.fromkeys(folded_text(text).split()))


def labels(
    engine: Engine,
    run_id: str,
    words: Sequence[str],
    *,
    side: Side | None = None,
    layer: int | None = None,
    page: int = 1,
    size: int = 20,
) -> list[LabelHit]:
    """Latest labels on the run's neurons and candidates with all of `words_of` in them.

    A page of them, the newest first. Words are matched anywhere within other words, too.
    """
    with reading(engine) as connection:
        run = runs.published(connection, run_id)
        numbered = with_k(run)
        side_of = _side(run)
        query = (
            select(label, annotator.c.name.label("annotator"), side_of.label("side"), numbered.c.k)
            .select_from(_joined(run, numbered).join(annotator))
            .where(_fits(run, words, numbered))
            .order_by(label.c.id.desc())
            .limit(size)
            .offset((page - 1) * size)
        )
        if side is not None:
            query = query.where(side_of == side)
        if layer is not None:
            query = query.where(label.c.layer == layer)
        shared = ("layer", "neuron", "annotator", "verdict", "description", "confidence")
        return [
            LabelHit(
                side=row["side"],
                k=row["k"],
                created_at=row["created_at"],
                **{name: row[name] for name in shared},
            )
            for row in connection.execute(query).mappings()
        ]


def label_places(engine: Engine, run_id: str, words: Sequence[str]) -> dict[tuple[Side, int], int]:
    """(side, layer) → how many labels `labels` has there."""
    with reading(engine) as connection:
        run = runs.published(connection, run_id)
        numbered = with_k(run)
        place = (label.c.model_id, label.c.layer)
        found = connection.execute(
            select(*place, func.count())
            .select_from(_joined(run, numbered))
            .where(_fits(run, words, numbered))
            .group_by(*place)
        )
        return {
            ("left" if model_id == run.left_model_id else "right", layer): number
            for model_id, layer, number in found
        }


def _side(run: PublishedRun) -> ColumnElement[str]:
    return case((label.c.model_id == run.left_model_id, "left"), else_="right")


def _joined(run: PublishedRun, numbered: Subquery) -> FromClause:
    return label.outerjoin(
        numbered,
        and_(
            numbered.c.fingerprint == label.c.candidate,
            numbered.c.layer == label.c.layer,
            numbered.c.side == _side(run),
        ),
    )


def _fits(run: PublishedRun, words: Sequence[str], numbered: Subquery) -> ColumnElement[bool]:
    """The condition that a label counts in this run and its description has the words."""
    models = [run.left_model_id, run.right_model_id]
    on_candidate = numbered.c.k.is_not(None) if run.has_evidence else None
    on_neuron = label.c.neuron.is_not(None)
    return and_(
        label.c.model_id.in_([model for model in models if model is not None]),
        label.c.folded != "",
        on_neuron if on_candidate is None else or_(on_neuron, on_candidate),
        is_latest("neuron"),
        is_latest("candidate"),
        *(label.c.folded.contains(word, autoescape=True) for word in words),
    )
