"""Histograms of one version: its sites on one pair of axes, shared with the other version.

axis = activation_axis(counts of every site of both versions)
histogram(version_name="left L0N17", side="left", axis=axis, counts_axis=CountAxis(largest),
          curves=[Curve("mid", "blocks.0.mlp.ln.hook_in", counts, display=True)], …)
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup, escape

from server.figures.axes import (
    ActivationAxis,
    CountAxis,
    Counts,
    activation_axis,
    short_count,
    step_path,
    tick_marks,
)

PLOT_TOP = 44
PLOT_HEIGHT = 112
HEIGHT = 190
_NARROWEST = 312
"""The narrowest width, in pixels, at which labels that stand in percent must not touch: a phone's
of 360."""
_LETTER = 6.6
"""Width of a letter of a label, in pixels."""
TOP_WORDS = "all that the top examples show"
_TOP_WORDS_WIDTH, _TOKENS_WIDTH = 100 * 196 / _NARROWEST, 100 * 70 / _NARROWEST
"""Of these words, and of "tokens (log)" that stands before them; in percent."""


@dataclass(frozen=True)
class Curve:
    """One site's histogram; `display` is the site that ranks the examples, drawn filled."""

    site: str
    hook_point: str
    counts: Sequence[int] | Counts
    display: bool = False


@dataclass(frozen=True)
class Marker:
    """A named activation of the display site: the edge of a band."""

    name: str
    activation: float


def shared_axes(
    histograms: Iterable[Sequence[int] | Counts], finest: float | None = None
) -> tuple[ActivationAxis, CountAxis]:
    """The axes on which all the given histograms are drawn; each is 387 counts.

    `finest` is the smallest standard deviation that the axis should resolve.
    """
    listed = list(histograms)
    axis = activation_axis(listed, finest)
    largest = max((int(axis.rebin(counts).max()) for counts in listed), default=1)
    return axis, CountAxis(largest)


def histogram(
    *,
    name: str,
    side: str,
    axis: ActivationAxis,
    counts_axis: CountAxis,
    curves: Sequence[Curve],
    markers: Sequence[Marker] = (),
    lowest_top: float | None = None,
    n_top: int = 0,
) -> Markup:
    """The figure of one version. `lowest_top`: the activation of the lowest top example shown."""
    display = next((curve for curve in curves if curve.display), curves[0])
    parts = [
        f'<svg class="figure histogram {escape(side)}" role="img" width="100%" height="{HEIGHT}" '
        'xmlns="http://www.w3.org/2000/svg">',
        f"<title>{escape(_title(name, curves))}</title>",
        f"<desc>{escape(_description(display, markers, lowest_top, n_top))}</desc>",
        *_grid(axis, counts_axis),
    ]
    width = axis.right - axis.left
    parts.append(
        f'<svg y="{PLOT_TOP}" width="100%" height="{PLOT_HEIGHT}" '
        f'viewBox="0 0 {width:g} 100" preserveAspectRatio="none">'
    )
    for curve in sorted(curves, key=lambda curve: not curve.display):
        kind = "display" if curve.display else escape(curve.site)
        parts.append(
            f'<path class="curve {kind}" vector-effect="non-scaling-stroke" '
            f'd="{_steps(axis, counts_axis, curve.counts)}"/>'
        )
    parts.append("</svg>")
    parts += _count_names(counts_axis)
    parts += _markers(axis, markers, lowest_top)
    if lowest_top is not None:
        parts += _bracket(axis, lowest_top, highest_percent(axis, display.counts), n_top)
    parts.append(
        f'<text class="name" x="50%" y="{HEIGHT - 3}" text-anchor="middle">'
        f"activation at {escape(display.hook_point)} (symmetric log)</text></svg>"
    )
    return Markup("".join(parts))


def _title(name: str, curves: Sequence[Curve]) -> str:
    return f"{name}: histogram of activations at {', '.join(curve.site for curve in curves)}"


def _description(
    display: Curve, markers: Sequence[Marker], lowest_top: float | None, n_top: int
) -> str:
    n = int(np.asarray(display.counts, dtype=np.int64).sum())
    said = [f"{n:,} tokens at {display.site} ({display.hook_point})."]
    if markers:
        edges = ", ".join(f"{marker.name} {marker.activation:.3g}" for marker in markers)
        said.append(f"Quantiles: {edges}.")
    if lowest_top is not None:
        said.append(f"The {n_top} top examples lie at {lowest_top:.3g} and above.")
    return " ".join(said)


def _grid(axis: ActivationAxis, counts_axis: CountAxis) -> list[str]:
    floor = PLOT_TOP + PLOT_HEIGHT
    parts = ['<g class="grid">']
    for count in counts_axis.ticks():
        y = floor - PLOT_HEIGHT * counts_axis.height(count)
        parts.append(f'<line x1="0" x2="100%" y1="{y:.1f}" y2="{y:.1f}"/>')
    parts.append('<text class="name" x="0" y="10">tokens (log)</text>')
    parts.append(f'<line class="floor" x1="0" x2="100%" y1="{floor}" y2="{floor}"/>')
    parts.append(tick_marks(axis, floor))
    parts.append("</g>")
    return parts


def _count_names(counts_axis: CountAxis) -> list[str]:
    """Names of the vertical axis's ticks, inside the plot and above the curves."""
    floor = PLOT_TOP + PLOT_HEIGHT
    return [
        '<g class="scale-text">',
        *(
            f'<text x="1" y="{floor - PLOT_HEIGHT * counts_axis.height(count) - 2:.1f}">'
            f"{short_count(count)}</text>"
            for count in counts_axis.ticks()
        ),
        "</g>",
    ]


def highest_percent(axis: ActivationAxis, counts: Sequence[int] | Counts) -> float:
    """The right edge of the last cell that holds a token, in percent of the axis."""
    occupied = np.flatnonzero(axis.rebin(counts))
    last = int(occupied[-1]) if occupied.size else -2
    return 100 * axis.edges()[last + 1] / (axis.right - axis.left)


def _bracket(axis: ActivationAxis, lowest_top: float, end: float, n_top: int) -> list[str]:
    """What the top examples show, as a bracket above the plot and a line down from its left end."""
    x = axis.percent(lowest_top)
    end = max(end, x)
    # In a wide figure the words take a quarter of it: either way they stand above x there, too.
    if x <= 60:
        at, anchor = min(max(x - 14, _TOKENS_WIDTH), 100 - _TOP_WORDS_WIDTH), "start"
    else:
        at, anchor = max(end, _TOKENS_WIDTH + _TOP_WORDS_WIDTH), "end"
    floor = PLOT_TOP + PLOT_HEIGHT
    return [
        f'<g class="top-shown"><title>the {n_top} top examples: {lowest_top:.3g} and above</title>',
        f'<line x1="{x:.2f}%" x2="{x:.2f}%" y1="15" y2="{floor}"/>',
        f'<line class="span" x1="{x:.2f}%" x2="{end:.2f}%" y1="15" y2="15"/>',
        f'<line x1="{end:.2f}%" x2="{end:.2f}%" y1="15" y2="20"/>',
        f'<text x="{at:.2f}%" y="10" text-anchor="{anchor}">{TOP_WORDS}</text></g>',
    ]


def _width(text: str) -> float:
    """Room for a label in percent of the narrowest figure."""
    return 100 * (_LETTER * len(text) + 5) / _NARROWEST


def _steps(axis: ActivationAxis, counts_axis: CountAxis, counts: Sequence[int] | Counts) -> str:
    """A closed path of steps in cells across and percent down; runs of equal height are joined."""
    heights = counts_axis.heights(axis.rebin(counts))
    return step_path(axis, 100 - 100 * heights)


def _markers(
    axis: ActivationAxis, markers: Sequence[Marker], lowest_top: float | None
) -> list[str]:
    """A line at each band's edge, each with its label; labels are moved apart, with a leader."""
    floor = PLOT_TOP + PLOT_HEIGHT
    ordered = sorted(markers, key=lambda marker: marker.activation)
    places = [axis.percent(marker.activation) for marker in ordered]
    widths = [_width(marker.name) for marker in ordered]
    end = 100.0
    if lowest_top is not None:
        x = axis.percent(lowest_top)
        if x - 0.5 >= max([sum(widths), *places]):
            end = x - 0.5
    parts = ['<g class="markers">']
    for marker, x, at in zip(ordered, places, spread(places, widths, end), strict=True):
        parts.append(
            f'<line x1="{x:.2f}%" x2="{x:.2f}%" y1="{PLOT_TOP - 4}" y2="{floor}"/>'
            f'<line class="leader" x1="{at:.2f}%" x2="{x:.2f}%" y1="33" y2="{PLOT_TOP - 4}"/>'
            f'<text x="{at:.2f}%" y="30" text-anchor="middle">{escape(marker.name)}</text>'
        )
    parts.append("</g>")
    return parts


def spread(places: Sequence[float], widths: Sequence[float], end: float) -> list[float]:
    """Centres near these ascending places, in 0 … `end`, of labels that do not touch.

    Labels that would touch are set side by side around the middle of their own places.
    """
    groups: list[tuple[list[float], list[float], float]] = []
    for place, width in zip(places, widths, strict=True):
        groups.append(([place], [width], _start([place], [width], end)))
        while len(groups) > 1:
            (before, b_widths, start), (after, a_widths, next_start) = groups[-2:]
            if start + sum(b_widths) <= next_start:
                break
            joined, all_widths = before + after, b_widths + a_widths
            groups[-2:] = [(joined, all_widths, _start(joined, all_widths, end))]
    centres = []
    for _, group_widths, start in groups:
        for width in group_widths:
            centres.append(start + width / 2)
            start += width
    return centres


def _start(places: Sequence[float], widths: Sequence[float], end: float) -> float:
    """The left end of labels side by side, as near to their places as 0 … `end` allows."""
    offsets = [sum(widths[:n]) + widths[n] / 2 for n in range(len(widths))]
    wanted = sum(place - offset for place, offset in zip(places, offsets, strict=True)) / len(
        places
    )
    return max(min(wanted, end - sum(widths)), 0.0)
