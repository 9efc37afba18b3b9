"""The tokens of a run as bytes, by their ids, each with its markup once it was shown.

    vocabulary = Vocabulary([b" self", b"\\xc3", …])
    vocabulary[0]                  → b" self"
    vocabulary.closed([0, 0])      → ["<i> </i>self</span>", …], an array of strings
    vocabulary.texts([0, 0])       → [" self", " self"]

A neuron page shows two thousand tokens, and each is looked up in arrays over all of them.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from server.token_text import closed_markup, passage_markup


class Vocabulary(list[bytes]):
    """The bytes of each token id."""

    def __init__(self, tokens: Iterable[bytes] = ()) -> None:
        super().__init__(tokens)
        self._closed = np.empty(len(self), object)
        self._made = np.zeros(len(self), bool)
        self._split = np.zeros(len(self), bool)
        self._texts = np.empty(len(self), object)
        self._told = np.zeros(len(self), bool)

    def closed(self, ids: npt.NDArray[np.integer]) -> npt.NDArray[np.object_]:
        """`token_text.closed_markup` of each of these, [ids]; None where one does not decode."""
        if not self._made[ids].all():
            for token in np.unique(ids[~self._made[ids]]).tolist():
                self._closed[token] = closed_markup(self[token])
                self._split[token] = self._closed[token] is None
                self._made[token] = True
        found: npt.NDArray[np.object_] = self._closed[ids]
        return found

    def split(self, ids: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
        """The places among `ids`, for which `closed` was asked, of tokens that do not decode."""
        return np.flatnonzero(self._split[ids])

    def texts(self, ids: npt.NDArray[np.integer]) -> list[str | None]:
        """`token_text.passage_markup` of each of these, whose like may be joined; None where one
        does not decode."""
        if not self._told[ids].all():
            for token in np.unique(ids[~self._told[ids]]).tolist():
                self._texts[token] = passage_markup(self[token]) if _decodes(self[token]) else None
                self._told[token] = True
        found: list[str | None] = self._texts[ids].tolist()
        return found


def _decodes(token: bytes) -> bool:
    try:
        token.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
