"""Accounts, sessions and allowances; labels that are sent again, withdrawn, claimed or skipped.

Revision ID: 0005
Revises: 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    _accounts()
    _labelling()


def _accounts() -> None:
    op.create_table(
        "account",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("annotator_id", sa.Integer(), nullable=False),
        sa.Column("login", sa.Text(), nullable=False),
        sa.Column("role", sa.String(length=9), nullable=False),
        sa.Column("password", sa.Text(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("changed_at", MOMENT, nullable=False),
        sa.CheckConstraint(
            "role IN ('reader', 'annotator', 'owner')", name=op.f("ck_account_role")
        ),
        sa.ForeignKeyConstraint(
            ["annotator_id"], ["annotator.id"], name=op.f("fk_account_annotator_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_account")),
        sa.UniqueConstraint("annotator_id", name=op.f("uq_account_annotator_id")),
        sa.UniqueConstraint("login", name=op.f("uq_account_login")),
    )
    op.create_table(
        "session",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_session_account_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_session")),
    )
    op.create_index(op.f("ix_session_account_id"), "session", ["account_id"])
    op.create_index(op.f("ix_session_expires_at"), "session", ["expires_at"])
    op.create_table(
        "allowance",
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("subject", sa.String(length=160), nullable=False),
        sa.Column("ends_at", MOMENT, nullable=False),
        sa.Column("taken", sa.Integer(), nullable=False),
        sa.CheckConstraint("taken >= 0", name=op.f("ck_allowance_taken")),
        sa.PrimaryKeyConstraint("kind", "subject", name=op.f("pk_allowance")),
    )
    op.create_index(op.f("ix_allowance_ends_at"), "allowance", ["ends_at"])
    op.create_table(
        "site_secret",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_site_secret_only")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_site_secret")),
    )


def _labelling() -> None:
    op.create_table(
        "label_claim",
        sa.Column("model_id", sa.Integer(), nullable=False),
        sa.Column("layer", sa.SmallInteger(), nullable=False),
        sa.Column("neuron", sa.Integer(), nullable=False),
        sa.Column("annotator_id", sa.Integer(), nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["annotator_id"], ["annotator.id"], name=op.f("fk_label_claim_annotator_id")
        ),
        sa.ForeignKeyConstraint(["model_id"], ["model.id"], name=op.f("fk_label_claim_model_id")),
        sa.PrimaryKeyConstraint("model_id", "layer", "neuron", name=op.f("pk_label_claim")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_label_claim_annotator_id"), "label_claim", ["annotator_id"])
    op.create_table(
        "label_skip",
        sa.Column("annotator_id", sa.Integer(), nullable=False),
        sa.Column("model_id", sa.Integer(), nullable=False),
        sa.Column("layer", sa.SmallInteger(), nullable=False),
        sa.Column("neuron", sa.Integer(), nullable=False),
        sa.Column("skipped_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["annotator_id"], ["annotator.id"], name=op.f("fk_label_skip_annotator_id")
        ),
        sa.ForeignKeyConstraint(["model_id"], ["model.id"], name=op.f("fk_label_skip_model_id")),
        sa.PrimaryKeyConstraint(
            *("annotator_id", "model_id", "layer", "neuron"), name=op.f("pk_label_skip")
        ),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "label_withdrawal",
        sa.Column("label_id", sa.Integer(), nullable=False),
        sa.Column("withdrawn_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["label_id"], ["label.id"], name=op.f("fk_label_withdrawal_label_id")
        ),
        sa.PrimaryKeyConstraint("label_id", name=op.f("pk_label_withdrawal")),
    )
    op.add_column("label", sa.Column("key", sa.String(length=64), nullable=True))
    op.create_index(
        op.f("ix_label_annotator_id_key"), "label", ["annotator_id", "key"], unique=True
    )


def downgrade() -> None:
    op.drop_index(op.f("ix_label_annotator_id_key"), table_name="label")
    op.drop_column("label", "key")
    for name in ("label_withdrawal", "label_skip", "label_claim", "site_secret", "allowance"):
        op.drop_table(name)
    op.drop_table("session")
    op.drop_table("account")
