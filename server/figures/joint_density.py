"""The joint density of `mid` and `post`: what the LayerNorm makes of each value of SoLU.

Both axes are symmetric-log, for the bins are: each is drawn of one size. A cell's colour class
`d1 … d6` is the power of ten of its number of tokens. Rings are the `lifted` examples.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup, escape

from server.figures.axes import Counts, short_count, short_number

HEIGHT = 300
_TOP, _FLOOR = 18, 252
_LEFT, _RIGHT = 11.0, 99.0
CLASSES = 6


@dataclass(frozen=True)
class Lifted:
    """A `lifted` example: where it lies, and the address of its context on the page."""

    mid: float
    post: float
    href: str
    rank: int


@dataclass(frozen=True)
class BinAxis:
    """One axis: bins first … last (exclusive) of `edges` are shown, each of one size."""

    edges: tuple[float, ...]
    first: int
    last: int

    def share(self, value: float) -> float:
        """Where a value lies, 0 … 1 of the shown bins; linear within a bin, clipped."""
        edges = self.edges
        place = float(self.first)
        if value >= edges[self.last]:
            place = float(self.last)
        elif value > edges[self.first]:
            below = bisect_right(edges, value, self.first, self.last) - 1
            place = below + (value - edges[below]) / (edges[below + 1] - edges[below])
        return (place - self.first) / (self.last - self.first)

    def ticks(self, apart: float) -> list[float]:
        """0 and ± powers of ten inside the axis, at least a share of `apart` from each other."""
        found: list[float] = []
        wanted = [0.0, *(sign * 10.0**k for k in range(3, -6, -1) for sign in (1, -1))]
        for value in wanted:
            if not self.edges[self.first] <= value <= self.edges[self.last]:
                continue
            if all(abs(self.share(value) - self.share(other)) >= apart for other in found):
                found.append(value)
        return sorted(found)


def bin_axis(edges: Sequence[float], counts: Sequence[int]) -> BinAxis:
    """The bins that hold tokens and one more at either end; all where none does."""
    occupied = [n for n, count in enumerate(counts) if count]
    first, last = (occupied[0], occupied[-1]) if occupied else (0, len(counts) - 1)
    return BinAxis(tuple(edges), max(first - 1, 0), min(last + 2, len(counts)))


def colour_class(count: int) -> int:
    """1 for 1 … 9 tokens, 2 for 10 … 99, … at most CLASSES; 0 for none."""
    return 0 if count <= 0 else min(len(str(count)), CLASSES)


def joint_density(
    *,
    name: str,
    side: str,
    mid_edges: Sequence[float],
    post_edges: Sequence[float],
    counts: Counts,
    median: float | None,
    lifted: Sequence[Lifted] = (),
) -> Markup:
    """The figure of one version; `counts` are [mid, post].

    `median` is that of `mid`, left of which `lifted` is drawn. It is a group and no image, for it
    holds links: an image has no parts to be reached.
    """
    across = bin_axis(mid_edges, counts.sum(axis=1).tolist())
    down = bin_axis(post_edges, counts.sum(axis=0).tolist())
    total = int(counts.sum())
    title = f"{name}: activation before (mid) and after (post) the LayerNorm"
    parts = [
        f'<svg class="figure joint-density {escape(side)}" role="group" '
        f'aria-label="{escape(title)}" width="100%" '
        f'height="{HEIGHT}" xmlns="http://www.w3.org/2000/svg">',
        f"<title>{escape(title)}</title>",
        f"<desc>{total:,} tokens, counted by both values on symmetric-log axes. "
        f"{len(lifted)} lifted examples are ringed.</desc>",
        f'<svg x="{_LEFT}%" y="{_TOP}" width="{_RIGHT - _LEFT}%" height="{_FLOOR - _TOP}" '
        f'viewBox="0 0 {across.last - across.first} {down.last - down.first}" '
        'preserveAspectRatio="none">',
        *_cells(across, down, counts),
        "</svg>",
        *_axes(across, down),
    ]
    if median is not None:
        x = _x(across, median)
        parts.append(
            f'<line class="headline" x1="{x:.2f}%" x2="{x:.2f}%" y1="{_TOP - 4}" y2="{_FLOOR}"/>'
            f'<text class="name" x="{x:.2f}%" y="{_TOP - 7}" '
            f'text-anchor="{"end" if x > 85 else "middle"}">median of mid</text>'
        )
    for example in lifted:
        x, y = _x(across, example.mid), _y(down, example.post)
        parts.append(
            f'<a href="{escape(example.href)}" aria-label="lifted example {example.rank + 1}">'
            f'<circle class="lifted" cx="{x:.2f}%" cy="{y:.1f}" r="5"/></a>'
        )
    parts.append("</svg>")
    return Markup("".join(parts))


def largest_class(counts: Counts) -> int:
    """The darkest class that the figure uses, for its legend; 0 without a token."""
    return colour_class(int(counts.max(initial=0)))


def class_name(level: int) -> str:
    """What a class of colour stands for: `1–9`, `10–99`, …, `100k+` tokens."""
    low = 10 ** (level - 1)
    if level == CLASSES:
        return f"{short_count(low)}+"
    return f"{low}–{low * 10 - 1}" if low < 1000 else f"{short_count(low)}–{short_count(low * 10)}"


def _x(axis: BinAxis, value: float) -> float:
    return _LEFT + (_RIGHT - _LEFT) * axis.share(value)


def _y(axis: BinAxis, value: float) -> float:
    return _FLOOR - (_FLOOR - _TOP) * axis.share(value)


def _cells(across: BinAxis, down: BinAxis, counts: Counts) -> list[str]:
    """One path for each class of colour; rows of `counts` run across the figure."""
    shown = counts[across.first : across.last, down.first : down.last]
    powers = 10 ** np.arange(CLASSES)
    levels = np.searchsorted(powers, shown, side="right")
    # A run of one class up a column is one rectangle: from its lowest cell to its highest.
    begins = np.ones(levels.shape, bool)
    begins[:, 1:] = levels[:, 1:] != levels[:, :-1]
    starts = np.flatnonzero(begins)
    sizes = np.diff(starts, append=levels.size)
    height = down.last - down.first
    columns, bottoms = np.divmod(starts, height)
    tops = height - bottoms - sizes
    of_run = levels.ravel()[starts]
    paths = []
    for level in np.unique(of_run[of_run > 0]).tolist():
        runs = zip(
            *(part[of_run == level].tolist() for part in (columns, tops, sizes)), strict=True
        )
        path = "".join([f"M{x} {y}h1v{n}h-1z" for x, y, n in runs])
        paths.append(f'<path class="d{level}" d="{path}"/>')
    return paths


def _axes(across: BinAxis, down: BinAxis) -> list[str]:
    parts = [
        '<g class="grid">',
        f'<line class="floor" x1="{_LEFT}%" x2="{_RIGHT}%" y1="{_FLOOR}" y2="{_FLOOR}"/>',
        f'<line class="floor" x1="{_LEFT}%" x2="{_LEFT}%" y1="{_TOP}" y2="{_FLOOR}"/>',
    ]
    for value in across.ticks(0.08):
        x = _x(across, value)
        parts.append(
            f'<line x1="{x:.2f}%" x2="{x:.2f}%" y1="{_FLOOR}" y2="{_FLOOR + 4}"/>'
            f'<text x="{x:.2f}%" y="{_FLOOR + 16}" text-anchor="middle">'
            f"{short_number(value)}</text>"
        )
    for value in down.ticks(0.06):
        y = _y(down, value)
        parts.append(
            f'<text x="{_LEFT - 1}%" y="{y + 4:.1f}" text-anchor="end">{short_number(value)}</text>'
            f'<line x1="{_LEFT}%" x2="{_RIGHT}%" y1="{y:.1f}" y2="{y:.1f}"/>'
        )
    parts.append(
        '<text class="name" x="0" y="10">post</text>'
        f'<text class="name" x="{(_LEFT + _RIGHT) / 2:.0f}%" y="{HEIGHT - 12}" '
        'text-anchor="middle">mid, before the LayerNorm (both symmetric log)'
        "</text></g>"
    )
    return parts
