"""Orders of a run's indices that take a sort over both versions' tables: kept when asked for again.

What two versions differ in stands in no index, so each page of such a list sorts all of its rows. A
published run's numbers never change: the second time that a list is asked for, all of its places
are read in their order, and the pages after that are cut out of them.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt
from sqlalchemy import Engine

from store.columns import PAIR_COLUMNS
from store.selections import Place, asked

#: Lists of one database that are remembered in this process: eight bytes an index each.
_MOST = 32

_EVERY = 2**31 - 1

_Order = npt.NDArray[np.int32]


class KeptOrders:
    """Places by what was asked, the least recently asked for dropped first."""

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._orders: OrderedDict[Hashable, _Order | None] = OrderedDict()
        self._lock = threading.Lock()

    def page(
        self, key: Hashable, before: int, size: int, read: Callable[[int, int], list[Place]]
    ) -> list[Place]:
        """`size` places, those `before` them left out; `read` asks the database for so many."""
        with self._lock:
            known = key in self._orders
            order = self._orders.pop(key, None)
            self._orders[key] = order
            if len(self._orders) > self._most:
                self._orders.popitem(last=False)
        if not known:
            return read(before, size)
        if order is None:
            order = np.array(read(0, _EVERY), np.int32).reshape(-1, 2)
            with self._lock:
                if key in self._orders:
                    self._orders[key] = order
        return [(layer, neuron) for layer, neuron in order[before : before + size].tolist()]


_kept: WeakKeyDictionary[Engine, KeptOrders] = WeakKeyDictionary()


def of_engine(engine: Engine) -> KeptOrders:
    """Those of a database."""
    return _kept.setdefault(engine, KeptOrders())


def is_kept(filters: Mapping[str, str], sort: str | None) -> bool:
    """Whether a list of pairs sorts by a difference, and nothing that may change, as labels do."""
    if sort is None or not sort.removeprefix("-").startswith("diff_"):
        return False
    return all(
        key in PAIR_COLUMNS and not PAIR_COLUMNS[key].verdicts for key in asked(filters, sort)
    )
