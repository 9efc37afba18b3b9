"""A version's examples as two packed arrays: where they stand, and their values.

    places = pack_places(records)                   read alone where values are not wanted
    values = pack_values(records, scales_of)        scales_of(side, document, window) or None
    records = unpack(places, values, scales_of, side, layer, neuron)

A version has some fifty examples, each with a snippet's values at up to three sites for itself and
for two neurons of the other model: 20,000 numbers, most of which follow from others. So a value is
stored as how far its code (`store.value_codes`) is from the one that can be foretold:

- `post` of an elementwise activation function, from `pre`;
- SoLU's `mid` = pre · exp(pre) / Z, from `pre` and the token's Z, which all neurons share;
- its LayerNorm's `post` = (mid − mean) / deviation · weight + bias, from `mid` and the token's mean
  and deviation, with the neuron's weight and bias as fitted to the values.

The first such prediction that fits best is taken, and none where none helps: what is read is the
value's own code in any case, so its precision never depends on a prediction.

places      FORMAT, a byte; the number of examples "<u2"; activations "<f4"; quantiles of the same
            index and of the match "<f2" (negative: less than 1; NaN where there is none); then zlib
            of byte planes of "<u4" [field, example], FIELDS
values      FORMAT; a byte for each of ROLES: its sites (bit i: SITES[i], 0 for none); for each of
            its sites a byte that says how it is foretold, and of AFFINE its weight and bias "<f4";
            then streams, each with its length "<u4" before it: high parts and low parts of the
            codes that are not foretold, and errors of each of the other ways
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from store.records import BANDS, SITES, ExampleRecord, OtherValues, Side, Site
from store.value_codes import FUNCTIONS, Codes, decode, encode, function_codes

FORMAT = 1

ROLES = ("own", "same_index", "match")
FIELDS = (
    "band",
    "rank",
    "document",
    "window",
    "position",
    "before",
    "length",
    "present",
    "match_neuron",
)

#: How a site is foretold: not at all, by a function (FUNCTION + its number), by SoLU, by LayerNorm.
PLAIN, SOLU, AFFINE, FUNCTION = 0, 1, 2, 3

_LOW_BITS = 6
#: Scales of one window, [3, length]: see `store.token_scales`.
Scales = npt.NDArray[np.float32]
ScalesOf = Callable[[Side, int, int], Scales | None]

_HEAD = np.dtype([("format", "u1"), ("n", "<u2")])


def no_scales(side: Side, document: int, window: int) -> None:
    """Of a run that has none."""


def pack_places(records: Sequence[ExampleRecord]) -> bytes:
    """Where a version's examples stand. ValueError for one that cannot be."""
    columns = np.array([_fields(one) for one in records], np.int64).T
    if columns.min(initial=0) < 0 or columns.max(initial=0) >= 1 << 32:
        raise ValueError(f"{_name(records[0])}: an example's place is negative or too large")
    named = dict(zip(FIELDS, columns, strict=True))
    if len(set(zip(named["band"].tolist(), named["rank"].tolist(), strict=True))) < len(records):
        raise ValueError(f"{_name(records[0])}: two examples of one band and rank")
    head = np.array((FORMAT, len(records)), _HEAD).tobytes()
    activations = np.array([one.activation for one in records], "<f4").tobytes()
    quantiles = np.array(
        [
            [_folded(other.quantile if other else None) for other in (one.same_index, one.match)]
            for one in records
        ],
        "<f2",
    ).T.tobytes()
    planes = (
        np.ascontiguousarray(columns, "<u4").view(np.uint8).reshape(len(FIELDS), len(records), 4)
    )
    return head + activations + quantiles + _deflate(planes.transpose(0, 2, 1).tobytes())


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


def unpack_places(packed: bytes) -> Places:
    """The places of `pack_places`."""
    version, n = np.frombuffer(packed, _HEAD, 1)[0].tolist()
    _known(version)
    at = _HEAD.itemsize
    activation = np.frombuffer(packed, "<f4", n, at).astype(np.float32, copy=False)
    folded = np.frombuffer(packed, "<f2", 2 * n, at + 4 * n).astype(np.float64)
    planes = np.frombuffer(_inflate(packed[at + 8 * n :]), np.uint8).reshape(len(FIELDS), 4, n)
    columns = np.ascontiguousarray(planes.transpose(0, 2, 1)).view("<u4")[..., 0].astype(np.int64)
    same, match = (
        [None if q != q else float(q) for q in _unfolded(half)] for half in np.split(folded, 2)
    )
    return Places(dict(zip(FIELDS, columns, strict=True)), activation, (same, match))


def pack_values(records: Sequence[ExampleRecord], scales_of: ScalesOf) -> bytes:
    """The values of a version's examples, in their order."""
    side = records[0].side
    streams = _Streams()
    heads: list[bytes] = []
    fitted: list[bytes] = []
    for role, found in zip(ROLES, _by_role(records), strict=True):
        sites = _sites(role, found)
        heads.append(bytes([sum(1 << SITES.index(site) for site in sites)]))
        if not found:
            continue
        codes = {
            site: encode(np.concatenate([values[site] for _, values in found])) for site in sites
        }
        scales = _gathered([one for one, _ in found], _model_of(role, side), scales_of)
        for site in sites:
            way, parameters, foretold = _best(site, codes, scales)
            fitted.append(bytes([way]) + np.array(parameters, "<f4").tobytes())
            streams.add(way, codes[site], foretold)
    return bytes([FORMAT]) + b"".join(heads) + b"".join(fitted) + streams.packed()


def unpack(
    side: Side, layer: int, neuron: int, packed_places: bytes, packed: bytes, scales_of: ScalesOf
) -> list[ExampleRecord]:
    """The records of `pack_places` and `pack_values`, whose values are within PRECISION."""
    places = unpack_places(packed_places)
    _known(packed[0])
    masks = packed[1 : 1 + len(ROLES)]
    at = 1 + len(ROLES)
    plans: list[dict[Site, tuple[int, Any]]] = []
    for mask in masks:
        plan: dict[Site, tuple[int, Any]] = {}
        for bit, site in enumerate(SITES):
            if mask >> bit & 1:
                way = packed[at]
                width = 2 if way == AFFINE else 0
                plan[site] = way, np.frombuffer(packed, "<f4", width, at + 1)
                at += 1 + 4 * width
        plans.append(plan)
    streams = _Streams.of(packed[at:])
    values = [
        _role_values(role, plan, places, side, scales_of, streams)
        for role, plan in zip(ROLES, plans, strict=True)
    ]
    columns = {name: column.tolist() for name, column in places.fields.items()}
    activations = places.activation.tolist()
    made = []
    for i in range(len(places)):
        same, match = values[1][i], values[2][i]
        made.append(
            ExampleRecord(
                side=side,
                layer=layer,
                neuron=neuron,
                band=BANDS[columns["band"][i]],
                rank=columns["rank"][i],
                document=columns["document"][i],
                window=columns["window"][i],
                position=columns["position"][i],
                activation=activations[i],
                start=columns["position"][i] - columns["before"][i],
                values=values[0][i] or {},
                same_index=None
                if same is None
                else OtherValues(neuron, same, places.quantiles[0][i]),
                match=None
                if match is None
                else OtherValues(columns["match_neuron"][i], match, places.quantiles[1][i]),
            )
        )
    return made


def _role_values(
    role: str,
    plan: dict[Site, tuple[int, Any]],
    places: Places,
    side: Side,
    scales_of: ScalesOf,
    streams: _Streams,
) -> list[dict[Site, Any] | None]:
    """Values by site of each example; None where this role has none."""
    made: list[dict[Site, Any] | None] = [None] * len(places)
    rows = np.flatnonzero(places["present"] >> ROLES.index(role) & 1)
    if not len(rows):
        return made
    lengths = places["length"][rows]
    scales = None
    if any(way in (SOLU, AFFINE) for way, _ in plan.values()):
        scales = _scales_at(
            places["document"][rows].tolist(),
            places["window"][rows].tolist(),
            (places["position"] - places["before"])[rows].tolist(),
            lengths.tolist(),
            _model_of(role, side),
            scales_of,
        )
        if scales is None:
            raise ValueError("the scales of a window's tokens are missing")
    codes: dict[Site, Codes] = {}
    n = int(lengths.sum())
    for site, (way, parameters) in plan.items():
        codes[site] = streams.take(way, n, _foretold(way, parameters, site, codes, scales))
    ends = np.cumsum(lengths)[:-1]
    halves = {site: np.split(decode(c).astype(np.float16), ends) for site, c in codes.items()}
    for k, row in enumerate(rows.tolist()):
        made[row] = {site: parts[k] for site, parts in halves.items()}
    return made


def _best(
    site: Site, codes: dict[Site, Codes], scales: Scales | None
) -> tuple[int, tuple[float, ...], Codes | None]:
    """How a site is foretold best from those before it, with what parameters, and what it gives."""
    own = codes[site]
    chosen: tuple[int, tuple[float, ...], Codes | None] = (PLAIN, (), None)
    cost = 8.0  # bits a value: about what a plain one takes, less what a prediction must save
    for way, parameters in _ways(site, codes, scales):
        foretold = _foretold(way, parameters, site, codes, scales)
        assert foretold is not None
        bits = float(np.log2(1 + 2.0 * np.abs(own - foretold)).mean())
        if bits < cost:
            chosen, cost = (way, parameters, foretold), bits
    return chosen


def _ways(
    site: Site, codes: dict[Site, Codes], scales: Scales | None
) -> Iterator[tuple[int, tuple[float, ...]]]:
    if site == "pre" or "pre" not in codes:
        return
    before_norm = site == "post" and "mid" in codes
    if not before_norm:
        yield from ((FUNCTION + number, ()) for number in range(len(FUNCTIONS)))
    if scales is None:
        return
    if before_norm:
        yield AFFINE, _fit(codes, scales)
    else:
        yield SOLU, ()


def _foretold(
    way: int,
    parameters: Sequence[float],
    site: Site,
    codes: dict[Site, Codes],
    scales: Scales | None,
) -> Codes | None:
    """The codes that a way gives from the sites before; None for PLAIN."""
    if way == PLAIN:
        return None
    if way == AFFINE:
        assert scales is not None
        normal = _normal(codes["mid"], scales)
        weight, bias = np.float32(parameters[0]), np.float32(parameters[1])
        return encode(np.clip(normal * weight + bias, -65_504, 65_504))
    if way == SOLU:
        assert scales is not None
        pre = decode(codes["pre"])
        return encode(pre * np.exp(np.minimum(pre - scales[0], 10)))
    table = function_codes(way - FUNCTION)
    return table[codes["pre"] + len(table) // 2]


def _normal(mid: Codes, scales: Scales) -> npt.NDArray[np.float32]:
    return decode(mid) * scales[2] - scales[1]


def _fit(codes: dict[Site, Codes], scales: Scales) -> tuple[float, float]:
    """Weight and bias of the LayerNorm at this neuron: least squares of relative errors."""
    normal, post = _normal(codes["mid"], scales).astype(np.float64), decode(codes["post"])
    care = 1 / (np.abs(post.astype(np.float64)) + 0.05)
    a = np.stack([normal * care, care], axis=1)
    solved = np.linalg.lstsq(a, post * care, rcond=None)[0].astype(np.float32)
    return float(solved[0]), float(solved[1])


@dataclass
class _Streams:
    """Codes by how they are foretold: written one site after the other, read in the same order."""

    parts: dict[int, list[Codes]] = field(default_factory=dict)
    taken: dict[int, int] = field(default_factory=dict)

    def add(self, way: int, codes: Codes, foretold: Codes | None) -> None:
        self.parts.setdefault(way, []).append(codes if foretold is None else codes - foretold)

    def packed(self) -> bytes:
        made = b""
        for way in sorted(self.parts):
            together = np.concatenate(self.parts[way])
            # Zigzag: the sign in the lowest bit of an error, in the highest of a code.
            if way == PLAIN:
                size = np.abs(together)
                low = (size[:, None] >> np.arange(_LOW_BITS)) & 1
                high = (size >> _LOW_BITS).astype(np.uint8) | ((together < 0) * np.uint8(128))
                streams = [_deflate(high.tobytes()), np.packbits(low.astype(bool)).tobytes()]
            else:
                zigzag = ((together << 1) ^ (together >> 31)).astype("<u2")
                planes = zigzag.view(np.uint8).reshape(-1, 2)
                streams = [_deflate(planes[:, i].tobytes()) for i in (0, 1)]
            made += bytes([way])
            made += b"".join(len(one).to_bytes(3, "little") + one for one in streams)
        return made

    @classmethod
    def of(cls, packed: bytes) -> _Streams:
        at, parts = 0, {}
        while at < len(packed):
            way, at = packed[at], at + 1
            streams = []
            for _ in range(2):
                end = at + 3 + int.from_bytes(packed[at : at + 3], "little")
                streams.append(packed[at + 3 : end])
                at = end
            first = np.frombuffer(_inflate(streams[0]), np.uint8).astype(np.int32)
            if way == PLAIN:
                bits = np.unpackbits(np.frombuffer(streams[1], np.uint8))
                low = bits[: len(first) * _LOW_BITS].reshape(-1, _LOW_BITS)
                size = ((first & 127) << _LOW_BITS) + low @ (1 << np.arange(_LOW_BITS))
                together = np.where(first & 128, -size, size).astype(np.int32)
            else:
                second = np.frombuffer(_inflate(streams[1]), np.uint8).astype(np.int32)
                zigzag = first | second << 8
                together = (zigzag >> 1) ^ -(zigzag & 1)
            parts[way] = [together]
        return cls(parts)

    def take(self, way: int, n: int, foretold: Codes | None) -> Codes:
        at = self.taken.get(way, 0)
        self.taken[way] = at + n
        part = self.parts[way][0][at : at + n]
        return part if foretold is None else part + foretold


def _by_role(records: Sequence[ExampleRecord]) -> list[list[tuple[ExampleRecord, dict[Site, Any]]]]:
    """For each of ROLES the examples that have it, with its values."""
    return [
        [(one, one.values) for one in records],
        [(one, one.same_index.values) for one in records if one.same_index is not None],
        [(one, one.match.values) for one in records if one.match is not None],
    ]


def _sites(role: str, found: list[tuple[ExampleRecord, dict[Site, Any]]]) -> list[Site]:
    """The sites of a role. ValueError where examples differ in them or in their lengths."""
    if not found:
        return []
    sites = [site for site in SITES if site in found[0][1]]
    for one, values in found:
        length = _length(one)
        if set(values) != set(sites):
            raise ValueError(f"{_name(one)}: examples differ in the sites of {role}")
        if any(np.shape(array) != (length,) for array in values.values()):
            whose = "its" if role == "own" else "the other version's"
            raise ValueError(f"{_name(one)}: {whose} values are not {length} long")
    return sites


def _fields(one: ExampleRecord) -> tuple[int, ...]:
    length = _length(one)
    if not one.start <= one.position < one.start + length or one.start < 0:
        raise ValueError(f"{_name(one)}, {one.band} {one.rank}: focus outside the snippet")
    same, match = one.same_index, one.match
    if same is not None and same.neuron != one.neuron:
        raise ValueError(f"{_name(one)}: the same index is {same.neuron}?")
    present = 1 | (same is not None) << 1 | (match is not None) << 2
    return (
        BANDS.index(one.band),
        int(one.rank),
        int(one.document),
        int(one.window),
        int(one.position),
        int(one.position) - int(one.start),
        length,
        present,
        0 if match is None else int(match.neuron),
    )


def _gathered(found: list[ExampleRecord], model: Side, scales_of: ScalesOf) -> Scales | None:
    return _scales_at(
        [int(one.document) for one in found],
        [int(one.window) for one in found],
        [int(one.start) for one in found],
        [_length(one) for one in found],
        model,
        scales_of,
    )


def _scales_at(
    documents: list[int],
    windows: list[int],
    starts: list[int],
    lengths: list[int],
    model: Side,
    scales_of: ScalesOf,
) -> Scales | None:
    """The scales of all snippets' tokens, one after the other; None if one is missing."""
    parts = []
    for document, window, start, length in zip(documents, windows, starts, lengths, strict=True):
        scales = scales_of(model, document, window)
        if scales is None or scales.shape[1] < start + length:
            return None
        parts.append(scales[:, start : start + length])
    together = np.concatenate(parts, axis=1)
    return together if np.isfinite(together).all() else None


def _model_of(role: str, side: Side) -> Side:
    if role == "own":
        return side
    return "right" if side == "left" else "left"


def _length(one: ExampleRecord) -> int:
    return len(next(iter(one.values.values()), ()))


def _folded(quantile: float | None) -> float:
    """A share in [0, 1], exact at both ends in half precision: 1 − q as −(1 − q)."""
    if quantile is None or quantile != quantile:
        return float("nan")
    return quantile if quantile <= 0.5 else -(1 - quantile)


def _unfolded(folded: npt.NDArray[np.float64]) -> list[float]:
    return np.where(np.signbit(folded), 1 + folded, folded).tolist()


def _known(version: int) -> None:
    if version != FORMAT:
        raise ValueError(f"examples of format {version} are newer than this program")


def _deflate(plain: bytes) -> bytes:
    deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
    return deflater.compress(plain) + deflater.flush()


def _inflate(packed: bytes) -> bytes:
    return zlib.decompress(packed, -15)


def _name(one: ExampleRecord) -> str:
    return f"{one.side} L{one.layer}N{one.neuron}"
