"""All examples of a version as columns, which is what is packed: a gather pass has them as arrays
already, and records are made into them.

    columns = of_records(records)               a version's, in the order in which they are shown
    pack_places(columns), pack_values([columns])  see `store.example_packing`
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from store.records import BANDS, SITES, ExampleRecord, FloatArray, HalfArray, Side, Site

#: Whose values an example has: the version's own, and those of two neurons of the other model.
ROLES = ("own", "same_index", "match")

FIELDS = (
    "document",
    "window",
    "position",
    "band",
    "rank",
    "before",
    "length",
    "present",
    "match_neuron",
)

Longs = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ExampleColumns:
    """Columns of n examples of one version, by band and rank.

    fields: [FIELDS, n]; `band` is the index in `records.BANDS`, `before` how many tokens of the
    snippet stand before the focus, `present` a bit for each of ROLES. quantiles: [2, n], of the
    same index and of the match, NaN where there is none. For each of ROLES: values by site, of all
    tokens of all its snippets one after the other, nothing where no example has it; and the scales
    of these tokens, [3, tokens], None where the model has none or some are unknown.
    """

    side: Side
    layer: int
    neuron: int
    fields: Longs
    activation: FloatArray
    quantiles: npt.NDArray[np.float64]
    values: tuple[Mapping[Site, HalfArray], ...]
    scales: tuple[FloatArray | None, ...]

    def __len__(self) -> int:
        return len(self.activation)

    def __getitem__(self, name: str) -> Longs:
        found: Longs = self.fields[FIELDS.index(name)]
        return found

    @property
    def name(self) -> str:
        return f"{self.side} L{self.layer}N{self.neuron}"


def model_of(role: str, side: Side) -> Side:
    """The model that a role's values are of."""
    if role == "own":
        return side
    return "right" if side == "left" else "left"


def of_records(records: Sequence[ExampleRecord]) -> ExampleColumns:
    """The columns of one version's records. ValueError for ones that cannot be."""
    first = records[0]
    by_role = _by_role(records)
    values: list[Mapping[Site, Any]] = []
    scales: list[FloatArray | None] = []
    for role, found in zip(ROLES, by_role, strict=True):
        sites = _sites(role, found) if found else []
        values.append({s: np.concatenate([values[s] for _, values in found]) for s in sites})
        scales.append(_given_scales(role, [one for one, _ in found]) if found else None)
    quantiles = [
        [np.nan if other is None or other.quantile is None else other.quantile for other in others]
        for others in ((one.same_index, one.match) for one in records)
    ]
    return ExampleColumns(
        first.side,
        int(first.layer),
        int(first.neuron),
        np.array([_fields(one) for one in records], np.int64).T,
        np.array([one.activation for one in records], np.float32),
        np.array(quantiles, np.float64).T,
        tuple(values),
        tuple(scales),
    )


def _by_role(
    records: Sequence[ExampleRecord],
) -> list[list[tuple[ExampleRecord, Mapping[Site, Any]]]]:
    """For each of ROLES the examples that have it, with its values."""
    return [
        [(one, one.values) for one in records],
        [(one, one.same_index.values) for one in records if one.same_index is not None],
        [(one, one.match.values) for one in records if one.match is not None],
    ]


def _sites(role: str, found: list[tuple[ExampleRecord, Mapping[Site, Any]]]) -> list[Site]:
    """The sites of a role. ValueError where examples differ in them or in their lengths."""
    sites = [site for site in SITES if site in found[0][1]]
    if not sites:
        raise ValueError(f"{_name(found[0][0])}: no values of {role}")
    known = set(sites)
    for one, values in found:
        length = _length(one)
        if values.keys() != known:
            raise ValueError(f"{_name(one)}: examples differ in the sites of {role}")
        if any(array.shape != (length,) for array in values.values()):
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
        int(one.document),
        int(one.window),
        int(one.position),
        BANDS.index(one.band),
        int(one.rank),
        int(one.position) - int(one.start),
        length,
        present,
        0 if match is None else int(match.neuron),
    )


def _given_scales(role: str, found: list[ExampleRecord]) -> FloatArray | None:
    """The scales of all snippets' tokens; None if one has none."""
    side = model_of(role, found[0].side)
    parts = [None if one.scales is None else one.scales.get(side) for one in found]
    if any(part is None for part in parts):
        return None
    together: FloatArray = np.concatenate(parts, axis=1)  # type: ignore[arg-type]
    tokens = sum(map(_length, found))
    if together.shape[1] != tokens:
        raise ValueError(f"{_name(found[0])}: scales of {together.shape[1]} tokens of {tokens}")
    return together


def _length(one: ExampleRecord) -> int:
    for array in one.values.values():
        return len(array)
    return 0


def _name(one: ExampleRecord) -> str:
    return f"{one.side} L{one.layer}N{one.neuron}"
