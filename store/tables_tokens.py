"""Tables of the inverted index, which search reads: token id → versions."""

from __future__ import annotations

from sqlalchemy import (
    Column,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    SmallInteger,
    String,
    Table,
)

from store.records import SIDES
from store.tables import metadata, one_of, run_key

# One row a run: it says that the run has an index, and how often its sample has each token.
token_count = Table(
    "token_count",
    metadata,
    run_key(),
    Column("kept", SmallInteger, nullable=False),
    Column("counts", LargeBinary, nullable=False),
    PrimaryKeyConstraint("run_key"),
)

token_neuron = Table(
    "token_neuron",
    metadata,
    run_key(),
    Column("token", Integer, nullable=False),
    Column("side", String(5), nullable=False),
    Column("layer", SmallInteger, nullable=False),
    Column("neurons", LargeBinary, nullable=False),
    PrimaryKeyConstraint("run_key", "token", "side", "layer"),
    one_of("side", SIDES),
    sqlite_with_rowid=False,
)

# Means and standard deviations of a layer's versions over the run's token sample, with which the
# index keeps only what is measured in these.
token_spread = Table(
    "token_spread",
    metadata,
    run_key(),
    Column("side", String(5), nullable=False),
    Column("layer", SmallInteger, nullable=False),
    Column("spread", LargeBinary, nullable=False),
    PrimaryKeyConstraint("run_key", "side", "layer"),
    one_of("side", SIDES),
)
