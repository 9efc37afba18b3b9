"""The tables. A version is named (run, side, layer, neuron) throughout, a token (document,
window, position): the keys are the field's own, so that bulk loads need no ids from the database
and rows that are read together lie together.

These are a run's own tables and those that all share; what a run's evidence adds stands in
`store.tables_evidence`, what search reads in `store.tables_tokens`, accounts and queues in
`store.tables_access`, all in the same `metadata`.

Tables are `WITHOUT ROWID` on SQLite where rows stay below a quarter of a page: one tree in the
key's order, no second index. Wider rows would spill to other pages: not `window`. Those of
`example` fill a page and some: they spill in any case, and pack best so.

`migrations/` brings a database here; `store.schema.check` compares the two.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    String,
    Table,
    UniqueConstraint,
)
from sqlalchemy.types import TypeEngine

from store.records import SIDES, SITES, VERDICTS
from store.types import CleanText, Json, Moment, folded_text

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

#: Statistics of one site that are columns of `neuron`, as `{site}_{name}`.
STATISTICS = ("mean", "std", "skewness", "kurtosis", "min", "max")

#: Columns of `neuron` that carry a `CorrespondenceRecord`, in the order of its fields.
CORRESPONDENCE: tuple[tuple[str, type[TypeEngine[Any]]], ...] = (
    ("same_index_correlation", Double),
    ("same_index_rank", Integer),
    ("best_neuron", Integer),
    ("best_correlation", Double),
    ("null_correlation", Double),
    ("mutual", Boolean),
    ("assigned_neuron", Integer),
    ("assigned_correlation", Double),
)

#: The key of a version.
VERSION = ("run_key", "side", "layer", "neuron")


def one_of(column: str, values: tuple[str, ...]) -> CheckConstraint:
    """The check that a text column has one of these values."""
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=column)


def run_key() -> Column[int]:
    """The run that a row belongs to and goes with."""
    return Column("run_key", ForeignKey("run.key", ondelete="CASCADE"), nullable=False)


def version_columns() -> tuple[Column[int] | Column[str], ...]:
    """The columns of VERSION."""
    return (
        Column("run_key", Integer, nullable=False),
        Column("side", String(5), nullable=False),
        Column("layer", SmallInteger, nullable=False),
        Column("neuron", Integer, nullable=False),
    )


def version_reference() -> ForeignKeyConstraint:
    """To the row of `neuron`, with which a row goes."""
    return ForeignKeyConstraint(VERSION, [f"neuron.{name}" for name in VERSION], ondelete="CASCADE")


model = Table(
    "model",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("weights_sha256", String(64), nullable=False, unique=True),
    Column("name", CleanText, nullable=False),
    Column("act_fn", CleanText, nullable=False),
    Column("n_layers", Integer, nullable=False),
    Column("d_model", Integer, nullable=False),
    Column("d_mlp", Integer, nullable=False),
    Column("n_ctx", Integer, nullable=False),
    Column("d_vocab", Integer, nullable=False),
    Column("config", Json, nullable=False),
    CheckConstraint("n_layers > 0 AND d_mlp > 0", name="shape"),
)

pair = Table(
    "pair",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("slug", String(100), nullable=False, unique=True),
    Column("name", CleanText, nullable=False),
    Column("description", CleanText, nullable=False),
)

corpus = Table(
    "corpus",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("fingerprint", String(64), nullable=False),
    Column("spec", CleanText, nullable=False),
    UniqueConstraint("fingerprint", "spec"),
)

vocabulary = Table(
    "vocabulary",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("sha256", String(64), nullable=False, unique=True),
    Column("size", Integer, nullable=False),
)

token = Table(
    "token",
    metadata,
    Column("vocabulary_id", ForeignKey("vocabulary.id", ondelete="CASCADE"), nullable=False),
    Column("token", Integer, nullable=False),
    Column("bytes", LargeBinary, nullable=False),
    PrimaryKeyConstraint("vocabulary_id", "token"),
    sqlite_with_rowid=False,
)

run = Table(
    "run",
    metadata,
    Column("key", Integer, primary_key=True),
    Column("id", String(10), nullable=False, unique=True),
    Column("identity_sha256", String(64), nullable=False, unique=True),
    Column("identity", Json, nullable=False),
    Column("pair_id", ForeignKey("pair.id"), nullable=False, index=True),
    Column("left_model_id", ForeignKey("model.id"), nullable=False),
    Column("right_model_id", ForeignKey("model.id")),
    Column("corpus_id", ForeignKey("corpus.id"), nullable=False),
    Column("vocabulary_id", ForeignKey("vocabulary.id")),
    Column("parameters", Json, nullable=False),
    Column("provenance", Json, nullable=False),
    Column("n_documents", Integer, nullable=False),
    Column("n_windows", BigInteger, nullable=False),
    Column("n_tokens", BigInteger, nullable=False),
    Column("status", String(9), nullable=False),
    # A load in progress: who loads, and when it last wrote (a killed one falls silent).
    Column("loader", String(32)),
    Column("loaded_at", Moment),
    Column("created_at", Moment, nullable=False),
    Column("published_at", Moment),
    Column("size_bytes", BigInteger),
    one_of("status", ("loading", "published")),
    CheckConstraint(
        "status <> 'published' OR (published_at IS NOT NULL AND vocabulary_id IS NOT NULL)",
        name="published_whole",
    ),
)

run_stage = Table(
    "run_stage",
    metadata,
    run_key(),
    Column("stage", String(30), nullable=False),
    Column("published_at", Moment, nullable=False),
    Column("parameters", Json, nullable=False, server_default="{}"),
    Column("provenance", Json, nullable=False, server_default="{}"),
    PrimaryKeyConstraint("run_key", "stage"),
)

# A stage's load in progress: a row while it lasts, as `run.loader` is for the run itself.
stage_load = Table(
    "stage_load",
    metadata,
    run_key(),
    Column("stage", String(30), nullable=False),
    Column("loader", String(32), nullable=False),
    Column("loaded_at", Moment, nullable=False),
    PrimaryKeyConstraint("run_key", "stage"),
)

run_loss = Table(
    "run_loss",
    metadata,
    run_key(),
    Column("side", String(7), nullable=False),
    Column("source", CleanText, nullable=False),
    Column("n_documents", Integer, nullable=False),
    Column("n_tokens", BigInteger, nullable=False),
    Column("n_bytes", BigInteger, nullable=False),
    Column("nats", Double, nullable=False),
    PrimaryKeyConstraint("run_key", "side", "source"),
    one_of("side", (*SIDES, "control")),
)

progress = Table(
    "progress",
    metadata,
    Column("run_id", String(64), primary_key=True),
    Column("pair_slug", String(100), nullable=False),
    Column("corpus_spec", CleanText, nullable=False),
    Column("stage", CleanText, nullable=False),
    Column("step", CleanText, nullable=False),
    Column("done", BigInteger, nullable=False),
    Column("total", BigInteger),
    Column("unit", CleanText, nullable=False),
    Column("rate", Double),
    Column("state", String(11), nullable=False),
    Column("message", CleanText),
    Column("started_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    one_of("state", ("running", "done", "failed", "interrupted")),
)

document = Table(
    "document",
    metadata,
    run_key(),
    Column("document", Integer, nullable=False),
    Column("source", CleanText, nullable=False),
    Column("name", CleanText, nullable=False),
    Column("held_out", Boolean, nullable=False),
    # What brought it, if not the run's statistics: a failed load takes back its own.
    Column("stage", String(30)),
    PrimaryKeyConstraint("run_key", "document"),
    sqlite_with_rowid=False,
)

window = Table(
    "window",
    metadata,
    Column("run_key", Integer, nullable=False),
    Column("document", Integer, nullable=False),
    Column("window", Integer, nullable=False),
    Column("tokens", LargeBinary, nullable=False),
    # What the values of examples on it are made with: `store.token_scales`.
    Column("scales", LargeBinary),
    Column("stage", String(30)),
    PrimaryKeyConstraint("run_key", "document", "window"),
    ForeignKeyConstraint(
        ("run_key", "document"), ("document.run_key", "document.document"), ondelete="CASCADE"
    ),
)

layer = Table(
    "layer",
    metadata,
    run_key(),
    Column("layer", SmallInteger, nullable=False),
    Column("cka", Double),
    PrimaryKeyConstraint("run_key", "layer"),
)

hook_point = Table(
    "hook_point",
    metadata,
    run_key(),
    Column("side", String(5), nullable=False),
    Column("layer", SmallInteger, nullable=False),
    Column("site", String(4), nullable=False),
    Column("name", CleanText, nullable=False),
    PrimaryKeyConstraint("run_key", "side", "layer", "site"),
    one_of("side", SIDES),
    one_of("site", SITES),
)

neuron = Table(
    "neuron",
    metadata,
    run_key(),
    *version_columns()[1:],
    Column("display_site", String(4), nullable=False),
    Column("n", BigInteger, nullable=False),
    # The display site's once more: what the explorer sorts by wants an index.
    *(Column(name, Double) for name in STATISTICS),
    *(Column(f"{site}_{name}", Double) for site in SITES for name in STATISTICS),
    Column("density", Double),
    Column("density_threshold", Double),
    *(Column(name, Double) for name in ("q50", "q90", "q99", "q999")),
    *(Column(name, type_) for name, type_ in CORRESPONDENCE),
    Column("logit_kurtosis", Double),
    Column("logit_skewness", Double),
    PrimaryKeyConstraint(*VERSION),
    one_of("side", SIDES),
    one_of("display_site", SITES),
    CheckConstraint("density BETWEEN 0 AND 1", name="density"),
    *(
        Index(None, "run_key", name)
        for name in ("kurtosis", "max", "density", "same_index_correlation", "best_correlation")
    ),
    sqlite_with_rowid=False,
)

histogram = Table(
    "histogram",
    metadata,
    *version_columns(),
    Column("counts", LargeBinary, nullable=False),
    PrimaryKeyConstraint(*VERSION),
    version_reference(),
    sqlite_with_rowid=False,
)

# What only a version's own page shows: all its examples, and its partners and logit effects. Places
# come first, so that they can be read without the values, which SQLite lays on another page; what
# comes after them takes the room that they leave there. A version without examples has NULL for
# them. That each stands on a window of the run is checked as they are loaded.
example = Table(
    "example",
    metadata,
    *version_columns(),
    Column("places", LargeBinary),
    Column("snippets", LargeBinary),
    Column("partners", LargeBinary, nullable=False),
    Column("promoted", LargeBinary),
    Column("suppressed", LargeBinary),
    PrimaryKeyConstraint(*VERSION),
    version_reference(),
    CheckConstraint("(places IS NULL) = (snippets IS NULL)", name="whole"),
    CheckConstraint("(promoted IS NULL) = (suppressed IS NULL)", name="effects_whole"),
    sqlite_with_rowid=False,
)

annotator = Table(
    "annotator",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", CleanText, nullable=False, unique=True),
    Column("created_at", Moment, nullable=False),
)

label = Table(
    "label",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("model_id", ForeignKey("model.id"), nullable=False),
    Column("layer", SmallInteger, nullable=False),
    # What the label is on: a neuron, or a candidate by its direction's fingerprint.
    Column("neuron", Integer),
    Column("candidate", String(16)),
    Column("annotator_id", ForeignKey("annotator.id"), nullable=False),
    Column("verdict", String(12), nullable=False),
    Column("description", CleanText, nullable=False),
    Column("confidence", SmallInteger),
    Column("run_id", String(10)),
    Column("created_at", Moment, nullable=False),
    # The description as searches compare it: databases differ in what they make lower case.
    Column(
        "folded",
        CleanText,
        nullable=False,
        server_default="",
        default=lambda context: folded_text(context.get_current_parameters()["description"]),
    ),
    # What whoever sent it calls it, so that a label that is sent again is kept once.
    Column("key", String(64)),
    one_of("verdict", VERDICTS),
    CheckConstraint("confidence BETWEEN 1 AND 5", name="confidence"),
    CheckConstraint("(neuron IS NULL) <> (candidate IS NULL)", name="subject"),
    Index(None, "model_id", "layer", "neuron", "annotator_id", "id"),
    Index(None, "model_id", "layer", "candidate", "annotator_id", "id"),
    Index(None, "annotator_id", "key", unique=True),
    sqlite_autoincrement=True,
)
