"""Blind studies: what they ask, the frozen cards, who rates them in which order, what is said.

Triggers refuse what would change a study after its start, whoever asks.

Revision ID: 0006
Revises: 0005
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

#: (table, event, when it is refused or None for always, what is said)
GUARDS = (
    (
        "study",
        "UPDATE",
        "OLD.state <> 'draft' AND (OLD.state = 'closed' OR NEW.state = 'draft' OR "
        + " OR ".join(
            f"NEW.{name} <> OLD.{name}"
            for name in (
                *("slug", "title", "pair", "run_id", "left_weights", "question", "rule"),
                *("design", "seed", "secret", "created_by", "frozen_sha256"),
            )
        )
        + ")",
        "a study is not changed after its start",
    ),
    ("study", "DELETE", "OLD.state <> 'draft'", "a study is not removed after its start"),
    ("study_item", "UPDATE", None, "a frozen card is not changed"),
    ("study_item", "DELETE", None, "a frozen card is not removed"),
    (
        "study_item",
        "INSERT",
        "(SELECT state FROM study WHERE id = NEW.study_id) <> 'draft'",
        "a study gets no cards after its start",
    ),
    ("study_rater", "UPDATE", "NEW.cards <> OLD.cards", "an order of cards is not changed"),
    ("study_rater", "DELETE", None, "a rater is not removed"),
    ("study_rating", "UPDATE", None, "a rating is not changed: a newer one counts"),
    ("study_rating", "DELETE", None, "a rating is not removed"),
)


def upgrade() -> None:
    op.create_table(
        "study",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("slug", sa.String(length=60), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("pair", sa.String(length=100), nullable=False),
        sa.Column("run_id", sa.String(length=10), nullable=False),
        sa.Column("left_weights", sa.String(length=64), nullable=False),
        sa.Column("right_weights", sa.String(length=64), nullable=True),
        sa.Column("question", sa.Text(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("design", sa.Text(), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.String(length=7), nullable=False),
        sa.Column("created_by", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("frozen_sha256", sa.String(length=64), nullable=True),
        sa.CheckConstraint("state IN ('draft', 'running', 'closed')", name=op.f("ck_study_state")),
        sa.CheckConstraint(
            "(state = 'draft') = (frozen_sha256 IS NULL)", name=op.f("ck_study_frozen")
        ),
        sa.CheckConstraint(
            "(state = 'draft') = (started_at IS NULL)", name=op.f("ck_study_started")
        ),
        sa.CheckConstraint(
            "(state = 'closed') = (closed_at IS NOT NULL)", name=op.f("ck_study_closed")
        ),
        sa.ForeignKeyConstraint(["created_by"], ["annotator.id"], name=op.f("fk_study_created_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_study")),
        sa.UniqueConstraint("slug", name=op.f("uq_study_slug")),
    )
    op.create_table(
        "study_item",
        sa.Column("study_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=7), nullable=False),
        sa.Column("condition", sa.String(length=6), nullable=False),
        sa.Column("side", sa.String(length=5), nullable=False),
        sa.Column("layer", sa.SmallInteger(), nullable=False),
        sa.Column("neuron", sa.Integer(), nullable=False),
        sa.Column("merged_with", sa.Integer(), nullable=True),
        sa.Column("truth", sa.String(length=12), nullable=True),
        sa.Column("repeat_of", sa.Integer(), nullable=True),
        sa.Column("card", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "kind IN ('neuron', 'repeat', 'planted')", name=op.f("ck_study_item_kind")
        ),
        sa.CheckConstraint(
            "condition IN ('top', 'range', 'silent')", name=op.f("ck_study_item_condition")
        ),
        sa.CheckConstraint("side IN ('left', 'right')", name=op.f("ck_study_item_side")),
        sa.CheckConstraint(
            "truth IN ('monosemantic', 'polysemantic')", name=op.f("ck_study_item_truth")
        ),
        sa.CheckConstraint(
            "(kind = 'planted') = (truth IS NOT NULL)", name=op.f("ck_study_item_planted")
        ),
        sa.CheckConstraint(
            "(kind = 'repeat') = (repeat_of IS NOT NULL)", name=op.f("ck_study_item_repeated")
        ),
        sa.CheckConstraint(
            "merged_with IS NULL OR truth = 'polysemantic'", name=op.f("ck_study_item_merged")
        ),
        sa.ForeignKeyConstraint(
            ["study_id"], ["study.id"], name=op.f("fk_study_item_study_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("study_id", "number", name=op.f("pk_study_item")),
    )
    op.create_table(
        "study_rater",
        sa.Column("study_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.SmallInteger(), nullable=False),
        sa.Column("cards", sa.Text(), nullable=False),
        sa.Column("annotator_id", sa.Integer(), nullable=True),
        sa.Column("joined_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("item", sa.Integer(), nullable=True),
        sa.Column("shown_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("spent", sa.Text(), server_default="{}", nullable=False),
        sa.CheckConstraint(
            "(annotator_id IS NULL) = (joined_at IS NULL)", name=op.f("ck_study_rater_joined")
        ),
        sa.ForeignKeyConstraint(
            ["study_id"], ["study.id"], name=op.f("fk_study_rater_study_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["annotator_id"], ["annotator.id"], name=op.f("fk_study_rater_annotator_id")
        ),
        sa.PrimaryKeyConstraint("study_id", "number", name=op.f("pk_study_rater")),
        sa.UniqueConstraint(
            "study_id", "annotator_id", name=op.f("uq_study_rater_study_id_annotator_id")
        ),
    )
    op.create_index(
        op.f("ix_study_rater_annotator_id"), "study_rater", ["annotator_id"], unique=False
    )
    op.create_table(
        "study_rating",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("study_id", sa.Integer(), nullable=False),
        sa.Column("rater", sa.SmallInteger(), nullable=False),
        sa.Column("item", sa.Integer(), nullable=False),
        sa.Column("verdict", sa.String(length=12), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("confidence", sa.SmallInteger(), nullable=True),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "verdict IN ('monosemantic', 'polysemantic', 'unclear')",
            name=op.f("ck_study_rating_verdict"),
        ),
        sa.CheckConstraint("confidence BETWEEN 1 AND 5", name=op.f("ck_study_rating_confidence")),
        sa.CheckConstraint("seconds >= 0", name=op.f("ck_study_rating_seconds")),
        sa.ForeignKeyConstraint(
            ["study_id", "rater"],
            ["study_rater.study_id", "study_rater.number"],
            name=op.f("fk_study_rating_study_id_rater"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["study_id", "item"],
            ["study_item.study_id", "study_item.number"],
            name=op.f("fk_study_rating_study_id_item"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_study_rating")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        op.f("ix_study_rating_study_id_rater_item_id"),
        "study_rating",
        ["study_id", "rater", "item", "id"],
        unique=False,
    )
    postgres = op.get_bind().dialect.name == "postgresql"
    for table, event, condition, said in GUARDS:
        name = f"guard_{table}_{event.lower()}"
        if postgres:
            op.execute(_postgres_function(name, event, condition, said))
            op.execute(
                f"CREATE TRIGGER {name} BEFORE {event} ON {table} "
                f"FOR EACH ROW EXECUTE FUNCTION {name}()"
            )
        else:
            when = "" if condition is None else f"WHEN {condition} "
            op.execute(
                f"CREATE TRIGGER {name} BEFORE {event} ON {table} "
                f"{when}BEGIN SELECT RAISE(ABORT, '{said}'); END"
            )


def downgrade() -> None:
    postgres = op.get_bind().dialect.name == "postgresql"
    for table, event, _, _ in GUARDS:
        name = f"guard_{table}_{event.lower()}"
        op.execute(
            f"DROP TRIGGER IF EXISTS {name} ON {table}"
            if postgres
            else f"DROP TRIGGER IF EXISTS {name}"
        )
        if postgres:
            op.execute(f"DROP FUNCTION {name}()")
    for table in ("study_rating", "study_rater", "study_item", "study"):
        op.drop_table(table)


def _postgres_function(name: str, event: str, condition: str | None, said: str) -> str:
    """A trigger's function that raises `said` on the condition and lets all else pass."""
    raised = f"RAISE EXCEPTION '{said}' USING ERRCODE = 'restrict_violation';"
    body = raised if condition is None else f"IF {condition} THEN {raised} END IF;"
    passed = "OLD" if event == "DELETE" else "NEW"
    return (
        f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ "
        f"BEGIN {body} RETURN {passed}; END $$"
    )
