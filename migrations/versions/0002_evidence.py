"""Evidence of a run, as a stage of its own; labels of candidates.

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("document", sa.Column("stage", sa.String(length=30), nullable=True))
    op.add_column("window", sa.Column("stage", sa.String(length=30), nullable=True))
    for name in ("parameters", "provenance"):
        op.add_column("run_stage", sa.Column(name, sa.Text(), server_default="{}", nullable=False))
    # SQLite cannot change a column: the table is made anew from what it was, and filled.
    with op.batch_alter_table(
        "label", copy_from=_label(), table_kwargs={"sqlite_autoincrement": True}
    ) as label:
        label.alter_column("neuron", existing_type=sa.Integer(), nullable=True)
        label.add_column(sa.Column("candidate", sa.String(length=16), nullable=True))
        label.create_check_constraint(
            op.f("ck_label_subject"), "(neuron IS NULL) <> (candidate IS NULL)"
        )
    op.create_index(
        op.f("ix_label_model_id_layer_candidate_annotator_id_id"),
        "label",
        ["model_id", "layer", "candidate", "annotator_id", "id"],
        unique=False,
    )
    op.create_table(
        "candidate",
        sa.Column("run_key", sa.Integer(), nullable=False),
        sa.Column("side", sa.String(length=5), nullable=False),
        sa.Column("layer", sa.SmallInteger(), nullable=False),
        sa.Column("rank", sa.SmallInteger(), nullable=False),
        sa.Column("fingerprint", sa.String(length=16), nullable=False),
        sa.Column("direction", sa.LargeBinary(), nullable=False),
        sa.Column("token_share", sa.Double(), nullable=False),
        sa.Column("effect", sa.Double(), nullable=False),
        sa.Column("random_quantile", sa.Double(), nullable=False),
        sa.Column("random_median", sa.Double(), nullable=False),
        sa.Column("participation", sa.Double(), nullable=False),
        sa.Column("promoted", sa.LargeBinary(), nullable=False),
        sa.Column("suppressed", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("side IN ('left', 'right')", name=op.f("ck_candidate_side")),
        sa.ForeignKeyConstraint(
            ["run_key"], ["run.key"], name=op.f("fk_candidate_run_key"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("run_key", "side", "layer", "rank", name=op.f("pk_candidate")),
    )
    op.create_table(
        "candidate_search",
        sa.Column("run_key", sa.Integer(), nullable=False),
        sa.Column("side", sa.String(length=5), nullable=False),
        sa.Column("layer", sa.SmallInteger(), nullable=False),
        sa.Column("n_tokens", sa.BigInteger(), nullable=False),
        sa.Column("orphan_share", sa.Double(), nullable=True),
        sa.Column("n_tried", sa.Integer(), nullable=False),
        sa.Column("n_kept", sa.Integer(), nullable=False),
        sa.CheckConstraint("side IN ('left', 'right')", name=op.f("ck_candidate_search_side")),
        sa.ForeignKeyConstraint(
            ["run_key"], ["run.key"], name=op.f("fk_candidate_search_run_key"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("run_key", "side", "layer", name=op.f("pk_candidate_search")),
    )
    op.create_table(
        "estimate_check",
        sa.Column("run_key", sa.Integer(), nullable=False),
        sa.Column("side", sa.String(length=5), nullable=False),
        sa.Column("layer", sa.SmallInteger(), nullable=False),
        sa.Column("n_neurons", sa.Integer(), nullable=False),
        sa.Column("effect_spearman", sa.Double(), nullable=True),
        sa.Column("share_bias", sa.Double(), nullable=True),
        sa.Column("share_mean_error", sa.Double(), nullable=True),
        sa.Column("additivity", sa.Double(), nullable=True),
        sa.CheckConstraint("side IN ('left', 'right')", name=op.f("ck_estimate_check_side")),
        sa.ForeignKeyConstraint(
            ["run_key"], ["run.key"], name=op.f("fk_estimate_check_run_key"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("run_key", "side", "layer", name=op.f("pk_estimate_check")),
    )
    op.create_table(
        "joint_axes",
        sa.Column("run_key", sa.Integer(), nullable=False),
        sa.Column("side", sa.String(length=5), nullable=False),
        sa.Column("mid_edges", sa.LargeBinary(), nullable=False),
        sa.Column("post_edges", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("side IN ('left', 'right')", name=op.f("ck_joint_axes_side")),
        sa.ForeignKeyConstraint(
            ["run_key"], ["run.key"], name=op.f("fk_joint_axes_run_key"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("run_key", "side", name=op.f("pk_joint_axes")),
    )
    op.create_table(
        "layer_evidence",
        sa.Column("run_key", sa.Integer(), nullable=False),
        sa.Column("side", sa.String(length=5), nullable=False),
        sa.Column("layer", sa.SmallInteger(), nullable=False),
        sa.Column("n_tokens", sa.BigInteger(), nullable=False),
        sa.Column("layer_effect", sa.Double(), nullable=False),
        sa.Column("kept_share", sa.LargeBinary(), nullable=False),
        sa.Column("loss_recovered", sa.LargeBinary(), nullable=False),
        sa.Column("orphan_effect", sa.Double(), nullable=True),
        sa.Column("orphan_low", sa.Double(), nullable=True),
        sa.Column("orphan_high", sa.Double(), nullable=True),
        sa.Column("orphan_token_share", sa.Double(), nullable=True),
        sa.Column("rescue", sa.LargeBinary(), nullable=True),
        sa.CheckConstraint("side IN ('left', 'right')", name=op.f("ck_layer_evidence_side")),
        sa.ForeignKeyConstraint(
            ["run_key"], ["run.key"], name=op.f("fk_layer_evidence_run_key"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("run_key", "side", "layer", name=op.f("pk_layer_evidence")),
    )
    op.create_table(
        "loss_difference",
        sa.Column("run_key", sa.Integer(), nullable=False),
        sa.Column("side", sa.String(length=7), nullable=False),
        sa.Column("against", sa.String(length=7), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("n_documents", sa.Integer(), nullable=False),
        sa.Column("n_tokens", sa.BigInteger(), nullable=False),
        sa.Column("n_bytes", sa.BigInteger(), nullable=False),
        sa.Column("difference", sa.Double(), nullable=False),
        sa.Column("low", sa.Double(), nullable=False),
        sa.Column("high", sa.Double(), nullable=False),
        sa.CheckConstraint(
            "against IN ('left', 'right', 'control')", name=op.f("ck_loss_difference_against")
        ),
        sa.CheckConstraint(
            "side IN ('left', 'right', 'control')", name=op.f("ck_loss_difference_side")
        ),
        sa.ForeignKeyConstraint(
            ["run_key"], ["run.key"], name=op.f("fk_loss_difference_run_key"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint(
            "run_key", "side", "against", "source", name=op.f("pk_loss_difference")
        ),
    )
    op.create_table(
        "stage_load",
        sa.Column("run_key", sa.Integer(), nullable=False),
        sa.Column("stage", sa.String(length=30), nullable=False),
        sa.Column("loader", sa.String(length=32), nullable=False),
        sa.Column("loaded_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["run_key"], ["run.key"], name=op.f("fk_stage_load_run_key"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("run_key", "stage", name=op.f("pk_stage_load")),
    )
    op.create_table(
        "candidate_carrier",
        sa.Column("run_key", sa.Integer(), nullable=False),
        sa.Column("side", sa.String(length=5), nullable=False),
        sa.Column("layer", sa.SmallInteger(), nullable=False),
        sa.Column("rank", sa.SmallInteger(), nullable=False),
        sa.Column("carrier_side", sa.String(length=5), nullable=False),
        sa.Column("place", sa.SmallInteger(), nullable=False),
        sa.Column("neuron", sa.Integer(), nullable=False),
        sa.Column("share", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["run_key", "carrier_side", "layer", "neuron"],
            ["neuron.run_key", "neuron.side", "neuron.layer", "neuron.neuron"],
            name=op.f("fk_candidate_carrier_run_key_carrier_side_layer_neuron"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["run_key", "side", "layer", "rank"],
            ["candidate.run_key", "candidate.side", "candidate.layer", "candidate.rank"],
            name=op.f("fk_candidate_carrier_run_key_side_layer_rank"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "run_key",
            "side",
            "layer",
            "rank",
            "carrier_side",
            "place",
            name=op.f("pk_candidate_carrier"),
        ),
        sqlite_with_rowid=False,
    )
    op.create_index(
        op.f("ix_candidate_carrier_run_key_carrier_side_layer_neuron"),
        "candidate_carrier",
        ["run_key", "carrier_side", "layer", "neuron"],
        unique=False,
    )
    op.create_table(
        "hidden_curve",
        sa.Column("run_key", sa.Integer(), nullable=False),
        sa.Column("side", sa.String(length=5), nullable=False),
        sa.Column("layer", sa.SmallInteger(), nullable=False),
        sa.Column("neuron", sa.Integer(), nullable=False),
        sa.Column("curve", sa.LargeBinary(), nullable=False),
        sa.Column("mass", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["run_key", "side", "layer", "neuron"],
            ["neuron.run_key", "neuron.side", "neuron.layer", "neuron.neuron"],
            name=op.f("fk_hidden_curve_run_key_side_layer_neuron"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("run_key", "side", "layer", "neuron", name=op.f("pk_hidden_curve")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "joint_density",
        sa.Column("run_key", sa.Integer(), nullable=False),
        sa.Column("side", sa.String(length=5), nullable=False),
        sa.Column("layer", sa.SmallInteger(), nullable=False),
        sa.Column("neuron", sa.Integer(), nullable=False),
        sa.Column("counts", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["run_key", "side", "layer", "neuron"],
            ["neuron.run_key", "neuron.side", "neuron.layer", "neuron.neuron"],
            name=op.f("fk_joint_density_run_key_side_layer_neuron"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["run_key", "side"],
            ["joint_axes.run_key", "joint_axes.side"],
            name=op.f("fk_joint_density_run_key_side"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "run_key", "side", "layer", "neuron", name=op.f("pk_joint_density")
        ),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "neuron_evidence",
        sa.Column("run_key", sa.Integer(), nullable=False),
        sa.Column("side", sa.String(length=5), nullable=False),
        sa.Column("layer", sa.SmallInteger(), nullable=False),
        sa.Column("neuron", sa.Integer(), nullable=False),
        sa.Column("hidden_share", sa.Double(), nullable=True),
        sa.Column("hidden_method", sa.String(length=8), nullable=True),
        sa.Column("hidden_error", sa.Double(), nullable=True),
        sa.Column("hidden_low", sa.Double(), nullable=True),
        sa.Column("hidden_high", sa.Double(), nullable=True),
        sa.Column("effect", sa.Double(), nullable=True),
        sa.Column("estimated_effect", sa.Double(), nullable=True),
        sa.Column("estimated_hidden_share", sa.Double(), nullable=True),
        sa.Column("polysemanticity", sa.Double(), nullable=True),
        sa.Column("polysemanticity_top", sa.Double(), nullable=True),
        sa.Column("polysemanticity_bands", sa.LargeBinary(), nullable=True),
        sa.Column("token_entropy", sa.Double(), nullable=True),
        sa.Column("max_token_share", sa.Double(), nullable=True),
        sa.Column("token_variance_explained", sa.Double(), nullable=True),
        sa.Column("senses", sa.SmallInteger(), nullable=True),
        sa.Column("candidates", sa.SmallInteger(), nullable=False),
        sa.Column("counterexamples", sa.SmallInteger(), nullable=False),
        sa.CheckConstraint(
            "hidden_method IN ('exact', 'estimate')", name=op.f("ck_neuron_evidence_hidden_method")
        ),
        sa.ForeignKeyConstraint(
            ["run_key", "side", "layer", "neuron"],
            ["neuron.run_key", "neuron.side", "neuron.layer", "neuron.neuron"],
            name=op.f("fk_neuron_evidence_run_key_side_layer_neuron"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "run_key", "side", "layer", "neuron", name=op.f("pk_neuron_evidence")
        ),
        sqlite_with_rowid=False,
    )
    op.create_index(
        op.f("ix_neuron_evidence_run_key_effect"),
        "neuron_evidence",
        ["run_key", "effect"],
        unique=False,
    )
    op.create_index(
        op.f("ix_neuron_evidence_run_key_hidden_share"),
        "neuron_evidence",
        ["run_key", "hidden_share"],
        unique=False,
    )
    op.create_index(
        op.f("ix_neuron_evidence_run_key_polysemanticity"),
        "neuron_evidence",
        ["run_key", "polysemanticity"],
        unique=False,
    )
    op.create_index(
        op.f("ix_neuron_evidence_run_key_polysemanticity_top"),
        "neuron_evidence",
        ["run_key", "polysemanticity_top"],
        unique=False,
    )
    op.create_index(
        op.f("ix_neuron_evidence_run_key_token_variance_explained"),
        "neuron_evidence",
        ["run_key", "token_variance_explained"],
        unique=False,
    )
    op.create_table(
        "sense",
        sa.Column("run_key", sa.Integer(), nullable=False),
        sa.Column("side", sa.String(length=5), nullable=False),
        sa.Column("layer", sa.SmallInteger(), nullable=False),
        sa.Column("neuron", sa.Integer(), nullable=False),
        sa.Column("rank", sa.SmallInteger(), nullable=False),
        sa.Column("share", sa.Double(), nullable=False),
        sa.Column("band", sa.SmallInteger(), nullable=False),
        sa.Column("tokens", sa.LargeBinary(), nullable=False),
        sa.Column("examples", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("band BETWEEN 0 AND 7", name=op.f("ck_sense_band")),
        sa.ForeignKeyConstraint(
            ["run_key", "side", "layer", "neuron"],
            ["neuron.run_key", "neuron.side", "neuron.layer", "neuron.neuron"],
            name=op.f("fk_sense_run_key_side_layer_neuron"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "run_key", "side", "layer", "neuron", "rank", name=op.f("pk_sense")
        ),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "substitution_search",
        sa.Column("run_key", sa.Integer(), nullable=False),
        sa.Column("side", sa.String(length=5), nullable=False),
        sa.Column("layer", sa.SmallInteger(), nullable=False),
        sa.Column("neuron", sa.Integer(), nullable=False),
        sa.Column("tried", sa.Integer(), nullable=False),
        sa.Column("parameters", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["run_key", "side", "layer", "neuron"],
            ["neuron.run_key", "neuron.side", "neuron.layer", "neuron.neuron"],
            name=op.f("fk_substitution_search_run_key_side_layer_neuron"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "run_key", "side", "layer", "neuron", name=op.f("pk_substitution_search")
        ),
    )
    op.create_table(
        "candidate_context",
        sa.Column("run_key", sa.Integer(), nullable=False),
        sa.Column("side", sa.String(length=5), nullable=False),
        sa.Column("layer", sa.SmallInteger(), nullable=False),
        sa.Column("rank", sa.SmallInteger(), nullable=False),
        sa.Column("band", sa.SmallInteger(), nullable=False),
        sa.Column("place", sa.SmallInteger(), nullable=False),
        sa.Column("document", sa.Integer(), nullable=False),
        sa.Column("window", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("start", sa.Integer(), nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
        sa.Column("snippet_values", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("band BETWEEN 0 AND 7", name=op.f("ck_candidate_context_band")),
        sa.CheckConstraint("start BETWEEN 0 AND position", name=op.f("ck_candidate_context_start")),
        sa.ForeignKeyConstraint(
            ["run_key", "document", "window"],
            ["window.run_key", "window.document", "window.window"],
            name=op.f("fk_candidate_context_run_key_document_window"),
        ),
        sa.ForeignKeyConstraint(
            ["run_key", "side", "layer", "rank"],
            ["candidate.run_key", "candidate.side", "candidate.layer", "candidate.rank"],
            name=op.f("fk_candidate_context_run_key_side_layer_rank"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "run_key", "side", "layer", "rank", "band", "place", name=op.f("pk_candidate_context")
        ),
        sqlite_with_rowid=False,
    )
    op.create_index(
        op.f("ix_candidate_context_run_key_document_window"),
        "candidate_context",
        ["run_key", "document", "window"],
        unique=False,
    )
    op.create_table(
        "counterexample",
        sa.Column("run_key", sa.Integer(), nullable=False),
        sa.Column("side", sa.String(length=5), nullable=False),
        sa.Column("layer", sa.SmallInteger(), nullable=False),
        sa.Column("neuron", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("rank", sa.SmallInteger(), nullable=False),
        sa.Column("document", sa.Integer(), nullable=False),
        sa.Column("window", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("start", sa.Integer(), nullable=False),
        sa.Column("activation", sa.Double(), nullable=False),
        sa.Column("own_values", sa.LargeBinary(), nullable=False),
        sa.Column("distance", sa.Double(), nullable=True),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("tokens", sa.LargeBinary(), nullable=True),
        sa.Column("changed", sa.Integer(), nullable=True),
        sa.Column("original", sa.Integer(), nullable=True),
        sa.Column("original_activation", sa.Double(), nullable=True),
        sa.CheckConstraint(
            "(kind = 'substitution') = (tokens IS NOT NULL AND changed IS NOT NULL "
            "AND original IS NOT NULL)",
            name=op.f("ck_counterexample_substitution_whole"),
        ),
        sa.CheckConstraint(
            "kind IN ('unlike', 'silent', 'substitution')", name=op.f("ck_counterexample_kind")
        ),
        sa.CheckConstraint("start BETWEEN 0 AND position", name=op.f("ck_counterexample_start")),
        sa.ForeignKeyConstraint(
            ["run_key", "document", "window"],
            ["window.run_key", "window.document", "window.window"],
            name=op.f("fk_counterexample_run_key_document_window"),
        ),
        sa.ForeignKeyConstraint(
            ["run_key", "side", "layer", "neuron"],
            ["neuron.run_key", "neuron.side", "neuron.layer", "neuron.neuron"],
            name=op.f("fk_counterexample_run_key_side_layer_neuron"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "run_key", "side", "layer", "neuron", "kind", "rank", name=op.f("pk_counterexample")
        ),
    )
    op.create_index(
        op.f("ix_counterexample_run_key_document_window"),
        "counterexample",
        ["run_key", "document", "window"],
        unique=False,
    )


def downgrade() -> None:
    op.drop_index(op.f("ix_counterexample_run_key_document_window"), table_name="counterexample")
    op.drop_table("counterexample")
    op.drop_index(
        op.f("ix_candidate_context_run_key_document_window"), table_name="candidate_context"
    )
    op.drop_table("candidate_context")
    op.drop_table("substitution_search")
    op.drop_table("sense")
    op.drop_index(
        op.f("ix_neuron_evidence_run_key_token_variance_explained"), table_name="neuron_evidence"
    )
    op.drop_index(
        op.f("ix_neuron_evidence_run_key_polysemanticity_top"), table_name="neuron_evidence"
    )
    op.drop_index(op.f("ix_neuron_evidence_run_key_polysemanticity"), table_name="neuron_evidence")
    op.drop_index(op.f("ix_neuron_evidence_run_key_hidden_share"), table_name="neuron_evidence")
    op.drop_index(op.f("ix_neuron_evidence_run_key_effect"), table_name="neuron_evidence")
    op.drop_table("neuron_evidence")
    op.drop_table("joint_density")
    op.drop_table("hidden_curve")
    op.drop_index(
        op.f("ix_candidate_carrier_run_key_carrier_side_layer_neuron"),
        table_name="candidate_carrier",
    )
    op.drop_table("candidate_carrier")
    op.drop_table("stage_load")
    op.drop_table("loss_difference")
    op.drop_table("layer_evidence")
    op.drop_table("joint_axes")
    op.drop_table("estimate_check")
    op.drop_table("candidate_search")
    op.drop_table("candidate")
    op.drop_index(op.f("ix_label_model_id_layer_candidate_annotator_id_id"), table_name="label")
    op.execute("DELETE FROM label WHERE candidate IS NOT NULL")
    with op.batch_alter_table(
        "label", copy_from=_label(candidate=True), table_kwargs={"sqlite_autoincrement": True}
    ) as label:
        label.drop_constraint(op.f("ck_label_subject"), type_="check")
        label.drop_column("candidate")
        label.alter_column("neuron", existing_type=sa.Integer(), nullable=False)
    op.execute("DELETE FROM run_stage WHERE stage <> 'statistics'")
    for name in ("provenance", "parameters"):
        op.drop_column("run_stage", name)
    # What only the stage's tables showed.
    op.execute('DELETE FROM "window" WHERE stage IS NOT NULL')
    op.execute(
        'DELETE FROM document WHERE stage IS NOT NULL AND NOT EXISTS (SELECT 1 FROM "window" '
        'WHERE "window".run_key = document.run_key AND "window".document = document.document)'
    )
    op.drop_column("window", "stage")
    op.drop_column("document", "stage")


def _label(candidate: bool = False) -> sa.Table:
    """`label` as 0001 made it; with `candidate`, as `upgrade` does."""
    added = (
        sa.Column("candidate", sa.String(length=16), nullable=True),
        sa.CheckConstraint(
            "(neuron IS NULL) <> (candidate IS NULL)", name=op.f("ck_label_subject")
        ),
    )
    return sa.Table(
        "label",
        sa.MetaData(),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("model_id", sa.Integer(), nullable=False),
        sa.Column("layer", sa.SmallInteger(), nullable=False),
        sa.Column("neuron", sa.Integer(), nullable=candidate),
        sa.Column("annotator_id", sa.Integer(), nullable=False),
        sa.Column("verdict", sa.String(length=12), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("confidence", sa.SmallInteger(), nullable=True),
        sa.Column("run_id", sa.String(length=10), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        *(added if candidate else ()),
        sa.CheckConstraint(
            "verdict IN ('monosemantic', 'polysemantic', 'unclear', 'dead')",
            name=op.f("ck_label_verdict"),
        ),
        sa.CheckConstraint("confidence BETWEEN 1 AND 5", name=op.f("ck_label_confidence")),
        sa.ForeignKeyConstraint(
            ["annotator_id"], ["annotator.id"], name=op.f("fk_label_annotator_id")
        ),
        sa.ForeignKeyConstraint(["model_id"], ["model.id"], name=op.f("fk_label_model_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_label")),
        sa.Index(
            op.f("ix_label_model_id_layer_neuron_annotator_id_id"),
            *("model_id", "layer", "neuron", "annotator_id", "id"),
        ),
    )
