"""The tables of blind studies, in the same `metadata`.

What was frozen stays: no statement of `store` changes a row of `study_item`, and triggers of the
migration refuse it to everybody else. `study_rating` is a history: a rater's newest row on a card
counts.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    SmallInteger,
    String,
    Table,
    UniqueConstraint,
)

from store.records import SIDES
from store.study_records import CONDITIONS, ITEM_KINDS, RATING_VERDICTS, STUDY_STATES, TRUTHS
from store.tables import metadata, one_of
from store.types import CleanText, Json, Moment


def _study_id() -> Column[int]:
    return Column("study_id", ForeignKey("study.id", ondelete="CASCADE"), nullable=False)


study = Table(
    "study",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("slug", String(60), nullable=False, unique=True),
    Column("title", CleanText, nullable=False),
    # Named, not referenced: cards are frozen, so a study outlives its run.
    Column("pair", String(100), nullable=False),
    Column("run_id", String(10), nullable=False),
    Column("left_weights", String(64), nullable=False),
    Column("right_weights", String(64)),
    Column("question", CleanText, nullable=False),
    Column("rule", CleanText, nullable=False),
    Column("design", Json, nullable=False),
    Column("seed", BigInteger, nullable=False),
    # The key of the names that raters' browsers see.
    Column("secret", LargeBinary, nullable=False),
    Column("state", String(7), nullable=False),
    Column("created_by", ForeignKey("annotator.id"), nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("started_at", Moment),
    Column("closed_at", Moment),
    Column("frozen_sha256", String(64)),
    one_of("state", STUDY_STATES),
    CheckConstraint("(state = 'draft') = (frozen_sha256 IS NULL)", name="frozen"),
    CheckConstraint("(state = 'draft') = (started_at IS NULL)", name="started"),
    CheckConstraint("(state = 'closed') = (closed_at IS NOT NULL)", name="closed"),
)

study_item = Table(
    "study_item",
    metadata,
    _study_id(),
    Column("number", Integer, nullable=False),
    Column("kind", String(7), nullable=False),
    Column("condition", String(6), nullable=False),
    Column("side", String(5), nullable=False),
    Column("layer", SmallInteger, nullable=False),
    Column("neuron", Integer, nullable=False),
    Column("merged_with", Integer),
    Column("truth", String(12)),
    Column("repeat_of", Integer),
    Column("card", Json, nullable=False),
    PrimaryKeyConstraint("study_id", "number"),
    one_of("kind", ITEM_KINDS),
    one_of("condition", CONDITIONS),
    one_of("side", SIDES),
    one_of("truth", TRUTHS),
    CheckConstraint("(kind = 'planted') = (truth IS NOT NULL)", name="planted"),
    CheckConstraint("(kind = 'repeat') = (repeat_of IS NOT NULL)", name="repeated"),
    CheckConstraint("merged_with IS NULL OR truth = 'polysemantic'", name="merged"),
)

# A rater's place in a study: made on start for as many as are expected, taken when one begins.
study_rater = Table(
    "study_rater",
    metadata,
    _study_id(),
    Column("number", SmallInteger, nullable=False),
    # The cards' numbers in the order in which this rater gets them.
    Column("cards", Json, nullable=False),
    Column("annotator_id", ForeignKey("annotator.id")),
    Column("joined_at", Moment),
    # The clock: the card that is before the rater, since when (NULL: paused), and the seconds that
    # were spent on each card before.
    Column("item", Integer),
    Column("shown_at", Moment),
    Column("spent", Json, nullable=False, server_default="{}"),
    PrimaryKeyConstraint("study_id", "number"),
    UniqueConstraint("study_id", "annotator_id"),
    CheckConstraint("(annotator_id IS NULL) = (joined_at IS NULL)", name="joined"),
    Index(None, "annotator_id"),
)

study_rating = Table(
    "study_rating",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("study_id", Integer, nullable=False),
    Column("rater", SmallInteger, nullable=False),
    Column("item", Integer, nullable=False),
    Column("verdict", String(12), nullable=False),
    Column("rule", CleanText, nullable=False),
    Column("confidence", SmallInteger),
    Column("seconds", Double, nullable=False),
    Column("created_at", Moment, nullable=False),
    ForeignKeyConstraint(
        ("study_id", "rater"), ("study_rater.study_id", "study_rater.number"), ondelete="CASCADE"
    ),
    ForeignKeyConstraint(
        ("study_id", "item"), ("study_item.study_id", "study_item.number"), ondelete="CASCADE"
    ),
    one_of("verdict", RATING_VERDICTS),
    CheckConstraint("confidence BETWEEN 1 AND 5", name="confidence"),
    CheckConstraint("seconds >= 0", name="seconds"),
    Index(None, "study_id", "rater", "item", "id"),
    sqlite_autoincrement=True,
)
