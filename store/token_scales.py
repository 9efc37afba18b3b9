"""What SoLU and its LayerNorm divide a token's activations by: shared by all neurons of a layer.

SoLU's `mid` is pre · exp(pre) / Z, with log Z = log Σ exp(pre) over the layer; LayerNorm's `post`
is (mid − mean) / deviation · weight + bias. With three numbers of a token, log Z, mean / deviation
and 1 / deviation, a neuron's `mid` and `post` follow from its `pre`, so that examples need not
store them (`store.example_packing`). A window keeps them beside its tokens, of those tokens that
examples of a layer show.

    codes = scale_codes(scales)                 [3, length] whole numbers, as they are stored
    packed = pack_scales({("left", 0): scales}) of one window; None where there is nothing
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

from collections.abc import Mapping, Sequence
from operator import mul
from typing import Any

import numpy as np
import numpy.typing as npt

from store import sevens
from store.bit_words import words_at
from store.records import SIDES, FloatArray, Side

ScaleCodes = npt.NDArray[np.int64]

#: Codes of log Z a unit, and of the other two an octave.
_OF_LOG_Z = 128
_OF_OCTAVE = np.array([[50], [100]])
_LOWEST = -40
#: Slopes of code 1 over codes 0 and 2 are in parts of this.
_OF_SLOPE = 32

#: What a head's least code may be: codes themselves stay far below, what is left of them may not.
_LARGEST = 32_767

_HEAD = np.dtype(
    [
        ("least", "<i2", 3),
        ("range1", "<u2"),
        ("range2", "<u2"),
        ("width", "u1"),
        ("slopes", "i1", 2),
    ]
)

#: By side and layer: [3, length] over a window's positions, NaN where no example needs them.
Scales = Mapping[tuple[Side, int], FloatArray]


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


def pack_scales(scales: Scales) -> bytes | None:
    """One window's scales; None where there are none."""
    made = []
    for (side, layer), exact in sorted(scales.items()):
        codes, there = scale_codes(exact)
        if not there.any():
            continue
        if not 0 <= layer < 1 << 15:
            raise ValueError(f"{layer} is no layer")
        section = _section(codes, there)
        if len(section) >= 1 << 16:
            raise ValueError(f"scales of a window of {len(there)} tokens take too many bytes")
        place = 2 * layer + SIDES.index(side)
        made.append(sevens.write(place) + sevens.write(len(section)) + section)
    return b"".join(made) or None


def _section(codes: ScaleCodes, there: npt.NDArray[np.bool_]) -> bytes:
    edges = np.flatnonzero(np.diff(there[1:], prepend=False, append=False)) + 1
    spans = edges.reshape(-1, 2).tolist()
    made = [sevens.write(2 * len(spans) + int(there[0]))]
    if there[0]:
        made.append(codes[:, 0].astype("<i2").tobytes())
    before = 1
    for start, end in spans:
        made += [sevens.write(start - before), sevens.write(end - start)]
        before = end
    further = codes[:, np.flatnonzero(there[1:]) + 1]
    if further.shape[1]:
        head, records = _records(further)
        width = int(head["width"][0])
        bits = (records[:, None] >> np.arange(width)) & 1
        packed = np.packbits(bits.astype(bool).ravel(), bitorder="little").tobytes()
        made += [_head(head), packed]
    return b"".join(made)


def _head(head: npt.NDArray[np.void]) -> bytes:
    least, range1, range2, width, slopes = (head[name][0].tolist() for name in _HEAD.names or ())
    made = [*map(sevens.write_signed, least), sevens.write(range1), sevens.write(range2)]
    return b"".join(made) + bytes([width]) + np.array(slopes, "i1").tobytes()


def _read_head(packed: bytes, at: int) -> tuple[tuple[Any, ...], int]:
    """An entry of _HEAD, and where what follows begins."""
    first, at = sevens.read_signed(packed, at)
    second, at = sevens.read_signed(packed, at)
    third, at = sevens.read_signed(packed, at)
    range1, at = sevens.read(packed, at)
    range2, at = sevens.read(packed, at)
    slopes = (packed[at + 1] ^ 128) - 128, (packed[at + 2] ^ 128) - 128
    return ((first, second, third), range1, range2, packed[at], slopes), at + 3


def _records(codes: ScaleCodes) -> tuple[npt.NDArray[np.void], ScaleCodes]:
    slopes = _slopes(codes)
    left = codes.copy()
    left[1] -= _foretold(codes[0], codes[2], slopes)
    if np.ptp(left[1]) > np.ptp(codes[1]) or np.abs(left[1]).max() > _LARGEST:
        slopes, left = np.zeros(2, np.int64), codes  # whose own codes are within their bounds
    least = left.min(axis=1)
    ranges = left.max(axis=1) - least + 1
    left = left - least[:, None]
    head = np.zeros(1, _HEAD)
    head["least"], head["range1"], head["range2"] = least, ranges[1], ranges[2]
    head["width"] = (int(ranges[0]) * int(ranges[1]) * int(ranges[2]) - 1).bit_length()
    head["slopes"] = slopes
    return head, (left[0] * ranges[1] + left[1]) * ranges[2] + left[2]


def _slopes(codes: ScaleCodes) -> ScaleCodes:
    """How code 1 goes with codes 0 and 2, by least squares."""
    one, wanted, other = (codes - codes.mean(axis=1, keepdims=True)).tolist()  # few: faster so
    aa = sum(map(mul, one, one))
    ab = sum(map(mul, one, other))
    bb = sum(map(mul, other, other))
    ac, bc = sum(map(mul, one, wanted)), sum(map(mul, other, wanted))
    determinant = aa * bb - ab * ab
    if determinant <= 1e-9 * aa * bb:  # one goes with the other, or is the same everywhere
        solved = np.array([ac / aa if aa else 0.0, 0.0])
    else:
        solved = np.array([ac * bb - bc * ab, bc * aa - ac * ab]) / determinant
    found: ScaleCodes = np.clip(np.rint(solved * _OF_SLOPE), -127, 127).astype(np.int64)
    return found


def _foretold(first: ScaleCodes, third: ScaleCodes, slopes: ScaleCodes) -> ScaleCodes:
    found: ScaleCodes = (first * slopes[0] + third * slopes[1]) // _OF_SLOPE
    return found


class Snippets:
    """Spans of windows whose scales are wanted: (packed scales, start, length) each."""

    def __init__(self, spans: Sequence[tuple[bytes | None, int, int]]) -> None:
        self._spans = spans

    def codes(self, side: Side, layer: int) -> ScaleCodes:
        """[3, all tokens], a span after the other. ValueError where a token has no scales."""
        found = [
            _Found.of(packed, side, layer, start, length) for packed, start, length in self._spans
        ]
        heads = np.array([one.head for one in found], _HEAD)
        lengths = [length for _, _, length in self._spans]
        row = np.repeat(np.arange(len(found)), lengths)
        of_row = np.arange(len(row)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        width = heads["width"].astype(np.int64)[row]
        first = np.array([one.first for one in found])[row] + of_row
        first_byte = np.cumsum([0, *(len(one.bits) for one in found)])[:-1][row]
        bit = np.maximum(first, 0) * width
        at = first_byte + (bit >> 3)
        words = words_at((one.bits for one in found), at)
        mask = (np.uint64(1) << width.astype(np.uint64)) - np.uint64(1)
        records = ((words >> (bit & 7).astype(np.uint64)) & mask).astype(np.int64)
        range1 = np.maximum(heads["range1"], 1).astype(np.int64)[row]
        range2 = np.maximum(heads["range2"], 1).astype(np.int64)[row]
        records, third = np.divmod(records, range2)
        least = heads["least"].astype(np.int64)[row]
        first_code, second = np.divmod(records, range1)
        codes = np.stack([first_code, second, third]) + least.T
        codes[1] += _foretold(codes[0], codes[2], heads["slopes"].astype(np.int64)[row].T)
        for one, place in zip(found, np.cumsum(lengths) - lengths, strict=True):
            if one.bos is not None:
                codes[:, place] = one.bos
        return codes


class _Found:
    """Where a span's scales stand: `first` record of `bits` (−1: position 0 stands before)."""

    __slots__ = ("bits", "bos", "first", "head")

    def __init__(self, head: tuple[Any, ...], bits: bytes, first: int, bos: Any) -> None:
        self.head, self.bits, self.first, self.bos = head, bits, first, bos

    @classmethod
    def of(cls, packed: bytes | None, side: Side, layer: int, start: int, length: int) -> _Found:
        section = _section_at(packed or b"", 2 * layer + SIDES.index(side))
        if section is None:
            raise ValueError(_MISSING)
        return cls._in(section, start, length)

    @classmethod
    def _in(cls, section: bytes, start: int, length: int) -> _Found:
        counted, at = sevens.read(section, 0)
        n_spans, bos = counted >> 1, None
        if counted & 1:
            bos, at = np.frombuffer(section, "<i2", 3, at), at + 6
        if start == 0:
            if bos is None:
                raise ValueError(_MISSING)
            first_wanted, end_wanted = 1, length
        else:
            first_wanted, end_wanted, bos = start, start + length, None
        before, records, first = 1, 0, None
        for _ in range(n_spans):
            gap, at = sevens.read(section, at)
            size, at = sevens.read(section, at)
            begin = before + gap
            if begin <= first_wanted and end_wanted <= begin + size:
                first = records + first_wanted - begin
            records += size
            before = begin + size
        if first is None:
            if end_wanted > first_wanted:
                raise ValueError(_MISSING)
            first = 0
        if n_spans == 0:
            return cls(_EMPTY, b"", -1, bos)
        head, at = _read_head(section, at)
        return cls(head, section[at:], first - (start == 0), bos)


_MISSING = "the scales of a window's tokens are missing"
_EMPTY = ((0, 0, 0), 1, 1, 0, (0, 0))


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
