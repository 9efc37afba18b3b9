"""Blind studies: made as drafts, frozen on start, closed; their cards, and what raters said.

    studies.create(engine, record)                  # a draft, which may be discarded
    studies.start(engine, slug, items, orders)      # frozen: nothing of it changes any more
    studies.close(engine, slug)
    studies.ratings(engine, slug)                   # latest per rater and card

What happens while raters rate stands in `store.raters`; what they may not look up meanwhile in
`store.closed_versions`.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Engine, Row, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from store.engine import reading, writing
from store.errors import InvalidStudy, StudyExists, StudyFrozen, StudyNotFound
from store.labels import annotator_id
from store.study_records import Rating, StudyDesign, StudyItem, StudyRecord
from store.tables import annotator
from store.tables_studies import study, study_item, study_rater, study_rating
from store.types import clean_text, now

SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
LONGEST_SLUG = 60
LONGEST_TITLE = 200
LONGEST_TEXT = 2_000
SECRET_BYTES = 32

_ITEM = [column for column in study_item.c if column.name != "study_id"]


def create(engine: Engine, record: StudyRecord) -> StudyRecord:
    """Keep a draft; the study as stored, made now.

    Errors: `StudyExists`, `InvalidStudy` for a slug, title or text that cannot be kept.
    """
    if len(record.slug) > LONGEST_SLUG or SLUG.fullmatch(record.slug) is None:
        raise InvalidStudy(
            f"A study's name in addresses has up to {LONGEST_SLUG} lower-case letters, digits and "
            f"single hyphens, not {record.slug[:80]!r}."
        )
    for name, text, most in (
        ("title", record.title, LONGEST_TITLE),
        ("question", record.question, LONGEST_TEXT),
        ("rule", record.rule, LONGEST_TEXT),
    ):
        if not 0 < len(text.strip()) <= most:
            raise InvalidStudy(f"A study's {name} has 1–{most} characters, not {len(text)}.")
    try:
        with writing(engine) as connection:
            connection.execute(
                insert(study).values(
                    slug=record.slug,
                    title=clean_text(record.title.strip()),
                    pair=record.pair,
                    run_id=record.run_id,
                    left_weights=record.weights[0],
                    right_weights=record.weights[1],
                    question=clean_text(record.question.strip()),
                    rule=clean_text(record.rule.strip()),
                    design=record.design.to_json(),
                    seed=record.seed,
                    secret=secrets.token_bytes(SECRET_BYTES),
                    state="draft",
                    created_by=annotator_id(connection, record.created_by),
                    created_at=now(),
                )
            )
            return _record(found_row(connection, record.slug))
    except IntegrityError:
        raise StudyExists(
            f"There is a study named {record.slug} already.", "Choose another name."
        ) from None


def get(engine: Engine, slug: str) -> StudyRecord:
    """The study of this name. Errors: `StudyNotFound`."""
    with reading(engine) as connection:
        return _record(found_row(connection, slug))


def list_studies(engine: Engine) -> list[StudyRecord]:
    """All studies, newest first."""
    with reading(engine) as connection:
        query = _selection().order_by(study.c.created_at.desc(), study.c.id.desc())
        return [_record(row) for row in connection.execute(query)]


def discard(engine: Engine, slug: str) -> None:
    """Remove a draft. Errors: `StudyNotFound`, `StudyFrozen`."""
    with writing(engine) as connection:
        row = found_row(connection, slug, for_update=True)
        if row.state != "draft":
            raise StudyFrozen(f"{slug} has been started: it is kept.")
        connection.execute(study.delete().where(study.c.id == row.id))


def start(
    engine: Engine, slug: str, items: Sequence[StudyItem], orders: Sequence[Sequence[int]]
) -> StudyRecord:
    """Freeze a draft: its cards and the orders of the raters expected; the study as stored.

    `orders` holds a list of items' numbers for each rater. Errors: `StudyNotFound`, `StudyFrozen`
    when it has been started before, `InvalidStudy` for cards or orders that do not fit together.
    """
    _must_fit(items, orders)
    with writing(engine) as connection:
        row = found_row(connection, slug, for_update=True)
        if row.state != "draft":
            raise StudyFrozen(f"{slug} has been started already: its cards are frozen.")
        digest = frozen_digest(_record(row), items, orders)
        connection.execute(
            insert(study_item),
            [
                {column.name: getattr(item, column.name) for column in _ITEM} | {"study_id": row.id}
                for item in items
            ],
        )
        connection.execute(
            insert(study_rater),
            [
                {"study_id": row.id, "number": number, "cards": list(cards)}
                for number, cards in enumerate(orders, start=1)
            ],
        )
        connection.execute(
            update(study)
            .where(study.c.id == row.id)
            .values(state="running", started_at=now(), frozen_sha256=digest)
        )
        return _record(found_row(connection, slug))


def close(engine: Engine, slug: str) -> StudyRecord:
    """End a running study: nobody rates any more. Errors: `StudyNotFound`, `StudyFrozen`."""
    with writing(engine) as connection:
        row = found_row(connection, slug, for_update=True)
        if row.state != "running":
            raise StudyFrozen(
                f"{slug} is closed already."
                if row.state == "closed"
                else f"{slug} has not been started."
            )
        connection.execute(
            update(study).where(study.c.id == row.id).values(state="closed", closed_at=now())
        )
        return _record(found_row(connection, slug))


def items(engine: Engine, slug: str) -> list[StudyItem]:
    """All cards by number; none in a draft. Errors: `StudyNotFound`."""
    with reading(engine) as connection:
        key = found_row(connection, slug).id
        found = connection.execute(
            select(*_ITEM).where(study_item.c.study_id == key).order_by(study_item.c.number)
        )
        return [StudyItem(**row) for row in found.mappings()]


def item(engine: Engine, slug: str, number: int) -> StudyItem | None:
    """One card; None when the study has none of this number. Errors: `StudyNotFound`."""
    with reading(engine) as connection:
        key = found_row(connection, slug).id
        row = connection.execute(
            select(*_ITEM).where(study_item.c.study_id == key, study_item.c.number == number)
        ).one_or_none()
        return None if row is None else StudyItem(**row._mapping)


def orders(engine: Engine, slug: str) -> list[tuple[int, ...]]:
    """The order of cards of each rater, R1 first. Errors: `StudyNotFound`."""
    with reading(engine) as connection:
        key = found_row(connection, slug).id
        found = connection.scalars(
            select(study_rater.c.cards)
            .where(study_rater.c.study_id == key)
            .order_by(study_rater.c.number)
        )
        return [tuple(cards) for cards in found]


def expected_orders(engine: Engine, record: StudyRecord) -> list[tuple[int, ...]]:
    """The orders that the start froze; those of raters beyond the expected came later."""
    return orders(engine, record.slug)[: record.design.raters_expected]


def ratings(engine: Engine, slug: str) -> list[Rating]:
    """What each rater said last of each card, by rater and card. Errors: `StudyNotFound`."""
    newer = study_rating.alias("newer")
    latest = ~(
        select(newer.c.id)
        .where(
            *(newer.c[name] == study_rating.c[name] for name in ("study_id", "rater", "item")),
            newer.c.id > study_rating.c.id,
        )
        .correlate(study_rating)
        .exists()
    )
    return _ratings(engine, slug, latest)


def rating_history(engine: Engine, slug: str) -> list[Rating]:
    """All that was said, what was corrected later, too: by rater, card and time."""
    return _ratings(engine, slug)


def progress(engine: Engine, slug: str) -> list[tuple[int, int, int]]:
    """(rater's number, cards rated, cards in all) of those who have begun."""
    rater, rating = study_rater.c, study_rating.c
    with reading(engine) as connection:
        key = found_row(connection, slug).id
        counted = connection.execute(
            select(rating.rater, func.count(rating.item.distinct()))
            .where(rating.study_id == key)
            .group_by(rating.rater)
        )
        rated = {int(row.rater): int(row[1]) for row in counted}
        found = connection.execute(
            select(rater.number, rater.cards)
            .where(rater.study_id == key, rater.annotator_id.is_not(None))
            .order_by(rater.number)
        )
        return [(number, rated.get(number, 0), len(cards)) for number, cards in found]


def frozen_digest(
    record: StudyRecord, items: Sequence[StudyItem], orders: Sequence[Sequence[int]]
) -> str:
    """SHA-256 of all that a start freezes, as canonical JSON (sorted keys, no spaces).

    Published while the study runs, it says nothing of the cards; after it, it proves that they
    were these.
    """
    return hashlib.sha256(canonical(frozen(record, items, orders))).hexdigest()


def frozen(
    record: StudyRecord, items: Sequence[StudyItem], orders: Sequence[Sequence[int]]
) -> dict[str, Any]:
    """What is frozen, as plain values."""
    return {
        "slug": record.slug,
        "title": record.title,
        "pair": record.pair,
        "run": record.run_id,
        "weights": list(record.weights),
        "question": record.question,
        "rule": record.rule,
        "design": record.design.to_json(),
        "seed": record.seed,
        "items": [{column.name: getattr(item, column.name) for column in _ITEM} for item in items],
        "orders": [list(cards) for cards in orders],
    }


def canonical(values: object) -> bytes:
    """JSON with sorted keys and without spaces: the same bytes for the same values."""
    return json.dumps(values, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def found_row(connection: Connection, slug: str, *, for_update: bool = False) -> Row[Any]:
    """The row of a study, with its creator's name as `creator`. Errors: `StudyNotFound`."""
    query = _selection().where(study.c.slug == slug)
    if for_update:
        query = query.with_for_update(of=study)
    row = connection.execute(query).one_or_none()
    if row is None:
        raise not_found(slug)
    return row


def not_found(slug: str) -> StudyNotFound:
    """The error for a name that no study has."""
    return StudyNotFound(f"There is no study named “{slug[:80]}”.", "/studies")


def _selection() -> Any:
    return select(study, annotator.c.name.label("creator")).join(
        annotator, annotator.c.id == study.c.created_by
    )


def _record(row: Row[Any]) -> StudyRecord:
    same = ("slug", "title", "pair", "run_id", "question", "rule", "seed", "state")
    later = ("created_at", "started_at", "closed_at", "frozen_sha256")
    return StudyRecord(
        design=StudyDesign.from_json(row.design),
        created_by=row.creator,
        weights=(row.left_weights, row.right_weights),
        **{name: getattr(row, name) for name in (*same, *later)},
    )


def _ratings(engine: Engine, slug: str, *conditions: Any) -> list[Rating]:
    of_item = ("kind", "condition", "side", "layer", "neuron", "truth", "repeat_of")
    of_rating = ("item", "rater", "verdict", "rule", "confidence", "seconds", "created_at")
    with reading(engine) as connection:
        key = found_row(connection, slug).id
        found = connection.execute(
            select(
                *(study_item.c[name] for name in of_item),
                *(study_rating.c[name] for name in of_rating),
            )
            .join(
                study_item,
                (study_item.c.study_id == study_rating.c.study_id)
                & (study_item.c.number == study_rating.c.item),
            )
            .where(study_rating.c.study_id == key, *conditions)
            .order_by(study_rating.c.rater, study_rating.c.item, study_rating.c.id)
        )
        return [Rating(**{**row, "rater": f"R{row['rater']}"}) for row in found.mappings()]


def _must_fit(items: Sequence[StudyItem], orders: Sequence[Sequence[int]]) -> None:
    numbers = [item.number for item in items]
    known = set(numbers)
    if not items or not orders:
        raise InvalidStudy("A study needs cards, and a rater at least.")
    if sorted(numbers) != list(range(1, len(items) + 1)):
        raise InvalidStudy("The cards of a study are numbered from 1, without gaps.")
    for cards in orders:
        if not cards or len(set(cards)) != len(cards) or not known.issuperset(cards):
            raise InvalidStudy("A rater gets each card at most once, and only the study's cards.")
    by_number = {item.number: item for item in items}
    for item in items:
        if item.repeat_of is not None and (
            item.repeat_of not in by_number or by_number[item.repeat_of].neuron != item.neuron
        ):
            raise InvalidStudy(f"Card {item.number} repeats a card that is another neuron's.")
