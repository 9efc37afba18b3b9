"""Many snippets drawn at once: what `token_text` says of one, with one pass over all their values.

    for tokens, attributes in draw_snippets([Snippet(...), ...]): ...

A neuron page shows a hundred snippets of sixty tokens. Their values are turned into levels of
colour in arrays over all of them, since a call of numpy costs more than the fifty values of a row,
and their spans are put together by functions of C. The result is that of `heat_map` and
`value_attributes`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import add
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from markupsafe import Markup

from server.pages.lazy import ValueRows, codes, half_decimals
from server.token_text import BOS, LEVELS, OPENINGS, closed_markup, snippet_markup, with_class
from store.packing import SnippetValues
from store.records import Site

#: Steps are small numbers: their text is looked up.
_LARGEST = 1000
_TEXTS = [str(n) for n in range(_LARGEST + 1)] + [str(n) for n in range(-_LARGEST, 0)]

Rows = Mapping[Any, Sequence[float]]
Values = npt.NDArray[np.float64]
Lengths = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Snippet:
    """A context with its values: `own` by site, `other` (of the other version) likewise or None.

    `own_site` and `other_site` are the rows that colour the tokens, each on a scale of its own
    (None: no colour). The first `masked` tokens are part of no statistic. `changed` is a token that
    the corpus does not have there.
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
    changed: int | None = None


def draw_snippets(
    snippets: Sequence[Snippet], popovers: bool = True
) -> Iterator[tuple[Markup, Markup]]:
    """Spans of the tokens, and the attributes that their popovers read, of each snippet.

    Without `popovers` the attributes are empty, and of the values only those that colour are read.
    """
    spans = _spans(snippets)
    texts = value_texts([(str(n), one.own, one.other) for n, one in enumerate(snippets)] * popovers)
    start = 0
    for n, one in enumerate(snippets):
        drawn = spans[start : start + len(one.tokens)]
        start += len(one.tokens)
        for n_marked, name in ((one.changed, "changed"), (one.focus, "f")):
            if n_marked is not None and one.masked <= n_marked < len(drawn):
                drawn[n_marked] = with_class(drawn[n_marked], name)
        for place in range(min(one.masked, len(drawn))):
            drawn[place] = BOS + drawn[place].partition(">")[2]
        attributes = (f' data-{name}="{text}"' for name, text in texts.get(str(n), {}).items())
        yield Markup("".join(drawn)), Markup("".join(attributes))


def value_texts(named: Sequence[tuple[str, Rows, Rows | None]]) -> dict[str, dict[str, str]]:
    """What popovers read, by the name of a snippet: `{"left-top-0": {"pre": "0.01 37 -4 …",
    "other-post": …}}`, the attributes of `value_attributes` without their `data-`."""
    rows = [
        (rows, site)
        for _, own, other in named
        for rows in (own, other)
        if rows is not None
        for site in rows
    ]
    values, lengths = _flat(rows)
    texts = _texts(values, lengths)
    found: dict[str, dict[str, str]] = {}
    for name, own, other in named:
        found[name] = {site: next(texts) for site in own}
        found[name] |= {f"other-{site}": next(texts) for site in other or ()}
    return found


def _spans(snippets: Sequence[Snippet]) -> list[str]:
    """The span of each token of each snippet, in their order."""
    own, lengths = _levels([(one.own, one.own_site, one.scale) for one in snippets])
    with_other = np.array([one.other is not None for one in snippets], bool)
    other = np.zeros_like(own)
    other[np.repeat(with_other, lengths)], _ = _levels(
        [
            (one.other, one.other_site or "", one.other_scale)
            for one in snippets
            if one.other is not None
        ]
    )
    each = len(OPENINGS)
    both = (own % each) * each + other % each
    texts = list(map(closed_markup, itertools.chain.from_iterable(one.tokens for one in snippets)))
    if None in texts:  # a character that is split between tokens
        texts = _joined(snippets, texts)
    return list(map(add, map(_BOTH.__getitem__, both.tolist()), texts))


#: Openings by own level and other level, as one list.
_BOTH = [opening for row in OPENINGS for opening in row]


def _joined(snippets: Sequence[Snippet], texts: list[str | None]) -> list[str | None]:
    """The texts with those snippets made anew that have a token which does not stand alone."""
    start = 0
    for one in snippets:
        end = start + len(one.tokens)
        if None in texts[start:end]:
            texts[start:end] = [f"{text}</span>" for text in snippet_markup(one.tokens)]
        start = end
    return texts


def _flat(rows: Sequence[tuple[Rows, str]]) -> tuple[Values, Lengths]:
    """All values of the rows one after another, and the rows' lengths."""
    packed = [
        (one.halves, site)
        for one, site in cast(Sequence[tuple[Rows, Site]], rows)
        if isinstance(one, ValueRows) and isinstance(one.halves, SnippetValues)
    ]
    if packed and len(packed) == len(rows):  # as they come from the database: one array of all
        bits = b"".join([halves.codes(site) for halves, site in packed])
        lengths = np.fromiter((halves.length for halves, _ in packed), np.int64, len(packed))
        return half_decimals()[np.frombuffer(bits, "<u2")], lengths
    arrays = [
        one.halves[site] if isinstance(one, ValueRows) else one[site]
        for one, site in cast(Sequence[tuple[Rows, Site]], rows)
    ]
    lengths = np.fromiter(map(len, arrays), np.int64, len(arrays))
    if arrays and all(isinstance(one, ValueRows) for one, _ in rows):
        return half_decimals()[codes(np.concatenate(arrays))], lengths
    values = np.fromiter(itertools.chain.from_iterable(arrays), np.float64, int(lengths.sum()))
    return values if np.isfinite(values).all() else np.nan_to_num(values), lengths


def _texts(values: Values, lengths: Lengths) -> Iterator[str]:
    """The text of each row in steps."""
    steps = _steps(np.abs(values), lengths)
    texts = list(map(_TEXTS.__getitem__, _whole(values / np.repeat(steps, lengths))))
    start = 0
    for step, length in zip(steps.tolist(), lengths.tolist(), strict=True):
        yield f"{step:g} {' '.join(texts[start : start + length])}"
        start += length


def _steps(sizes: Values, lengths: Lengths) -> Values:
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


def _whole(values: Values) -> list[int]:
    whole: list[int] = np.rint(values).astype(np.int64).tolist()
    return whole


def _levels(
    rows: Sequence[tuple[Rows, str, float | None]],
) -> tuple[npt.NDArray[np.int64], Lengths]:
    """The colour level of each value, −8 … 8, and the rows' lengths; see `token_text.levels`."""
    values, lengths = _flat([(one, site) for one, site, _ in rows])
    deepest = np.array([scale if scale and scale > 0 else np.inf for _, _, scale in rows])
    share = np.minimum(np.abs(values) / np.repeat(deepest, lengths), 1.0)
    return np.copysign(np.rint(np.sqrt(share) * LEVELS), values).astype(np.int64), lengths
