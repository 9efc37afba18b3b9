"""The ratings of a closed study as a table: pseudonymous, one row an answer.

make, media_type = KINDS["csv"]
make(COLUMNS, [rows(study, items, ratings)], about(study))
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from server import urls
from server.condition_words import CONDITION_WORDS
from server.table_files import About, Row
from store.study_records import Rating, StudyItem, StudyRecord

_ANCHOR = "docs/evidence.md#study-ratings"


@dataclass(frozen=True)
class RatingColumn:
    """One column: its key in the file, and what is said of it."""

    key: str
    name: str
    type: Literal["number", "integer", "text", "boolean"]
    unit: str = ""
    anchor: str = _ANCHOR


COLUMNS: dict[str, RatingColumn] = {
    column.key: column
    for column in (
        RatingColumn("study", "study", "text"),
        RatingColumn("rater", "rater's pseudonym", "text"),
        RatingColumn("item", "card's number", "integer"),
        RatingColumn("kind", "neuron, repeat or planted", "text"),
        RatingColumn("condition", "what the card shows", "text"),
        RatingColumn("side", "left or right", "text"),
        RatingColumn("layer", "layer", "integer"),
        RatingColumn("neuron", "neuron", "integer"),
        RatingColumn("merged_with", "the other neuron of a merged card", "integer"),
        RatingColumn("truth", "what a planted card is", "text"),
        RatingColumn("repeat_of", "the card that is repeated", "integer"),
        RatingColumn("verdict", "verdict", "text", anchor="docs/evidence.md#verdict"),
        RatingColumn("rule", "the rater's own words", "text"),
        RatingColumn("confidence", "confidence", "integer", "1–5", "docs/evidence.md#confidence"),
        RatingColumn("seconds", "time on the card", "number", "seconds"),
        RatingColumn("created_at", "when it was said", "text", "UTC"),
    )
}


def rows(study: StudyRecord, items: Iterable[StudyItem], ratings: Iterable[Rating]) -> list[Row]:
    """A row an answer, by rater and card."""
    merged = {item.number: item.merged_with for item in items}
    return [
        {
            "study": study.slug,
            "rater": one.rater,
            "item": one.item,
            "kind": one.kind,
            "condition": one.condition,
            "side": one.side,
            "layer": one.layer,
            "neuron": one.neuron,
            "merged_with": merged.get(one.item),
            "truth": one.truth,
            "repeat_of": one.repeat_of,
            "verdict": one.verdict,
            "rule": one.rule,
            "confidence": one.confidence,
            "seconds": one.seconds,
            "created_at": one.created_at.isoformat(),
        }
        for one in ratings
    ]


def about(study: StudyRecord) -> About:
    """Of the whole file: what a parquet file carries as metadata."""
    conditions = "; ".join(f"{one}: {CONDITION_WORDS[one][1]}" for one in study.design.conditions)
    return {
        "study": study.slug,
        "title": study.title,
        "pair": study.pair,
        "run": study.run_id,
        "seed": str(study.seed),
        "conditions": conditions,
        "frozen_sha256": study.frozen_sha256 or "",
        "address": urls.study_results(study.slug),
        "definitions": "/definitions",
    }
