"""The examples a run shows, as arrays: where the senses of a neuron are looked for first."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from store.records import BANDS, ExampleRecord, Side

#: `band` is the place in `store.records.BANDS`.
SHOWN = np.dtype(
    [
        ("neuron", "<i4"), ("band", "u1"), ("rank", "<i4"),
        ("document", "<i8"), ("window", "<i4"), ("position", "<i4"), ("activation", "<f4"),
    ]
)  # fmt: skip
ShownArray = npt.NDArray[np.void]


@dataclass(frozen=True)
class Shown:
    """All examples of a run by (side, layer), each ordered by neuron, band, rank."""

    examples: dict[tuple[Side, int], ShownArray]

    @classmethod
    def of_records(cls, records: Iterable[ExampleRecord]) -> Shown:
        """From the records as the statistics stage published them."""
        rows: dict[tuple[Side, int], list[tuple[Any, ...]]] = {}
        for one in records:
            rows.setdefault((one.side, one.layer), []).append(
                (
                    one.neuron, BANDS.index(one.band), one.rank,
                    one.document, one.window, one.position, one.activation,
                )
            )  # fmt: skip
        return cls(
            {
                place: np.sort(np.array(found, SHOWN), order=["neuron", "band", "rank"])
                for place, found in rows.items()
            }
        )

    @classmethod
    def of_rows(cls, rows: Iterable[tuple[tuple[Side, int], Iterable[tuple[Any, ...]]]]) -> Shown:
        """From (side, layer) and rows in the order of SHOWN's fields."""
        return cls(
            {
                place: np.sort(np.array(list(some), SHOWN), order=["neuron", "band", "rank"])
                for place, some in rows
            }
        )

    def __getitem__(self, place: tuple[Side, int]) -> ShownArray:
        return self.examples.get(place, np.empty(0, SHOWN))


def top_rows(
    shown: ShownArray, rows: npt.NDArray[np.int64], n_neurons: int
) -> npt.NDArray[np.int64]:
    """`rows` of the top examples by neuron and rank, −1 behind the last: [n, most]."""
    top = shown["band"] == BANDS.index("top")
    width = int(shown["rank"][top].max(initial=-1)) + 1
    found = np.full((n_neurons, width), -1, np.int64)
    found[shown["neuron"][top], shown["rank"][top]] = rows[top]
    return found


def highest(shown: ShownArray, n_neurons: int) -> npt.NDArray[np.float32]:
    """The largest activation of each neuron over all tokens; NaN where no top example is shown."""
    first = (shown["band"] == BANDS.index("top")) & (shown["rank"] == 0)
    found = np.full(n_neurons, np.nan, np.float32)
    found[shown["neuron"][first]] = shown["activation"][first]
    return found
