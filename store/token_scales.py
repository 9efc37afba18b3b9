"""What SoLU and its LayerNorm divide a token's activations by: shared by all neurons of a layer.

SoLU's `mid` is pre · exp(pre) / Z, with log Z = log Σ exp(pre) over the layer; LayerNorm's `post`
is (mid − mean) / deviation · weight + bias. With three numbers of a token, log Z, mean / deviation
and 1 / deviation, a neuron's `mid` and `post` follow from its `pre`, so that examples need not
store them (`store.example_packing`). A window keeps them beside its tokens, of those tokens that
examples of a layer show.

    codes = scale_codes(scales)                 [3, length] whole numbers, as they are stored
    packed = pack_scales([{("left", 0): scales}]) see `store.scale_packing`
    codes = Snippets(spans).codes("left", 0)    [3, all tokens of all spans], one after the other

packed      for each side and layer: 2 · layer + (1 for the right side) and the section's length,
            as `store.sevens`, then the section
section     a byte: twice the number of spans, and 1 more if position 0 is there; the codes of
            position 0 "<i2", which no other token is like (BOS); of each span of further positions
            the gap before it and its length, as `store.sevens`; the head: so too the least codes
            and ranges 1 and 2, then a byte each the width of a record and two slopes; a record
            for each position, the lowest bit first, of as many bits as the widest needs:
            (code 0 · range 1 + code 1) · range 2 + code 2, codes less the least, and less what
            the slopes foretell of code 1
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from store import sevens
from store.bit_words import words_at
from store.records import SIDES, Side

ScaleCodes = npt.NDArray[np.int64]

#: Codes of log Z a unit, and of the other two an octave.
_OF_LOG_Z = 128
_OF_OCTAVE = np.array([[50], [100]])
_LOWEST = -40
#: Slopes of code 1 over codes 0 and 2 are in parts of this.
OF_SLOPE = 32


def scale_codes(scales: npt.ArrayLike) -> tuple[ScaleCodes, npt.NDArray[np.bool_]]:
    """Codes of log Z, mean / deviation and 1 / deviation, [3, length] as the scales are; and of
    which tokens there are any: where all three are finite and of a size that can be stored."""
    exact = np.asarray(scales, np.float64)
    if exact.ndim != 2 or len(exact) != 3:
        raise ValueError(f"scales of tokens have the shape {exact.shape}, not [3, length]")
    with np.errstate(invalid="ignore"):
        there = np.isfinite(exact).all(axis=0) & (np.abs(exact) < [[200], [1e6], [1e12]]).all(
            axis=0
        )
        there &= exact[2] > 0
    kept = np.where(there, exact, 1.0)
    size = np.maximum(np.abs(kept[1:]), 2.0**_LOWEST)
    on_octaves = np.rint((np.log2(size) - _LOWEST) * _OF_OCTAVE) + 1
    signed = np.where(kept[1:] < 0, -on_octaves, on_octaves)
    return np.stack([np.rint(kept[0] * _OF_LOG_Z), *signed]).astype(np.int64), there


def scales_of(codes: ScaleCodes) -> npt.NDArray[np.float32]:
    """The scales of codes, [3, length] single precision."""
    size = np.exp2((np.abs(codes[1:]) - 1) / _OF_OCTAVE + _LOWEST)
    signed = np.where(codes[1:] < 0, -size, size)
    return np.stack([codes[0] / _OF_LOG_Z, *signed]).astype(np.float32)


def _read_head(packed: bytes, at: int) -> tuple[tuple[int, ...], int]:
    """The eight numbers of _HEAD, and where what follows begins."""
    first, at = sevens.read_signed(packed, at)
    second, at = sevens.read_signed(packed, at)
    third, at = sevens.read_signed(packed, at)
    range1, at = sevens.read(packed, at)
    range2, at = sevens.read(packed, at)
    slope1, slope2 = ((byte ^ 128) - 128 for byte in packed[at + 1 : at + 3])
    ranges = max(range1, 1), max(range2, 1)
    return (first, second, third, *ranges, packed[at], slope1, slope2), at + 3


def foretold(first: ScaleCodes, third: ScaleCodes, slopes: ScaleCodes) -> ScaleCodes:
    """What two slopes make of codes 0 and 2, in place of code 1."""
    found: ScaleCodes = (first * slopes[0] + third * slopes[1]) // OF_SLOPE
    return found


class WindowScales:
    """One window's packed scales (None: it has none); what was read of a layer once is kept."""

    __slots__ = ("_packed", "_sections")

    def __init__(self, packed: bytes | None) -> None:
        self._packed = packed or b""
        self._sections: dict[int, _Section] = {}

    @property
    def n_bytes(self) -> int:
        """Their length as they are packed."""
        return len(self._packed)

    def section(self, place: int) -> _Section:
        """That of a side and layer. ValueError where there is none."""
        found = self._sections.get(place)
        if found is None:
            packed = _section_at(self._packed, place)
            if packed is None:
                raise ValueError(_MISSING)
            found = self._sections[place] = _Section(packed)
        return found


class Snippets:
    """Spans of windows whose scales are wanted: (scales, packed or as they were kept, start,
    length) each."""

    def __init__(self, spans: Sequence[tuple[WindowScales | bytes | None, int, int]]) -> None:
        self._spans = [
            (scales if isinstance(scales, WindowScales) else WindowScales(scales), start, length)
            for scales, start, length in spans
        ]

    def codes(self, side: Side, layer: int) -> ScaleCodes:
        """[3, all tokens], a span after the other. ValueError where a token has no scales."""
        place = 2 * layer + SIDES.index(side)
        sections = [scales.section(place) for scales, _, _ in self._spans]
        firsts = [
            section.first(start, length)
            for section, (_, start, length) in zip(sections, self._spans, strict=True)
        ]
        lengths = np.array([length for _, _, length in self._spans], np.int64)
        starts = np.cumsum(lengths) - lengths
        sizes = np.array([len(one.bits) for one in sections], np.int64)
        heads = np.frombuffer(b"".join([one.head for one in sections]), "<i8").reshape(-1, 8)
        before = np.stack([np.array(firsts, np.int64) - starts, np.cumsum(sizes) - sizes], axis=1)
        of_token = np.repeat(np.concatenate([heads, before], axis=1), lengths, axis=0).T
        *least, range1, range2, width, slope1, slope2, first, first_byte = of_token
        bit = np.maximum(first + np.arange(len(first)), 0) * width
        words = words_at((one.bits for one in sections), first_byte + (bit >> 3)).view(np.int64)
        # A record has fewer bits than a word less the seven that may stand before it.
        records = (words >> (bit & 7)) & ((1 << width) - 1)
        records, third = np.divmod(records, range2)
        first_code, second = np.divmod(records, range1)
        codes: ScaleCodes = np.stack([first_code, second, third]) + least
        codes[1] += foretold(codes[0], codes[2], np.stack([slope1, slope2]))
        for section, (_, start, _), at in zip(sections, self._spans, starts.tolist(), strict=True):
            if start == 0 and section.bos is not None:
                codes[:, at] = section.bos
        return codes


class _Section:
    """A window's scales of one side and layer: the codes of position 0 or None, further spans as
    (begin, end, record of the first), the head as eight "<i8", and the bits of the records."""

    __slots__ = ("bits", "bos", "head", "spans")

    def __init__(self, packed: bytes) -> None:
        counted, at = sevens.read(packed, 0)
        self.bos: list[int] | None = None
        if counted & 1:
            self.bos, at = np.frombuffer(packed, "<i2", 3, at).tolist(), at + 6
        self.spans: list[tuple[int, int, int]] = []
        before, records = 1, 0
        for _ in range(counted >> 1):
            gap, at = sevens.read(packed, at)
            size, at = sevens.read(packed, at)
            begin, before = before + gap, before + gap + size
            self.spans.append((begin, before, records))
            records += size
        head, at = _read_head(packed, at) if self.spans else (_EMPTY, len(packed))
        self.head = np.array(head, "<i8").tobytes()
        self.bits = packed[at:]

    def first(self, start: int, length: int) -> int:
        """The record of the position `start` (of position 0, which has none: the one before that
        of position 1). ValueError where a position has no scales."""
        if start == 0 and self.bos is None:
            raise ValueError(_MISSING)
        begin, end = max(start, 1), start + length
        for span, span_end, records in self.spans:
            if span <= begin and end <= span_end:
                return records + start - span
        if end > begin:
            raise ValueError(_MISSING)
        return 0


_MISSING = "the scales of a window's tokens are missing"
_EMPTY = (0, 0, 0, 1, 1, 0, 0, 0)


def _section_at(packed: bytes, place: int) -> bytes | None:
    """The section of a side and layer, None where there is none."""
    at = 0
    while at < len(packed):
        number, at = sevens.read(packed, at)
        length, at = sevens.read(packed, at)
        if number == place:
            return packed[at : at + length]
        at += length
    return None
