"""Histograms of one version: its sites on one pair of axes, shared with the other version.

axis = activation_axis(counts of every site of both versions)
histogram(version_name="left L0N17", side="left", axis=axis, counts_axis=CountAxis(largest),
          curves=[Curve("mid", "blocks.0.mlp.ln.hook_in", counts, display=True)], …)
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from server.figures.axes import (
    ActivationAxis,
    CountAxis,
    Counts,
    activation_axis,
    short_count,
    short_number,
)

PLOT_TOP = 18
PLOT_HEIGHT = 112
HEIGHT = 164
_LABEL_WIDTH = 9.0
"""Least distance between two markers' labels, in percent: 30 of the narrowest 340 pixels."""


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
    if lowest_top is not None:
        parts += _shown_part(axis, lowest_top, n_top)
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
    n = sum(int(count) for count in display.counts)
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
    parts.append(f'<text class="name" x="0" y="{PLOT_TOP - 8}">')
    parts.append("tokens (log)</text>")
    parts.append(f'<line class="floor" x1="0" x2="100%" y1="{floor}" y2="{floor}"/>')
    for value in axis.ticks():
        x = axis.percent(value)
        anchor = "start" if x < 2 else "end" if x > 98 else "middle"
        parts.append(f'<line x1="{x:.2f}%" x2="{x:.2f}%" y1="{floor}" y2="{floor + 4}"/>')
        parts.append(
            f'<text x="{x:.2f}%" y="{floor + 15}" text-anchor="{anchor}">'
            f"{short_number(value)}</text>"
        )
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


def _shown_part(axis: ActivationAxis, lowest_top: float, n_top: int) -> list[str]:
    x = axis.percent(lowest_top)
    return [
        f'<rect class="shown" x="{x:.2f}%" y="{PLOT_TOP}" width="{100 - x:.2f}%" '
        f'height="{PLOT_HEIGHT}"><title>the {n_top} top examples: {lowest_top:.3g} and above'
        "</title></rect>"
    ]


def _steps(axis: ActivationAxis, counts_axis: CountAxis, counts: Sequence[int] | Counts) -> str:
    """A closed path of steps in cells across and percent down; runs of equal height are joined."""
    edges = axis.edges()
    path = ["M0 100"]
    previous = 100.0
    for n, count in enumerate(axis.rebin(counts).tolist()):
        y = round(100 - 100 * counts_axis.height(count), 1)
        if y != previous:
            path.append(f"H{edges[n]:g}V{y:g}")
            previous = y
    path.append(f"H{edges[-1]:g}V100Z")
    return "".join(path)


def _markers(
    axis: ActivationAxis, markers: Sequence[Marker], lowest_top: float | None
) -> list[str]:
    """A line at each band's edge; labels from the right, left out where they would touch."""
    floor = PLOT_TOP + PLOT_HEIGHT
    parts = ['<g class="markers">']
    taken: list[float] = []
    if lowest_top is not None:
        x = axis.percent(lowest_top)
        anchor = "end" if x > 92 else "middle"
        parts.append(f'<line class="lowest" x1="{x:.2f}%" x2="{x:.2f}%" y1="13" y2="{floor}"/>')
        parts.append(f'<text class="lowest" x="{x:.2f}%" y="10" text-anchor="{anchor}">top</text>')
        taken.append(x)
    for marker in sorted(markers, key=lambda marker: -marker.activation):
        x = axis.percent(marker.activation)
        parts.append(f'<line x1="{x:.2f}%" x2="{x:.2f}%" y1="13" y2="{floor}"/>')
        if all(abs(x - other) >= _LABEL_WIDTH for other in taken) and x > 22:
            parts.append(
                f'<text x="{x:.2f}%" y="10" text-anchor="{"end" if x > 93 else "middle"}">'
                f"{escape(marker.name)}</text>"
            )
            taken.append(x)
    parts.append("</g>")
    return parts
