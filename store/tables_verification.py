"""The table of verifications: a run's numbers recomputed by brute force, and what came of it."""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Double,
    Integer,
    PrimaryKeyConstraint,
    Table,
)

from store.tables import metadata, run_key
from store.types import CleanText, Json, Moment

# No part of a run: a run never changes, and may be verified again. It goes with its run.
verification = Table(
    "verification",
    metadata,
    run_key(),
    Column("verified_at", Moment, nullable=False),
    Column("ok", Boolean, nullable=False),
    Column("sample", Integer, nullable=False, doc="versions asked for"),
    Column("versions", Integer, nullable=False, doc="versions that were recomputed"),
    Column("seed", Integer, nullable=False),
    Column("seconds", Double, nullable=False),
    Column("code_version", CleanText, nullable=False),
    Column("checks", Json, nullable=False),
    PrimaryKeyConstraint("run_key", "verified_at"),
    CheckConstraint("sample > 0 AND versions > 0", name="sizes"),
)
