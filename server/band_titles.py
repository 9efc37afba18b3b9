"""How bands of examples and of scores are written on a page."""

from __future__ import annotations

#: In the order in which bands are shown; the last is one of scores only (docs/evidence.md).
TITLES = {
    "top": "Top",
    "q99.9-100": "99.9–100 %",
    "q99-99.9": "99–99.9 %",
    "q90-99": "90–99 %",
    "q50-90": "50–90 %",
    "q0-50": "0–50 %",
    "bottom": "Bottom",
    "lifted": "Lifted by the LayerNorm",
    "max25-50": "25–50 % of max",
}


def band_title(key: str) -> str:
    """The title of a band; one that is not known keeps its key."""
    return TITLES.get(key, key)


def in_order(keys: set[str]) -> list[str]:
    """Keys of bands as they are shown, those that are not known last."""
    order = {key: n for n, key in enumerate(TITLES)}
    return sorted(keys, key=lambda key: (order.get(key, len(order)), key))
