"""Statistics as accumulators: `empty / update / merge / compute`, one file each.

`empty()` is the identity of `merge`, and `merge` is associative (float sums to 1e-9, everything
else exactly), so a result does not depend on how tokens were split among shards and workers.
A new statistic is a new file and a name in `ACCUMULATORS`.
"""

from __future__ import annotations

from worker.accumulators.accumulator import Accumulator, LayerBatch
from worker.accumulators.distribution import Distribution
from worker.accumulators.extremes import Extremes

ACCUMULATORS: dict[str, type[Accumulator]] = {"distribution": Distribution, "extremes": Extremes}

__all__ = ["ACCUMULATORS", "Accumulator", "Distribution", "Extremes", "LayerBatch"]
