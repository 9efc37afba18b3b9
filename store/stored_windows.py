"""Token windows as they are stored, with the names of their documents; kept once they were read.

    windows = windows_of(connection, run, [(document, window), …])
    windows[3, 0].tokens, windows[3, 0].name

A neuron page shows parts of a hundred windows, and other neurons' pages parts of the same ones. A
published run's windows never change, so those that were read stay in memory, the least recently
asked for dropped once they take too many bytes.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable, Iterable
from functools import partial
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Engine, Select, and_, bindparam, select

from store import runs, tables
from store.prepared import Prepared
from store.token_scales import WindowScales
from store.version_query import any_of
from store.version_query import places as places_of

#: Windows that are asked for with one statement; fewer are filled up to one of the sizes.
_SIZES = (1, 20, 60)

#: Memory for windows of one database in this process, and about what one takes beside its bytes.
_KEPT_BYTES = 32 * 2**20
_OVERHEAD = 1_500

Place = tuple[int, int]


class StoredWindow(NamedTuple):
    """A window with the name of its document; tokens as they are packed."""

    tokens: bytes
    scales: WindowScales
    name: str
    source: str


class KeptWindows:
    """Windows by their run and place, within a budget of bytes."""

    def __init__(self, most_bytes: int = _KEPT_BYTES) -> None:
        self.most_bytes = most_bytes
        self.n_bytes = 0
        self._windows: OrderedDict[tuple[int, Place], StoredWindow] = OrderedDict()
        self._numbers: dict[Hashable, int] = {}  # of runs: a number is quicker to look up
        self._lock = threading.Lock()

    def find(self, run: Hashable, places: Iterable[Place]) -> dict[Place, StoredWindow]:
        """Those of these windows of a run that are here."""
        found = {}
        with self._lock:
            number = self._numbers.get(run, -1)
            for place in places:
                window = self._windows.get((number, place))
                if window is not None:
                    self._windows.move_to_end((number, place))
                    found[place] = window
        return found

    def keep(self, run: Hashable, windows: dict[Place, StoredWindow]) -> None:
        """Keep these, and drop others until all of it fits."""
        with self._lock:
            number = self._numbers.setdefault(run, len(self._numbers))
            for place, window in windows.items():
                before = self._windows.pop((number, place), None)
                self.n_bytes += _size(window) - (_size(before) if before else 0)
                self._windows[number, place] = window
            while self.n_bytes > self.most_bytes:
                _, dropped = self._windows.popitem(last=False)
                self.n_bytes -= _size(dropped)


def _size(window: StoredWindow) -> int:
    return len(window.tokens) + 2 * window.scales.n_bytes + _OVERHEAD


_kept: WeakKeyDictionary[Engine, KeptWindows] = WeakKeyDictionary()


def windows_of(
    connection: Connection, run: runs.PublishedRun, places: Iterable[Place]
) -> dict[Place, StoredWindow]:
    """Windows by (document, window); what is not stored is left out."""
    kept = _kept.setdefault(connection.engine, KeptWindows())
    this = run.key, run.published_at  # SQLite gives the key of a deleted run to the next one
    wanted = set(places)
    found = kept.find(this, wanted)
    missing = sorted(wanted - found.keys())
    if missing:
        read = _read(connection, run, missing)
        kept.keep(this, read)
        found |= read
    return found


def _read(
    connection: Connection, run: runs.PublishedRun, places: list[Place]
) -> dict[Place, StoredWindow]:
    """With statements of a few sizes only: each is made once."""
    found = {}
    for start in range(0, len(places), _SIZES[-1]):
        part = places[start : start + _SIZES[-1]]
        number = next(size for size in _SIZES if size >= len(part))
        values = {"run": run.key, **places_of(part, number)}
        for row in _windows_at[number].tuples(connection, values):
            document, window, packed, scales, name, source = row
            found[document, window] = StoredWindow(packed, WindowScales(scales), name, source)
    return found


def _windows(number: int) -> Select[Any]:
    window, document = tables.window, tables.document
    same_document = and_(
        document.c.run_key == window.c.run_key, document.c.document == window.c.document
    )
    return (
        select(
            window.c.document,
            window.c.window,
            window.c.tokens,
            window.c.scales,
            document.c.name,
            document.c.source,
        )
        .join(document, same_document)
        .where(
            window.c.run_key == bindparam("run"),
            any_of((window.c.document, window.c.window), number),
        )
    )


_windows_at = {size: Prepared(partial(_windows, size)) for size in _SIZES}
