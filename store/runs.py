"""Published runs and the pairs that they are of."""

from __future__ import annotations

from sqlalchemy import Engine

from store.records import LayerRecord, LossRecord, PairRecord, RunRecord


def list_runs(engine: Engine, pair: str | None = None) -> list[RunRecord]:
    """Published runs, newest first; with `pair`, those of this slug."""
    raise NotImplementedError


def get_run(engine: Engine, name: str, pair: str | None = None) -> RunRecord:
    """The published run that `name` means: an id, a unique prefix of one, or `latest`.

    With `pair` only this pair's runs are looked at. Errors: `RunNotFound`, `AmbiguousRun`.
    """
    raise NotImplementedError


def latest_run(engine: Engine, pair: str) -> RunRecord | None:
    """The newest published run of a pair, None where there is none."""
    raise NotImplementedError


def list_pairs(engine: Engine) -> list[PairRecord]:
    """Pairs that have a published run, by slug, with the models of their newest run."""
    raise NotImplementedError


def losses(engine: Engine, run_id: str) -> list[LossRecord]:
    """Losses of a run by side, then source; empty for an unknown or unpublished run."""
    raise NotImplementedError


def layers(engine: Engine, run_id: str) -> list[LayerRecord]:
    """What a run has per layer, ascending."""
    raise NotImplementedError


def delete_run(engine: Engine, run_id: str) -> None:
    """Remove a run and all that belongs to it; labels stay. `RunNotFound` if there is none."""
    raise NotImplementedError
