"""The strength of a correspondence on one line: correlations against the null's."""

from __future__ import annotations

from markupsafe import Markup, escape

HEIGHT = 30
_LINE = 12
_INSET = 2.0
"""Percent kept free at either end, so that marks at 0 and 1 are not cut."""


def correspondence(
    *,
    name: str,
    side: str,
    same_index: float | None,
    best: float | None,
    null: float | None,
) -> Markup:
    """Same index (ring), best match (disc) and null (bar from 0) on a scale of correlation.

    The scale runs from 0 to 1, or from −1 where the same index correlates below zero.
    """
    lowest = -1.0 if same_index is not None and same_index < 0 else 0.0

    def x(correlation: float) -> float:
        share = (min(max(correlation, lowest), 1.0) - lowest) / (1 - lowest)
        return _INSET + (100 - 2 * _INSET) * share

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
            f'<rect class="null" x="{x(0):.2f}%" y="{_LINE - 5}" '
            f'width="{x(null) - x(0):.2f}%" height="10"/>'
        )
    parts.append(
        f'<line class="scale" x1="{x(lowest):.2f}%" x2="{x(1):.2f}%" y1="{_LINE}" y2="{_LINE}"/>'
    )
    for tick in (lowest, (lowest + 1) / 2, 1.0):
        at = x(tick)
        anchor = "start" if tick == lowest else "end" if tick == 1 else "middle"
        edge = 0.0 if tick == lowest else 100.0 if tick == 1 else at
        parts.append(
            f'<line class="scale" x1="{at:.2f}%" x2="{at:.2f}%" y1="{_LINE}" y2="{_LINE + 4}"/>'
            f'<text x="{edge:.2f}%" y="{HEIGHT - 2}" text-anchor="{anchor}">'
            f"{str(round(tick, 1)).removesuffix('.0').replace('-', '−')}</text>"
        )
    if best is not None:
        parts.append(f'<circle class="best" cx="{x(best):.2f}%" cy="{_LINE}" r="4"/>')
    if same_index is not None:
        parts.append(f'<circle class="same" cx="{x(same_index):.2f}%" cy="{_LINE}" r="6"/>')
    parts.append("</svg>")
    return Markup("".join(parts))
