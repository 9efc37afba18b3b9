"""Columns of a run's versions as whole distributions, a layer of one side each."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Engine, select

from store import runs, stages, tables_evidence
from store.engine import reading
from store.records import Side


@dataclass(frozen=True)
class HiddenShares:
    """Hidden shares of a layer: the `exact` ones, ascending, and how many are estimates only."""

    exact: tuple[float, ...]
    n_estimate: int


def hidden_shares(engine: Engine, run_id: str) -> dict[tuple[Side, int], HiddenShares]:
    """(side, layer) → its versions' hidden shares; empty while the evidence is unpublished.

    `RunNotFound` for an unknown run.
    """
    version = tables_evidence.neuron_evidence.c
    with reading(engine) as connection:
        run = runs.published(connection, run_id)
        if not stages.is_published(connection, run.key, stages.EVIDENCE):
            return {}
        found = connection.execute(
            select(version.side, version.layer, version.hidden_share, version.hidden_method).where(
                version.run_key == run.key, version.hidden_share.is_not(None)
            )
        ).all()
    exact: dict[tuple[Side, int], list[float]] = {}
    estimates: dict[tuple[Side, int], int] = {}
    for side, layer, share, method in found:
        exact.setdefault((side, layer), [])
        if method == "exact":
            exact[side, layer].append(share)
        else:
            estimates[side, layer] = estimates.get((side, layer), 0) + 1
    return {
        place: HiddenShares(tuple(sorted(shares)), estimates.get(place, 0))
        for place, shares in exact.items()
    }


def polysemanticity_scores(
    engine: Engine, run_id: str
) -> dict[tuple[Side, int], tuple[float, ...]]:
    """(side, layer) → its versions' polysemanticity scores, ascending, without undefined ones.

    Empty while the evidence is unpublished; `RunNotFound` for an unknown run.
    """
    version = tables_evidence.neuron_evidence.c
    with reading(engine) as connection:
        run = runs.published(connection, run_id)
        if not stages.is_published(connection, run.key, stages.EVIDENCE):
            return {}
        found = connection.execute(
            select(version.side, version.layer, version.polysemanticity).where(
                version.run_key == run.key, version.polysemanticity.is_not(None)
            )
        ).all()
    scores: dict[tuple[Side, int], list[float]] = {}
    for side, layer, score in found:
        scores.setdefault((side, layer), []).append(score)
    return {place: tuple(sorted(of_layer)) for place, of_layer in scores.items()}
