"""the first tables

Revision ID: 0001
Revises:
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "annotator",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_annotator")),
        sa.UniqueConstraint("name", name=op.f("uq_annotator_name")),
    )
    op.create_table(
        "corpus",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("spec", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_corpus")),
        sa.UniqueConstraint("fingerprint", "spec", name=op.f("uq_corpus_fingerprint_spec")),
    )
    op.create_table(
        "model",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("weights_sha256", sa.String(length=64), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("act_fn", sa.Text(), nullable=False),
        sa.Column("n_layers", sa.Integer(), nullable=False),
        sa.Column("d_model", sa.Integer(), nullable=False),
        sa.Column("d_mlp", sa.Integer(), nullable=False),
        sa.Column("n_ctx", sa.Integer(), nullable=False),
        sa.Column("d_vocab", sa.Integer(), nullable=False),
        sa.Column("config", sa.Text(), nullable=False),
        sa.CheckConstraint("n_layers > 0 AND d_mlp > 0", name=op.f("ck_model_shape")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_model")),
        sa.UniqueConstraint("weights_sha256", name=op.f("uq_model_weights_sha256")),
    )
    op.create_table(
        "pair",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("slug", sa.String(length=100), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pair")),
        sa.UniqueConstraint("slug", name=op.f("uq_pair_slug")),
    )
    op.create_table(
        "progress",
        sa.Column("run_id", sa.String(length=64), nullable=False),
        sa.Column("pair_slug", sa.String(length=100), nullable=False),
        sa.Column("corpus_spec", sa.Text(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("done", sa.BigInteger(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=True),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.Column("rate", sa.Double(), nullable=True),
        sa.Column("state", sa.String(length=11), nullable=False),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "state IN ('running', 'done', 'failed', 'interrupted')", name=op.f("ck_progress_state")
        ),
        sa.PrimaryKeyConstraint("run_id", name=op.f("pk_progress")),
    )
    op.create_table(
        "vocabulary",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_vocabulary")),
        sa.UniqueConstraint("sha256", name=op.f("uq_vocabulary_sha256")),
    )
    op.create_table(
        "label",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("model_id", sa.Integer(), nullable=False),
        sa.Column("layer", sa.SmallInteger(), nullable=False),
        sa.Column("neuron", sa.Integer(), nullable=False),
        sa.Column("annotator_id", sa.Integer(), nullable=False),
        sa.Column("verdict", sa.String(length=12), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("confidence", sa.SmallInteger(), nullable=True),
        sa.Column("run_id", sa.String(length=10), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
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
        sqlite_autoincrement=True,
    )
    op.create_index(
        op.f("ix_label_model_id_layer_neuron_annotator_id_id"),
        "label",
        ["model_id", "layer", "neuron", "annotator_id", "id"],
        unique=False,
    )

    op.create_table(
        "run",
        sa.Column("key", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(length=10), nullable=False),
        sa.Column("identity_sha256", sa.String(length=64), nullable=False),
        sa.Column("identity", sa.Text(), nullable=False),
        sa.Column("pair_id", sa.Integer(), nullable=False),
        sa.Column("left_model_id", sa.Integer(), nullable=False),
        sa.Column("right_model_id", sa.Integer(), nullable=True),
        sa.Column("corpus_id", sa.Integer(), nullable=False),
        sa.Column("vocabulary_id", sa.Integer(), nullable=True),
        sa.Column("parameters", sa.Text(), nullable=False),
        sa.Column("provenance", sa.Text(), nullable=False),
        sa.Column("n_documents", sa.Integer(), nullable=False),
        sa.Column("n_windows", sa.BigInteger(), nullable=False),
        sa.Column("n_tokens", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.String(length=9), nullable=False),
        sa.Column("loader", sa.String(length=32), nullable=True),
        sa.Column("loaded_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("size_bytes", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "status <> 'published' OR (published_at IS NOT NULL AND vocabulary_id IS NOT NULL)",
            name=op.f("ck_run_published_whole"),
        ),
        sa.CheckConstraint("status IN ('loading', 'published')", name=op.f("ck_run_status")),
        sa.ForeignKeyConstraint(["corpus_id"], ["corpus.id"], name=op.f("fk_run_corpus_id")),
        sa.ForeignKeyConstraint(["left_model_id"], ["model.id"], name=op.f("fk_run_left_model_id")),
        sa.ForeignKeyConstraint(["pair_id"], ["pair.id"], name=op.f("fk_run_pair_id")),
        sa.ForeignKeyConstraint(
            ["right_model_id"], ["model.id"], name=op.f("fk_run_right_model_id")
        ),
        sa.ForeignKeyConstraint(
            ["vocabulary_id"], ["vocabulary.id"], name=op.f("fk_run_vocabulary_id")
        ),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_run")),
        sa.UniqueConstraint("id", name=op.f("uq_run_id")),
        sa.UniqueConstraint("identity_sha256", name=op.f("uq_run_identity_sha256")),
    )
    op.create_index(op.f("ix_run_pair_id"), "run", ["pair_id"], unique=False)

    op.create_table(
        "token",
        sa.Column("vocabulary_id", sa.Integer(), nullable=False),
        sa.Column("token", sa.Integer(), nullable=False),
        sa.Column("bytes", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["vocabulary_id"],
            ["vocabulary.id"],
            name=op.f("fk_token_vocabulary_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("vocabulary_id", "token", name=op.f("pk_token")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "document",
        sa.Column("run_key", sa.Integer(), nullable=False),
        sa.Column("document", sa.Integer(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("held_out", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["run_key"], ["run.key"], name=op.f("fk_document_run_key"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("run_key", "document", name=op.f("pk_document")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "hook_point",
        sa.Column("run_key", sa.Integer(), nullable=False),
        sa.Column("side", sa.String(length=5), nullable=False),
        sa.Column("layer", sa.SmallInteger(), nullable=False),
        sa.Column("site", sa.String(length=4), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.CheckConstraint("side IN ('left', 'right')", name=op.f("ck_hook_point_side")),
        sa.CheckConstraint("site IN ('pre', 'mid', 'post')", name=op.f("ck_hook_point_site")),
        sa.ForeignKeyConstraint(
            ["run_key"], ["run.key"], name=op.f("fk_hook_point_run_key"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("run_key", "side", "layer", "site", name=op.f("pk_hook_point")),
    )
    op.create_table(
        "layer",
        sa.Column("run_key", sa.Integer(), nullable=False),
        sa.Column("layer", sa.SmallInteger(), nullable=False),
        sa.Column("cka", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(
            ["run_key"], ["run.key"], name=op.f("fk_layer_run_key"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("run_key", "layer", name=op.f("pk_layer")),
    )
    op.create_table(
        "neuron",
        sa.Column("run_key", sa.Integer(), nullable=False),
        sa.Column("side", sa.String(length=5), nullable=False),
        sa.Column("layer", sa.SmallInteger(), nullable=False),
        sa.Column("neuron", sa.Integer(), nullable=False),
        sa.Column("display_site", sa.String(length=4), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.Column("mean", sa.Double(), nullable=True),
        sa.Column("std", sa.Double(), nullable=True),
        sa.Column("skewness", sa.Double(), nullable=True),
        sa.Column("kurtosis", sa.Double(), nullable=True),
        sa.Column("min", sa.Double(), nullable=True),
        sa.Column("max", sa.Double(), nullable=True),
        sa.Column("pre_mean", sa.Double(), nullable=True),
        sa.Column("pre_std", sa.Double(), nullable=True),
        sa.Column("pre_skewness", sa.Double(), nullable=True),
        sa.Column("pre_kurtosis", sa.Double(), nullable=True),
        sa.Column("pre_min", sa.Double(), nullable=True),
        sa.Column("pre_max", sa.Double(), nullable=True),
        sa.Column("mid_mean", sa.Double(), nullable=True),
        sa.Column("mid_std", sa.Double(), nullable=True),
        sa.Column("mid_skewness", sa.Double(), nullable=True),
        sa.Column("mid_kurtosis", sa.Double(), nullable=True),
        sa.Column("mid_min", sa.Double(), nullable=True),
        sa.Column("mid_max", sa.Double(), nullable=True),
        sa.Column("post_mean", sa.Double(), nullable=True),
        sa.Column("post_std", sa.Double(), nullable=True),
        sa.Column("post_skewness", sa.Double(), nullable=True),
        sa.Column("post_kurtosis", sa.Double(), nullable=True),
        sa.Column("post_min", sa.Double(), nullable=True),
        sa.Column("post_max", sa.Double(), nullable=True),
        sa.Column("density", sa.Double(), nullable=True),
        sa.Column("density_threshold", sa.Double(), nullable=True),
        sa.Column("q50", sa.Double(), nullable=True),
        sa.Column("q90", sa.Double(), nullable=True),
        sa.Column("q99", sa.Double(), nullable=True),
        sa.Column("q999", sa.Double(), nullable=True),
        sa.Column("same_index_correlation", sa.Double(), nullable=True),
        sa.Column("same_index_rank", sa.Integer(), nullable=True),
        sa.Column("best_neuron", sa.Integer(), nullable=True),
        sa.Column("best_correlation", sa.Double(), nullable=True),
        sa.Column("null_correlation", sa.Double(), nullable=True),
        sa.Column("mutual", sa.Boolean(), nullable=True),
        sa.Column("assigned_neuron", sa.Integer(), nullable=True),
        sa.Column("assigned_correlation", sa.Double(), nullable=True),
        sa.Column("logit_kurtosis", sa.Double(), nullable=True),
        sa.Column("logit_skewness", sa.Double(), nullable=True),
        sa.CheckConstraint(
            "display_site IN ('pre', 'mid', 'post')", name=op.f("ck_neuron_display_site")
        ),
        sa.CheckConstraint("side IN ('left', 'right')", name=op.f("ck_neuron_side")),
        sa.CheckConstraint("density BETWEEN 0 AND 1", name=op.f("ck_neuron_density")),
        sa.ForeignKeyConstraint(
            ["run_key"], ["run.key"], name=op.f("fk_neuron_run_key"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("run_key", "side", "layer", "neuron", name=op.f("pk_neuron")),
        sqlite_with_rowid=False,
    )
    op.create_index(
        op.f("ix_neuron_run_key_best_correlation"),
        "neuron",
        ["run_key", "best_correlation"],
        unique=False,
    )
    op.create_index(
        op.f("ix_neuron_run_key_density"), "neuron", ["run_key", "density"], unique=False
    )
    op.create_index(
        op.f("ix_neuron_run_key_kurtosis"), "neuron", ["run_key", "kurtosis"], unique=False
    )
    op.create_index(op.f("ix_neuron_run_key_max"), "neuron", ["run_key", "max"], unique=False)
    op.create_index(
        op.f("ix_neuron_run_key_same_index_correlation"),
        "neuron",
        ["run_key", "same_index_correlation"],
        unique=False,
    )

    op.create_table(
        "run_loss",
        sa.Column("run_key", sa.Integer(), nullable=False),
        sa.Column("side", sa.String(length=7), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("n_documents", sa.Integer(), nullable=False),
        sa.Column("n_tokens", sa.BigInteger(), nullable=False),
        sa.Column("n_bytes", sa.BigInteger(), nullable=False),
        sa.Column("nats", sa.Double(), nullable=False),
        sa.CheckConstraint("side IN ('left', 'right', 'control')", name=op.f("ck_run_loss_side")),
        sa.ForeignKeyConstraint(
            ["run_key"], ["run.key"], name=op.f("fk_run_loss_run_key"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("run_key", "side", "source", name=op.f("pk_run_loss")),
    )
    op.create_table(
        "run_stage",
        sa.Column("run_key", sa.Integer(), nullable=False),
        sa.Column("stage", sa.String(length=30), nullable=False),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["run_key"], ["run.key"], name=op.f("fk_run_stage_run_key"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("run_key", "stage", name=op.f("pk_run_stage")),
    )
    op.create_table(
        "histogram",
        sa.Column("run_key", sa.Integer(), nullable=False),
        sa.Column("side", sa.String(length=5), nullable=False),
        sa.Column("layer", sa.SmallInteger(), nullable=False),
        sa.Column("neuron", sa.Integer(), nullable=False),
        sa.Column("site", sa.String(length=4), nullable=False),
        sa.Column("counts", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("site IN ('pre', 'mid', 'post')", name=op.f("ck_histogram_site")),
        sa.ForeignKeyConstraint(
            ["run_key", "side", "layer", "neuron"],
            ["neuron.run_key", "neuron.side", "neuron.layer", "neuron.neuron"],
            name=op.f("fk_histogram_run_key_side_layer_neuron"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "run_key", "side", "layer", "neuron", "site", name=op.f("pk_histogram")
        ),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "logit_effect",
        sa.Column("run_key", sa.Integer(), nullable=False),
        sa.Column("side", sa.String(length=5), nullable=False),
        sa.Column("layer", sa.SmallInteger(), nullable=False),
        sa.Column("neuron", sa.Integer(), nullable=False),
        sa.Column("promoted", sa.LargeBinary(), nullable=False),
        sa.Column("suppressed", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["run_key", "side", "layer", "neuron"],
            ["neuron.run_key", "neuron.side", "neuron.layer", "neuron.neuron"],
            name=op.f("fk_logit_effect_run_key_side_layer_neuron"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("run_key", "side", "layer", "neuron", name=op.f("pk_logit_effect")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "partner",
        sa.Column("run_key", sa.Integer(), nullable=False),
        sa.Column("side", sa.String(length=5), nullable=False),
        sa.Column("layer", sa.SmallInteger(), nullable=False),
        sa.Column("neuron", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=6), nullable=False),
        sa.Column("rank", sa.SmallInteger(), nullable=False),
        sa.Column("partner_layer", sa.SmallInteger(), nullable=False),
        sa.Column("partner_neuron", sa.Integer(), nullable=False),
        sa.Column("correlation", sa.Double(), nullable=False),
        sa.CheckConstraint("kind IN ('across', 'within')", name=op.f("ck_partner_kind")),
        sa.ForeignKeyConstraint(
            ["run_key", "side", "layer", "neuron"],
            ["neuron.run_key", "neuron.side", "neuron.layer", "neuron.neuron"],
            name=op.f("fk_partner_run_key_side_layer_neuron"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "run_key", "side", "layer", "neuron", "kind", "rank", name=op.f("pk_partner")
        ),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "window",
        sa.Column("run_key", sa.Integer(), nullable=False),
        sa.Column("document", sa.Integer(), nullable=False),
        sa.Column("window", sa.Integer(), nullable=False),
        sa.Column("tokens", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["run_key", "document"],
            ["document.run_key", "document.document"],
            name=op.f("fk_window_run_key_document"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("run_key", "document", "window", name=op.f("pk_window")),
    )
    op.create_table(
        "example",
        sa.Column("run_key", sa.Integer(), nullable=False),
        sa.Column("side", sa.String(length=5), nullable=False),
        sa.Column("layer", sa.SmallInteger(), nullable=False),
        sa.Column("neuron", sa.Integer(), nullable=False),
        sa.Column("band", sa.SmallInteger(), nullable=False),
        sa.Column("rank", sa.SmallInteger(), nullable=False),
        sa.Column("document", sa.Integer(), nullable=False),
        sa.Column("window", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("start", sa.Integer(), nullable=False),
        sa.Column("activation", sa.Double(), nullable=False),
        sa.Column("own_values", sa.LargeBinary(), nullable=False),
        sa.Column("same_index_quantile", sa.Double(), nullable=True),
        sa.Column("same_index_values", sa.LargeBinary(), nullable=True),
        sa.Column("match_neuron", sa.Integer(), nullable=True),
        sa.Column("match_quantile", sa.Double(), nullable=True),
        sa.Column("match_values", sa.LargeBinary(), nullable=True),
        sa.CheckConstraint(
            "(match_neuron IS NULL) = (match_values IS NULL)", name=op.f("ck_example_match_whole")
        ),
        sa.CheckConstraint("band BETWEEN 0 AND 7", name=op.f("ck_example_band")),
        sa.CheckConstraint("start BETWEEN 0 AND position", name=op.f("ck_example_start")),
        sa.ForeignKeyConstraint(
            ["run_key", "document", "window"],
            ["window.run_key", "window.document", "window.window"],
            name=op.f("fk_example_run_key_document_window"),
        ),
        sa.ForeignKeyConstraint(
            ["run_key", "side", "layer", "neuron"],
            ["neuron.run_key", "neuron.side", "neuron.layer", "neuron.neuron"],
            name=op.f("fk_example_run_key_side_layer_neuron"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "run_key", "side", "layer", "neuron", "band", "rank", name=op.f("pk_example")
        ),
    )
    op.create_index(
        op.f("ix_example_run_key_document_window"),
        "example",
        ["run_key", "document", "window"],
        unique=False,
    )


def downgrade() -> None:
    op.drop_index(op.f("ix_example_run_key_document_window"), table_name="example")

    op.drop_table("example")
    op.drop_table("window")
    op.drop_table("partner")
    op.drop_table("logit_effect")
    op.drop_table("histogram")
    op.drop_table("run_stage")
    op.drop_table("run_loss")
    op.drop_index(op.f("ix_neuron_run_key_same_index_correlation"), table_name="neuron")
    op.drop_index(op.f("ix_neuron_run_key_max"), table_name="neuron")
    op.drop_index(op.f("ix_neuron_run_key_kurtosis"), table_name="neuron")
    op.drop_index(op.f("ix_neuron_run_key_density"), table_name="neuron")
    op.drop_index(op.f("ix_neuron_run_key_best_correlation"), table_name="neuron")

    op.drop_table("neuron")
    op.drop_table("layer")
    op.drop_table("hook_point")
    op.drop_table("document")
    op.drop_table("token")
    op.drop_index(op.f("ix_run_pair_id"), table_name="run")

    op.drop_table("run")
    op.drop_index(op.f("ix_label_model_id_layer_neuron_annotator_id_id"), table_name="label")

    op.drop_table("label")
    op.drop_table("vocabulary")
    op.drop_table("progress")
    op.drop_table("pair")
    op.drop_table("model")
    op.drop_table("corpus")
    op.drop_table("annotator")
