"""Verifications of published runs: appended, never changed; the last one is what pages show."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import Engine, insert, select

from store import runs, stages
from store.engine import reading, writing
from store.errors import RunNotFound
from store.tables_verification import verification
from store.types import now


@dataclass(frozen=True)
class CheckRecord:
    """One quantity: `n` stored values were recomputed, `n_failed` of them differ by more than
    allowed.

    An error is a difference in parts of what is allowed for this value (1 is just allowed), so
    that quantities of all scales can be set side by side; `largest_error` is the largest, at
    `where`. `tolerance` says what is allowed, and why. `failed` names the first that differ.
    """

    name: str
    n: int
    n_failed: int
    largest_error: float
    where: str
    tolerance: str
    failed: tuple[str, ...] = ()


@dataclass(frozen=True)
class VerificationRecord:
    """A run's numbers recomputed by brute force for a seeded sample of its versions.

    `sample` versions were asked for and `versions` recomputed. `ok` is whether every check held.
    `verified_at` is set by the store where it is None.
    """

    ok: bool
    sample: int
    versions: int
    seed: int
    seconds: float
    code_version: str
    checks: tuple[CheckRecord, ...]
    verified_at: datetime | None = None


def add(engine: Engine, run_id: str, record: VerificationRecord) -> VerificationRecord:
    """Keep a verification; as stored. `RunNotFound` for an unknown run."""
    moment = record.verified_at or now()
    values = asdict(record) | {"verified_at": moment}
    with writing(engine) as connection:
        key = runs.published(connection, run_id).key
        if not stages.hold_run(connection, key):
            raise RunNotFound(f"Run {run_id} was removed.")
        connection.execute(insert(verification).values(run_key=key, **values))
    found = last(engine, run_id)
    assert found is not None
    return found


def last(engine: Engine, run_id: str) -> VerificationRecord | None:
    """The newest verification of a run; None before the first. `RunNotFound` as ever."""
    with reading(engine) as connection:
        key = runs.published(connection, run_id).key
        row = (
            connection.execute(
                select(verification)
                .where(verification.c.run_key == key)
                .order_by(verification.c.verified_at.desc())
                .limit(1)
            )
            .mappings()
            .one_or_none()
        )
    if row is None:
        return None
    checks = tuple(CheckRecord(**{**one, "failed": tuple(one["failed"])}) for one in row["checks"])
    plain = {name: row[name] for name in row if name not in ("run_key", "checks")}
    return VerificationRecord(**plain, checks=checks)
