"""The inverted index from tokens to versions; labels' descriptions as searches compare them.

Revision ID: 0003
Revises: 0002
"""

import unicodedata

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "token_count",
        sa.Column("run_key", sa.Integer(), nullable=False),
        sa.Column("kept", sa.SmallInteger(), nullable=False),
        sa.Column("counts", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["run_key"], ["run.key"], name=op.f("fk_token_count_run_key"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("run_key", name=op.f("pk_token_count")),
    )
    op.create_table(
        "token_neuron",
        sa.Column("run_key", sa.Integer(), nullable=False),
        sa.Column("token", sa.Integer(), nullable=False),
        sa.Column("side", sa.String(length=5), nullable=False),
        sa.Column("layer", sa.SmallInteger(), nullable=False),
        sa.Column("neurons", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("side IN ('left', 'right')", name=op.f("ck_token_neuron_side")),
        sa.ForeignKeyConstraint(
            ["run_key"], ["run.key"], name=op.f("fk_token_neuron_run_key"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint(
            *("run_key", "token", "side", "layer"), name=op.f("pk_token_neuron")
        ),
        sqlite_with_rowid=False,
    )
    op.add_column("label", sa.Column("folded", sa.Text(), server_default="", nullable=False))
    label = sa.table(
        "label", sa.column("id"), sa.column("description"), sa.column("folded", sa.Text())
    )
    connection = op.get_bind()
    described = sa.select(label.c.id, label.c.description).where(label.c.description != "")
    for row in connection.execute(described).all():
        changed = label.update().where(label.c.id == row.id)
        connection.execute(changed.values(folded=_folded(row.description)))


def downgrade() -> None:
    op.drop_column("label", "folded")
    op.drop_table("token_neuron")
    op.drop_table("token_count")


def _folded(text: str) -> str:
    """`store.types.folded_text` as it was when this was written."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return unicodedata.normalize("NFKC", folded)
