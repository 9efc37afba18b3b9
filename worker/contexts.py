"""Token windows and documents that a result refers to, kept so that they can be shown.

A pass keeps the windows it has seen since the last time it was pruned; pruning leaves those that
an example or a token of the sample stands in. So memory follows what is shown, not the corpus.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from store.records import DocumentRecord, WindowRecord
from worker.windows import TokenWindows

Keys = npt.NDArray[np.int64]

_WINDOW_BITS = 31


def window_keys(document: npt.ArrayLike, window: npt.ArrayLike) -> Keys:
    """One int64 for each (document < 2³², window < 2³¹); ordered as the pairs are."""
    return (np.asarray(document, np.int64) << _WINDOW_BITS) | np.asarray(window, np.int64)


def split_keys(keys: Keys) -> tuple[Keys, Keys]:
    """(document, window) of each key."""
    return keys >> _WINDOW_BITS, keys & ((1 << _WINDOW_BITS) - 1)


@dataclass(frozen=True)
class Contexts:
    """Windows by ascending key, and documents by id.

    Window i's ids, BOS first and without padding, are tokens[offsets[i]:offsets[i + 1]].
    """

    keys: Keys
    offsets: Keys
    tokens: npt.NDArray[np.integer]
    documents: dict[int, DocumentRecord]

    @classmethod
    def empty(cls) -> Contexts:
        return cls(np.empty(0, np.int64), np.zeros(1, np.int64), np.empty(0, np.int32), {})

    @classmethod
    def of_windows(
        cls,
        batches: Iterable[TokenWindows],
        documents: Iterable[DocumentRecord],
        wanted: Keys,
    ) -> Contexts:
        """Of the windows among `batches` whose key is in `wanted` (ascending, unique)."""
        keys: list[Keys] = []
        rows: list[npt.NDArray[np.int32]] = []
        for windows in batches:
            found = window_keys(windows.document, windows.window)
            for i in np.flatnonzero(np.isin(found, wanted)):
                keys.append(found[i : i + 1])
                rows.append(windows.tokens[i, : 1 + int(windows.mask[i].sum())])
        if not keys:
            return cls.empty()
        return cls._of_rows(np.concatenate(keys), rows, {d.document: d for d in documents})

    @classmethod
    def of_records(cls, windows: Iterable[WindowRecord]) -> Contexts:
        """Of stored windows, without their documents."""
        rows = sorted(windows, key=lambda one: (one.document, one.window))
        offsets = np.zeros(len(rows) + 1, np.int64)
        np.cumsum([len(one.tokens) for one in rows], out=offsets[1:])
        keys = window_keys([one.document for one in rows], [one.window for one in rows])
        tokens = [np.asarray(one.tokens, np.int32) for one in rows]
        return cls(keys, offsets, np.concatenate([np.empty(0, np.int32), *tokens]), {})

    @classmethod
    def _of_rows(
        cls,
        keys: Keys,
        rows: list[npt.NDArray[np.int32]],
        documents: dict[int, DocumentRecord],
    ) -> Contexts:
        unique, first = np.unique(keys, return_index=True)
        chosen = [rows[i] for i in first]
        offsets = np.zeros(len(chosen) + 1, np.int64)
        np.cumsum([len(row) for row in chosen], out=offsets[1:])
        tokens = np.concatenate(chosen)
        if tokens.size and tokens.max() < 2**16:
            tokens = tokens.astype(np.uint16)
        ids = set(split_keys(unique)[0].tolist())
        return cls(unique, offsets, tokens, {i: documents[i] for i in sorted(ids)})

    def merge(self, other: Contexts, wanted: Keys) -> Contexts:
        """Windows of both whose key is in `wanted`."""
        keys: list[Keys] = []
        rows: list[npt.NDArray[np.int32]] = []
        for one in (self, other):
            for i in np.flatnonzero(np.isin(one.keys, wanted)):
                keys.append(one.keys[i : i + 1])
                rows.append(one.row(int(i)))
        if not keys:
            return Contexts.empty()
        return self._of_rows(np.concatenate(keys), rows, {**self.documents, **other.documents})

    def row(self, i: int) -> npt.NDArray[np.int32]:
        """Token ids of the i-th window."""
        return self.tokens[self.offsets[i] : self.offsets[i + 1]].astype(np.int32)

    def find(self, keys: Keys) -> npt.NDArray[np.int64]:
        """Index of each key; KeyError if one is not here."""
        at = np.searchsorted(self.keys, keys)
        if len(keys) and (
            not len(self.keys) or (self.keys[np.minimum(at, len(self.keys) - 1)] != keys).any()
        ):
            raise KeyError("a window that is referred to was not kept")
        return at

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        return np.diff(self.offsets)

    def window_records(self, indices: Iterable[int]) -> Iterator[WindowRecord]:
        """Records of some windows, for the store."""
        for i in indices:
            document, window = split_keys(self.keys[i : i + 1])
            yield WindowRecord(int(document[0]), int(window[0]), self.row(int(i)))

    def document_records(self, indices: npt.NDArray[np.int64]) -> list[DocumentRecord]:
        """The documents of some windows, by id."""
        ids = np.unique(split_keys(self.keys[indices])[0])
        return [self.documents[int(i)] for i in ids]
