"""What a rater may not look up: the neurons on the cards of the studies that they rate.

A neuron stays closed to whoever has begun to rate a study that shows it until that study is closed:
a card may be gone back to and corrected until then.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Engine, Select, bindparam, select

from store.engine import reading
from store.prepared import Prepared
from store.tables import annotator
from store.tables_studies import study, study_item, study_rater
from store.types import clean_text


@dataclass(frozen=True)
class ClosedVersions:
    """`studies` by the place (weights SHA-256, layer, neuron) that they close; `titles` of all.

    Both versions of an index are closed, whichever is on a card: a page shows both.
    """

    studies: dict[tuple[str, int, int], str] = field(default_factory=dict)
    titles: dict[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.studies)


NOTHING_CLOSED = ClosedVersions()


def closed_to(engine: Engine, name: str) -> ClosedVersions:
    """What is closed to the annotator of this name, now."""
    with reading(engine) as connection:
        rated = _rated.rows(connection, {"name": clean_text(name.strip())})
        if not rated:
            return NOTHING_CLOSED
        studies: dict[tuple[str, int, int], str] = {}
        for row in rated:
            shown = select(study_item.c.layer, study_item.c.neuron, study_item.c.merged_with).where(
                study_item.c.study_id == row["id"]
            )
            for layer, *neurons in connection.execute(shown.distinct()):
                for weights in (row["left_weights"], row["right_weights"]):
                    for neuron in neurons:
                        if weights is not None and neuron is not None:
                            studies.setdefault((weights, layer, neuron), row["slug"])
        return ClosedVersions(studies, {row["slug"]: row["title"] for row in rated})


@Prepared
def _rated() -> Select[Any]:
    """The studies under way that an annotator rates: every request asks."""
    columns = ("id", "slug", "title", "left_weights", "right_weights")
    return (
        select(*(study.c[column] for column in columns))
        .join(study_rater, study_rater.c.study_id == study.c.id)
        .join(annotator, annotator.c.id == study_rater.c.annotator_id)
        .where(
            annotator.c.name == bindparam("name", type_=annotator.c.name.type),
            study.c.state == "running",
        )
    )
