"""How many neurons have a twin where nothing corresponds: a run's token sample, and the same with
one model's tokens in another order.

    python -m bench.chance_twins DATA_DIR/work/RUN/sample

Of each layer and side: the share whose best match is mutual and above the null, and above it by
`ABOVE_NULL` at least. The correlations and the null are the run's own (`worker.correspondence`).
"""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path

import numpy as np

from store.records import ABOVE_NULL, CorrespondenceRecord
from worker.correspondence import correspondence


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sample", type=Path, help="the token sample in a run's work directory")
    parser.add_argument("--seed", type=int, default=0, help="of the other order and the null")
    given = parser.parse_args()
    for layer in itertools.count():
        left, right = (_display(given.sample, side, layer) for side in ("left", "right"))
        if left is None or right is None:
            break
        order = np.random.default_rng(given.seed).permutation(len(right))
        print(f"layer {layer}, {left.shape[1]} neurons a side, {len(left):,} tokens")
        for name, other in (("as it is", right), ("permuted", np.ascontiguousarray(right[order]))):
            found = correspondence(left, other, layer, 1, given.seed)
            for side, records in (("left", found.left), ("right", found.right)):
                print(f"  {name:<9} {side:<6} {_line(records)}")


def _display(sample: Path, side: str, layer: int) -> np.ndarray | None:
    """The activations at the display site, [tokens, neurons]; None where there is no such layer."""
    for site in ("mid", "post"):
        path = sample / f"{side}.{layer}.{site}.npy"
        if path.exists():
            return np.load(path)
    return None


def _line(records: list[CorrespondenceRecord]) -> str:
    """Shares of those with a correlation."""
    excess = np.array([one.excess for one in records if one.excess is not None])
    mutual = np.array([bool(one.mutual) for one in records if one.excess is not None])
    twins = [(mutual & (excess > 0)).mean(), (mutual & (excess >= ABOVE_NULL)).mean()]
    return (
        f"mutual {mutual.mean():6.1%}   above the null {(excess > 0).mean():6.1%}   "
        f"both {twins[0]:6.1%}   by {ABOVE_NULL} {twins[1]:6.1%} ({round(twins[1] * len(excess))})"
    )


if __name__ == "__main__":
    main()
