"""Every token of the corpus once more, for some neurons: what the statistics stage says of them.

A task is a run of consecutive windows. What it gives is plain sums and lists: added up, or sorted
once more, they are those of the whole corpus, whatever the order of tasks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from transformer_lens.model_bridge.sources.native import NativeModel

from store.histogram_edges import N_BINS, inner_edges
from store.records import HalfArray, Side, Site
from worker.activations import Models
from worker.hashing import HashArray
from worker.layout import Layout
from worker.pairs import Version
from worker.plan import Plan
from worker.sample import to_half
from worker.verify.chosen import Chosen, Longs, Place
from worker.verify.plain import PlainModels, Sites, activations, mlp
from worker.verify.survey import hashes_of, windows_of
from worker.windows import TokenWindows

Doubles = npt.NDArray[np.float64]
Singles = npt.NDArray[np.float32]
Spot = tuple[Side, int, Site]

_EDGES = inner_edges()
TASK_TOKENS = 1 << 15
_BATCH_TOKENS = 2048


@dataclass(frozen=True)
class Rounding:
    """How far two ways of computing the same activation may lie apart, for the chosen neurons of
    one site [m]: `part` · (|z| + `scale`). `pivot` is near the mean, for the sums of powers."""

    part: Doubles
    scale: Doubles
    pivot: Doubles

    def allowed(self, values: npt.ArrayLike) -> Doubles:
        """For values [..., m]."""
        found: Doubles = self.part * (np.abs(np.asarray(values, np.float64)) + self.scale)
        return found


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


@dataclass
class Distribution:
    """Of one site's chosen neurons. `low` and `high` [m, 387] are histograms of z less, and plus,
    its rounding: the true counts lie between them. `powers` [4, m] are sums of (z − pivot)^p."""

    n: int
    powers: Doubles
    least: Doubles
    most: Doubles
    low: Longs
    high: Longs
    above: Longs  # [m] values above the stored density's threshold

    def add(self, other: Distribution) -> None:
        self.n += other.n
        self.powers += other.powers
        self.least = np.minimum(self.least, other.least)
        self.most = np.maximum(self.most, other.most)
        self.low += other.low
        self.high += other.high
        self.above += other.above


#: Tokens in the order of their rank: (value, tie, document, window, position), the first two
#: negated for the top, so that the first is the best.
Ranked = list[tuple[float, float, int, int, int]]


@dataclass
class SampleRows:
    """Tokens of the sample in one task: keys [s, 3] and the chosen neurons' values [s, m]."""

    hashes: HashArray
    keys: Longs
    values: dict[Spot, Singles]


@dataclass
class Products:
    """Sums over the sample's tokens for correlations of the chosen neurons x [m] with all neurons
    y [n] of a layer: of half-precision values at the display sites."""

    x: Doubles
    xx: Doubles
    y: Doubles
    yy: Doubles
    xy: Doubles

    def add(self, other: Products) -> None:
        self.x += other.x
        self.xx += other.xx
        self.y += other.y
        self.yy += other.yy
        self.xy += other.xy

    def correlations(self, n: int) -> Doubles:
        """[m, n]; NaN for a neuron that is constant over the sample."""
        cov = self.xy - np.outer(self.x, self.y) / n
        left, right = self.xx - self.x**2 / n, self.yy - self.y**2 / n
        # What is left of a constant is the rounding of these sums.
        flat = 1e-12
        left = np.where(left > flat * self.xx, left, np.nan)
        right = np.where(right > flat * self.yy, right, np.nan)
        found: Doubles = cov / np.sqrt(np.outer(left, right))
        return found


@dataclass
class Found:
    """What a task, or all of them, gave."""

    n_tokens: int = 0
    distributions: dict[Spot, Distribution] = field(default_factory=dict)
    others: dict[Place, tuple[Longs, Doubles, Doubles]] = field(default_factory=dict)
    top: dict[Place, list[Ranked]] = field(default_factory=dict)
    bottom: dict[Place, list[Ranked]] = field(default_factory=dict)
    rows: list[SampleRows] = field(default_factory=list)
    products: dict[tuple[Place, Side], Products] = field(default_factory=dict)
    snippets: dict[int, dict[Site, Singles]] = field(default_factory=dict)
    terms: dict[int, Singles] = field(default_factory=dict)
    windows: dict[tuple[int, int], npt.NDArray[np.int32]] = field(default_factory=dict)

    def add(self, other: Found, k: tuple[int, int]) -> None:
        """Take in another task's; `k` are the lengths of the top and the bottom list."""
        self.n_tokens += other.n_tokens
        for spot, distribution in other.distributions.items():
            if spot in self.distributions:
                self.distributions[spot].add(distribution)
            else:
                self.distributions[spot] = distribution
        for place, (counts, least, most) in other.others.items():
            known = self.others.get(place)
            if known is not None:
                counts = counts + known[0]
                least, most = np.minimum(least, known[1]), np.maximum(most, known[2])
            self.others[place] = counts, least, most
        for mine, theirs, length in (
            (self.top, other.top, k[0]),
            (self.bottom, other.bottom, k[1]),
        ):
            for place, ranked in theirs.items():
                known_ranks = mine.get(place, [[] for _ in ranked])
                mine[place] = [
                    first_of_documents([*a, *b], length)
                    for a, b in zip(known_ranks, ranked, strict=True)
                ]
        self.rows += other.rows
        for key, products in other.products.items():
            if key in self.products:
                self.products[key].add(products)
            else:
                self.products[key] = products
        self.snippets |= other.snippets
        self.terms |= other.terms
        self.windows |= other.windows


def first_of_documents(tokens: Ranked, k: int) -> Ranked:
    """The first k by rank, one a document."""
    seen: set[int] = set()
    kept: Ranked = []
    for token in sorted(tokens):
        if token[2] not in seen:
            seen.add(token[2])
            kept.append(token)
            if len(kept) == k:
                break
    return kept


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


def measure_rounding(
    plan: Plan, chosen: Chosen, models: PlainModels, tokens: int = 4096
) -> dict[Spot, Rounding]:
    """From single against double precision on the first windows of the corpus.

    Eight times the largest difference seen, and at least 2⁻²¹ of (|z| + its root mean square): the
    run's own pass has another batch, other kernels, another order of sums.
    """
    size = max(1, tokens // plan.n_ctx)
    windows = next(windows_of(plan, size))
    rows = np.flatnonzero(windows.mask)
    ids = models.tokens(windows.tokens)
    found: dict[Spot, Rounding] = {}
    for one in plan.layout.sides:
        model = models[one.side]
        single = {
            key: values.flatten(0, 1).double().cpu().numpy()[rows]
            for key, values in activations(model, ids).items()
        }
        exact = (
            single if models.device.type == "mps" else _in_double(models, one.side, ids, rows)
        )  # MPS has no float64
        for (layer, site), values in single.items():
            neurons = chosen[one.side, layer]
            z = values[:, neurons]
            scale = np.sqrt((z * z).mean(0))
            with np.errstate(divide="ignore", invalid="ignore"):
                off = np.abs(z - exact[layer, site][:, neurons]) / (np.abs(z) + scale)
            part = np.maximum(8 * np.nan_to_num(off).max(0, initial=0.0), 2.0**-21)
            found[one.side, layer, site] = Rounding(part, scale, z.mean(0))
    return found


def _in_double(
    models: PlainModels, side: str, ids: torch.Tensor, rows: Longs
) -> dict[tuple[int, Site], Doubles]:
    model = models[side].double()
    try:
        return {
            key: values.flatten(0, 1).cpu().numpy()[rows]
            for key, values in activations(model, ids).items()
        }
    finally:
        model.float()
