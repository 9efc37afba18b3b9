"""Ranges on a common scale, one line each: what stands beside the numbers of a table's row.

    scale = scale_over([-0.02, 0.01], around=(0.0,))
    range_line(name="all sources", scale=scale, value=-0.01, outer=(-0.02, 0.01))
    range_axis(scale, "nats a token")

A line holds a mark (the value), a thick bar (`inner`, such as the quartiles) and a thin one
(`outer`, such as a 95 % interval). Every line of a table has the same scale, and its last row the
axis. Where zero lies inside the scale it is drawn through all of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from markupsafe import Markup, escape

HEIGHT = 20
AXIS_HEIGHT = 30
_INSET = 1.5
"""Percent kept free at either end, so that marks at the ends are not cut."""
_TICKS = 4

Ends = tuple[float, float]


@dataclass(frozen=True)
class LinearScale:
    """`low` … `high` across the width."""

    low: float
    high: float

    def percent(self, value: float) -> float:
        """Where a value lies, in percent of the width; clipped to the scale."""
        share = (value - self.low) / (self.high - self.low)
        return _INSET + (100 - 2 * _INSET) * min(max(share, 0.0), 1.0)

    def holds(self, value: float) -> bool:
        """Whether a value lies on the scale."""
        return self.low <= value <= self.high

    def ticks(self, most: int = _TICKS) -> list[float]:
        """Round values inside the scale, at most `most` + 1 of them."""
        rough = (self.high - self.low) / most
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(power * times for times in (1, 2, 5, 10) if power * times >= rough * 0.999)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [round(n * step, 12) for n in range(first, last + 1)]


def scale_over(values: Iterable[float | None], around: Iterable[float] = ()) -> LinearScale:
    """The scale that holds all the values and those that it must go `around`, with a margin."""
    held = [value for value in (*values, *around) if value is not None and math.isfinite(value)]
    if not held:
        return LinearScale(0.0, 1.0)
    low, high = min(held), max(held)
    margin = 0.06 * (high - low) or 0.5 * abs(high) or 0.5
    return LinearScale(low - margin, high + margin)


def range_line(
    *,
    name: str,
    scale: LinearScale,
    value: float | None,
    side: str = "",
    inner: Ends | None = None,
    outer: Ends | None = None,
    reference: float | None = 0.0,
) -> Markup:
    """One line. `side` colours it; `reference` is the value drawn through (None: none)."""
    middle = HEIGHT / 2
    parts = [
        f'<svg class="figure range-line {escape(side)}" role="img" width="100%" '
        f'height="{HEIGHT}" xmlns="http://www.w3.org/2000/svg">',
        f"<title>{escape(name)}</title><desc>{_said(value, inner, outer)}</desc>",
    ]
    if reference is not None and scale.holds(reference):
        at = scale.percent(reference)
        parts.append(f'<line class="zero" x1="{at:.2f}%" x2="{at:.2f}%" y1="0" y2="{HEIGHT}"/>')
    if outer is not None:
        low, high = (scale.percent(end) for end in outer)
        parts.append(
            f'<line class="outer" x1="{low:.2f}%" x2="{high:.2f}%" y1="{middle}" y2="{middle}"/>'
        )
    if inner is not None:
        low, high = (scale.percent(end) for end in inner)
        parts.append(
            f'<rect class="inner" x="{low:.2f}%" y="{middle - 4}" '
            f'width="{max(high - low, 0.2):.2f}%" height="8"/>'
        )
    if value is not None:
        parts.append(
            f'<circle class="value" cx="{scale.percent(value):.2f}%" cy="{middle}" r="4"/>'
        )
    parts.append("</svg>")
    return Markup("".join(parts))


def range_axis(scale: LinearScale, name: str, *, percent: bool = False) -> Markup:
    """The axis beneath the lines; `percent` writes shares as such."""
    parts = [
        f'<svg class="figure range-axis" aria-hidden="true" width="100%" height="{AXIS_HEIGHT}" '
        'xmlns="http://www.w3.org/2000/svg"><line class="scale" x1="0" x2="100%" y1="1" y2="1"/>'
    ]
    for tick in scale.ticks():
        at = scale.percent(tick)
        anchor = "start" if at < 5 else "end" if at > 95 else "middle"
        parts.append(
            f'<line class="scale" x1="{at:.2f}%" x2="{at:.2f}%" y1="1" y2="5"/>'
            f'<text x="{at:.2f}%" y="16" text-anchor="{anchor}">{_tick(tick, percent)}</text>'
        )
    parts.append(f'<text class="name" x="50%" y="28" text-anchor="middle">{escape(name)}</text>')
    parts.append("</svg>")
    return Markup("".join(parts))


def _tick(value: float, percent: bool) -> str:
    text = f"{abs(100 * value):g} %" if percent else f"{abs(value):g}"
    return f"−{text}" if value < 0 else text


def _said(value: float | None, inner: Ends | None, outer: Ends | None) -> str:
    said = ["undefined" if value is None else f"{value:.3g}"]
    said += [f"from {ends[0]:.3g} to {ends[1]:.3g}" for ends in (inner, outer) if ends is not None]
    return ", ".join(said)
