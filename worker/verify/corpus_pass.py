"""Every token of the corpus once more, for some neurons: what the statistics stage says of them.

A task is a run of consecutive windows; what it gives is put together by `worker.verify.found`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor
from transformer_lens.model_bridge.sources.native import NativeModel

from store.histogram_edges import N_BINS, inner_edges
from store.records import HalfArray, Side, Site
from worker.activations import Models
from worker.halves import to_half
from worker.hashing import HashArray
from worker.layout import Layout
from worker.pairs import Version
from worker.plan import Plan
from worker.verify.chosen import Chosen, Longs, Place
from worker.verify.found import (
    Distribution,
    Doubles,
    Found,
    Products,
    SampleRows,
    Singles,
    Spot,
    first_of_documents,
)
from worker.verify.plain import PlainModels, Sites, activations, mlp
from worker.verify.rounding import Rounding
from worker.verify.survey import hashes_of, windows_of
from worker.windows import TokenWindows

_EDGES = inner_edges()
TASK_TOKENS = 1 << 15
_BATCH_TOKENS = 2048


@dataclass(frozen=True)
class Wanted:
    """A snippet that an example shows: values of one version at all its sites.

    `number` is its place among all that are wanted; `slot` the window's place in the task.
    """

    number: int
    slot: int
    side: Side
    layer: int
    neuron: int
    start: int
    length: int


@dataclass(frozen=True)
class CorpusTask:
    """`sampled` [B, n_ctx] marks tokens of the token sample, `hashes` [s] are theirs, by row."""

    windows: TokenWindows
    sampled: npt.NDArray[np.bool_]
    hashes: HashArray
    wanted: list[Wanted]

    def __str__(self) -> str:
        return f"documents from {self.windows.document[0]} on"


@dataclass(frozen=True)
class CorpusJob:
    """What a worker needs to know. `others` are neurons whose quantiles are needed, by layer;
    `thresholds` [m] the stored densities'."""

    versions: dict[str, Version]
    layout: Layout
    chosen: Chosen
    others: Chosen
    thresholds: dict[Place, Doubles]
    rounding: dict[Spot, Rounding]
    k: tuple[int, int]

    def open(self, models: Models) -> CorpusWork:
        return CorpusWork(self, PlainModels.load(self.versions, models.device))


class CorpusWork:
    """`handle` gives a `Found`."""

    def __init__(self, job: CorpusJob, models: PlainModels) -> None:
        self._job = job
        self._models = models

    def handle(self, task: CorpusTask) -> Found:
        found = Found()
        n_ctx = task.windows.tokens.shape[1]
        size = max(1, _BATCH_TOKENS // n_ctx)
        before = 0
        for start in range(0, len(task.windows), size):
            part = slice(start, start + size)
            sampled = task.sampled[part]
            here = task.hashes[before : before + int(sampled.sum())]
            before += len(here)
            windows = TokenWindows(
                task.windows.tokens[part],
                task.windows.mask[part],
                task.windows.document[part],
                task.windows.window[part],
            )
            wanted = [one for one in task.wanted if start <= one.slot < start + size]
            found.add(self._batch(windows, sampled, here, wanted, start), self._job.k)
        return found

    def finish(self) -> None:
        return None

    def _batch(
        self,
        windows: TokenWindows,
        sampled: npt.NDArray[np.bool_],
        hashes: HashArray,
        wanted: list[Wanted],
        start: int,
    ) -> Found:
        found = Found(n_tokens=windows.unmasked)
        tokens = self._models.tokens(windows.tokens)
        unmasked, chosen_rows = np.flatnonzero(windows.mask), np.flatnonzero(sampled)
        batch, position = np.divmod(chosen_rows, windows.mask.shape[1])
        keys = np.stack([windows.document[batch], windows.window[batch], position], axis=1)
        rows = SampleRows(hashes, keys.astype(np.int64), {})
        halves: dict[Place, HalfArray] = {}
        for one in self._job.layout.sides:
            sites = activations(self._models[one.side], tokens)
            for layer in range(one.n_layers):
                place: Place = (one.side, layer)
                flat = {
                    site: sites[layer, site].flatten(0, 1).float().cpu().numpy()
                    for site in one.sites
                }
                halves[place] = to_half(flat[one.display_site][chosen_rows])
                self._distributions(found, place, flat, unmasked)
                self._ranks(found, place, flat, windows)
                for site in one.sites:
                    mine = flat[site][np.ix_(chosen_rows, self._job.chosen[place])]
                    rows.values[(*place, site)] = mine
            _snippets(found, sites, self._models[one.side], one.side, wanted, start)
        for place, neurons in self._job.chosen.items():
            for one in self._job.layout.sides:
                x = halves[place][:, neurons].astype(np.float64)
                y = halves[one.side, place[1]].astype(np.float64)
                found.products[place, one.side] = Products(
                    x.sum(0), (x * x).sum(0), y.sum(0), (y * y).sum(0), x.T @ y
                )
        found.rows.append(rows)
        for request in wanted:
            i = request.slot - start
            length = 1 + int(windows.mask[i].sum())
            key = int(windows.document[i]), int(windows.window[i])
            found.windows[key] = windows.tokens[i, :length].copy()
        return found

    def _distributions(
        self, found: Found, place: Place, flat: dict[Site, Singles], unmasked: Longs
    ) -> None:
        neurons = self._job.chosen[place]
        display = self._job.layout[place[0]].display_site
        for site, values in flat.items():
            z = values[np.ix_(unmasked, neurons)].astype(np.float64)
            rounding = self._job.rounding[(*place, site)]
            off = rounding.allowed(z)
            centred = z - rounding.pivot
            above = (z > self._job.thresholds[place]).sum(0) if site == display else 0 * neurons
            found.distributions[(*place, site)] = Distribution(
                len(z),
                np.stack([(centred**p).sum(0) for p in (1, 2, 3, 4)]),
                z.min(0, initial=np.inf),
                z.max(0, initial=-np.inf),
                _histogram(z - off),
                _histogram(z + off),
                above.astype(np.int64),
            )
        z = flat[display][np.ix_(unmasked, self._job.others[place])].astype(np.float64)
        found.others[place] = (
            _histogram(z),
            z.min(0, initial=np.inf),
            z.max(0, initial=-np.inf),
        )

    def _ranks(
        self, found: Found, place: Place, flat: dict[Site, Singles], windows: TokenWindows
    ) -> None:
        """Each window's best token and lowest one, then the best windows of each document."""
        one = self._job.layout[place[0]]
        shape = (*windows.mask.shape, -1)
        neurons = self._job.chosen[place]
        values = flat[one.display_site][:, neurons].reshape(shape).astype(np.float64)
        ties = values
        if one.display_site == "post":  # it saturates; see EVIDENCE: §2
            ties = flat["pre"][:, neurons].reshape(shape).astype(np.float64)
        real = windows.mask.any(1)
        for sign, k, into in (
            (-1.0, self._job.k[0], found.top),
            (1.0, self._job.k[1], found.bottom),
        ):
            signed = np.where(windows.mask[:, :, None], sign * values, np.inf)
            best = signed.min(1, keepdims=True)
            tied = np.where(signed == best, sign * ties, np.inf)
            position = tied.argmin(1)  # the first among equals
            into[place] = [
                first_of_documents(
                    [
                        (
                            float(best[b, 0, j]),
                            float(tied[b, position[b, j], j]),
                            int(windows.document[b]),
                            int(windows.window[b]),
                            int(position[b, j]),
                        )
                        for b in np.flatnonzero(real).tolist()
                    ],
                    k,
                )
                for j in range(len(neurons))
            ]


def _snippets(
    found: Found,
    sites: Sites,
    model: NativeModel,
    side: Side,
    wanted: list[Wanted],
    start: int,
) -> None:
    for one in wanted:
        if one.side == side:
            part = slice(one.start, one.start + one.length)
            if (one.layer, "mid") in sites:
                mid = sites[one.layer, "mid"][one.slot - start, part]
                found.terms[one.number] = _terms(mid, model, one.layer, one.neuron)
            found.snippets[one.number] = {
                site: values[one.slot - start, part, one.neuron].float().cpu().numpy().copy()
                for (layer, site), values in sites.items()
                if layer == one.layer
            }


def _terms(mid: Tensor, model: NativeModel, layer: int, neuron: int) -> Singles:
    """(|mid| + |mean|) / deviation · |weight| of a neuron: what `post` is made of by a LayerNorm,
    and what it is stored to a part of. `mid`: [length, d_mlp]."""
    norm: Any = mlp(model, layer).ln
    deviation = (mid.var(dim=-1, unbiased=False) + 1e-5).sqrt()
    sizes = (mid[:, neuron].abs() + mid.mean(dim=-1).abs()) / deviation
    found: Singles = (sizes * norm.weight[neuron].abs()).float().cpu().numpy()
    return found


def _histogram(values: Doubles) -> Longs:
    """Counts by bin [m, 387] of values [T, m], looked up among the edges one by one."""
    m = values.shape[1]
    # A bin holds its edge nearer to zero: the lower one above zero, the upper one below.
    place = np.where(
        values >= 0,
        np.searchsorted(_EDGES, values, side="right"),
        np.searchsorted(_EDGES, values, side="left"),
    )
    flat = place + np.arange(m) * N_BINS
    return np.bincount(flat.ravel(), minlength=m * N_BINS).reshape(m, N_BINS).astype(np.int64)


def tasks(
    plan: Plan, threshold: int, wanted: dict[tuple[int, int], list[Wanted]]
) -> Iterator[CorpusTask]:
    """The corpus in tasks; `wanted` by (document, window), their slots filled in here."""
    for windows in windows_of(plan, max(1, TASK_TOKENS // plan.n_ctx)):
        hashes = hashes_of(plan, windows)
        sampled = windows.mask & (hashes <= np.uint64(threshold))
        here = [
            Wanted(one.number, slot, one.side, one.layer, one.neuron, one.start, one.length)
            for slot, key in enumerate(
                zip(windows.document.tolist(), windows.window.tolist(), strict=True)
            )
            for one in wanted.get(key, ())
        ]
        yield CorpusTask(windows, sampled, hashes[sampled], here)
