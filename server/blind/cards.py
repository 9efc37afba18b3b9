"""A card as it is frozen: snippets of one length, with shades in place of activations.

A shade says how a token's activation ranks among all tokens of the version's own sample, in four
steps: up to the 90th percentile, above it, above the 99th, above the 99.9th. Magnitudes, ceilings
and scales, which would tell the versions apart, are not on a card, nor are documents' names.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from server.blind.composition import ANY_SILENT, RANGE_BANDS, SILENT
from store.evidence_records import CounterexampleRecord
from store.records import ExampleRecord, NeuronRecord, ShownExample, TokenArray
from store.shown_evidence import ShownCounterexample
from store.study_records import StudyDesign

#: The least shade of a focus, by the band it was drawn from: halves rounded, it may fall below.
SHADE_OF_BAND = {"top": 3, "q99.9-100": 3, "q99-99.9": 2, "q90-99": 1, SILENT: 0}


@dataclass(frozen=True)
class Snippet:
    """One context: text of each cell ("" where there is none), its shade, which one is the focus.

    Bytes that are no whole character stand in a token as lone surrogates (surrogateescape).
    """

    tokens: tuple[str, ...]
    shades: tuple[int, ...]
    focus: int
    silent: bool

    def as_json(self) -> dict[str, Any]:
        """As it is stored."""
        return {
            "tokens": list(self.tokens),
            "shades": list(self.shades),
            "focus": self.focus,
            "silent": self.silent,
        }


@dataclass(frozen=True)
class Source:
    """A version with its examples by band, strongest first, and silent contexts as "silent"."""

    record: NeuronRecord
    examples: Mapping[str, Sequence[ShownExample | ShownCounterexample]]


def source(
    record: NeuronRecord,
    examples: Iterable[ShownExample],
    silent: Iterable[ShownCounterexample],
) -> Source:
    """A version with what cards may show of it."""
    by_band: dict[str, list[ShownExample | ShownCounterexample]] = {SILENT: list(silent)}
    for shown in examples:
        band = SILENT if shown.example.band == ANY_SILENT else shown.example.band
        if band in ("top", *RANGE_BANDS, SILENT):
            by_band.setdefault(band, []).append(shown)
    return Source(record, by_band)


def snippets(
    of: Source, counts: Mapping[str, int], vocabulary: Sequence[bytes], design: StudyDesign
) -> list[Snippet]:
    """The first examples of each band, as many as `counts` says."""
    return [
        _snippet(of.record, shown, band, vocabulary, design)
        for band, number in counts.items()
        for shown in of.examples[band][:number]
    ]


def merged(
    first: Source,
    second: Source,
    counts: Mapping[str, int],
    vocabulary: Sequence[bytes],
    design: StudyDesign,
) -> list[Snippet]:
    """Contexts of two versions in equal parts, each shaded by its own ranks: the maximum of both
    at equal rank, as far as either's examples show it."""
    found: list[Snippet] = []
    for band, number in counts.items():
        turn = len(found)
        for place in range(number):
            of = (first, second)[(turn + place) % 2]
            shown = of.examples[band][place // 2]
            found.append(_snippet(of.record, shown, band, vocabulary, design))
    return found


def card(found: Sequence[Snippet], rng: random.Random) -> dict[str, Any]:
    """The card of these snippets, in an order drawn by lot; silent ones stand last."""
    shuffled = list(found)
    rng.shuffle(shuffled)
    shuffled.sort(key=lambda snippet: snippet.silent)
    return {"snippets": [snippet.as_json() for snippet in shuffled]}


def reordered(shown: Mapping[str, Any], rng: random.Random) -> dict[str, Any]:
    """The same card with its snippets in another order: a repeat."""
    shuffled = list(shown["snippets"])
    rng.shuffle(shuffled)
    shuffled.sort(key=lambda snippet: snippet["silent"])
    return {"snippets": shuffled}


def text_of(token: bytes) -> str:
    """A token as a card keeps it; `bytes_of` gives the bytes back."""
    return token.decode("utf-8", "surrogateescape")


def bytes_of(text: str) -> bytes:
    """The bytes of a card's token."""
    return text.encode("utf-8", "surrogateescape")


def cut(
    tokens: TokenArray,
    first: int,
    focus: int,
    vocabulary: Sequence[bytes],
    design: StudyDesign,
) -> tuple[str, ...]:
    """The cells around `focus`, an index into `tokens`; `first` is the position of `tokens[0]`.

    What stands before the text (BOS, position 0) and behind the end is "".
    """
    cells = []
    for place in range(focus - design.before, focus + design.after + 1):
        inside = 0 <= place < len(tokens) and first + place > 0
        cells.append(text_of(vocabulary[int(tokens[place])]) if inside else "")
    return tuple(cells)


def place_of(shown: ShownExample | ShownCounterexample) -> ExampleRecord | CounterexampleRecord:
    """Where an example stands, with its values."""
    return shown.example if isinstance(shown, ShownExample) else shown.record


def _snippet(
    record: NeuronRecord,
    shown: ShownExample | ShownCounterexample,
    band: str,
    vocabulary: Sequence[bytes],
    design: StudyDesign,
) -> Snippet:
    place = place_of(shown)
    values = np.asarray(place.values[record.display_site], np.float32)
    shades = shades_of(values, record)
    tokens = cut(shown.tokens, place.start, shown.focus, vocabulary, design)
    cells = []
    for offset, token in enumerate(tokens):
        index = shown.focus - design.before + offset
        cells.append(int(shades[index]) if token else 0)
    focus = design.before
    least = SHADE_OF_BAND[band]
    cells[focus] = least if band == SILENT else max(cells[focus], least)
    return Snippet(tokens, tuple(cells), focus, band == SILENT)


def shades_of(values: npt.NDArray[np.float32], record: NeuronRecord) -> npt.NDArray[np.int64]:
    """0–3: how many of the version's 90th, 99th and 99.9th percentiles each value exceeds."""
    if record.band_edges is None:
        return np.zeros(len(values), np.int64)
    edges = np.asarray(record.band_edges[1:], np.float32)
    found: npt.NDArray[np.int64] = np.searchsorted(edges, values, side="left").astype(np.int64)
    return found
