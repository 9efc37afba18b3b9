"""The tables of a run's evidence stage, keyed as the others are; see `store.tables`.

`neuron_evidence` has a narrow row for each version, which the explorer filters and sorts by;
curves, densities, senses and counterexamples of a version stand beside it.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Double,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    SmallInteger,
    String,
    Table,
)

from store.records import BANDS, SIDES
from store.tables import (
    VERSION,
    metadata,
    one_of,
    run_key,
    version_columns,
    version_reference,
)
from store.types import CleanText, Json, Moment

METHODS = ("exact", "estimate")

#: Columns of `neuron_evidence` that the explorer sorts by, beside the counts.
SORTED = (
    "hidden_share",
    "effect",
    "polysemanticity",
    "polysemanticity_top",
    "token_variance_explained",
)

_CANDIDATE = ("run_key", "side", "layer", "rank")


def _of_layer() -> tuple[Column[int] | Column[str], ...]:
    return (
        run_key(),
        Column("side", String(5), nullable=False),
        Column("layer", SmallInteger, nullable=False),
    )


def _candidate_columns() -> tuple[Column[int] | Column[str], ...]:
    return (
        Column("run_key", Integer, nullable=False),
        Column("side", String(5), nullable=False),
        Column("layer", SmallInteger, nullable=False),
        Column("rank", SmallInteger, nullable=False),
    )


def _candidate_reference() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(
        _CANDIDATE, [f"candidate.{name}" for name in _CANDIDATE], ondelete="CASCADE"
    )


def _window_reference() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(
        ("run_key", "document", "window"), ("window.run_key", "window.document", "window.window")
    )


def _one_of_bands() -> CheckConstraint:
    return CheckConstraint(f"band BETWEEN 0 AND {len(BANDS) - 1}", name="band")


# Every version of the run has a row once the stage is published, with NULL where it has no value,
# so that the explorer's join may begin at either table.
neuron_evidence = Table(
    "neuron_evidence",
    metadata,
    *version_columns(),
    Column("hidden_share", Double),
    Column("hidden_method", String(8)),
    Column("hidden_error", Double),
    Column("hidden_low", Double),
    Column("hidden_high", Double),
    Column("effect", Double),
    Column("estimated_effect", Double),
    Column("estimated_hidden_share", Double),
    Column("polysemanticity", Double),
    Column("polysemanticity_top", Double),
    Column("polysemanticity_bands", LargeBinary),
    Column("token_entropy", Double),
    Column("max_token_share", Double),
    Column("token_variance_explained", Double),
    Column("senses", SmallInteger),
    Column("candidates", SmallInteger, nullable=False),
    Column("counterexamples", SmallInteger, nullable=False),
    PrimaryKeyConstraint(*VERSION),
    version_reference(),
    one_of("hidden_method", METHODS),
    *(Index(None, "run_key", name) for name in SORTED),
    sqlite_with_rowid=False,
)

hidden_curve = Table(
    "hidden_curve",
    metadata,
    *version_columns(),
    Column("curve", LargeBinary, nullable=False),
    Column("mass", LargeBinary, nullable=False),
    PrimaryKeyConstraint(*VERSION),
    version_reference(),
    sqlite_with_rowid=False,
)

joint_axes = Table(
    "joint_axes",
    metadata,
    run_key(),
    Column("side", String(5), nullable=False),
    Column("mid_edges", LargeBinary, nullable=False),
    Column("post_edges", LargeBinary, nullable=False),
    PrimaryKeyConstraint("run_key", "side"),
    one_of("side", SIDES),
)

joint_density = Table(
    "joint_density",
    metadata,
    *version_columns(),
    Column("counts", LargeBinary, nullable=False),
    PrimaryKeyConstraint(*VERSION),
    version_reference(),
    ForeignKeyConstraint(
        ("run_key", "side"), ("joint_axes.run_key", "joint_axes.side"), ondelete="CASCADE"
    ),
    sqlite_with_rowid=False,
)

sense = Table(
    "sense",
    metadata,
    *version_columns(),
    Column("rank", SmallInteger, nullable=False),
    Column("share", Double, nullable=False),
    Column("band", SmallInteger, nullable=False, doc="index into records.BANDS"),
    Column("tokens", LargeBinary, nullable=False),
    Column("examples", LargeBinary, nullable=False),
    PrimaryKeyConstraint(*VERSION, "rank"),
    version_reference(),
    _one_of_bands(),
    sqlite_with_rowid=False,
)

layer_evidence = Table(
    "layer_evidence",
    metadata,
    *_of_layer(),
    Column("n_tokens", BigInteger, nullable=False),
    Column("layer_effect", Double, nullable=False),
    Column("kept_share", LargeBinary, nullable=False),
    Column("loss_recovered", LargeBinary, nullable=False),
    Column("orphan_effect", Double),
    Column("orphan_low", Double),
    Column("orphan_high", Double),
    Column("orphan_token_share", Double),
    Column("rescue", LargeBinary),
    PrimaryKeyConstraint("run_key", "side", "layer"),
    one_of("side", SIDES),
)

estimate_check = Table(
    "estimate_check",
    metadata,
    *_of_layer(),
    Column("n_neurons", Integer, nullable=False),
    Column("effect_spearman", Double),
    Column("share_bias", Double),
    Column("share_mean_error", Double),
    Column("additivity", Double),
    PrimaryKeyConstraint("run_key", "side", "layer"),
    one_of("side", SIDES),
)

loss_difference = Table(
    "loss_difference",
    metadata,
    run_key(),
    Column("side", String(7), nullable=False),
    Column("against", String(7), nullable=False),
    Column("source", CleanText, nullable=False),
    Column("n_documents", Integer, nullable=False),
    Column("n_tokens", BigInteger, nullable=False),
    Column("n_bytes", BigInteger, nullable=False),
    Column("difference", Double, nullable=False),
    Column("low", Double, nullable=False),
    Column("high", Double, nullable=False),
    PrimaryKeyConstraint("run_key", "side", "against", "source"),
    one_of("side", (*SIDES, "control")),
    one_of("against", (*SIDES, "control")),
)

candidate_search = Table(
    "candidate_search",
    metadata,
    *_of_layer(),
    Column("n_tokens", BigInteger, nullable=False),
    Column("orphan_share", Double),
    Column("n_tried", Integer, nullable=False),
    Column("n_kept", Integer, nullable=False),
    PrimaryKeyConstraint("run_key", "side", "layer"),
    one_of("side", SIDES),
)

candidate = Table(
    "candidate",
    metadata,
    *_of_layer(),
    Column("rank", SmallInteger, nullable=False),
    Column("fingerprint", String(16), nullable=False),
    Column("direction", LargeBinary, nullable=False),
    Column("token_share", Double, nullable=False),
    Column("effect", Double, nullable=False),
    Column("random_quantile", Double, nullable=False),
    Column("random_median", Double, nullable=False),
    Column("participation", Double, nullable=False),
    Column("promoted", LargeBinary, nullable=False),
    Column("suppressed", LargeBinary, nullable=False),
    PrimaryKeyConstraint(*_CANDIDATE),
    one_of("side", SIDES),
)

candidate_carrier = Table(
    "candidate_carrier",
    metadata,
    *_candidate_columns(),
    Column("carrier_side", String(5), nullable=False),
    Column("place", SmallInteger, nullable=False, doc="0 for the largest share"),
    Column("neuron", Integer, nullable=False),
    Column("share", Double, nullable=False),
    PrimaryKeyConstraint(*_CANDIDATE, "carrier_side", "place"),
    _candidate_reference(),
    ForeignKeyConstraint(
        ("run_key", "carrier_side", "layer", "neuron"),
        tuple(f"neuron.{name}" for name in VERSION),
        ondelete="CASCADE",
    ),
    Index(None, "run_key", "carrier_side", "layer", "neuron"),
    sqlite_with_rowid=False,
)

candidate_context = Table(
    "candidate_context",
    metadata,
    *_candidate_columns(),
    Column("band", SmallInteger, nullable=False, doc="index into records.BANDS"),
    Column("place", SmallInteger, nullable=False),
    Column("document", Integer, nullable=False),
    Column("window", Integer, nullable=False),
    Column("position", Integer, nullable=False),
    Column("start", Integer, nullable=False),
    Column("value", Double, nullable=False),
    Column("snippet_values", LargeBinary, nullable=False),
    PrimaryKeyConstraint(*_CANDIDATE, "band", "place"),
    _candidate_reference(),
    _window_reference(),
    _one_of_bands(),
    CheckConstraint("start BETWEEN 0 AND position", name="start"),
    Index(None, "run_key", "document", "window"),
    sqlite_with_rowid=False,
)

# All mined counterexamples of a version, packed. That each stands on a window of the run is checked
# as they are loaded.
mined_counterexample = Table(
    "mined_counterexample",
    metadata,
    *version_columns(),
    Column("mined", LargeBinary, nullable=False),
    PrimaryKeyConstraint(*VERSION),
    version_reference(),
    sqlite_with_rowid=False,
)

# Those that were found by substitution.
counterexample = Table(
    "counterexample",
    metadata,
    *version_columns(),
    Column("rank", SmallInteger, nullable=False),
    Column("document", Integer, nullable=False),
    Column("window", Integer, nullable=False),
    Column("position", Integer, nullable=False),
    Column("start", Integer, nullable=False),
    Column("activation", Double, nullable=False),
    Column("own_values", LargeBinary, nullable=False),
    Column("distance", Double),
    Column("rule", CleanText, nullable=False),
    # The whole changed window, where it was changed and from what.
    Column("tokens", LargeBinary, nullable=False),
    Column("changed", Integer, nullable=False),
    Column("original", Integer, nullable=False),
    Column("original_activation", Double),
    PrimaryKeyConstraint(*VERSION, "rank"),
    version_reference(),
    _window_reference(),
    CheckConstraint("start BETWEEN 0 AND position", name="start"),
    Index(None, "run_key", "document", "window"),
)

substitution_search = Table(
    "substitution_search",
    metadata,
    *version_columns(),
    Column("tried", Integer, nullable=False),
    Column("parameters", Json, nullable=False),
    Column("created_at", Moment, nullable=False),
    PrimaryKeyConstraint(*VERSION),
    version_reference(),
)

#: What a load of the evidence stage fills, children before parents.
OF_STAGE: tuple[Table, ...] = (
    candidate_context,
    candidate_carrier,
    candidate,
    candidate_search,
    joint_density,
    joint_axes,
    neuron_evidence,
    hidden_curve,
    sense,
    mined_counterexample,
    layer_evidence,
    estimate_check,
    loss_difference,
)

#: Tables that queries reach by more than one way: the planner wants to know how they look.
JOINED: tuple[Table, ...] = (neuron_evidence, candidate_carrier, candidate_context, counterexample)
