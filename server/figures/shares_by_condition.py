"""Shares by condition, both versions: a dot with its interval each, joined by the fall.

shares_by_condition("Share monosemantic", ["top only", "over the range"], [
    ShareLine("left", "SoLU", [0.8, 0.5], [(0.7, 0.9), (0.4, 0.6)]),
])

Conditions stand side by side, the versions a little apart within each. Horizontal places are
percentages, so that the figure is as wide as its column; the share goes from 0 to 1 upwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from markupsafe import Markup, escape

from server.number_text import share

HEIGHT = 280
_TOP, _FLOOR = 12, 240
_LEFT, _RIGHT = 9.0, 99.0
_APART = 3.5
"""Percent of the width between a condition's middle and each of two versions."""
_GRID = (0.0, 0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True)
class ShareLine:
    """One version: a share and an interval a condition, None where nothing is known."""

    side: str
    name: str
    shares: Sequence[float | None]
    intervals: Sequence[tuple[float, float] | None]


def shares_by_condition(name: str, conditions: Sequence[str], lines: Sequence[ShareLine]) -> Markup:
    """The figure; `name` is its title for those who do not see it."""
    parts = [
        f'<svg class="figure shares-by-condition" role="img" width="100%" height="{HEIGHT}" '
        'xmlns="http://www.w3.org/2000/svg">',
        f"<title>{escape(name)}</title><desc>{escape(_said(conditions, lines))}</desc>",
        '<g class="grid">',
    ]
    for value in _GRID:
        y = _height(value)
        floor = ' class="floor"' if value == 0 else ""
        parts.append(
            f'<line{floor} x1="{_LEFT}%" x2="{_RIGHT}%" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text x="{_LEFT - 0.8}%" y="{y + 4:.1f}" text-anchor="end">{100 * value:.0f} %</text>'
        )
    for n, condition in enumerate(conditions):
        parts.append(
            f'<text class="condition" x="{_middle(n, len(conditions)):.2f}%" y="{_FLOOR + 20}" '
            f'text-anchor="middle">{escape(condition)}</text>'
        )
    parts.append("</g>")
    for place, line in enumerate(lines):
        shift = _APART * (2 * place - len(lines) + 1)
        parts += _line(line, shift, conditions)
    parts.append("</svg>")
    return Markup("".join(parts))


def _line(line: ShareLine, shift: float, conditions: Sequence[str]) -> list[str]:
    places = [_middle(n, len(conditions)) + shift for n in range(len(conditions))]
    known = [
        (places[n], value, line.intervals[n], conditions[n])
        for n, value in enumerate(line.shares)
        if value is not None
    ]
    parts = [f'<g class="{escape(line.side)}">']
    for (x1, share1, *_), (x2, share2, *_) in pairwise(known):
        parts.append(
            f'<line class="fall" x1="{x1:.2f}%" x2="{x2:.2f}%" y1="{_height(share1):.1f}" '
            f'y2="{_height(share2):.1f}"/>'
        )
    for x, value, interval, condition in known:
        said = f"{line.name}, {condition}: {share(value)}"
        if interval is not None:
            low, high = interval
            said += f", 95 % interval {share(low)} to {share(high)}"
            parts.append(
                f'<line class="whisker" x1="{x:.2f}%" x2="{x:.2f}%" y1="{_height(low):.1f}" '
                f'y2="{_height(high):.1f}"/>'
            )
        parts.append(
            f'<circle class="point" cx="{x:.2f}%" cy="{_height(value):.1f}" r="5">'
            f"<title>{escape(said)}</title></circle>"
        )
    parts.append("</g>")
    return parts


def _height(value: float) -> float:
    return _FLOOR - (_FLOOR - _TOP) * value


def _middle(n: int, of: int) -> float:
    return _LEFT + (_RIGHT - _LEFT) * (n + 0.5) / of


def _said(conditions: Sequence[str], lines: Sequence[ShareLine]) -> str:
    return "; ".join(
        f"{line.name}: "
        + ", ".join(
            f"{condition} {share(value)}"
            for condition, value in zip(conditions, line.shares, strict=True)
        )
        for line in lines
    )
