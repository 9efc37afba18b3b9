"""The state of the statistics pass: every accumulator of every layer, as one thing.

    statistics = Statistics.empty(layout, settings)
    statistics.update(side, layer, batch)
    statistics = statistics.merge(other)

It obeys the accumulators' laws: `empty` is the identity of `merge`, and `merge` is associative.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from store.records import Side
from worker.accumulators import ACCUMULATORS, Accumulator, Distribution, Extremes, LayerBatch
from worker.accumulators.accumulator import Arrays
from worker.contexts import Keys, window_keys
from worker.layout import Layout
from worker.settings import StatisticsSettings

State = dict[tuple[str, Side, int], Any]  # (accumulator's name, side, layer) → accumulator


class Statistics:
    """All accumulators of a run or of a part of it."""

    def __init__(self, layout: Layout, settings: StatisticsSettings, state: State) -> None:
        self.layout = layout
        self.settings = settings
        self._state = state

    @classmethod
    def empty(cls, layout: Layout, settings: StatisticsSettings) -> Statistics:
        state: State = {}
        for one, layer in layout.layers():
            for name, kind in ACCUMULATORS.items():
                state[name, one.side, layer] = kind.empty(one, settings)
        return cls(layout, settings, state)

    def update(self, side: Side, layer: int, batch: LayerBatch) -> None:
        """Take in one layer's activations on a batch."""
        for name in ACCUMULATORS:
            self._state[name, side, layer].update(batch)

    def merge(self, other: Statistics) -> Statistics:
        """Of both's tokens."""
        merged = {key: one.merge(other._state[key]) for key, one in self._state.items()}
        return Statistics(self.layout, self.settings, merged)

    def distribution(self, side: Side, layer: int) -> Distribution:
        found = self._state["distribution", side, layer]
        assert isinstance(found, Distribution)
        return found

    def extremes(self, side: Side, layer: int) -> Extremes:
        found = self._state["extremes", side, layer]
        assert isinstance(found, Extremes)
        return found

    def windows(self) -> Keys:
        """Keys of the windows that the extremes stand in, ascending, each once."""
        found = [np.empty(0, np.int64)]
        for one, layer in self.layout.layers():
            for ranked in self.extremes(one.side, layer).compute().values():
                used = ranked.document >= 0
                found.append(window_keys(ranked.document[used], ranked.window[used]))
        return np.unique(np.concatenate(found))

    def arrays(self) -> Arrays:
        """The whole state under names such as `extremes/left/0/top_key`."""
        found: Arrays = {}
        for (name, side, layer), accumulator in self._state.items():
            for part, array in accumulator.arrays().items():
                found[f"{name}/{side}/{layer}/{part}"] = array
        return found

    @classmethod
    def of_arrays(cls, layout: Layout, settings: StatisticsSettings, arrays: Arrays) -> Statistics:
        """The state that `arrays` gave."""
        by_accumulator: dict[str, dict[str, npt.NDArray[Any]]] = {}
        for path, array in arrays.items():
            prefix, part = path.rsplit("/", 1)
            by_accumulator.setdefault(prefix, {})[part] = array
        state: State = {}
        for one, layer in layout.layers():
            for name, kind in ACCUMULATORS.items():
                accumulator: Accumulator = kind.of_arrays(
                    one, settings, by_accumulator[f"{name}/{one.side}/{layer}"]
                )
                state[name, one.side, layer] = accumulator
        return cls(layout, settings, state)
