"""Which tokens a run shows: requests to the gather pass, and what is stored of what it gives."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from store.example_columns import FIELDS, ROLES, ExampleColumns, model_of
from store.records import BANDS, SIDES, SITES, FloatArray, HalfArray, Side, Site, WindowRecord
from store.scale_packing import Scales
from worker.accumulators.extremes import Ranked
from worker.bands import DRAWN_BANDS, Draws
from worker.contexts import Contexts, split_keys, window_keys
from worker.correspondence import Correspondence
from worker.gather import REQUEST, WHOSE, Gathered, Requests, make_snippets
from worker.layer_job import LayerResults
from worker.layout import Layout, SideLayout
from worker.quantiles import Quantiles
from worker.sample import Sample
from worker.statistics import Statistics


def requests(
    statistics: Statistics, results: LayerResults, sample: Sample, contexts: Contexts
) -> Requests:
    """All examples of a run, by side, layer, neuron, band, rank."""
    settings = statistics.settings
    found = [np.empty(0, REQUEST)]
    for one, layer in statistics.layout.layers():
        matches = _matches(results, one, layer)
        parts = _of_extremes(statistics, one, layer, contexts)
        draws = results.draws[one.side, layer]
        if draws is not None:
            parts += _of_draws(draws, one, layer, sample, contexts)
        together = np.concatenate(parts)
        together["side"], together["layer"] = SIDES.index(one.side), layer
        together["match"] = matches[together["neuron"]]
        order = np.lexsort([together[name] for name in ("rank", "band", "neuron")])
        found.append(together[order])
    everything = np.concatenate(found)
    make_snippets(everything, contexts, settings)
    return everything


def _matches(results: LayerResults, one: SideLayout, layer: int) -> npt.NDArray[np.int64]:
    """Each neuron's best match where it is another index than its own, −1 elsewhere."""
    both = results.correspondence[layer]
    if not isinstance(both, Correspondence):
        return np.full(one.n_neurons, -1, np.int64)
    records = both.left if one.side == "left" else both.right
    best = np.array([-1 if r.best_neuron is None else r.best_neuron for r in records], np.int64)
    return np.where(best == np.arange(one.n_neurons), -1, best)


def _of_extremes(
    statistics: Statistics, one: SideLayout, layer: int, contexts: Contexts
) -> list[Requests]:
    found: list[Requests] = []
    ranked: Ranked
    for band, ranked in statistics.extremes(one.side, layer).compute().items():
        neuron, rank = np.nonzero(ranked.document >= 0)
        part = np.zeros(len(neuron), REQUEST)
        part["neuron"], part["rank"], part["band"] = neuron, rank, BANDS.index(band)
        at = neuron, rank
        part["window"] = contexts.find(window_keys(ranked.document[at], ranked.window[at]))
        part["position"] = ranked.position[at]
        part["recorded"] = ranked.key[at] if band == "top" else -ranked.key[at]
        found.append(part)
    return found


def _of_draws(
    draws: Draws, one: SideLayout, layer: int, sample: Sample, contexts: Contexts
) -> list[Requests]:
    display: HalfArray = sample.block(one.side, layer, one.display_site)
    windows = contexts.find(window_keys(sample.keys["document"], sample.keys["window"]))
    by_band = {name: draws.drawn[:, b] for b, name in enumerate(DRAWN_BANDS)}
    if draws.lifted is not None:
        by_band["lifted"] = draws.lifted
    found: list[Requests] = []
    for name, places in by_band.items():
        neuron, rank = np.nonzero(places >= 0)
        place = places[neuron, rank]
        part = np.zeros(len(neuron), REQUEST)
        part["neuron"], part["rank"], part["band"] = neuron, rank, BANDS.index(name)
        part["window"], part["position"] = windows[place], sample.keys["position"][place]
        part["recorded"], part["is_half"] = display[place, neuron], True
        found.append(part)
    return found


@dataclass(frozen=True)
class ExamplePart:
    """All examples of some versions of one side and layer: rows of the gathered arrays from `first`
    on. keys: [n], of their windows (`contexts.window_keys`); focus: [n], the activation there;
    shares: [2, n], as `quantile_shares` gives them."""

    side: Side
    layer: int
    first: int
    wanted: Requests
    keys: npt.NDArray[np.int64]
    focus: npt.NDArray[np.float32]
    shares: npt.NDArray[np.float64]

    def __str__(self) -> str:
        return f"packing examples of {self.side} L{self.layer}N{self.wanted['neuron'][0]}"


def quantile_shares(
    wanted: Requests, focus: npt.NDArray[np.float32], other: Quantiles | None
) -> npt.NDArray[np.float64]:
    """[2, N]: quantiles of the other model's value at the focus, of the same index and the match;
    NaN where there is none. focus: [N, 3], of one side and layer; other: the other side's."""
    found = np.full((2, len(wanted)), np.nan)
    if other is None:
        return found
    for row, name in enumerate(("neuron", "match")):
        here = np.flatnonzero(wanted[name] >= 0)
        found[row, here] = other.share_below(
            wanted[name][here].astype(np.int64), focus[here, row + 1]
        )
    return found


@dataclass(frozen=True)
class ScalePart:
    """Where the scales of some windows' tokens stand: for each snippet on them its row in the
    gathered arrays and its request; the i-th window's are [ends[i], ends[i + 1])."""

    rows: npt.NDArray[np.int64]
    wanted: Requests
    ends: npt.NDArray[np.int64]


class ScaleRows:
    """The snippets on each window."""

    def __init__(self, wanted: Requests) -> None:
        self._wanted = wanted
        self._order = np.lexsort([wanted["layer"], wanted["window"]])
        self._windows = wanted["window"][self._order]

    def of(self, windows: npt.NDArray[np.int64]) -> ScalePart:
        """Those on some windows, ascending indices of the run's contexts with none between them
        that snippets stand on."""
        first = int(np.searchsorted(self._windows, windows[0]))
        ends = np.searchsorted(self._windows, windows, side="right")
        rows = self._order[first : ends[-1]]
        return ScalePart(rows, self._wanted[rows], np.array([0, *(ends - first)]))


class GatheredRows:
    """What is made of the gathered arrays, of which a part at a time is read."""

    def __init__(self, gathered: Gathered, layout: Layout) -> None:
        self._values = [gathered.values(whose) for whose in WHOSE]
        self._scales = {side: gathered.scales(side) for side in gathered.scaled}
        self._snippet = gathered.snippet
        self._layout = layout

    def versions(self, part: ExamplePart) -> Iterator[ExampleColumns]:
        """The examples of each version of a part, in their order."""
        here = slice(part.first, part.first + len(part.wanted))
        values = [np.array(array[here]) for array in self._values]
        scales = {side: np.array(array[here]) for side, array in self._scales.items()}
        fields = self._fields(part)
        begins = np.flatnonzero(np.diff(part.wanted["neuron"], prepend=-1)).tolist()
        for first, end in zip(begins, [*begins[1:], len(part.wanted)], strict=True):
            mine = slice(first, end)
            yield self._columns(
                part,
                mine,
                fields[:, mine],
                [array[mine] for array in values],
                {side: array[mine] for side, array in scales.items()},
            )

    def _fields(self, part: ExamplePart) -> npt.NDArray[np.int64]:
        """[FIELDS, n]; `present` and `match_neuron` last."""
        wanted = part.wanted
        has_other = self._layout.other(part.side) is not None
        match = np.where(has_other & (wanted["match"] >= 0), wanted["match"], -1)
        present = 1 | has_other << 1 | (match >= 0) << 2
        columns = {
            **dict(zip(("document", "window"), split_keys(part.keys), strict=True)),
            **{name: wanted[name] for name in ("position", "band", "rank", "length")},
            "before": wanted["position"] - wanted["start"],
            "present": present,
            "match_neuron": np.maximum(match, 0),
        }
        return np.stack([np.asarray(columns[name], np.int64) for name in FIELDS])

    def _columns(
        self,
        part: ExamplePart,
        mine: slice,
        fields: npt.NDArray[np.int64],
        gathered: list[HalfArray],
        gathered_scales: dict[Side, FloatArray],
    ) -> ExampleColumns:
        inside = np.arange(self._snippet) < fields[FIELDS.index("length")][:, None]
        present = fields[FIELDS.index("present")]
        values: list[dict[Site, HalfArray]] = []
        scales: list[FloatArray | None] = []
        for number, role in enumerate(ROLES):
            some = np.flatnonzero(present >> number & 1)
            values.append({})
            scales.append(None)
            if not len(some):
                continue
            model, tokens = model_of(role, part.side), inside[some]
            taken = gathered[number][some]
            for site in self._layout[model].sites:
                values[-1][site] = taken[:, SITES.index(site)][tokens]
            if model in gathered_scales:
                scales[-1] = gathered_scales[model][some].transpose(1, 0, 2)[:, tokens]
        return ExampleColumns(
            part.side,
            part.layer,
            int(part.wanted["neuron"][mine.start]),
            fields,
            part.focus[mine],
            part.shares[:, mine],
            tuple(values),
            tuple(scales),
        )

    def window_scales(
        self, windows: list[WindowRecord], part: ScalePart | None
    ) -> Callable[[WindowRecord], Scales | None]:
        """What gives the scales of one of these windows' tokens that examples show, by side and
        layer: what SoLU and its LayerNorm divide them by."""
        if part is None:
            return lambda window: None
        number = {(one.document, one.window): i for i, one in enumerate(windows)}
        found = {side: np.asarray(array[part.rows]) for side, array in self._scales.items()}

        def of(window: WindowRecord) -> Scales:
            i = number[window.document, window.window]
            mine = slice(int(part.ends[i]), int(part.ends[i + 1]))
            wanted = part.wanted[mine]
            offset = np.arange(wanted["length"].max(initial=0))
            inside = offset < wanted["length"][:, None]
            places = wanted["start"][:, None] + offset
            made: dict[tuple[Side, int], FloatArray] = {}
            values = {
                side: gathered[mine][:, :, : len(offset)].transpose(1, 0, 2)
                for side, gathered in found.items()
            }
            for layer in sorted(set(wanted["layer"].tolist())):
                here = inside & (wanted["layer"] == layer)[:, None]
                at = places[here]
                for side, gathered in values.items():
                    scales = np.full((3, len(window.tokens)), np.nan, np.float32)
                    scales[:, at] = gathered[:, here]
                    made[side, layer] = scales
            return made

        return of
