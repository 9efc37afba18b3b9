"""Tables of those who come in: accounts and their sessions, what was taken of an allowance, the
site's secret; and of labelling one after another: claims, skips, withdrawals.
"""

from __future__ import annotations

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKey,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    SmallInteger,
    String,
    Table,
)

from store.tables import metadata, one_of
from store.types import CleanText, Moment

#: What an account may do, from the least to the most.
ROLES = ("reader", "annotator", "owner")

#: An account is an annotator's who can log in. `login` is the name as logins compare it. The
#: annotator, and the labels, stay when the account goes.
account = Table(
    "account",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("annotator_id", ForeignKey("annotator.id"), nullable=False, unique=True),
    Column("login", CleanText, nullable=False, unique=True),
    Column("role", String(9), nullable=False),
    Column("password", CleanText, nullable=False, doc="argon2's own encoding"),
    Column("created_at", Moment, nullable=False),
    Column("changed_at", Moment, nullable=False),
    one_of("role", ROLES),
)

#: Who is logged in: `id` is the SHA-256 of what the browser's cookie holds.
session = Table(
    "session",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("account_id", ForeignKey("account.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False, index=True),
)

#: How often something was done in a stretch of time: logins by an account or an address, texts.
allowance = Table(
    "allowance",
    metadata,
    Column("kind", String(16), nullable=False),
    Column("subject", String(160), nullable=False),
    Column("ends_at", Moment, nullable=False, index=True),
    Column("taken", Integer, nullable=False),
    PrimaryKeyConstraint("kind", "subject"),
    CheckConstraint("taken >= 0", name="taken"),
)

#: One row: what cookies are signed with, the same for all processes on one database.
site_secret = Table(
    "site_secret",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("secret", LargeBinary, nullable=False),
    CheckConstraint("id = 1", name="only"),
)

#: A version that an annotator has before them, so that the queue gives it to nobody else meanwhile.
label_claim = Table(
    "label_claim",
    metadata,
    Column("model_id", ForeignKey("model.id"), nullable=False),
    Column("layer", SmallInteger, nullable=False),
    Column("neuron", Integer, nullable=False),
    Column("annotator_id", ForeignKey("annotator.id"), nullable=False, index=True),
    Column("expires_at", Moment, nullable=False),
    PrimaryKeyConstraint("model_id", "layer", "neuron"),
    sqlite_with_rowid=False,
)

#: A version that an annotator passed over in the queue: it comes again after all others.
label_skip = Table(
    "label_skip",
    metadata,
    Column("annotator_id", ForeignKey("annotator.id"), nullable=False),
    Column("model_id", ForeignKey("model.id"), nullable=False),
    Column("layer", SmallInteger, nullable=False),
    Column("neuron", Integer, nullable=False),
    Column("skipped_at", Moment, nullable=False),
    PrimaryKeyConstraint("annotator_id", "model_id", "layer", "neuron"),
    sqlite_with_rowid=False,
)

#: A label taken back by its annotator: it stays in the history and counts no more.
label_withdrawal = Table(
    "label_withdrawal",
    metadata,
    Column("label_id", ForeignKey("label.id"), primary_key=True),
    Column("withdrawn_at", Moment, nullable=False),
)
