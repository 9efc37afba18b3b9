"""The conditions of studies as pages name them."""

from __future__ import annotations

from store.study_records import Condition

#: Condition → (its name in headings, what its cards show).
CONDITION_WORDS: dict[Condition, tuple[str, str]] = {
    "top": ("top only", "the strongest firings alone"),
    "range": ("over the range", "firings from all over the range"),
    "silent": (
        "with silence",
        "firings from all over the range and contexts in which it is silent",
    ),
}


def condition_title(condition: Condition | None) -> str:
    """`over the range`; None is all of them."""
    return "all conditions" if condition is None else CONDITION_WORDS[condition][0]
