"""Packed arrays, all little-endian. Those of examples are in `store.example_packing`, those of
mined counterexamples in `store.mined_packing`, of the inverted index in `store.firing_packing`, the
scales of windows in `store.token_scales`.

counts      `store.bit_lengths`
histograms  a byte that says which sites (bit i: SITES[i]); then, of one site after the other, how
            far each count is from the one before (`store.bit_lengths`)
window      its length "<u2", then token ids in as many bits as the vocabulary needs, lowest first
token ids   "<u2" where the vocabulary has up to 65,536 tokens, else "<u4"
values      a byte that says which sites (bit i: SITES[i]), then "<f2" [site, length]; not
            compressed, since half-precision activations are noise to zlib
effects     token ids, then "<f4" of the same length
singles     "<f4": edges, directions
numbers     "<f8", NaN where undefined
mass        the largest bin as "<f8", then the steps from bin to bin (`store.bit_lengths`) of the
            codes of the bins' shares of it (`store.log_codes`)
partners    frames of kind, rank, layer and neuron, then correlations "<f4"
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, pairwise

import numpy as np
import numpy.typing as npt

from store import bit_frames, bit_lengths, log_codes
from store.bit_words import words_at
from store.records import BANDS, SITES, CountArray, FloatArray, HalfArray, Site, TokenArray

COUNT_DTYPE = np.dtype("<i8")
VALUE_DTYPE = np.dtype("<f2")
LARGEST_HALF = 65_504.0
EFFECT_DTYPE = np.dtype("<f4")
NUMBER_DTYPE = np.dtype("<f8")
TALLY_DTYPE = np.dtype("<u4")

#: Bands that a score may be of, a bit each: the shown ones from the top to q0-50, and the middle.
SCORES = (*BANDS[:6], "max25-50")

#: The sites that the first byte of packed values names, in their order.
_SITES_OF = [tuple(site for bit, site in enumerate(SITES) if mask >> bit & 1) for mask in range(8)]


def token_dtype(n_tokens: int) -> np.dtype[np.unsignedinteger]:
    """The dtype of token ids in a vocabulary of `n_tokens`."""
    return np.dtype("<u2") if n_tokens <= 1 << 16 else np.dtype("<u4")


def pack_counts(counts: CountArray) -> bytes:
    """Counts [bins], most of them 0 or small."""
    return bit_lengths.pack(counts)


def unpack_counts(packed: bytes) -> CountArray:
    """The counts of `pack_counts`, [bins] int64."""
    return bit_lengths.unpack(packed)


def pack_histograms(counts: Mapping[Site, CountArray]) -> bytes:
    """Histogram counts [bins] by site."""
    sites = [site for site in SITES if site in counts]
    together = np.stack([np.asarray(counts[site], COUNT_DTYPE) for site in sites])
    mask = sum(1 << SITES.index(site) for site in sites)
    return bytes([mask]) + bit_lengths.pack(np.diff(together, axis=1, prepend=0).ravel())


def unpack_histograms(packed: bytes) -> dict[Site, CountArray]:
    """The counts of `pack_histograms`, [bins] int64 by site."""
    sites = _SITES_OF[packed[0]]
    steps = bit_lengths.unpack(packed[1:]).reshape(len(sites), -1)
    return dict(zip(sites, np.cumsum(steps, axis=1), strict=True))


def pack_tokens(tokens: npt.ArrayLike, n_tokens: int) -> bytes:
    """Token ids [length] of a vocabulary of `n_tokens`; ValueError for an id outside it."""
    ids = np.asarray(tokens)
    if ids.size and (ids.min() < 0 or ids.max() >= n_tokens):
        raise ValueError(f"token ids {ids.min()}–{ids.max()} outside a vocabulary of {n_tokens}")
    return ids.astype(token_dtype(n_tokens)).tobytes()


def unpack_tokens(packed: bytes, n_tokens: int) -> TokenArray:
    """The ids of `pack_tokens`, [length] int32."""
    return np.frombuffer(packed, token_dtype(n_tokens)).astype(np.int32)


def pack_window(tokens: npt.ArrayLike, n_tokens: int) -> bytes:
    """A window's token ids of a vocabulary of `n_tokens`, each in as few bits as it needs.

    ValueError for an id outside it."""
    ids = np.asarray(tokens)
    if ids.size and (ids.min() < 0 or ids.max() >= n_tokens):
        raise ValueError(f"token ids {ids.min()}–{ids.max()} outside a vocabulary of {n_tokens}")
    if len(ids) >= 1 << 16:
        raise ValueError(f"a window of {len(ids)} tokens is too long to be stored")
    bits = (ids[:, None] >> np.arange(_width(n_tokens))) & 1
    return (
        len(ids).to_bytes(2, "little") + np.packbits(bits.astype(bool), bitorder="little").tobytes()
    )


def window_length(packed: bytes) -> int:
    """How many ids `pack_window` was given."""
    return packed[0] | packed[1] << 8


def unpack_window(packed: bytes, n_tokens: int) -> TokenArray:
    """The ids of `pack_window`, [length] int32."""
    length, width = window_length(packed), _width(n_tokens)
    plain = np.frombuffer(packed, np.uint8, offset=2)
    bits = np.unpackbits(plain, count=length * width, bitorder="little").reshape(length, width)
    return bits @ (1 << np.arange(width, dtype=np.int32))


def unpack_snippets(spans: Sequence[tuple[bytes, int, int]], n_tokens: int) -> list[TokenArray]:
    """Ids of parts of windows, (packed, start, length) each, made together: [length] int32."""
    ids = unpack_spans(spans, n_tokens)
    ends = accumulate((length for _, _, length in spans), initial=0)
    return [ids[start:end] for start, end in pairwise(ends)]


def unpack_spans(spans: Sequence[tuple[bytes, int, int]], n_tokens: int) -> TokenArray:
    """As `unpack_snippets`, one part after the other: [all lengths] int32."""
    if not spans:
        return np.zeros(0, np.int32)
    width = _width(n_tokens)
    lengths = np.array([length for _, _, length in spans], np.int64)
    sizes = np.array([len(packed) for packed, _, _ in spans], np.int64)
    starts = np.array([start for _, start, _ in spans], np.int64)
    # Where the bits of a span's first id would begin, were it the first of all.
    windows = np.cumsum(sizes) - sizes + 2
    bits = 8 * windows + (starts - (np.cumsum(lengths) - lengths)) * width
    bit = np.repeat(bits, lengths)
    bit += np.arange(0, len(bit) * width, width)
    words = words_at((packed for packed, _, _ in spans), bit >> 3).view(np.int64)
    return ((words >> (bit & 7)) & ((1 << width) - 1)).astype(np.int32)


def _width(n_tokens: int) -> int:
    return max((n_tokens - 1).bit_length(), 1)


def pack_values(values: Mapping[Site, HalfArray]) -> bytes:
    """Values [length] per site; ValueError if the sites' lengths differ."""
    sites = [site for site in SITES if site in values]
    arrays = [np.asarray(values[site], dtype=VALUE_DTYPE) for site in sites]
    if len({array.shape for array in arrays}) > 1:
        raise ValueError("values of one snippet differ in length between sites")
    mask = sum(1 << SITES.index(site) for site in sites)
    return bytes([mask]) + b"".join(array.tobytes() for array in arrays)


class SnippetValues(Mapping[Site, HalfArray]):
    """One snippet's values by site, which are unpacked when asked for; arrays are read-only.

    A page asks for all values of few of its examples and for one of each.
    """

    __slots__ = ("length", "sites")

    length: int
    sites: tuple[Site, ...]

    def __iter__(self) -> Iterator[Site]:
        return iter(self.sites)

    def __len__(self) -> int:
        return len(self.sites)

    def __contains__(self, site: object) -> bool:
        return site in self.sites

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SnippetValues):
            return NotImplemented
        return self.sites == other.sites and all(
            self.codes(site) == other.codes(site) for site in self.sites
        )

    __hash__ = None  # type: ignore[assignment]

    @abstractmethod
    def code(self, site: Site, place: int) -> int:
        """The bits of one value, as a whole number."""

    @abstractmethod
    def codes(self, site: Site) -> bytes:
        """The bits of a site's values, two bytes each, the lower first."""


class PackedValues(SnippetValues):
    """The values of `pack_values` as they were packed."""

    __slots__ = ("packed",)

    def __init__(self, packed: bytes) -> None:
        self.packed = packed
        self.sites = _SITES_OF[packed[0]]
        self.length = (len(packed) - 1) // (VALUE_DTYPE.itemsize * max(len(self.sites), 1))

    def __getitem__(self, site: Site) -> HalfArray:
        rows = np.frombuffer(self.packed, VALUE_DTYPE, self.length, self._start(site))
        return rows.astype(np.float16, copy=False)

    def code(self, site: Site, place: int) -> int:
        at = self._start(site) + VALUE_DTYPE.itemsize * range(self.length)[place]
        return self.packed[at] | self.packed[at + 1] << 8

    def codes(self, site: Site) -> bytes:
        start = self._start(site)
        return self.packed[start : start + VALUE_DTYPE.itemsize * self.length]

    def _start(self, site: Site) -> int:
        if site not in self.sites:
            raise KeyError(site)
        return 1 + VALUE_DTYPE.itemsize * self.length * self.sites.index(site)


def unpack_values(packed: bytes) -> PackedValues:
    """The values of `pack_values`."""
    return PackedValues(packed)


def pack_effects(effects: Sequence[tuple[int, float]], n_tokens: int) -> bytes:
    """(token id, effect) pairs in their order; ids first, then effects in single precision."""
    ids = pack_tokens([token for token, _ in effects], n_tokens)
    return ids + np.array([effect for _, effect in effects], EFFECT_DTYPE).tobytes()


def unpack_effects(packed: bytes, n_tokens: int) -> tuple[tuple[int, float], ...]:
    """The pairs of `pack_effects`."""
    width = token_dtype(n_tokens).itemsize
    length = len(packed) // (width + EFFECT_DTYPE.itemsize)
    ids = unpack_tokens(packed[: length * width], n_tokens)
    effects = np.frombuffer(packed, EFFECT_DTYPE, offset=length * width)
    return tuple(zip(ids.tolist(), effects.tolist(), strict=True))


def pack_halves(values: npt.ArrayLike) -> bytes:
    """Values [length] of one kind in half precision, not compressed."""
    return np.asarray(values, VALUE_DTYPE).tobytes()


def unpack_halves(packed: bytes) -> HalfArray:
    """The values of `pack_halves`; read-only."""
    return np.frombuffer(packed, VALUE_DTYPE).astype(np.float16, copy=False)


def pack_singles(values: npt.ArrayLike) -> bytes:
    """Values [length] in single precision: edges, a direction."""
    return np.asarray(values, EFFECT_DTYPE).tobytes()


def unpack_singles(packed: bytes) -> FloatArray:
    """The values of `pack_singles`; read-only."""
    return np.frombuffer(packed, EFFECT_DTYPE).astype(np.float32, copy=False)


def pack_numbers(numbers: Iterable[float | None]) -> bytes:
    """A few numbers in double precision; None where undefined."""
    return np.array([np.nan if x is None else x for x in numbers], NUMBER_DTYPE).tobytes()


def unpack_numbers(packed: bytes) -> tuple[float | None, ...]:
    """The numbers of `pack_numbers`."""
    return tuple(x if x == x else None for x in np.frombuffer(packed, NUMBER_DTYPE).tolist())


def unpack_defined(packed: bytes) -> tuple[float, ...]:
    """The numbers of `pack_numbers` where none is undefined."""
    return tuple(np.frombuffer(packed, NUMBER_DTYPE).tolist())


def pack_mass(mass: npt.ArrayLike) -> bytes:
    """Non-negative mass by bin, to a part in 200 of each bin; below 2⁻³⁰ of the largest it is 0.

    The largest bin in double precision, then the codes of mass / largest. ValueError for mass that
    is negative or not finite.
    """
    exact = np.asarray(mass, NUMBER_DTYPE)
    if exact.size and not (np.isfinite(exact).all() and exact.min() >= 0):
        raise ValueError("mass is negative or not finite")
    largest = float(exact.max(initial=0.0))
    codes = log_codes.encode(exact / largest if largest > 0 else exact)
    return np.array([largest], NUMBER_DTYPE).tobytes() + bit_lengths.pack(np.diff(codes, prepend=0))


def unpack_mass(packed: bytes) -> FloatArray:
    """The mass of `pack_mass`, [bins] float32."""
    width = NUMBER_DTYPE.itemsize
    largest = np.frombuffer(packed[:width], NUMBER_DTYPE)[0]
    shares = log_codes.decode(np.cumsum(bit_lengths.unpack(packed[width:])))
    mass: FloatArray = (shares.astype(np.float64) * largest).astype(np.float32)
    return mass


def pack_token_counts(counts: Sequence[tuple[int, int]], n_tokens: int) -> bytes:
    """(token id, count) pairs in their order; ids first, then counts."""
    ids = pack_tokens([token for token, _ in counts], n_tokens)
    return ids + np.array([count for _, count in counts], TALLY_DTYPE).tobytes()


def unpack_token_counts(packed: bytes, n_tokens: int) -> tuple[tuple[int, int], ...]:
    """The pairs of `pack_token_counts`."""
    width = token_dtype(n_tokens).itemsize
    length = len(packed) // (width + TALLY_DTYPE.itemsize)
    ids = unpack_tokens(packed[: length * width], n_tokens)
    counts = np.frombuffer(packed, TALLY_DTYPE, offset=length * width)
    return tuple(zip(ids.tolist(), counts.tolist(), strict=True))


def unpack_token_count_arrays(packed: bytes, n_tokens: int) -> tuple[TokenArray, CountArray]:
    """The ids and counts of `pack_token_counts` as arrays, [length] each."""
    width = token_dtype(n_tokens).itemsize
    length = len(packed) // (width + TALLY_DTYPE.itemsize)
    counts = np.frombuffer(packed, TALLY_DTYPE, offset=length * width).astype(np.int64)
    return unpack_tokens(packed[: length * width], n_tokens), counts


def pack_partners(
    versions: Sequence[Sequence[tuple[int, int, int, int, float]]],
) -> list[bytes]:
    """(kind, rank, layer, neuron, correlation) of some versions, in their order: frames, then
    correlations."""
    whole = np.array([one[:4] for partners in versions for one in partners], np.int64)
    frames = bit_frames.pack_all(whole.reshape(-1, 4).T, list(map(len, versions)))
    return [
        packed + pack_singles([one[4] for one in partners])
        for packed, partners in zip(frames, versions, strict=True)
    ]


def unpack_partners(packed: bytes) -> list[tuple[int, int, int, int, float]]:
    """The entries of `pack_partners`."""
    columns = bit_frames.unpack(packed, 4)
    n = len(columns[0])
    correlations = np.frombuffer(packed, EFFECT_DTYPE, offset=len(packed) - n * 4)
    return list(zip(*(c.tolist() for c in columns), correlations.tolist(), strict=True))


def pack_bands(scores: Mapping[str, float | None]) -> bytes:
    """Scores by band: a byte that says which (bit i: SCORES[i]), then numbers."""
    mask = sum(1 << SCORES.index(band) for band in scores)
    return bytes([mask]) + pack_numbers(scores[band] for band in SCORES if band in scores)


def unpack_bands(packed: bytes) -> dict[str, float | None]:
    """The scores of `pack_bands`, in the order of SCORES."""
    bands = [band for bit, band in enumerate(SCORES) if packed[0] >> bit & 1]
    return dict(zip(bands, unpack_numbers(packed[1:]), strict=True))


def pack_places(places: Sequence[tuple[str, int]]) -> bytes:
    """(band, rank) of examples, a byte each. ValueError for an unknown band or a rank over 255."""
    return bytes(value for band, rank in places for value in (BANDS.index(band), int(rank)))


def unpack_places(packed: bytes) -> tuple[tuple[str, int], ...]:
    """The places of `pack_places`."""
    return tuple((BANDS[packed[i]], packed[i + 1]) for i in range(0, len(packed), 2))
