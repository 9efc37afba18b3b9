"""Answers kept in memory, the least recently used ones dropped once they take too many bytes.

    kept = Kept(64 * 2**20)
    body = kept.get(("page", run.id, path), make, len)

Only what can never change is kept: what is asked for is named by a key that holds a run's id and
its published stages. `make` runs outside of the lock, so two that ask at once may both make it.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

from store.records import RunRecord

Value = TypeVar("Value")


def state_of(run: RunRecord) -> Hashable:
    """What a run's pages are made of: the same for ever, also if it was removed and made again."""
    return run.id, run.stages, str(run.published_at)


class Kept:
    """Values by key, within a budget of bytes; a value larger than an eighth of it is not kept."""

    def __init__(self, most_bytes: int) -> None:
        self.most_bytes = most_bytes
        self.n_bytes = 0
        self._values: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], Value], size: Callable[[Value], int]) -> Value:
        """The value of `key`, made now if it is not there; `size` gives its bytes."""
        found = self.find(key)
        if found is not None:
            return found  # type: ignore[no-any-return]
        made = make()
        self.keep(key, made, size(made))
        return made

    def find(self, key: Hashable) -> Any | None:
        """The value of `key`, None if it is not there."""
        with self._lock:
            found = self._values.get(key)
            if found is None:
                return None
            self._values.move_to_end(key)
            return found[0]

    def keep(self, key: Hashable, value: Any, n_bytes: int) -> None:
        """Keep `value`, which takes `n_bytes`, and drop others until all of it fits."""
        if n_bytes > self.most_bytes // 8:
            return
        with self._lock:
            before = self._values.pop(key, None)
            self.n_bytes += n_bytes - (before[1] if before else 0)
            self._values[key] = (value, n_bytes)
            while self.n_bytes > self.most_bytes:
                _, (_, dropped) = self._values.popitem(last=False)
                self.n_bytes -= dropped
