"""A scatter drawn on the server: cells that are darker the more points they hold, or single points.

    frame = frame_of(x, y, log_x=False, log_y=True)
    panel(name="SoLU", side="left", frame=frame, x=…, y=…, x_title="density", y_title="kurtosis")

Panels of one frame have the same axes. Up to `SINGLE` points are drawn each as a link to its page;
beyond, the plane is cut into cells, whose class `s1 … s6` says how many points lie in one. A
logarithmic axis leaves out what is not above zero.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from markupsafe import Markup, escape

from server.number_text import fixed, number

Values = npt.NDArray[np.float64]

SINGLE = 150
"""Points of a panel that are drawn one by one."""

COLUMNS, ROWS = 84, 52
HEIGHT = 340
_TOP, _FLOOR = 10, 292
_LEFT, _RIGHT = 9.0, 99.0
#: Least number of points of a cell for each class.
LEVELS = (1, 2, 4, 8, 16, 32)


@dataclass(frozen=True)
class Scale:
    """One axis from `low` to `high`, in the logarithm to base ten where `log`."""

    low: float
    high: float
    log: bool

    def shares(self, values: Values) -> Values:
        """Where values lie, 0 … 1; NaN for what the axis cannot hold."""
        with np.errstate(divide="ignore", invalid="ignore"):
            placed = np.where(values > 0, np.log10(values), np.nan) if self.log else values
        found: Values = (placed - self.low) / (self.high - self.low)
        return found

    def ticks(self, most: int) -> list[tuple[float, str]]:
        """(share, text) of round values, at most about `most`."""
        if self.log:
            values = [(math.log10(value), number(value, 1)) for value in self._round(most)]
        else:
            step = _step((self.high - self.low) / most)
            first = math.ceil(self.low / step - 1e-9)
            last = math.floor(self.high / step + 1e-9)
            values = [(n * step, _tick(n * step, step)) for n in range(first, last + 1)]
        return [((value - self.low) / (self.high - self.low), text) for value, text in values]

    def _round(self, most: int) -> list[float]:
        """Powers of ten within a logarithmic axis; with 2 and 5 times them where it is short."""
        first, last = math.floor(self.low), math.ceil(self.high)
        leads = (1.0, 2.0, 5.0) if self.high - self.low < 2 else (1.0,)
        found = [
            lead * 10.0**exponent
            for exponent in range(first, last + 1)
            for lead in leads
            if self.low <= math.log10(lead) + exponent <= self.high
        ]
        return found[:: max(1, math.ceil(len(found) / most))]


@dataclass(frozen=True)
class Frame:
    """The axes that all panels of a figure share."""

    x: Scale
    y: Scale


def frame_of(x: Values, y: Values, *, log_x: bool, log_y: bool) -> Frame:
    """Axes that hold all points with a little room around."""
    return Frame(_scale(x, log_x), _scale(y, log_y))


def _scale(values: Values, log: bool) -> Scale:
    kept = np.log10(values[values > 0]) if log else values
    low, high = (float(kept.min()), float(kept.max())) if kept.size else (0.0, 1.0)
    room = 0.02 * (high - low) or 0.05 * abs(high) or 0.5
    return Scale(low - room, high + room, log)


def panel(
    *,
    name: str,
    side: str,
    frame: Frame,
    x: Values,
    y: Values,
    x_title: str,
    y_title: str,
    hrefs: Sequence[tuple[str, str]] = (),
) -> Markup:
    """One panel; `side` is "left", "right" or "" for points of both. `hrefs` has (address, name) of
    each point, and is asked for where there are at most SINGLE."""
    across, up = frame.x.shares(x), frame.y.shares(y)
    inside = ~(np.isnan(across) | np.isnan(up))
    drawn = int(inside.sum())
    parts = [
        f'<svg class="figure scatter {escape(side)}" role="img" width="100%" height="{HEIGHT}" '
        'xmlns="http://www.w3.org/2000/svg">',
        f"<title>{escape(name)}: {escape(y_title)} against {escape(x_title)}</title>",
        f"<desc>{drawn:,} points.</desc>",
        *_grid(frame, x_title, y_title),
    ]
    if hrefs and len(x) <= SINGLE:
        parts += _points(across, up, inside, x, y, hrefs)
    else:
        parts += _cells(across[inside], up[inside])
    parts.append("</svg>")
    text = "".join(parts)
    # Links within a picture would not be reached: with them it is a group.
    return Markup(text.replace('role="img"', 'role="group"', 1) if hrefs else text)


def _grid(frame: Frame, x_title: str, y_title: str) -> list[str]:
    parts = [
        '<g class="grid">',
        f'<line class="floor" x1="{_LEFT}%" x2="{_RIGHT}%" y1="{_FLOOR}" y2="{_FLOOR}"/>',
        f'<line class="floor" x1="{_LEFT}%" x2="{_LEFT}%" y1="{_TOP}" y2="{_FLOOR}"/>',
    ]
    for share, text in frame.x.ticks(6):
        x = _LEFT + (_RIGHT - _LEFT) * share
        parts.append(
            f'<line x1="{x:.2f}%" x2="{x:.2f}%" y1="{_TOP}" y2="{_FLOOR + 4}"/>'
            f'<text x="{x:.2f}%" y="{_FLOOR + 16}" text-anchor="middle">{text}</text>'
        )
    for share, text in frame.y.ticks(6):
        y = _FLOOR - (_FLOOR - _TOP) * share
        parts.append(
            f'<line x1="{_LEFT}%" x2="{_RIGHT}%" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text x="{_LEFT - 0.8}%" y="{y + 4:.1f}" text-anchor="end">{text}</text>'
        )
    parts.append(
        f'<text class="name" x="{(_LEFT + _RIGHT) / 2:.0f}%" y="{HEIGHT - 12}" '
        f'text-anchor="middle">{escape(x_title)}{", log" if frame.x.log else ""}</text></g>'
    )
    return parts


def _points(
    across: Values,
    up: Values,
    inside: npt.NDArray[np.bool_],
    x: Values,
    y: Values,
    hrefs: Sequence[tuple[str, str]],
) -> list[str]:
    parts = []
    for n in np.flatnonzero(inside).tolist():
        href, name = hrefs[n]
        said = f"{escape(name)}: {number(float(x[n]))}, {number(float(y[n]))}"
        parts.append(
            f'<a href="{escape(href)}" aria-label="{said}"><circle class="dot" r="4" '
            f'cx="{_LEFT + (_RIGHT - _LEFT) * across[n]:.2f}%" '
            f'cy="{_FLOOR - (_FLOOR - _TOP) * up[n]:.1f}"><title>{said}</title></circle></a>'
        )
    return parts


def _cells(across: Values, up: Values) -> list[str]:
    """One path for each class; neighbours of one class in a row are one stroke."""
    column = np.clip((across * COLUMNS).astype(np.int64), 0, COLUMNS - 1)
    row = np.clip(((1 - up) * ROWS).astype(np.int64), 0, ROWS - 1)
    counts = np.bincount(row * COLUMNS + column, minlength=ROWS * COLUMNS).reshape(ROWS, COLUMNS)
    classes = np.searchsorted(LEVELS, counts, side="right")
    paths: dict[int, list[str]] = {}
    for line, values in enumerate(classes.tolist()):
        start = 0
        for end in range(1, COLUMNS + 1):
            if end < COLUMNS and values[end] == values[start]:
                continue
            if values[start]:
                width = end - start
                paths.setdefault(values[start], []).append(f"M{start} {line}h{width}v1h-{width}z")
            start = end
    return [
        f'<svg x="{_LEFT}%" y="{_TOP}" width="{_RIGHT - _LEFT}%" height="{_FLOOR - _TOP}" '
        f'viewBox="0 0 {COLUMNS} {ROWS}" preserveAspectRatio="none">',
        *(f'<path class="s{level}" d="{"".join(paths[level])}"/>' for level in sorted(paths)),
        "</svg>",
    ]


def _step(size: float) -> float:
    """1, 2 or 5 times a power of ten, not below `size`."""
    power = 10.0 ** math.floor(math.log10(size))
    return next(power * lead for lead in (1, 2, 5, 10) if power * lead >= size * (1 - 1e-9))


def _tick(value: float, step: float) -> str:
    """A tick with as many decimals as its step has."""
    value = value if abs(value) > step / 1e6 else 0.0
    if step < 1e-4 or abs(value) >= 1e7:
        return number(value, 2)
    return fixed(value, max(0, -math.floor(math.log10(step) + 1e-9)))
