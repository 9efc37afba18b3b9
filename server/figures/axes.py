"""The shared axes of activation histograms: whole bins of the store joined into equal cells.

The horizontal axis is symmetric-log: linear in eight cells from zero to `threshold`, then eight
cells to each power of two, mirrored below zero. Every edge of a cell is an edge of
`store.histogram_edges`, so a cell is a union of whole bins and counts are conserved exactly. The
middle cell reaches from −threshold/8 to threshold/8 and is two cells wide.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import numpy.typing as npt

from store.histogram_edges import (
    BINS_PER_POWER,
    HIGHEST_POWER,
    LOWEST_POWER,
    MIDDLE,
    N_BINS,
    N_SIDE,
)

FEWEST_POWERS, MOST_POWERS = 6, 13
"""Powers of two between the linear part and the largest magnitude that the axis holds."""

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ActivationAxis:
    """Horizontal axis: `threshold` = 2^power ends the linear part; cells first … last are shown.

    Cells are numbered by magnitude and sign: 0 is the middle one, ±1 … ±7 the linear ones, ±8 and
    beyond the logarithmic ones. `largest` is the number of the open outermost cell.
    """

    power: int
    first: int
    last: int

    @property
    def threshold(self) -> float:
        """End of the linear part, in units of activation."""
        return float(2.0**self.power)

    @property
    def largest(self) -> int:
        """Number of the outermost cell, which is open."""
        return 8 + (HIGHEST_POWER - self.power) * BINS_PER_POWER

    def place(self, activation: float) -> float:
        """Where an activation lies, in cells from zero (signed, fractional)."""
        size = abs(activation) / self.threshold
        if size < 1:
            cells = 8 * size
        else:
            octave = min(math.floor(math.log2(size)), HIGHEST_POWER - self.power)
            cells = 8 + 8 * octave + 8 * min(size / 2.0**octave - 1, 1.0)
        return math.copysign(cells, activation)

    def percent(self, activation: float) -> float:
        """Where an activation lies, in percent of the axis from its left end; clipped to it."""
        share = (self.place(activation) - self.left) / (self.right - self.left)
        return 100 * min(max(share, 0.0), 1.0)

    @cached_property
    def left(self) -> float:
        """Left end in cells from zero."""
        return self._lower_edge(self.first)

    @cached_property
    def right(self) -> float:
        """Right end in cells from zero."""
        return -self._lower_edge(-self.last)

    @staticmethod
    def _lower_edge(cell: int) -> float:
        return float(cell - 1 if cell <= 0 else cell)

    def edges(self) -> list[float]:
        """The edges of the shown cells, in cells from `left`; [last − first + 2]."""
        return self._edges

    @cached_property
    def _edges(self) -> list[float]:
        # The middle cell alone is two wide: its lower edge is at -1, its upper one at 1.
        inner = [*range(self.first - 1, 0), *range(1, self.last + 1)]
        return [edge - self.left for edge in [*inner, self.right]]

    def rebin(self, counts: Sequence[int] | Counts) -> Counts:
        """Counts of the shown cells from the 387 bins; [last − first + 1] int64, sum conserved.

        Counts outside first … last go to the nearest shown cell.
        """
        # As floats, which hold whole numbers up to 2⁵³: adding in place takes ten times as long.
        given = np.asarray(counts, dtype=np.int64)
        found = np.bincount(_shown_cells(self), given, self.last - self.first + 1)
        return found.astype(np.int64)

    def rebin_mass(self, mass: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """As `rebin`, of what is no count: [last − first + 1] float64, sum conserved."""
        found = np.bincount(_shown_cells(self), mass, self.last - self.first + 1)
        return found.astype(np.float64, copy=False)

    def ticks(self) -> list[float]:
        """Round activations inside the axis: 0 and ± powers of ten, at least a label apart."""
        return list(_ticks(self))

    def _round_numbers(self) -> list[float]:
        nearest = 0.07 * (self.right - self.left)
        found = [0.0]
        for sign in (1, -1):
            previous = 0.0
            for exponent in range(-6, 4):
                value = sign * 10.0**exponent
                place = self.place(value)
                inside = self.left <= place <= self.right
                if inside and abs(place - previous) >= nearest:
                    found.append(value)
                    previous = place
        return sorted(value for value in found if self.left <= self.place(value) <= self.right)


@lru_cache(maxsize=1024)
def _ticks(axis: ActivationAxis) -> tuple[float, ...]:
    """`axis.ticks()`, which three figures of a page ask for."""
    return tuple(axis._round_numbers())


@lru_cache(maxsize=1024)
def tick_marks(axis: ActivationAxis, floor: int) -> str:
    """The ticks beneath a floor with their names, as markup."""
    parts = []
    for value in axis.ticks():
        x = axis.percent(value)
        anchor = "start" if x < 2 else "end" if x > 98 else "middle"
        parts.append(
            f'<line x1="{x:.2f}%" x2="{x:.2f}%" y1="{floor}" y2="{floor + 4}"/>'
            f'<text x="{x:.2f}%" y="{floor + 15}" text-anchor="{anchor}">'
            f"{short_number(value)}</text>"
        )
    return "".join(parts)


@lru_cache(maxsize=256)
def _shown_cells(axis: ActivationAxis) -> npt.NDArray[np.int64]:
    """The place among an axis's shown cells of each of the 387 bins."""
    return np.clip(_cell_of_bin(axis.power), axis.first, axis.last) - axis.first


@lru_cache(maxsize=64)
def _cell_of_bin(power: int) -> npt.NDArray[np.int64]:
    """The cell of each of the 387 bins for a linear part that ends at 2^power."""
    magnitude = np.abs(np.arange(N_BINS) - MIDDLE)
    lower = np.zeros(N_BINS)
    inner = magnitude > 0
    octave, eighth = np.divmod(magnitude[inner] - 1, BINS_PER_POWER)
    lower[inner] = 2.0 ** (LOWEST_POWER + octave) * (1 + eighth / BINS_PER_POWER)
    in_log_part = magnitude - 1 - (power - LOWEST_POWER) * BINS_PER_POWER
    cell = np.where(in_log_part >= 0, 8 + in_log_part, np.floor(8 * lower / 2.0**power))
    signed = np.sign(np.arange(N_BINS) - MIDDLE) * cell
    return signed.astype(np.int64)


def activation_axis(
    histograms: Iterable[Sequence[int] | Counts], finest: float | None = None
) -> ActivationAxis:
    """The axis that holds all the given histograms (387 counts each), with a cell to spare.

    Its linear part ends at `finest`, the smallest standard deviation to be seen, as far as the
    number of powers allows. Without a single count it spans −1 to 1.
    """
    total = np.zeros(N_BINS, dtype=np.int64)
    for counts in histograms:
        total += np.asarray(counts, dtype=np.int64)
    occupied = np.flatnonzero(total)
    if not occupied.size:
        return ActivationAxis(power=-7, first=-64, last=64)
    largest = int(np.abs(occupied - MIDDLE).max())
    exponent = LOWEST_POWER + math.ceil(min(largest, N_SIDE) / BINS_PER_POWER)
    wanted = exponent - FEWEST_POWERS if not finest else math.floor(math.log2(finest))
    power = min(max(wanted, exponent - MOST_POWERS, LOWEST_POWER + 3), exponent - FEWEST_POWERS)
    power = max(power, LOWEST_POWER + 3)
    cells = _cell_of_bin(power)[occupied]
    return ActivationAxis(
        power=power, first=min(int(cells.min()) - 1, -4), last=max(int(cells.max()) + 1, 4)
    )


@dataclass(frozen=True)
class CountAxis:
    """Vertical axis of token counts, logarithmic: 1 stands a little above the floor, 0 on it."""

    largest: int

    FLOOR = -0.35

    def height(self, count: int) -> float:
        """Height of a count as a share of the axis, 0 … 1."""
        if count <= 0:
            return 0.0
        top = max(math.log10(max(self.largest, 10)) * 1.06, 1.0)
        return (math.log10(count) - self.FLOOR) / (top - self.FLOOR)

    def heights(self, counts: Counts) -> npt.NDArray[np.float64]:
        """`height` of each count."""
        top = max(math.log10(max(self.largest, 10)) * 1.06, 1.0)
        found = (np.log10(np.maximum(counts, 1)) - self.FLOOR) / (top - self.FLOOR)
        return np.where(counts > 0, found, 0.0)

    def ticks(self) -> list[int]:
        """Powers of ten up to the largest count; every second or third one where there are many."""
        highest = max(math.floor(math.log10(max(self.largest, 1))), 0)
        step = 1 if highest <= 3 else 2 if highest <= 6 else 3
        return [10**exponent for exponent in range(0, highest + 1, step)]


_FLOOR = 1000
#: Where a step goes down or up to, in tenths of a percent from the top.
_VERTICALS = [f"V{tenth / 10:g}" for tenth in range(_FLOOR + 1)]


@lru_cache(maxsize=1024)
def _horizontals(axis: ActivationAxis) -> tuple[str, ...]:
    """The ways to an axis's edges."""
    return tuple(f"H{edge:g}" for edge in axis.edges())


def step_path(axis: ActivationAxis, heights: npt.NDArray[np.float64]) -> str:
    """A closed path of steps over an axis's cells, to a tenth: `heights`, 0 … 100, are measured
    from the top, 100 is the floor. Runs of equal height are joined."""
    tenths: list[int] = np.rint(10 * heights).astype(np.int64).tolist()
    ways = _horizontals(axis)
    cells = zip(ways, tenths, [_FLOOR, *tenths], strict=False)  # a last edge ends the last cell
    steps = [way + _VERTICALS[tenth] for way, tenth, before in cells if tenth != before]
    return f"M0 100{''.join(steps)}{ways[-1]}V100Z"


def short_count(count: int) -> str:
    """1, 100, 10k, 1M: a power of ten as an axis names it."""
    for size, letter in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if count >= size:
            return f"{count // size}{letter}"
    return str(count)


def short_number(value: float) -> str:
    """An activation on an axis: 0, 0.01, −1, 10, with a true minus sign."""
    text = f"{abs(value):g}"
    return f"−{text}" if value < 0 else text
