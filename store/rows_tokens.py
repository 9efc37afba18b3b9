"""Records of the inverted index as rows and back."""

from __future__ import annotations

import numpy as np

from store import packing
from store.bulk import Row
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
    return run_key, record.side, int(record.layer), packing.pack_spread(record.mean, record.std)


def of_token_neurons(
    run_key: int,
    record: TokenNeuronsRecord,
    n_vocabulary: int,
    spread: TokenSpreadRecord | None = None,
) -> Row:
    """A row of `token_neuron`, in less with the spread of its layer, which a reader then needs.
    ValueError for a token or side that is none."""
    if record.side not in SIDES:
        raise ValueError(f"a side is one of {', '.join(SIDES)}, not {record.side}")
    if not 0 <= record.token < n_vocabulary:
        raise ValueError(f"token id {record.token} outside a vocabulary of {n_vocabulary}")
    packed = packing.pack_firing(
        *(record.neurons, record.mean, record.mean_sd, record.max, record.max_sd),
        None if spread is None else np.stack([spread.mean, spread.std]),
    )
    return run_key, int(record.token), record.side, int(record.layer), packed


def to_token_neurons(row: Read) -> TokenNeuronsRecord:
    """The record of a row of `token_neuron` with its layer's `spread`, packed, if there is one."""
    spread = None if row["spread"] is None else packing.unpack_spread(row["spread"])
    return TokenNeuronsRecord(
        row["token"], row["side"], row["layer"], *packing.unpack_firing(row["neurons"], spread)
    )
