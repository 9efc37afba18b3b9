"""Many snippets drawn at once: what `token_text` says of one, with one pass over all their values.

    for tokens, attributes in draw_snippets([Snippet(...), ...]): ...

A neuron page shows tens of snippets of twenty tokens. Their values are turned into levels of
colour in arrays over all of them, since a call of numpy costs more than the twenty values of a row,
and their spans are taken from arrays of strings. The result is that of `heat_map` and
`value_attributes`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from markupsafe import Markup

from server.pages.lazy import Pieces, ValueRows, codes, half_decimals
from server.token_text import (
    BOS,
    LEVELS,
    OPENINGS,
    closed_markup,
    passage_markup,
    snippet_markup,
    with_class,
)
from server.vocabulary import Vocabulary
from store.records import Site

#: Steps are small numbers: their text is looked up.
_LARGEST = 1000
_TEXTS = [str(n) for n in range(_LARGEST + 1)] + [str(n) for n in range(-_LARGEST, 0)]

Rows = Mapping[Any, Sequence[float]]
Values = npt.NDArray[np.float64]
Lengths = npt.NDArray[np.int64]


@dataclass(slots=True)  # a page has tens: frozen ones take three times as long to make
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
    spans = map(Markup, _spans(snippets))
    if not popovers:
        yield from zip(spans, itertools.repeat(Markup("")))
        return
    texts = value_texts([(str(n), one.own, one.other) for n, one in enumerate(snippets)])
    for drawn, named in zip(spans, texts.values(), strict=True):
        attributes = (f' data-{name}="{text}"' for name, text in named.items())
        yield drawn, Markup("".join(attributes))


def texts_beside(tokens: Sequence[Sequence[bytes]]) -> list[str]:
    """The text of each of these stretches, markup without elements, which are the tokens that have
    values."""
    pieces = [one for one in tokens if isinstance(one, Pieces)]
    vocabulary = pieces[0].vocabulary if pieces else None
    if isinstance(vocabulary, Vocabulary) and len(pieces) == len(tokens):
        texts = vocabulary.texts(np.concatenate([one.ids for one in pieces]))
        if None not in texts:
            whole = cast(list[str], texts)
            ends = itertools.accumulate(map(len, pieces))
            return ["".join(whole[start:end]) for start, end in itertools.pairwise([0, *ends])]
    return [passage_markup(b"".join(one)) for one in tokens]


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
    """The spans of each snippet as one string: beginnings and ends of all tokens, side by side in
    an array, are joined snippet by snippet."""
    if not snippets:
        return []
    with_other = [one for one in snippets if one.other is not None]
    levels, lengths = _levels(
        [
            *((one.own, one.own_site, one.scale) for one in snippets),
            *((one.other or {}, one.other_site or "", one.other_scale) for one in with_other),
        ]
    )
    lengths = lengths[: len(snippets)]
    ends = np.cumsum(lengths)
    total = int(ends[-1])
    beneath = np.zeros(total, np.int64)
    has_other = np.array([one.other is not None for one in snippets], bool)
    beneath[np.repeat(has_other, lengths)] = levels[total:]
    pieces = np.empty((total, 2), object)
    pieces[:, 0] = _BOTH[(levels[:total] % _EACH) * _EACH + beneath % _EACH]
    pieces[:, 1] = _closed(snippets, ends)
    start = 0
    found = []
    for one, end in zip(snippets, ends.tolist(), strict=True):
        for n_marked, name in ((one.changed, "changed"), (one.focus, "f")):
            if n_marked is not None and one.masked <= n_marked < end - start:
                pieces[start + n_marked, 0] = with_class(pieces[start + n_marked, 0], name)
        pieces[start : min(start + one.masked, end), 0] = BOS
        start = end
    flat = pieces.ravel().tolist()
    start = 0
    for end in (2 * ends).tolist():
        found.append("".join(flat[start:end]))
        start = end
    return found


#: Openings by own level and other level, one row after another.
_BOTH = np.array([opening for row in OPENINGS for opening in row], object)
_EACH = len(OPENINGS)


def _closed(snippets: Sequence[Snippet], ends: Lengths) -> npt.NDArray[np.object_]:
    """What stands in the span of each token, with its end."""
    tokens = [one.tokens for one in snippets]
    pieces = [one for one in tokens if isinstance(one, Pieces)]
    vocabulary = pieces[0].vocabulary if pieces else None
    if (
        isinstance(vocabulary, Vocabulary)
        and len(pieces) == len(tokens)
        and all(one.vocabulary is vocabulary for one in pieces)
    ):
        ids = np.concatenate([one.ids for one in pieces])
        texts = vocabulary.closed(ids)
        split = vocabulary.split(ids)
    else:
        texts = np.empty(int(ends[-1]), object)
        texts[:] = list(map(closed_markup, itertools.chain.from_iterable(tokens)))
        split = np.flatnonzero([text is None for text in texts])
    # A token with a part of a character is drawn with those beside it.
    for n in np.unique(np.searchsorted(ends, split, side="right")).tolist():
        start = int(ends[n - 1]) if n else 0
        texts[start : int(ends[n])] = [f"{text}</span>" for text in snippet_markup(tokens[n])]
    return texts


def _flat(rows: Sequence[tuple[Rows, str]]) -> tuple[Values, Lengths]:
    """All values of the rows one after another, and the rows' lengths."""
    packed = [
        (one.packed, site)
        for one, site in cast(Sequence[tuple[Rows, Site]], rows)
        if isinstance(one, ValueRows) and one.packed is not None
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
