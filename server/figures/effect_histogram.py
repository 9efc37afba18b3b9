"""The effect-weighted histogram: where a version's effect lies, under where its activations lie.

    axis = the histogram's own axis; highest = tallest_cell(axis, masses of both versions)
    effect_histogram(name="SoLU L0N17", side="left", axis=axis, mass=mass, highest=highest, …)

It hangs beneath the histogram of tokens and shares its horizontal axis cell for cell, so that a
stretch with many tokens and one with much effect can be told apart by going straight down. Its
vertical axis is linear: heights are shares of the version's effect and add up to 1; the page says
what the full height stands for.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
from markupsafe import Markup, escape

from server.figures.axes import ActivationAxis, step_path, tick_marks
from server.figures.histogram import TOP_WORDS
from server.number_text import share as share_text

PLOT_TOP = 16
PLOT_HEIGHT = 56
HEIGHT = 92


def shares_of(mass: Sequence[float]) -> npt.NDArray[np.float64]:
    """The mass as shares of its sum; empty where there is none."""
    found = np.asarray(mass, dtype=np.float64)
    total = float(found.sum())
    return found / total if total > 0 else found[:0]


def tallest_cell(axis: ActivationAxis, masses: Iterable[Sequence[float]]) -> float:
    """The largest share of effect in one cell of the axis, over versions: their common height."""
    shares = (shares_of(mass) for mass in masses)
    return max((float(axis.rebin_mass(one).max()) for one in shares if one.size), default=1.0)


def effect_histogram(
    *,
    name: str,
    side: str,
    axis: ActivationAxis,
    mass: Sequence[float],
    highest: float,
    headline: float | None,
    share_below: float | None,
    lowest_top: float | None,
    hook_point: str,
) -> Markup:
    """The figure of one version. `headline` is the activation at its 99.9 % quantile."""
    shares = shares_of(mass)
    floor = PLOT_TOP + PLOT_HEIGHT
    said = "No effect to divide."
    if shares.size and share_below is not None:
        said = f"{share_text(share_below)} of the effect lies below the quantile 99.9 %."
    parts = [
        f'<svg class="figure effect-histogram {escape(side)}" role="img" width="100%" '
        f'height="{HEIGHT}" xmlns="http://www.w3.org/2000/svg">',
        f"<title>{escape(name)}: share of effect by activation at {escape(hook_point)}</title>",
        f"<desc>{escape(said)}</desc>",
        f'<g class="grid"><line class="floor" x1="0" x2="100%" y1="{floor}" y2="{floor}"/>',
        tick_marks(axis, floor),
        "</g>",
    ]
    if shares.size:
        parts.append(
            f'<svg y="{PLOT_TOP}" width="100%" height="{PLOT_HEIGHT}" '
            f'viewBox="0 0 {axis.right - axis.left:g} 100" preserveAspectRatio="none">'
            f'<path class="effect" vector-effect="non-scaling-stroke" '
            f'd="{_steps(axis, shares, highest)}"/></svg>'
        )
    if lowest_top is not None:
        x = axis.percent(lowest_top)
        parts.append(
            f'<g class="top-shown"><title>right of it: {TOP_WORDS}</title>'
            f'<line x1="{x:.2f}%" x2="{x:.2f}%" y1="{PLOT_TOP}" y2="{floor}"/></g>'
        )
    if headline is not None:
        parts += _divide(axis, headline, share_below, floor)
    parts.append("</svg>")
    return Markup("".join(parts))


def _divide(
    axis: ActivationAxis, headline: float, share_below: float | None, floor: int
) -> list[str]:
    """The quantile 99.9 % with the share of effect to its left and to its right."""
    x = axis.percent(headline)
    parts = [f'<line class="headline" x1="{x:.2f}%" x2="{x:.2f}%" y1="2" y2="{floor}"/>']
    if share_below is None:
        return parts
    below, above = share_text(share_below), share_text(1 - share_below)
    parts.append('<g class="scale-text">')
    if 35 < x < 76:
        parts.append(
            f'<text class="value" x="{x:.2f}%" dx="-5" y="11" text-anchor="end">'
            f"{below} below 99.9 %</text>"
            f'<text class="value" x="{x:.2f}%" dx="5" y="11">{above} above</text>'
        )
    else:
        near, dx = ("end", -5) if x >= 76 else ("start", 5)
        parts.append(
            f'<text class="value" x="{x:.2f}%" dx="{dx}" y="11" text-anchor="{near}">'
            f"{below} below 99.9 %, {above} above</text>"
        )
    parts.append("</g>")
    return parts


def _steps(axis: ActivationAxis, shares: npt.NDArray[np.float64], highest: float) -> str:
    """A closed path of steps, in cells across and percent down."""
    heights = np.minimum(axis.rebin_mass(shares) / highest, 1.0)
    return step_path(axis, 100 - 100 * heights)
