"""The strength of a correspondence on one line: correlations against the null's."""

from __future__ import annotations

from functools import cache

from markupsafe import Markup, escape

from server.figures.axes import short_number

HEIGHT = 30
_LINE = 12
_INSET = 2.0
"""Percent kept free at either end, so that marks at −1 and 1 are not cut."""
_LOWEST = -1.0


def correspondence(
    *,
    name: str,
    side: str,
    same_index: float | None,
    best: float | None,
    null: float | None,
) -> Markup:
    """Same index (ring), best match (disc) and null (bar from 0) on a scale of correlation.

    The scale runs from −1 to 1 for every neuron, so that two pages can be compared by eye.
    """

    def said(correlation: float | None) -> str:
        return "undefined" if correlation is None else f"{correlation:.2f}"

    parts = [
        f'<svg class="figure correspondence {escape(side)}" role="img" width="100%" '
        f'height="{HEIGHT}" xmlns="http://www.w3.org/2000/svg">',
        f"<title>{escape(name)}: correlation with the other version</title>",
        f"<desc>Same index {said(same_index)}, best match {said(best)}, "
        f"random basis {said(null)}.</desc>",
    ]
    if null is not None and null > 0:
        parts.append(
            f'<rect class="null" x="{_x(0):.2f}%" y="{_LINE - 5}" '
            f'width="{_x(null) - _x(0):.2f}%" height="10"/>'
        )
    parts.append(_scale())
    if best is not None:
        parts.append(f'<circle class="best" cx="{_x(best):.2f}%" cy="{_LINE}" r="4"/>')
    if same_index is not None:
        parts.append(f'<circle class="same" cx="{_x(same_index):.2f}%" cy="{_LINE}" r="6"/>')
    parts.append("</svg>")
    return Markup("".join(parts))


def _x(correlation: float) -> float:
    """Percent of the width."""
    share = (min(max(correlation, _LOWEST), 1.0) - _LOWEST) / (1 - _LOWEST)
    return _INSET + (100 - 2 * _INSET) * share


@cache
def _scale() -> str:
    """The line with its ticks, the same in every figure."""
    parts = [
        f'<line class="scale" x1="{_x(_LOWEST):.2f}%" x2="{_x(1):.2f}%" y1="{_LINE}" y2="{_LINE}"/>'
    ]
    for tick in (-1.0, -0.5, 0.0, 0.5, 1.0):
        at = _x(tick)
        anchor = "start" if tick == _LOWEST else "end" if tick == 1 else "middle"
        edge = 0.0 if tick == _LOWEST else 100.0 if tick == 1 else at
        parts.append(
            f'<line class="scale" x1="{at:.2f}%" x2="{at:.2f}%" y1="{_LINE}" y2="{_LINE + 4}"/>'
            f'<text x="{edge:.2f}%" y="{HEIGHT - 2}" text-anchor="{anchor}">'
            f"{short_number(tick)}</text>"
        )
    return "".join(parts)
