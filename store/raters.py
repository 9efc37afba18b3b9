"""Raters of a study: who begins, which card is before them and for how long, what they say.

A rater's state is the server's alone, so any device goes on where another stopped. The clock runs
from the moment a card is shown until it is answered, left for another or paused; at one go no more
than the study's `seconds_cap` counts. What is said of a card is appended: the newest counts.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, Row, insert, select, update
from sqlalchemy.exc import IntegrityError

from store.engine import reading, writing
from store.errors import InvalidStudy, NotARater, StudyFrozen
from store.labels import annotator_id
from store.studies import found_row
from store.study_records import RATING_VERDICTS, GivenRating, RaterRecord
from store.tables import annotator
from store.tables_studies import study_rater, study_rating
from store.types import clean_text, now

LONGEST_RULE = 500


def join(
    engine: Engine, slug: str, name: str, further: Callable[[int], Sequence[int]]
) -> RaterRecord:
    """Have the annotator `name` begin; their place, the one they have if they have begun before.

    A free place is drawn by lot, so that a pseudonym does not tell who came first; once all are
    taken, the rater of the next number gets the order `further(number)`. Errors: `StudyNotFound`,
    `StudyFrozen` unless the study is running.
    """
    for _ in range(20):
        try:
            with writing(engine) as connection:
                study = _running(connection, slug)
                known = _row(connection, study.id, name)
                if known is not None:
                    return _rater(connection, known)
                _take_place(connection, study.id, annotator_id(connection, name), further)
                taken = _row(connection, study.id, name)
                if taken is not None:
                    return _rater(connection, taken)
        except IntegrityError:
            continue  # another took the place at the same moment
    raise StudyFrozen(f"No place in {slug} could be taken.", "Try again.")


def place(engine: Engine, slug: str, name: str) -> RaterRecord | None:
    """The annotator's place in a study; None when they have not begun. Errors: `StudyNotFound`."""
    with reading(engine) as connection:
        row = _row(connection, found_row(connection, slug).id, name)
        return None if row is None else _rater(connection, row)


def secret(engine: Engine, slug: str) -> bytes:
    """The key of the names of cards that raters' browsers see. Errors: `StudyNotFound`."""
    with reading(engine) as connection:
        return bytes(found_row(connection, slug).secret)


def show(engine: Engine, slug: str, name: str, item: int, at: datetime | None = None) -> None:
    """Start the clock for a card that is shown now, unless it runs for it or stands paused there.

    The clock of the card before stops. Errors: `StudyFrozen`, `NotARater`.
    """
    with writing(engine) as connection:
        study, row = _mine(connection, slug, name, item)
        if row.item != item:
            moment = at or now()
            _set(connection, row, item=item, shown_at=moment, spent=_stopped(study, row, moment))


def pause(engine: Engine, slug: str, name: str, at: datetime | None = None) -> None:
    """Stop the clock until `resume`. Errors: `StudyFrozen`, `NotARater`."""
    with writing(engine) as connection:
        study, row = _mine(connection, slug, name)
        if row.item is not None and row.shown_at is not None:
            _set(connection, row, shown_at=None, spent=_stopped(study, row, at or now()))


def resume(engine: Engine, slug: str, name: str, at: datetime | None = None) -> None:
    """Let a paused clock run on. Errors: `StudyFrozen`, `NotARater`."""
    with writing(engine) as connection:
        _, row = _mine(connection, slug, name)
        if row.item is not None and row.shown_at is None:
            _set(connection, row, shown_at=at or now())


def rate(
    engine: Engine,
    slug: str,
    name: str,
    item: int,
    given: GivenRating,
    at: datetime | None = None,
) -> bool:
    """Append a rating of one of the rater's cards; False when it says what the latest says.

    Saying the same twice is a form sent twice. Errors: `StudyFrozen`, `NotARater`, `InvalidStudy`.
    """
    _validate(given)
    with writing(engine) as connection:
        study, row = _mine(connection, slug, name, item)
        spent: Mapping[str, float] = row.spent
        moment = at or now()
        if row.item == item:
            spent = _stopped(study, row, moment)
            _set(connection, row, item=None, shown_at=None, spent=spent)
        if _latest(connection, row).get(item) == given:
            return False
        connection.execute(
            insert(study_rating).values(
                study_id=study.id,
                rater=row.number,
                item=item,
                verdict=given.verdict,
                rule=clean_text(given.rule),
                confidence=given.confidence,
                seconds=float(spent.get(str(item), 0.0)),
                created_at=moment,
            )
        )
        return True


def _validate(given: GivenRating) -> None:
    if given.verdict not in RATING_VERDICTS:
        raise InvalidStudy(
            f"A verdict on a card is one of {', '.join(RATING_VERDICTS)}, not {given.verdict!r}."
        )
    if len(given.rule) > LONGEST_RULE:
        raise InvalidStudy(
            f"A rule has up to {LONGEST_RULE} characters; this one has {len(given.rule)}."
        )
    if given.confidence is not None and not 1 <= given.confidence <= 5:
        raise InvalidStudy(f"A confidence is 1–5, not {given.confidence}.")


def _running(connection: Connection, slug: str) -> Row[Any]:
    study = found_row(connection, slug)
    if study.state != "running":
        raise StudyFrozen(
            f"“{study.title}” is closed: nothing is rated there any more."
            if study.state == "closed"
            else f"“{study.title}” has not been started yet.",
            f"/studies/{slug}",
        )
    return study


def _mine(
    connection: Connection, slug: str, name: str, item: int | None = None
) -> tuple[Row[Any], Row[Any]]:
    """The running study and the rater's row, locked; with `item`, one of their cards."""
    study = _running(connection, slug)
    row = _row(connection, study.id, name, for_update=True)
    if row is None:
        raise NotARater(f"{name} has not begun to rate “{study.title}”.", f"/studies/{slug}/rate")
    if item is not None and item not in row.cards:
        raise NotARater("There is no such card.", f"/studies/{slug}/rate")
    return study, row


def _row(
    connection: Connection, study_id: int, name: str, *, for_update: bool = False
) -> Row[Any] | None:
    query = (
        select(study_rater)
        .join(annotator, annotator.c.id == study_rater.c.annotator_id)
        .where(study_rater.c.study_id == study_id, annotator.c.name == clean_text(name.strip()))
    )
    if for_update:
        query = query.with_for_update(of=study_rater)
    return connection.execute(query).one_or_none()


def _take_place(
    connection: Connection, study_id: int, rater: int, further: Callable[[int], Sequence[int]]
) -> None:
    """Give a place to an annotator; none, if another took the one that was drawn."""
    joined = {"annotator_id": rater, "joined_at": now()}
    places = connection.execute(
        select(study_rater.c.number, study_rater.c.annotator_id).where(
            study_rater.c.study_id == study_id
        )
    ).all()
    free = [row.number for row in places if row.annotator_id is None]
    if free:
        connection.execute(
            update(study_rater)
            .where(
                study_rater.c.study_id == study_id,
                study_rater.c.number == secrets.choice(free),
                study_rater.c.annotator_id.is_(None),
            )
            .values(**joined)
        )
    else:
        number = max(row.number for row in places) + 1
        connection.execute(
            insert(study_rater).values(
                study_id=study_id, number=number, cards=list(further(number)), **joined
            )
        )


def _rater(connection: Connection, row: Row[Any]) -> RaterRecord:
    return RaterRecord(
        number=row.number,
        cards=tuple(row.cards),
        item=row.item,
        paused=row.item is not None and row.shown_at is None,
        rated=_latest(connection, row),
    )


def _latest(connection: Connection, row: Row[Any]) -> dict[int, GivenRating]:
    rating = study_rating.c
    found = connection.execute(
        select(rating.item, rating.verdict, rating.rule, rating.confidence)
        .where(rating.study_id == row.study_id, rating.rater == row.number)
        .order_by(rating.id)
    )
    return {item: GivenRating(*given) for item, *given in found}


def _stopped(study: Row[Any], row: Row[Any], at: datetime) -> Mapping[str, float]:
    """Seconds spent by card, with those that the running clock shows for the card before them."""
    spent: dict[str, float] = dict(row.spent)
    if row.item is not None and row.shown_at is not None:
        seconds = min(max((at - row.shown_at).total_seconds(), 0.0), study.design["seconds_cap"])
        card = str(row.item)
        spent[card] = round(spent.get(card, 0.0) + seconds, 3)
    return spent


def _set(connection: Connection, row: Row[Any], **values: Any) -> None:
    connection.execute(
        update(study_rater)
        .where(study_rater.c.study_id == row.study_id, study_rater.c.number == row.number)
        .values(**values)
    )
