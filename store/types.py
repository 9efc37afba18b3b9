"""Column types that behave the same on SQLite and Postgres."""

from __future__ import annotations

import json
import unicodedata
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import DateTime, Text
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

#: Of an Integer column.
LARGEST_INTEGER = 2**31 - 1


def clean_text(text: str) -> str:
    """Text that every database takes: NUL becomes ␀ (U+2400), a lone surrogate U+FFFD.

    Corpora and file names hold both; Postgres refuses the first, UTF-8 the second.
    """
    if "\x00" in text:
        text = text.replace("\x00", "\u2400")
    if not text.isascii():
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def folded_text(text: str) -> str:
    """Text as searches compare it: without differences of case, width or ligature (NFKC)."""
    folded = unicodedata.normalize("NFKC", clean_text(text)).casefold()
    return unicodedata.normalize("NFKC", folded)


class CleanText(TypeDecorator[str]):
    """Text through `clean_text` on its way in."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else clean_text(value)


class Json(TypeDecorator[Any]):
    """A JSON value as ASCII text, so that any string survives; NaN is refused (ValueError)."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        return None if value is None else json.loads(value)


class Moment(TypeDecorator[datetime]):
    """A moment in UTC, aware on both databases; a naive datetime is refused."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a moment needs its time zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def now() -> datetime:
    """This moment, in UTC."""
    return datetime.now(UTC)
