"""Verifications: when a run was last recomputed by brute force, and with what result.

Revision ID: 0004
Revises: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "verification",
        sa.Column("run_key", sa.Integer(), nullable=False),
        sa.Column("verified_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ok", sa.Boolean(), nullable=False),
        sa.Column("sample", sa.Integer(), nullable=False),
        sa.Column("versions", sa.Integer(), nullable=False),
        sa.Column("seed", sa.Integer(), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("code_version", sa.Text(), nullable=False),
        sa.Column("checks", sa.Text(), nullable=False),
        sa.CheckConstraint("sample > 0 AND versions > 0", name=op.f("ck_verification_sizes")),
        sa.ForeignKeyConstraint(
            ["run_key"], ["run.key"], name=op.f("fk_verification_run_key"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("run_key", "verified_at", name=op.f("pk_verification")),
    )


def downgrade() -> None:
    op.drop_table("verification")
