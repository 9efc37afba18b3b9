"""A version's examples as two packed arrays: where they stand, and their values.

    columns = of_records(records)                   or as the gather pass has them
    places, = pack_places([columns])                read alone where values are not wanted
    values, = pack_values([columns])                what they share stands with the windows
    records = unpack(side, layer, neuron, unpack_places(places), values, scales_at)

A version has some fifty examples, each with a snippet's values at up to three sites for itself and
for two neurons of the other model: 9,000 numbers, most of which follow from others. `pre` is stored
as codes (`store.value_codes`), and of the rest what is needed to make it from `pre`:

- `post` of an elementwise activation function: which function;
- SoLU's `mid` = pre · exp(pre) / Z: nothing, since the token's Z stands with its window
  (`store.token_scales`);
- its LayerNorm's `post` = (mid − mean) / deviation · weight + bias: the neuron's weight and bias.

Each is tried before it is taken: values that would miss the stated precision are stored themselves,
and where these are many, or the function is another one, the whole site is. Values are made when
they are asked for, those of a role and site at once, since a page shows few of them.

places      FORMAT, a byte; the number of examples "<u2"; activations "<f4"; quantiles of the same
            index and of the match "<f2" (negative: less than 1; NaN where there is none); frames
            (`store.bit_frames`) of document, window and position; then zlib of byte planes of the
            further FIELDS, "<i4" [field, example], each less the example's before
values      FORMAT; a byte: the site whose value at the focus is the activation (bit, or 0); for
            each of ROLES its length in three bytes and section
section     a byte: its sites (bit i: SITES[i]); the first site's stream (`store.code_streams`); of
            each further one a byte that says how it is made, then its stream, or of AFFINE weight
            and bias "<f4", and the values that would miss
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from store import bit_frames, code_streams, value_codes
from store.example_columns import FIELDS, ROLES, ExampleColumns, model_of
from store.packing import LARGEST_HALF, SnippetValues
from store.records import (
    BANDS,
    SITES,
    ExampleRecord,
    HalfArray,
    OtherValues,
    Side,
    Site,
)
from store.section_packing import Numbers, pack_sections
from store.section_ways import AFFINE, PLAIN, SOLU, Singles, derived
from store.token_scales import ScaleCodes, scales_of
from store.value_codes import Codes

FORMAT = 1

_FRAMED = 3  # of FIELDS the first, which are like no other; of the rest most are as the one before

#: Codes of scales of one model's tokens on all snippets of a version, one after the other.
ScalesAt = Callable[[Side], ScaleCodes]

_HEAD = np.dtype([("format", "u1"), ("n", "<u2")])


def pack_places(versions: Sequence[ExampleColumns]) -> list[bytes]:
    """Where the examples of some versions stand. ValueError for one that cannot be."""
    for of in versions:
        _check_places(of)
    if not versions:
        return []
    framed = np.concatenate([of.fields[:_FRAMED] for of in versions], axis=1)
    made = []
    for of, frames in zip(
        versions, bit_frames.pack_all(framed, list(map(len, versions))), strict=True
    ):
        n = len(of)
        head = np.array((FORMAT, n), _HEAD).tobytes()
        activations = of.activation.astype("<f4").tobytes()
        quantiles = _folded(of.quantiles).astype("<f2").tobytes()
        steps = of.fields[_FRAMED:].astype("<i4", order="C")
        steps[:, 1:] -= steps[:, :-1].copy()
        planes = steps.view(np.uint8).reshape(len(steps), n, 4).transpose(0, 2, 1)
        made.append(head + activations + quantiles + frames + _deflate(planes.tobytes()))
    return made


def _check_places(of: ExampleColumns) -> None:
    columns = of.fields
    if columns.min(initial=0) < 0 or columns.max(initial=0) >= 1 << 31:
        raise ValueError(f"{of.name}: an example's place is negative or too large")
    if len(set(zip(of["band"].tolist(), of["rank"].tolist(), strict=True))) < len(of):
        raise ValueError(f"{of.name}: two examples of one band and rank")
    if (of["before"] >= of["length"]).any() or (of["before"] > of["position"]).any():
        raise ValueError(f"{of.name}: focus outside the snippet")


@dataclass(frozen=True)
class Places:
    """The columns of `pack_places`, an entry an example."""

    fields: dict[str, npt.NDArray[np.int64]]
    activation: npt.NDArray[np.float32]
    quantiles: tuple[list[float | None], list[float | None]]  # of the same index, of the match

    def __len__(self) -> int:
        return len(self.activation)

    def __getitem__(self, name: str) -> npt.NDArray[np.int64]:
        return self.fields[name]

    @property
    def start(self) -> npt.NDArray[np.int64]:
        """Where snippets begin in their windows."""
        return self["position"] - self["before"]


def unpack_places(packed: bytes) -> Places:
    """The places of `pack_places`."""
    version, n = packed[0], packed[1] | packed[2] << 8
    _known(version)
    at = _HEAD.itemsize
    activation = np.frombuffer(packed, "<f4", n, at).astype(np.float32, copy=False)
    folded = np.frombuffer(packed, "<f2", 2 * n, at + 4 * n).astype(np.float64)
    framed, at = bit_frames.unpack_at(packed, at + 8 * n, _FRAMED)
    planes = np.frombuffer(zlib.decompress(packed[at:], -15), np.uint8).reshape(-1, 4, n)
    steps = np.ascontiguousarray(planes.transpose(0, 2, 1)).view("<i4")[..., 0]
    columns = [*framed, *np.cumsum(steps, axis=1, dtype=np.int64)]
    unfolded = np.where(np.signbit(folded), 1 + folded, folded).tolist()
    quantiles = [None if share != share else share for share in unfolded]
    return Places(
        dict(zip(FIELDS, columns, strict=True)), activation, (quantiles[:n], quantiles[n:])
    )


def pack_values(versions: Sequence[ExampleColumns]) -> list[bytes]:
    """The values of the examples of some versions, in their order. ValueError for ones that cannot
    be."""
    sections = pack_sections(
        [
            Numbers(values, scales)
            for of in versions
            for values, scales in zip(of.values, of.scales, strict=True)
        ]
    )
    parts = [len(one).to_bytes(3, "little") + one for one in sections]
    return [
        bytes([FORMAT, _shown_site(of)]) + b"".join(parts[i : i + len(ROLES)])
        for i, of in zip(range(0, len(parts), len(ROLES)), versions, strict=True)
    ]


class RoleValues(SnippetValues):
    """One snippet's values of a role: a part of all its values, which are made when asked for."""

    __slots__ = ("_end", "_role", "_start")

    def __init__(self, role: _Role, start: int, end: int) -> None:
        self._role, self._start, self._end = role, start, end
        self.sites = role.sites
        self.length = end - start

    def __getitem__(self, site: Site) -> HalfArray:
        return self._role.halves(site)[self._start : self._end]

    def code(self, site: Site, place: int) -> int:
        if not 0 <= place < self.length:
            place = range(self.length)[place]
        at = 2 * (self._start + place)
        bits = self._role.bits(site)
        return bits[at] | bits[at + 1] << 8

    def codes(self, site: Site) -> bytes:
        return self._role.bits(site)[2 * self._start : 2 * self._end]


class _Role:
    """All values of one role, a snippet after the other: that of example i from `starts[i]` to
    `ends[i]`, where `present`. `exact`: a site (as a bit), places of it and what stands there."""

    def __init__(
        self,
        section: bytes,
        lengths: npt.NDArray[np.int64],
        present: npt.NDArray[np.bool_],
        scales: Callable[[], Singles],
    ) -> None:
        self._section = section
        self._scales = scales
        ends = np.cumsum(lengths * present)
        self.n = int(ends[-1]) if len(ends) else 0
        self.first = ends - lengths * present
        self.starts, self.ends, self.present = self.first.tolist(), ends.tolist(), present.tolist()
        self.exact: tuple[int, npt.NDArray[np.int64], npt.NDArray[np.float32]] | None = None
        self._codes: dict[Site, Codes] = {}  # of sites with codes of their own
        self._values: dict[Site, Singles] = {}  # and of those that are made from others
        self._halves: dict[Site, HalfArray] = {}
        self._bits: dict[Site, bytes] = {}
        self.sites = _SITES_OF[section[0]]
        self._at, self._n_read = 1, 0  # where the first site that is not yet read begins

    def of(self, i: int) -> RoleValues | None:
        """The values of one example; None where it has none in this role."""
        return RoleValues(self, self.starts[i], self.ends[i]) if self.present[i] else None

    def bits(self, site: Site) -> bytes:
        """`halves` as bytes, the lower first."""
        known = self._bits.get(site)
        if known is None:
            known = self._bits[site] = self.halves(site).tobytes()
        return known

    def halves(self, site: Site) -> HalfArray:
        """A site's values, read-only. KeyError for one that is not there."""
        known = self._halves.get(site)
        if known is None:
            if site not in self.sites:
                raise KeyError(site)
            while site not in self._codes and site not in self._values:
                self._read()
            codes = self._codes.get(site)
            known = (
                self._values[site].astype("<f2")
                if codes is None
                else value_codes.decode_halves(codes)
            )
            if self.exact is not None and self.exact[0] >> SITES.index(site) & 1:
                known[self.exact[1]] = _as_halves(self.exact[2])
            known.flags.writeable = False
            self._halves[site] = known
        return known

    def _read(self) -> None:
        """The next site."""
        packed, at, way = self._section, self._at, PLAIN
        if self._n_read:
            way, at = packed[at], at + 1
        site = self.sites[self._n_read]
        if way == PLAIN:
            self._codes[site], at = code_streams.unpack(packed, self.n, at)
        else:
            width = 2 if way == AFFINE else 0
            parameters = np.frombuffer(packed, "<f4", width, at).tolist()
            misses, codes, at = code_streams.unpack_some(packed, self.n, at + 4 * width)
            scales = self._scales() if way in (SOLU, AFFINE) else None
            for other in self._codes.keys() - self._values.keys():
                self._values[other] = value_codes.decode(self._codes[other])
            values = derived(way, parameters, self._values, scales)
            values[misses] = value_codes.decode(codes)
            self._values[site] = values
        self._at, self._n_read = at, self._n_read + 1


def unpack(
    side: Side,
    layer: int,
    neuron: int,
    places: Places,
    packed: bytes,
    scales_at: ScalesAt,
) -> list[ExampleRecord]:
    """The records of `pack_places` and `pack_values`, in their order; values within the stated
    precision, at the focus of the version's display site exact."""
    return list(Unpacked(side, layer, neuron, places, packed, scales_at))


class Unpacked(Sequence[ExampleRecord]):
    """What `unpack` gives, a record made when it is asked for; `columns` has the places of all."""

    def __init__(
        self,
        side: Side,
        layer: int,
        neuron: int,
        places: Places,
        packed: bytes,
        scales_at: ScalesAt,
    ) -> None:
        _known(packed[0])
        self._version = side, layer, neuron
        self.columns = {name: column.tolist() for name, column in places.fields.items()}
        self.activations: list[float] = places.activation.tolist()
        self._quantiles = places.quantiles
        self._before = places["before"]
        self._own, self._same_index, self._match = _roles(side, places, packed, scales_at)

    def __len__(self) -> int:
        return len(self.activations)

    @overload
    def __getitem__(self, place: int) -> ExampleRecord: ...
    @overload
    def __getitem__(self, place: slice) -> list[ExampleRecord]: ...
    def __getitem__(self, place: int | slice) -> ExampleRecord | list[ExampleRecord]:
        numbers = range(len(self.activations))[place]
        return self._record(numbers) if isinstance(numbers, int) else self.some(numbers)

    def some(self, places: Sequence[int]) -> list[ExampleRecord]:
        """The records at these places."""
        return list(map(self._record, places))

    def _record(self, i: int) -> ExampleRecord:
        side, layer, neuron = self._version
        columns = self.columns
        own = None if self._own is None else self._own.of(i)
        same = None if self._same_index is None else self._same_index.of(i)
        match = None if self._match is None else self._match.of(i)
        same_quantiles, match_quantiles = self._quantiles
        position = columns["position"][i]
        return ExampleRecord(
            side,
            layer,
            neuron,
            BANDS[columns["band"][i]],
            columns["rank"][i],
            columns["document"][i],
            columns["window"][i],
            position,
            self.activations[i],
            position - columns["before"][i],
            own or {},
            None if same is None else OtherValues(neuron, same, same_quantiles[i]),
            None
            if match is None
            else OtherValues(columns["match_neuron"][i], match, match_quantiles[i]),
        )

    def at_focus(self, site: Site) -> HalfArray | None:
        """The version's own values at all foci; None for a site that it does not have."""
        if self._own is None or site not in self._own.sites:
            return None
        found: HalfArray = self._own.halves(site)[self._own.first + self._before]
        return found


def _roles(side: Side, places: Places, packed: bytes, scales_at: ScalesAt) -> list[_Role | None]:
    """The values of each of ROLES; None for one that no example has."""
    known: dict[Side, Singles] = {}
    lengths = places["length"]
    made: list[_Role | None] = []
    at = 2
    for number, role in enumerate(ROLES):
        end = at + 3 + int.from_bytes(packed[at : at + 3], "little")
        section, at = packed[at + 3 : end], end
        if len(section) == 1:
            made.append(None)
            continue
        here = (places["present"] >> number & 1).astype(bool)
        model = model_of(role, side)

        def scales(model: Side = model, here: Any = here) -> Singles:
            if model not in known:
                known[model] = scales_of(scales_at(model))
            found = known[model]
            return found if here.all() else found[:, np.repeat(here, lengths)]

        made.append(_Role(section, lengths, here, scales))
    own = made[0]
    if own is not None:
        own.exact = packed[1], own.first + places["before"], places.activation
    return made


_SITES_OF = [tuple(site for bit, site in enumerate(SITES) if mask >> bit & 1) for mask in range(8)]


def _shown_site(of: ExampleColumns) -> int:
    """The site, as a bit, whose values at the focus are the activations; 0 if none's are."""
    at = np.cumsum(of["length"]) - of["length"] + of["before"]
    activations = _as_halves(of.activation)
    own = of.values[0]
    for site in reversed(SITES):
        if site in own and (_as_halves(own[site][at]) == activations).all():
            return 1 << SITES.index(site)
    return 0


def _as_halves(numbers: npt.NDArray[np.floating]) -> HalfArray:
    """In half precision; what is beyond it is its largest, as in what is stored."""
    found: HalfArray = np.clip(numbers, -LARGEST_HALF, LARGEST_HALF).astype(np.float16)
    return found


def _folded(quantiles: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Shares in [0, 1], exact at both ends in half precision: 1 − q as −(1 − q)."""
    return np.where(quantiles > 0.5, -(1 - quantiles), quantiles)


def _known(version: int) -> None:
    if version != FORMAT:
        raise ValueError(f"examples of format {version} are newer than this program")


def _deflate(plain: bytes) -> bytes:
    deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
    return deflater.compress(plain) + deflater.flush()
