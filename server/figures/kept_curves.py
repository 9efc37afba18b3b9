"""Loss recovered against the share of activations kept: the keep-top-q curves of a layer.

The horizontal axis is logarithmic from 0.1 % to all, with a place of its own for nothing kept,
where the loss recovered is 0 by definition. Both versions stand in one figure: the left one with
discs, the right one with rings.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

TOP, PLOT_HEIGHT = 18, 150
HEIGHT = TOP + PLOT_HEIGHT + 36
LOWEST, HIGHEST = -0.5, 1.5
"""Ends of the vertical axis at most; what lies beyond is drawn at the end."""
_LEFT, _NONE, _FIRST, _LAST = 0.0, 2.5, 10.0, 97.0
_LEAST_KEPT = 0.001


@dataclass(frozen=True)
class KeptCurve:
    """One version: `recovered[i]` of the layer's loss with `kept[i]` of its activations."""

    act_fn: str
    kept: Sequence[float]
    recovered: Sequence[float]


def kept_curves(name: str, curves: Mapping[str, KeptCurve]) -> Markup:
    """The figure of a layer; `curves` by side, one or two."""
    values = [value for curve in curves.values() for value in curve.recovered]
    low = max(min(0.0, *values), LOWEST) if values else 0.0
    high = min(max(1.0, *values), HIGHEST) if values else 1.0

    def y(recovered: float) -> float:
        share = (min(max(recovered, low), high) - low) / (high - low)
        return TOP + PLOT_HEIGHT * (1 - share)

    floor = TOP + PLOT_HEIGHT
    parts = [
        f'<svg class="figure kept-curves" role="img" width="100%" height="{HEIGHT}" '
        'xmlns="http://www.w3.org/2000/svg">',
        f"<title>{escape(name)}: loss recovered by the share of activations kept</title>",
        f"<desc>{escape(_description(curves))}</desc>",
        '<g class="grid">',
    ]
    for tick in (0.0, 0.5, 1.0):
        kind = ' class="floor"' if tick == 0 else ""
        parts.append(f'<line{kind} x1="0" x2="100%" y1="{y(tick):.1f}" y2="{y(tick):.1f}"/>')
    for kept, text in ((0.0, "none"), (0.001, "0.1 %"), (0.01, "1 %"), (0.1, "10 %"), (1.0, "all")):
        x = _x(kept)
        anchor = "start" if kept == 0 else "end" if kept == 1 else "middle"
        at = 0 if kept == 0 else 100 if kept == 1 else x
        parts.append(
            f'<line x1="{x:.2f}%" x2="{x:.2f}%" y1="{floor}" y2="{floor + 4}"/>'
            f'<text x="{at:.2f}%" y="{floor + 16}" text-anchor="{anchor}">{text}</text>'
        )
    parts.append('<text class="name" x="0" y="10">loss recovered</text></g>')
    for side, curve in curves.items():
        points = sorted(zip(curve.kept, curve.recovered, strict=True))
        parts.append(
            f'<g class="{escape(side)}"><svg width="100%" height="{floor}" '
            f'viewBox="0 0 100 {floor}" preserveAspectRatio="none">'
            f'<polyline class="kept" vector-effect="non-scaling-stroke" points="'
            + " ".join(f"{_x(kept):.2f},{y(value):.1f}" for kept, value in points)
            + '"/></svg>'
        )
        for kept, value in points:
            parts.append(
                f'<circle class="point" cx="{_x(kept):.2f}%" cy="{y(value):.1f}" r="3.5">'
                f"<title>{escape(curve.act_fn)}: {kept:.3g} kept, {value:.3g} recovered</title>"
                "</circle>"
            )
        parts.append("</g>")
    parts.append('<g class="scale-text">')
    for tick, text in ((0.0, "0"), (0.5, "50 %"), (1.0, "100 %")):
        parts.append(f'<text x="100%" y="{y(tick) - 3:.1f}" text-anchor="end">{text}</text>')
    parts.append(
        f'</g><text class="name" x="50%" y="{HEIGHT - 4}" text-anchor="middle">'
        "share of each neuron’s activations kept, the highest first (log)</text></svg>"
    )
    return Markup("".join(parts))


def _x(kept: float) -> float:
    """Percent across: nothing kept at the left, then logarithmic."""
    if kept < _LEAST_KEPT * 0.5:
        return _NONE
    share = math.log10(min(max(kept, _LEAST_KEPT), 1.0) / _LEAST_KEPT) / -math.log10(_LEAST_KEPT)
    return _FIRST + (_LAST - _FIRST) * share


def _description(curves: Mapping[str, KeptCurve]) -> str:
    said = []
    for curve in curves.values():
        points = sorted(zip(curve.kept, curve.recovered, strict=True))
        said.append(
            f"{curve.act_fn}: "
            + ", ".join(f"{value:.2f} with {kept:.3g} kept" for kept, value in points)
        )
    return ". ".join(said) + "."
