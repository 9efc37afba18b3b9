"""Records of the inverted index as rows and back."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from store import packing
from store.bulk import Row
from store.firing_packing import (
    Firing,
    pack_firing,
    pack_spread,
    unpack_firing,
    unpack_spread,
)
from store.records import SIDES
from store.rows import Read
from store.token_records import TokenCountsRecord, TokenNeuronsRecord, TokenSpreadRecord


def of_token_counts(run_key: int, record: TokenCountsRecord, n_vocabulary: int) -> Row:
    """A row of `token_count`. ValueError for ids outside the vocabulary or out of order."""
    tokens, counts = record.tokens, record.counts
    if len(tokens) != len(counts) or (np.diff(tokens) <= 0).any() or (counts <= 0).any():
        raise ValueError("tokens of the sample are ascending ids, each with a count")
    pairs = list(zip(tokens.tolist(), counts.tolist(), strict=True))
    return run_key, int(record.kept), packing.pack_token_counts(pairs, n_vocabulary)


def to_token_counts(row: Read, n_vocabulary: int) -> TokenCountsRecord:
    """The record of a row of `token_count`."""
    tokens, counts = packing.unpack_token_count_arrays(row["counts"], n_vocabulary)
    return TokenCountsRecord(row["kept"], tokens, counts)


def of_token_spread(run_key: int, record: TokenSpreadRecord) -> Row:
    """A row of `token_spread`."""
    return run_key, record.side, int(record.layer), pack_spread(record.mean, record.std)


def of_token_neurons(
    run_key: int,
    records: Sequence[TokenNeuronsRecord],
    n_vocabulary: int,
    spread: TokenSpreadRecord | None = None,
) -> list[Row]:
    """Rows of `token_neuron`, of one side and layer, in less with its spread, which a reader then
    needs. ValueError for a token or side that is none."""
    for one in records:
        if one.side not in SIDES:
            raise ValueError(f"a side is one of {', '.join(SIDES)}, not {one.side}")
        if not 0 <= one.token < n_vocabulary:
            raise ValueError(f"token id {one.token} outside a vocabulary of {n_vocabulary}")
    packed = pack_firing(
        [Firing(one.neurons, one.mean, one.mean_sd, one.max, one.max_sd) for one in records],
        None if spread is None else np.stack([spread.mean, spread.std]),
    )
    return [
        (run_key, int(one.token), one.side, int(one.layer), of_token)
        for one, of_token in zip(records, packed, strict=True)
    ]


def to_token_neurons(row: Read) -> TokenNeuronsRecord:
    """The record of a row of `token_neuron` with its layer's `spread`, packed, if there is one."""
    spread = None if row["spread"] is None else unpack_spread(row["spread"])
    return TokenNeuronsRecord(
        row["token"], row["side"], row["layer"], *unpack_firing(row["neurons"], spread)
    )
