"""Many snippets drawn at once: what `token_text` says of one, with one pass over all their values.

    for tokens, attributes in draw_snippets([Snippet(...), ...]): ...

A neuron page shows a hundred snippets with five rows of values each. Their numbers are turned into
levels and steps in arrays over all of them, since a call of numpy costs more than the fifty values
of a row; only text is made row by row. The result is that of `heat_map` and `value_attributes`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from markupsafe import Markup

from server.token_text import LEVELS, spans_of

#: Steps are small numbers: their text is looked up.
_LARGEST = 1000
_TEXTS = [str(n) for n in range(_LARGEST + 1)] + [str(n) for n in range(-_LARGEST, 0)]

Rows = Mapping[Any, Sequence[float]]


@dataclass(frozen=True, slots=True)
class Snippet:
    """A context with its values: `own` by site, `other` (of the other version) likewise or None.

    `own_site` and `other_site` are the rows that colour the tokens, each on a scale of its own
    (None: no colour). The first `masked` tokens are part of no statistic.
    """

    tokens: Sequence[bytes]
    focus: int
    masked: int
    own: Rows
    own_site: str
    scale: float | None
    other: Rows | None = None
    other_site: str | None = None
    other_scale: float | None = None


def draw_snippets(snippets: Sequence[Snippet]) -> Iterator[tuple[Markup, Markup]]:
    """Spans of the tokens, and the attributes that their popovers read, of each snippet."""
    rows: list[Sequence[float]] = []
    scales: list[float | None] = []
    for one in snippets:
        for site, values in one.own.items():
            rows.append(values)
            scales.append(one.scale if site == one.own_site else None)
        for site, values in (one.other or {}).items():
            rows.append(values)
            scales.append(one.other_scale if site == one.other_site else None)
    drawn = _drawn(rows, scales)
    for one in snippets:
        attributes: list[str] = []
        own: list[int] = []
        other: list[int] | None = None
        for site in one.own:
            text, levels = next(drawn)
            attributes.append(f' data-{site}="{text}"')
            if site == one.own_site:
                own = levels
        for site in one.other or ():
            text, levels = next(drawn)
            attributes.append(f' data-other-{site}="{text}"')
            if site == one.other_site:
                other = levels
        spans = spans_of(one.tokens, own, other, focus=one.focus, masked=one.masked)
        yield spans, Markup("".join(attributes))


def _drawn(
    rows: list[Sequence[float]], scales: list[float | None]
) -> Iterator[tuple[str, list[int]]]:
    """The text of each row in steps, and its levels (all 0 where it has no scale)."""
    lengths = np.array([len(row) for row in rows], np.int64)
    values = np.fromiter(itertools.chain.from_iterable(rows), np.float64, int(lengths.sum()))
    if not np.isfinite(values).all():
        values = np.nan_to_num(values)
    sizes = np.abs(values)
    steps = _steps(sizes, lengths)
    texts = list(map(_TEXTS.__getitem__, _whole(values / np.repeat(steps, lengths))))
    levels = _levels(values, sizes, lengths, scales)
    start = 0
    for step, length in zip(steps.tolist(), lengths.tolist(), strict=True):
        end = start + length
        yield f"{step:g} {' '.join(texts[start:end])}", levels[start:end]
        start = end


def _steps(
    sizes: npt.NDArray[np.float64], lengths: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """Each row's step: a power of ten between 1/100 and 1/1000 of its largest magnitude."""
    found = np.ones(len(lengths))
    filled = np.flatnonzero(lengths)
    if filled.size:
        starts = (np.cumsum(lengths) - lengths)[filled]
        largest = np.maximum.reduceat(sizes, starts)
        some = largest > 0
        powers = np.floor(np.log10(largest[some] / 100)).tolist()
        found[filled[some]] = [10.0**power for power in powers]  # numpy's are off by a last bit
    return found


def _whole(values: npt.NDArray[np.float64]) -> list[int]:
    whole: list[int] = np.rint(values).astype(np.int64).tolist()
    return whole


def _levels(
    values: npt.NDArray[np.float64],
    sizes: npt.NDArray[np.float64],
    lengths: npt.NDArray[np.int64],
    scales: list[float | None],
) -> list[int]:
    deepest = np.array([scale if scale and scale > 0 else np.inf for scale in scales], np.float64)
    share = np.minimum(sizes / np.repeat(deepest, lengths), 1.0)
    found: list[int] = (
        np.copysign(np.rint(np.sqrt(share) * LEVELS), values).astype(np.int64).tolist()
    )
    return found
