"""The inverted index: which versions are highest on each token of the vocabulary.

Over the token sample, for each side and layer: of every token id that the sample has, the display
site's mean and maximum of all neurons, less the neuron's mean and in its standard deviations, both
over the whole sample. The `kept` highest by mean and the `kept` highest by maximum stay. A neuron
that is constant on the sample is in no list.

A task is one side and layer; its worker leaves two files, so that no process holds more than one
layer's. Values are read by token, a bounded number at a time. Everything comes from the sample, so
that the index is the same whatever the number of workers.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numba
import numpy as np
import numpy.typing as npt

from store.records import HalfArray, Side
from store.token_records import (
    TokenCountsRecord,
    TokenNeuronsRecord,
    TokenSpreadRecord,
    spread_of,
)
from worker.activations import Models
from worker.contexts import Contexts, window_keys
from worker.halves import to_single
from worker.layout import Layout
from worker.sample import KeyArray, open_sample

#: Versions of a side and layer that a token keeps by its mean, and as many by its maximum.
KEPT = 20

#: Activations that are summed at once, in single precision: 16 MiB.
_VALUES_AT_ONCE = 1 << 22

#: A version on a token, as a layer's file holds it.
ENTRY = np.dtype(
    [("neuron", "<i4"), ("mean", "<f4"), ("mean_sd", "<f4"), ("max", "<f2"), ("max_sd", "<f4")]
)
EntryArray = npt.NDArray[np.void]
Longs = npt.NDArray[np.int64]
Singles = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ByToken:
    """The sample's rows by the id of their token: those of tokens[i] are
    order[starts[i]:starts[i + 1]]."""

    tokens: npt.NDArray[np.int32]  # [D], ascending
    starts: Longs  # [D + 1]
    order: Longs  # [K]

    @classmethod
    def of_ids(cls, ids: npt.NDArray[np.integer]) -> ByToken:
        """From the token id of each row."""
        order = np.argsort(ids, kind="stable")
        tokens, counts = np.unique(ids, return_counts=True)
        starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        return cls(tokens.astype(np.int32), starts, order.astype(np.int64))

    @property
    def counts(self) -> Longs:
        """Rows of each token."""
        return np.diff(self.starts)

    def groups(self, rows: int) -> Iterator[tuple[int, int]]:
        """Ranges of tokens that have at most so many rows together, or one token that has more."""
        first = 0
        while first < len(self.tokens):
            end = int(np.searchsorted(self.starts, self.starts[first] + rows, "right")) - 1
            end = max(end, first + 1)
            yield first, end
            first = end


def token_ids(keys: KeyArray, contexts: Contexts) -> npt.NDArray[np.int32]:
    """The token id of each row of a sample."""
    at = contexts.find(window_keys(keys["document"], keys["window"]))
    return np.asarray(contexts.tokens[contexts.offsets[at] + keys["position"]], dtype=np.int32)


def highest_on_tokens(block: HalfArray, by_token: ByToken, kept: int) -> tuple[Longs, EntryArray]:
    """Offsets [D + 1] and entries: token i's are entries[offsets[i]:offsets[i + 1]].

    block: [K, n], the display site of one layer. Entries are by descending `mean_sd`, the lower
    neuron first among equals.
    """
    rows = max(1, _VALUES_AT_ONCE // max(1, block.shape[1]))
    mean, std = _moments(block, rows)
    found = []
    for first, end in by_token.groups(rows):
        means, maxima = _of_tokens(block, by_token, first, end, rows)
        with np.errstate(divide="ignore", invalid="ignore"):
            mean_sd = ((means - mean) / std).astype(np.float32)
            max_sd = ((maxima - mean) / std).astype(np.float32)
        mean_sd[:, std == 0] = max_sd[:, std == 0] = -np.inf
        found.append(_entries(means, maxima, mean_sd, max_sd, kept))
    lengths = np.concatenate([np.zeros(1, np.int64), *(one for one, _ in found)])
    entries = np.concatenate([np.empty(0, ENTRY), *(one for _, one in found)])
    return np.cumsum(lengths), entries


def _moments(block: HalfArray, rows: int) -> tuple[Doubles, Doubles]:
    """Mean and standard deviation of each neuron; exactly 0 for one that is constant."""
    n = max(1, len(block))
    pivot = block[:1].astype(np.float64).sum(axis=0)  # of a constant neuron the value itself
    sums, squares = np.zeros((2, block.shape[1]))
    for start in range(0, len(block), rows):
        _add_moments(to_single(block[start : start + rows]), pivot, sums, squares)
    variance = squares / n - (sums / n) ** 2
    return pivot + sums / n, np.sqrt(np.maximum(variance, 0.0))


def _of_tokens(
    block: HalfArray, by_token: ByToken, first: int, end: int, rows: int
) -> tuple[Doubles, Doubles]:
    """Means and maxima of tokens [first, end), [end − first, n] each."""
    counts = by_token.counts[first:end]
    sums = np.zeros((end - first, block.shape[1]))
    maxima = np.full((end - first, block.shape[1]), -np.inf)
    places = np.repeat(np.arange(end - first), counts)
    order = by_token.order[by_token.starts[first] : by_token.starts[end]]
    for start in range(0, len(order), rows):
        piece = slice(start, start + rows)
        _add_tokens(to_single(block[order[piece]]), places[piece], sums, maxima)
    return sums / counts[:, None], maxima


@numba.njit(cache=True, nogil=True)
def _add_moments(values: Singles, pivot: Doubles, sums: Doubles, squares: Doubles) -> None:
    """Values [K, n] less the pivot, and their squares, into sums [n] each."""
    for row in range(values.shape[0]):
        for j in range(values.shape[1]):
            off = np.float64(values[row, j]) - pivot[j]
            sums[j] += off
            squares[j] += off * off


@numba.njit(cache=True, nogil=True)
def _add_tokens(values: Singles, places: Longs, sums: Doubles, maxima: Doubles) -> None:
    """Values [K, n] into the sums and maxima [tokens, n] of their tokens, at `places` [K]."""
    for row in range(values.shape[0]):
        at = places[row]
        for j in range(values.shape[1]):
            value = np.float64(values[row, j])
            sums[at, j] += value
            maxima[at, j] = max(maxima[at, j], value)


def _entries(
    means: Doubles, maxima: Doubles, mean_sd: Singles, max_sd: Singles, kept: int
) -> tuple[Longs, EntryArray]:
    """How many entries each token has, and all of them."""
    chosen = _highest(mean_sd, kept) | _highest(max_sd, kept)
    token, neuron = np.nonzero(chosen)
    order = np.lexsort((neuron, -mean_sd[token, neuron], token))
    token, neuron = token[order], neuron[order]
    entries = np.empty(len(token), ENTRY)
    entries["neuron"] = neuron
    entries["mean"] = means[token, neuron]
    entries["mean_sd"] = mean_sd[token, neuron]
    entries["max"] = maxima[token, neuron]
    entries["max_sd"] = max_sd[token, neuron]
    return np.bincount(token, minlength=len(means)), entries


def _highest(values: Singles, kept: int) -> npt.NDArray[np.bool_]:
    """The `kept` highest of each row, lower columns first among equals; never −∞."""
    defined = values > -np.inf
    if values.shape[1] <= kept:
        return defined
    at = values.shape[1] - kept
    least = np.partition(values, at, axis=1)[:, at, None]
    above, equal = values > least, values == least
    room = kept - above.sum(axis=1, keepdims=True)
    kept_equal = equal & (np.cumsum(equal, axis=1) <= room)
    return np.asarray(defined & (above | kept_equal), dtype=np.bool_)


@dataclass(frozen=True)
class TokenNeuronTask:
    """One side and layer."""

    side: Side
    layer: int

    def __str__(self) -> str:
        return f"search index of {self.side}, layer {self.layer}"


@dataclass(frozen=True)
class TokenNeuronJob:
    """What a worker needs to know: the sample's directory, and where the index goes."""

    sample: Path
    index: Path
    layout: Layout
    by_token: ByToken

    def open(self, models: Models) -> TokenNeuronWork:
        return TokenNeuronWork(self)

    def tasks(self) -> Iterator[TokenNeuronTask]:
        """All of a run's."""
        for one, layer in self.layout.layers():
            yield TokenNeuronTask(one.side, layer)


@dataclass(frozen=True)
class TokenNeuronWork:
    """`handle` writes a layer's files, and gives its task back."""

    job: TokenNeuronJob

    def handle(self, task: TokenNeuronTask) -> TokenNeuronTask:
        site = self.job.layout[task.side].display_site
        block = open_sample(self.job.sample).block(task.side, task.layer, site)
        offsets, entries = highest_on_tokens(block, self.job.by_token, KEPT)
        path = self.job.index / f"{task.side}.{task.layer}"
        np.save(f"{path}.offsets.npy", offsets)
        np.save(f"{path}.entries.npy", entries)
        return task

    def finish(self) -> None:
        return None


@dataclass(frozen=True)
class TokenIndex:
    """The index on disk, as the jobs left it; records for the store are read as they go out."""

    directory: Path
    layout: Layout
    by_token: ByToken

    @classmethod
    def create(cls, directory: Path, layout: Layout, by_token: ByToken) -> TokenIndex:
        """An empty directory for it."""
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        return cls(directory, layout, by_token)

    def job(self, sample: Path) -> TokenNeuronJob:
        """The job that fills it from a sample's directory."""
        return TokenNeuronJob(sample, self.directory, self.layout, self.by_token)

    def counts(self) -> TokenCountsRecord:
        """How often the sample has each token."""
        return TokenCountsRecord(KEPT, self.by_token.tokens, self.by_token.counts)

    def spreads(self) -> Iterator[TokenSpreadRecord]:
        """Mean and standard deviation of all versions, by side and layer."""
        for one, layer in self.layout.layers():
            entries = np.load(self.directory / f"{one.side}.{layer}.entries.npy", "r")
            starts = range(0, len(entries), _VALUES_AT_ONCE)
            parts = (entries[start : start + _VALUES_AT_ONCE] for start in starts)
            both = (
                (part["neuron"], part[name], part[f"{name}_sd"])
                for part in parts
                for name in ("mean", "max")
            )
            yield spread_of(one.side, layer, one.n_neurons, both)

    def __len__(self) -> int:
        return len(self.by_token.tokens)

    def records(self, first: int, end: int) -> Iterator[TokenNeuronsRecord]:
        """Of the tokens [first, end) of the index, by token, then side and layer."""
        layers = []
        for one, layer in self.layout.layers():
            path = self.directory / f"{one.side}.{layer}"
            offsets = np.load(f"{path}.offsets.npy", "r")[first : end + 1].tolist()
            layers.append((one.side, layer, offsets, np.load(f"{path}.entries.npy", "r")))
        for i, token in enumerate(self.by_token.tokens[first:end].tolist()):
            for side, layer, offsets, entries in layers:
                found = np.array(entries[offsets[i] : offsets[i + 1]])
                if len(found):
                    yield TokenNeuronsRecord(
                        token,
                        side,
                        layer,
                        *(found[name] for name in ("neuron", "mean", "mean_sd", "max", "max_sd")),
                    )
