"""Which tokens a run shows: requests to the gather pass, and the records made of what it gives."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from store.records import (
    BANDS,
    SIDES,
    SITES,
    ExampleRecord,
    FloatArray,
    HalfArray,
    OtherValues,
    Side,
    Site,
    WindowRecord,
)
from store.token_scales import Scales
from worker.accumulators.extremes import Ranked
from worker.bands import DRAWN_BANDS, Draws
from worker.contexts import Contexts, split_keys, window_keys
from worker.correspondence import Correspondence
from worker.gather import REQUEST, Gathered, Requests, make_snippets
from worker.layer_job import LayerResults
from worker.layout import Layout, SideLayout
from worker.quantiles import Quantiles
from worker.sample import Sample
from worker.statistics import Statistics

_CHUNK = 4096


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


def example_records(
    wanted: Requests,
    gathered: Gathered,
    contexts: Contexts,
    layout: Layout,
    quantiles: dict[tuple[Side, int], Quantiles],
) -> Iterator[ExampleRecord]:
    """Records of all requests, in their order; reads the gathered files a chunk at a time."""
    values = {whose: gathered.values(whose) for whose in ("own", "same_index", "match")}
    focus = gathered.focus()
    scales = {side: gathered.scales(side) for side in gathered.scaled}
    for start in range(0, len(wanted), _CHUNK):
        end = min(start + _CHUNK, len(wanted))
        yield from _chunk(
            wanted[start:end],
            {whose: np.array(array[start:end]) for whose, array in values.items()},
            np.array(focus[start:end]),
            {side: np.array(array[start:end]) for side, array in scales.items()},
            contexts,
            layout,
            quantiles,
        )


class WindowScales:
    """What SoLU and its LayerNorm divide the tokens of a run's snippets by, window by window."""

    def __init__(self, wanted: Requests, gathered: Gathered, contexts: Contexts) -> None:
        self._wanted = wanted
        self._contexts = contexts
        self._scales = {side: gathered.scales(side) for side in gathered.scaled}
        self._order = np.lexsort([wanted["layer"], wanted["window"]])
        self._windows = wanted["window"][self._order]

    def of(self, window: WindowRecord) -> Scales | None:
        """The scales of one window's tokens that examples show, by side and layer."""
        if not self._scales:
            return None
        key = window_keys(np.array([window.document]), np.array([window.window]))
        index = int(self._contexts.find(key)[0])
        first, end = np.searchsorted(self._windows, [index, index + 1]).tolist()
        rows = self._order[first:end]
        offset = np.arange(self._wanted["length"][rows].max(initial=0))
        inside = offset < self._wanted["length"][rows][:, None]
        places = self._wanted["start"][rows][:, None] + offset
        layers = self._wanted["layer"][rows]
        made: dict[tuple[Side, int], FloatArray] = {}
        for side, gathered in self._scales.items():
            found = np.asarray(gathered[rows])[:, :, : len(offset)].transpose(1, 0, 2)
            for layer in np.unique(layers).tolist():
                here = inside & (layers == layer)[:, None]
                scales = np.full((3, len(window.tokens)), np.nan, np.float32)
                scales[:, places[here]] = found[:, here]
                made[side, layer] = scales
        return made


def _chunk(
    wanted: Requests,
    values: dict[str, HalfArray],
    focus: npt.NDArray[np.float32],
    scales: dict[Side, FloatArray],
    contexts: Contexts,
    layout: Layout,
    quantiles: dict[tuple[Side, int], Quantiles],
) -> Iterator[ExampleRecord]:
    shares = _shares(wanted, focus, layout, quantiles)
    documents, windows = (part.tolist() for part in split_keys(contexts.keys[wanted["window"]]))
    columns = {name: wanted[name].tolist() for name in wanted.dtype.names or ()}
    for i in range(len(wanted)):
        side = SIDES[columns["side"][i]]
        own = layout[side]
        length, neuron, match = columns["length"][i], columns["neuron"][i], columns["match"][i]
        other = layout.other(side)
        same = matched = None
        if other is not None:
            same = _other(other, neuron, values["same_index"][i], length, shares[i, 0])
            if match >= 0:
                matched = _other(other, match, values["match"][i], length, shares[i, 1])
        yield ExampleRecord(
            side=side,
            layer=columns["layer"][i],
            neuron=neuron,
            band=BANDS[columns["band"][i]],
            rank=columns["rank"][i],
            document=documents[i],
            window=windows[i],
            position=columns["position"][i],
            activation=float(focus[i, 0]),
            start=columns["start"][i],
            values=_sites(own, values["own"][i], length),
            same_index=same,
            match=matched,
            scales={one: array[i][:, :length] for one, array in scales.items()},
        )


def _shares(
    wanted: Requests,
    focus: npt.NDArray[np.float32],
    layout: Layout,
    quantiles: dict[tuple[Side, int], Quantiles],
) -> npt.NDArray[np.float64]:
    """[N, 2]: quantiles of the other version's focus value, of the same index and the match."""
    found = np.full((len(wanted), 2), np.nan)
    for one, layer in layout.layers():
        other = layout.other(one.side)
        if other is None:
            continue
        here = (wanted["side"] == SIDES.index(one.side)) & (wanted["layer"] == layer)
        of = quantiles[other.side, layer]
        for column, name in enumerate(("neuron", "match")):
            rows = np.flatnonzero(here & (wanted[name] >= 0))
            neurons = wanted[name][rows].astype(np.int64)
            found[rows, column] = of.share_below(neurons, focus[rows, column + 1])
    return found


def _other(
    layout: SideLayout, neuron: int, values: HalfArray, length: int, share: float
) -> OtherValues:
    return OtherValues(neuron, _sites(layout, values, length), float(share))


def _sites(layout: SideLayout, values: HalfArray, length: int) -> dict[Site, HalfArray]:
    return {site: values[SITES.index(site), :length] for site in layout.sites}
