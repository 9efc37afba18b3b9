"""Rows of a run's records, packed before they are loaded: in any process, and without a database.

    part = pack_neurons(records, n_vocabulary)      in a worker's process
    loader.packed(part)                             in the one that writes

To pack a run takes far longer than to insert what comes of it, so what takes time is here, and
`store.publish` has what needs the database. A record that cannot be stored is a `StoreError`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Literal

import numpy as np
import numpy.typing as npt
from sqlalchemy import Table

from store import rows, rows_tokens, tables, tables_tokens
from store.bulk import Row, refused
from store.example_columns import ExampleColumns
from store.records import NeuronRecord, Side, WindowRecord
from store.scale_packing import Scales
from store.token_records import TokenNeuronsRecord, TokenSpreadRecord

Kind = Literal["windows", "neurons", "examples", "token neurons"]

#: Gives the scales of a window's tokens that its examples will have.
ScalesOf = Callable[[WindowRecord], Scales | None]

_NO_WINDOWS = np.zeros((0, 2), np.int64)


@dataclass(frozen=True)
class PackedRows:
    """Rows of some records of one kind by the names of their tables, parents first, each without
    its first column, the run.

    records: how many they are of, as progress counts them. windows: [n, 2], (document, window)
    each: those that these are, or those that examples stand on. Rows of `example` end with the
    version's examples; what stands after them comes with its statistics, as `beside` by version.
    """

    kind: Kind
    records: int
    rows: dict[str, list[Row]]
    windows: npt.NDArray[np.int64] = field(default_factory=lambda: _NO_WINDOWS)
    beside: dict[Row, Row] = field(default_factory=dict)


def pack_windows(
    records: Sequence[WindowRecord], n_vocabulary: int, scales_of: ScalesOf
) -> PackedRows:
    """Token windows with the scales of their tokens."""
    with refused("windows"):
        made = rows.of_windows(0, records, n_vocabulary, list(map(scales_of, records)))
    places = np.array([(r.document, r.window) for r in records], np.int64).reshape(-1, 2)
    return PackedRows("windows", len(records), _by_name({tables.window: made}), places)


def pack_neurons(records: Sequence[NeuronRecord], n_vocabulary: int) -> PackedRows:
    """Versions with their hook points (each once) and histograms; partners and logit effects
    beside."""
    made: dict[Table, list[Row]] = {
        table: [] for table in (tables.hook_point, tables.neuron, tables.histogram)
    }
    with refused("neurons"):
        for record in records:
            made[tables.hook_point] += rows.of_hook_points(0, record)
            made[tables.neuron].append(rows.of_neuron(0, record))
            made[tables.histogram].append(rows.of_histogram(0, record))
        versions = [row[1:4] for row in made[tables.histogram]]
        beside = dict(zip(versions, rows.of_beside(records, n_vocabulary), strict=True))
    made[tables.hook_point] = list(dict.fromkeys(made[tables.hook_point]))
    return PackedRows("neurons", len(records), _by_name(made), beside=beside)


def pack_examples(versions: Sequence[ExampleColumns]) -> PackedRows:
    """All examples of some versions, on windows that are loaded before."""
    with refused("examples"):
        made = rows.of_examples(0, versions)
    places = [np.stack([one["document"], one["window"]], axis=1) for one in versions]
    windows = np.unique(np.concatenate([_NO_WINDOWS, *places]), axis=0)
    n = sum(map(len, versions))
    return PackedRows("examples", n, _by_name({tables.example: made}), windows)


def pack_token_neurons(
    records: Sequence[TokenNeuronsRecord],
    n_vocabulary: int,
    spreads: Mapping[tuple[Side, int], TokenSpreadRecord],
) -> PackedRows:
    """Rows of the inverted index; they take less where the spread of their layer is given."""
    of_layer: dict[tuple[Side, int], list[TokenNeuronsRecord]] = {}
    for one in records:
        of_layer.setdefault((one.side, one.layer), []).append(one)
    made: list[Row] = []
    with refused("token neurons"):
        for layer, some in of_layer.items():
            made += rows_tokens.of_token_neurons(0, some, n_vocabulary, spreads.get(layer))
    made.sort(key=itemgetter(1, 2, 3))  # by token, side and layer, as they are keyed
    return PackedRows("token neurons", len(records), _by_name({tables_tokens.token_neuron: made}))


def _by_name(made: Mapping[Table, list[Row]]) -> dict[str, list[Row]]:
    return {table.name: [row[1:] for row in its_rows] for table, its_rows in made.items()}
