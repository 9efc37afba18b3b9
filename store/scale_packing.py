"""Scales of windows' tokens packed, of many windows at once (`store.section_packing` says why).

    packed = pack_scales([{("left", 0): scales, ("left", 1): scales}, ...])

What a window's holds is said in `store.token_scales`, which reads it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from store import sevens
from store.bit_words import packed_bits
from store.records import SIDES, FloatArray, Side
from store.token_scales import OF_SLOPE, ScaleCodes, foretold, scale_codes

#: What a head's least code may be: codes themselves stay far below, what is left of them may not.
_LARGEST = 32_767

Longs = npt.NDArray[np.int64]

#: By side and layer: [3, length] over a window's positions, NaN where no example needs them.
Scales = Mapping[tuple[Side, int], FloatArray]


def pack_scales(of_windows: Sequence[Scales | None]) -> list[bytes | None]:
    """Each window's scales; None where there are none."""
    layers = [sorted(scales.items()) if scales else [] for scales in of_windows]
    places = [[_place(*of) for of, _ in some] for some in layers]
    sections = iter(_sections([np.asarray(exact) for some in layers for _, exact in some]))
    made = []
    for its_places in places:
        parts = []
        for place in its_places:
            section = next(sections)
            if section is None:
                continue
            if len(section) >= 1 << 16:
                raise ValueError(f"scales of a window take {len(section)} bytes, too many")
            parts.append(sevens.write(place) + sevens.write(len(section)) + section)
        made.append(b"".join(parts) or None)
    return made


def _place(side: Side, layer: int) -> int:
    if not 0 <= layer < 1 << 15:
        raise ValueError(f"{layer} is no layer")
    return 2 * layer + SIDES.index(side)


def _sections(scales: Sequence[FloatArray]) -> list[bytes | None]:
    """A section for each window and layer; None where no position has scales."""
    if not scales:
        return []
    codes, there = scale_codes(np.concatenate(scales, axis=1))
    lengths = np.array([one.shape[1] for one in scales])
    edges = np.concatenate([[0], np.cumsum(lengths)])
    starts = edges[:-1][lengths > 0]
    first = np.zeros(len(there), bool)
    first[starts] = True
    further = there & ~first
    sizes = np.diff(np.concatenate([[0], np.cumsum(further)])[edges])
    records = iter(_records(codes[:, further], sizes[sizes > 0]))
    spans = _spans(further, edges)
    made: list[bytes | None] = []
    for start, n, size, its_spans in zip(
        edges.tolist(), lengths.tolist(), sizes.tolist(), spans, strict=False
    ):
        bos = n > 0 and bool(there[start])
        if not bos and not size:
            made.append(None)
            continue
        parts = [sevens.write(2 * len(its_spans) + bos)]
        if bos:
            parts.append(codes[:, start].astype("<i2").tobytes())
        before = 1
        for begin, end in its_spans:
            parts += [sevens.write(begin - before), sevens.write(end - begin)]
            before = end
        made.append(b"".join(parts) + (next(records) if size else b""))
    return made


def _spans(further: npt.NDArray[np.bool_], edges: Longs) -> list[list[tuple[int, int]]]:
    """From where to where each section has scales, position 0 apart, which separates them."""
    changes = np.flatnonzero(np.diff(further, prepend=False, append=False)).reshape(-1, 2)
    section = np.searchsorted(edges, changes[:, 0], "right") - 1
    made: list[list[tuple[int, int]]] = [[] for _ in edges[1:]]
    within = changes - edges[section][:, None]
    for i, (begin, end) in zip(section.tolist(), within.tolist(), strict=True):
        made[i].append((begin, end))
    return made


def _records(codes: ScaleCodes, sizes: Longs) -> list[bytes]:
    """Heads and records of sections of such sizes, none of them empty, one after the other."""
    if not len(sizes):
        return []
    starts = np.cumsum(sizes) - sizes
    slopes = _slopes(codes, sizes, starts)
    left = codes.copy()
    left[1] -= foretold(codes[0], codes[2], np.repeat(slopes, sizes, axis=1))
    least, most = _range(left[1], starts)
    own_least, own_most = _range(codes[1], starts)
    worse = most - least > own_most - own_least
    worse |= np.maximum(np.abs(least), np.abs(most)) > _LARGEST
    slopes[:, worse] = 0  # codes themselves are within their bounds
    left[1] = np.where(np.repeat(worse, sizes), codes[1], left[1])
    leasts, mosts = np.array([_range(each, starts) for each in left]).transpose(1, 0, 2)
    ranges = mosts - leasts + 1
    left -= np.repeat(leasts, sizes, axis=1)
    of_code = np.repeat(ranges, sizes, axis=1)
    records = (left[0] * of_code[1] + left[1]) * of_code[2] + left[2]
    widths = [(a * b * c - 1).bit_length() for a, b, c in ranges.T.tolist()]
    bits = packed_bits(records, np.array(widths), sizes)
    made = []
    for low, (_, second, third), width, of_section, packed in zip(
        leasts.T.tolist(), ranges.T.tolist(), widths, slopes.T, bits, strict=True
    ):
        head = [*map(sevens.write_signed, low), sevens.write(second), sevens.write(third)]
        head += [bytes([width]), of_section.astype("i1").tobytes(), packed]
        made.append(b"".join(head))
    return made


def _range(codes: Longs, starts: Longs) -> tuple[Longs, Longs]:
    return np.minimum.reduceat(codes, starts), np.maximum.reduceat(codes, starts)


def _slopes(codes: ScaleCodes, sizes: Longs, starts: Longs) -> Longs:
    """How code 1 goes with codes 0 and 2 in each section, by least squares; [2, sections]."""
    mean = np.add.reduceat(codes, starts, axis=1) / sizes
    one, wanted, other = codes - np.repeat(mean, sizes, axis=1)
    aa, ab, bb, ac, bc = (
        np.add.reduceat(x * y, starts)
        for x, y in ((one, one), (one, other), (other, other), (one, wanted), (other, wanted))
    )
    determinant = aa * bb - ab * ab
    # One goes with the other, or is the same everywhere.
    alone = determinant <= 1e-9 * aa * bb
    with np.errstate(divide="ignore", invalid="ignore"):
        both = np.array([ac * bb - bc * ab, bc * aa - ac * ab]) / determinant
        by_one = np.where(aa > 0, ac / aa, 0.0)
    solved = np.where(alone, [by_one, np.zeros(len(sizes))], both)
    found: Longs = np.clip(np.rint(solved * OF_SLOPE), -127, 127).astype(np.int64)
    return found
