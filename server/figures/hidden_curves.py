"""Hidden share over quantiles, both versions in one chart.

    hidden_curves([HiddenCurve("left", "SoLU", quantiles, shares, 0.45, (0.41, 0.49), top), …])

The horizontal axis is −log₁₀(1 − q): equal steps from 0 to 90, 99, 99.9 % …, so that the strongest
thousandth, of which pages of examples are made, takes as much room as all else. Its right end is
the strongest token. The dotted line is where a curve would lie if every token had the same effect.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import accumulate

from markupsafe import Markup, escape

from server.number_text import share as share_text

HEIGHT = 236
_TOP, _FLOOR = 42, 194
_LEFT, _RIGHT = 9.0, 97.0
_END = 5.0
"""−log₁₀(1 − q) of the axis's end: one token in 100,000. What is rarer stands there."""
HEADLINE = 0.999
_TICKS = ((0.0, "0 %"), (0.9, "90 %"), (0.99, "99 %"), (0.999, "99.9 %"), (0.9999, "99.99 %"))


@dataclass(frozen=True)
class HiddenCurve:
    """One version's curve; `interval` is of the share at 99.9 %.

    `lowest_top` is the (quantile, share) of the lowest top example shown, where it is known.
    """

    side: str
    name: str
    quantiles: Sequence[float]
    shares: Sequence[float | None]
    headline: float | None
    interval: tuple[float, float] | None = None
    lowest_top: tuple[float, float] | None = None

    def points(self) -> list[tuple[float, float]]:
        """(quantile, share), both ascending; the lowest top example is one of them.

        [] if undefined. A share at the lowest top example is known to a bin of its histogram only,
        so what would fall below the points before it is raised to them.
        """
        found = [
            (quantile, share)
            for quantile, share in zip(self.quantiles, self.shares, strict=True)
            if share is not None
        ]
        if found and self.lowest_top is not None:
            found = sorted({*found, self.lowest_top})
        shares = accumulate((share for _, share in found), max)
        return [(quantile, share) for (quantile, _), share in zip(found, shares, strict=True)]


def hidden_curves(curves: Sequence[HiddenCurve], estimated: bool) -> Markup:
    """The chart; `estimated` says that what is drawn are estimates, for the title."""
    parts = [
        f'<svg class="figure hidden-curves" role="img" width="100%" height="{HEIGHT}" '
        'xmlns="http://www.w3.org/2000/svg">',
        f"<title>Share of effect below each quantile of activation"
        f"{' (estimates)' if estimated else ''}</title>",
        f"<desc>{escape(_description(curves))}</desc>",
        _grid(),
        *_even_effect(),
    ]
    for curve in curves:
        parts += _line(curve)
    parts += _headlines(curves)
    parts.append("</svg>")
    return Markup("".join(parts))


def _description(curves: Sequence[HiddenCurve]) -> str:
    said = []
    for curve in curves:
        if curve.headline is None:
            said.append(f"{curve.name} has no effect to divide.")
            continue
        words = f"{curve.name}: {share_text(curve.headline)} of the effect below 99.9 %"
        if curve.lowest_top is not None:
            words += f", {share_text(curve.lowest_top[1])} below the lowest top example"
        said.append(f"{words}.")
    return " ".join(said)


@lru_cache(maxsize=4096)  # those of the curves are the same on every page
def _x(quantile: float) -> float:
    """Percent of the width."""
    place = _END if quantile >= 1 else min(-math.log10(1 - quantile), _END)
    return _LEFT + (_RIGHT - _LEFT) * place / _END


def _y(share: float) -> float:
    return _FLOOR - (_FLOOR - _TOP) * min(max(share, 0.0), 1.0)


@cache
def _grid() -> str:
    parts = ['<g class="grid">']
    for share in (0.0, 0.5, 1.0):
        y = _y(share)
        kind = ' class="floor"' if share == 0 else ""
        parts.append(
            f'<line{kind} x1="{_LEFT}%" x2="{_RIGHT}%" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text x="{_LEFT - 1}%" y="{y + 4:.1f}" text-anchor="end">{100 * share:.0f} %</text>'
        )
    for quantile, name in _TICKS:
        x = _x(quantile)
        parts.append(
            f'<line x1="{x:.2f}%" x2="{x:.2f}%" y1="{_FLOOR}" y2="{_FLOOR + 4}"/>'
            f'<text x="{x:.2f}%" y="{_FLOOR + 16}" text-anchor="middle">{name}</text>'
        )
    parts.append(
        f'<text class="name" x="0" y="10">share of effect below</text>'
        f'<text class="name" x="{(_LEFT + _RIGHT) / 2:.0f}%" y="{HEIGHT - 6}" '
        'text-anchor="middle">quantile of each version’s own activation (stretched)</text></g>'
    )
    return "".join(parts)


def _polyline(kind: str, points: Sequence[tuple[float, float]]) -> str:
    """A line through (percent across, pixels down), stretched to the width; its stroke is not."""
    placed = " ".join(f"{x:.2f},{y:.1f}" for x, y in points)
    return (
        f'<svg width="100%" height="{HEIGHT}" viewBox="0 0 100 {HEIGHT}" '
        f'preserveAspectRatio="none"><polyline class="{kind}" '
        f'vector-effect="non-scaling-stroke" points="{placed}"/></svg>'
    )


@cache
def _even_effect() -> list[str]:
    """H(q) = q."""
    quantiles = [1 - 10 ** (-_END * n / 40) for n in range(41)]
    return [
        _polyline("even", [(_x(quantile), _y(quantile)) for quantile in quantiles]),
        f'<text class="name" x="{_RIGHT}%" y="10" text-anchor="end">'
        "dotted: if all tokens counted alike</text>",
    ]


def _line(curve: HiddenCurve) -> list[str]:
    points = [(_x(quantile), _y(share)) for quantile, share in curve.points()]
    if not points:
        return []
    parts = [f'<g class="{escape(curve.side)}">', _polyline("hidden", points)]
    if curve.lowest_top is not None:
        quantile, share = curve.lowest_top
        x, y = _x(quantile), _y(share)
        said = f"{share_text(share)} below the lowest top example of {curve.name}"
        parts.append(
            f'<line class="lowest" x1="{x:.2f}%" x2="{x:.2f}%" y1="{y:.1f}" y2="{_FLOOR}">'
            f"<title>{escape(said)}</title></line>"
        )
    parts.append("</g>")
    return parts


def _headlines(curves: Sequence[HiddenCurve]) -> list[str]:
    """The quantile 99.9 % with each version's share, its interval and, above the plot, its name."""
    x = _x(HEADLINE)
    parts = [f'<line class="headline" x1="{x:.2f}%" x2="{x:.2f}%" y1="{_TOP - 22}" y2="{_FLOOR}"/>']
    known = [curve for curve in curves if curve.headline is not None]
    for curve in known:
        share = curve.headline or 0.0
        parts.append(f'<g class="{escape(curve.side)}">')
        if curve.interval is not None:
            low, high = (_y(end) for end in curve.interval)
            parts.append(
                f'<line class="interval" x1="{x:.2f}%" x2="{x:.2f}%" '
                f'y1="{low:.1f}" y2="{high:.1f}"/>'
            )
        parts.append(f'<circle class="point" cx="{x:.2f}%" cy="{_y(share):.1f}" r="4"/></g>')
    for curve in known:
        left = len(known) == 1 or curve.side == "left"
        parts.append(
            f'<g class="{escape(curve.side)}"><text class="value" x="{x:.2f}%" '
            f'dx="{-6 if left else 6}" y="{_TOP - 12}" text-anchor="{"end" if left else "start"}">'
            f"{escape(curve.name)} {share_text(curve.headline)}</text></g>"
        )
    return parts
