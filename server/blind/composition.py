"""Which examples make up a card: by condition, a fixed number from each band.

    composition("range", 20)   → {"top": 8, "q99.9-100": 4, "q99-99.9": 4, "q90-99": 4}

Every condition fills the same number of snippets, so a card's length tells nothing; what grows from
condition to condition is how much of the range is looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from store.drawable import DrawableVersion
from store.study_records import Condition

#: Between the top and where a neuron counts as silent.
RANGE_BANDS = ("q99.9-100", "q99-99.9", "q90-99")

#: Contexts in which the neuron is silent: those mined for its own rule first, else any below its
#: median.
SILENT = "silent"
ANY_SILENT = "q0-50"

FEWEST, MOST = 5, 20

#: Shares of a card by condition: of each band of the range, and of silent contexts.
_SHARES: dict[Condition, tuple[float, float]] = {
    "top": (0.0, 0.0),
    "range": (0.2, 0.0),
    "silent": (0.15, 0.25),
}


def composition(condition: Condition, snippets: int) -> dict[str, int]:
    """Snippets of a card by band, `snippets` in all (FEWEST to MOST); "silent" for silent ones."""
    in_range, silent = _SHARES[condition]
    counts = {band: round(in_range * snippets) for band in RANGE_BANDS}
    counts[SILENT] = round(silent * snippets)
    counts = {"top": snippets - sum(counts.values()), **counts}
    return {band: count for band, count in counts.items() if count}


def needed(conditions: Iterable[Condition], snippets: int) -> dict[str, int]:
    """The most that any of these conditions takes from each band."""
    most: dict[str, int] = {}
    for condition in conditions:
        for band, count in composition(condition, snippets).items():
            most[band] = max(most.get(band, 0), count)
    return most


def suffices(version: DrawableVersion, need: Mapping[str, int]) -> bool:
    """Whether a version has the examples for every card, and is not dead."""
    if version.density is None:
        return False
    has = dict(version.examples)
    has[SILENT] = has.get(SILENT, 0) + has.get(ANY_SILENT, 0)
    return all(has.get(band, 0) >= count for band, count in need.items())
