"""Hidden share: how much of a version's effect lies below a quantile of its display site.

H(q) is the share of the effect on tokens where the display site is below its q-quantile; the
headline is q = 99.9 %. Estimated and exact effects come as sums over windows below and from the
headline on, each part measured on the first so many evidence windows, so an effect is the sum of
two means per token.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import spearmanr

from store.bootstrap_tails import bootstrap_tails
from store.evidence_records import EstimateCheckRecord, HiddenShareRecord
from store.records import Side
from worker.evidence.baselines import HEADLINE
from worker.evidence.folding import Doubles, Fold

Longs = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Parts:
    """Effects of m neurons by window: low [n_low, m], high [n_high, m], and the windows' tokens
    [n_high]; the low part is measured on the first n_low ≤ n_high windows (or the other way)."""

    low: Doubles
    high: Doubles
    tokens: Longs

    def first(self, n_low: int, n_high: int) -> Parts:
        """The same on fewer windows."""
        return Parts(self.low[:n_low], self.high[:n_high], self.tokens)

    def rates(self) -> tuple[Doubles, Doubles]:
        """Nats a token of the low and of the high part: [m] each."""
        n_low, n_high = len(self.low), len(self.high)
        return (
            self.low.sum(0) / max(1, self.tokens[:n_low].sum()),
            self.high.sum(0) / max(1, self.tokens[:n_high].sum()),
        )

    def effect(self) -> Doubles:
        low, high = self.rates()
        return low + high

    def share(self) -> Doubles:
        """Of the low part in the effect [m]; NaN where there is no effect."""
        low, high = self.rates()
        return _ratio(low, low + high)

    def intervals(self, resamples: int, seed: int) -> Doubles:
        """95 % bootstrap interval of the share, over windows: [2, m]. Windows that both parts are
        measured on are drawn among themselves, so that no draw is without them."""
        n_low, n_high = len(self.low), len(self.high)
        n_both = min(n_low, n_high)
        generator = np.random.default_rng(seed)
        weights = np.concatenate(
            [
                generator.multinomial(n, np.full(n, 1 / n), size=resamples).astype(np.float64)
                for n in (n_both, max(n_low, n_high) - n_both)
                if n
            ],
            axis=1,
        )
        low = weights[:, :n_low] @ self.low
        low /= _positive(weights[:, :n_low] @ self.tokens[:n_low])[:, None]
        high = weights[:, :n_high] @ self.high
        high /= _positive(weights[:, :n_high] @ self.tokens[:n_high])[:, None]
        shares = _filled(_ratio(low, low + high))
        return np.asarray(np.nanquantile(shares, bootstrap_tails(n_both), axis=0))


@dataclass(frozen=True)
class LayerEffects:
    """All that was measured of one layer of one side.

    `estimate` and `estimate_fold` are of all n neurons. `exact` is of `neurons` [m]; `exact_fold`
    is there where exact effects are known token by token (the last layer). `both` is the ratio
    of KL_low + KL_high to that of both ablated at once.
    """

    side: Side
    layer: int
    estimate: Parts
    estimate_fold: Fold
    neurons: Longs
    exact: Parts
    exact_fold: Fold | None
    both: float | None


def check(layer: LayerEffects) -> EstimateCheckRecord:
    """The estimate against exact ablation, on the same neurons and the same windows."""
    exact = layer.exact
    estimate = layer.estimate.first(len(exact.low), len(exact.high))
    estimate = Parts(estimate.low[:, layer.neurons], estimate.high[:, layer.neurons], exact.tokens)
    differences = estimate.share() - exact.share()
    differences = differences[np.isfinite(differences)]
    spearman = None
    if len(layer.neurons) > 2 and np.ptp(exact.effect()) > 0 and np.ptp(estimate.effect()) > 0:
        spearman = float(spearmanr(estimate.effect(), exact.effect()).statistic)
    return EstimateCheckRecord(
        side=layer.side,
        layer=layer.layer,
        n_neurons=len(layer.neurons),
        effect_spearman=spearman,
        share_bias=float(differences.mean()) if len(differences) else None,
        share_mean_error=float(np.abs(differences).mean()) if len(differences) else None,
        additivity=layer.both,
    )


def hidden_shares(
    layer: LayerEffects, error: float | None, resamples: int, seed: int
) -> Iterator[HiddenShareRecord]:
    """One record a neuron; exact values where they were measured, else estimates with `error`."""
    n = layer.estimate.low.shape[1]
    estimated_effect, estimated_share = layer.estimate.effect(), layer.estimate.share()
    effect, share = estimated_effect.copy(), estimated_share.copy()
    interval = layer.estimate.intervals(resamples, seed)
    effect[layer.neurons], share[layer.neurons] = layer.exact.effect(), layer.exact.share()
    interval[:, layer.neurons] = layer.exact.intervals(resamples, seed)
    is_exact = np.zeros(n, bool)
    is_exact[layer.neurons] = True
    segments, mass = _spread(layer)
    curves = _ratio(np.cumsum(segments, axis=1), segments.sum(axis=1, keepdims=True))
    for i in range(n):
        known = bool(effect[i] > 0)
        curve = (0.0, *(float(min(1.0, c)) for c in curves[i, :-1]), 1.0) if known else None
        yield HiddenShareRecord(
            side=layer.side,
            layer=layer.layer,
            neuron=i,
            effect=float(effect[i]),
            share=_number(share[i]),
            method="exact" if is_exact[i] else "estimate",
            error=None if is_exact[i] else error,
            interval=(float(interval[0, i]), float(interval[1, i])) if known else None,
            estimated_effect=float(estimated_effect[i]),
            estimated_share=_number(estimated_share[i]),
            curve=curve or (None,) * (segments.shape[1] + 1),
            mass=mass[i].astype(np.float32),
        )


def _spread(layer: LayerEffects) -> tuple[Doubles, Doubles]:
    """Effect (nats a token) by segment [n, 10] and by bin [n, 387].

    Where exact effects are known by part only, each part is spread as the estimate's is.
    """
    segments, mass = layer.estimate_fold.segments.copy(), layer.estimate_fold.mass.copy()
    total = max(1, int(layer.estimate.tokens[: len(layer.estimate.low)].sum()))
    segments /= total
    mass /= total
    if layer.exact_fold is not None:
        tokens = layer.exact.tokens
        n_low = max(1, int(tokens[: len(layer.exact.low)].sum()))
        n_high = max(1, int(tokens[: len(layer.exact.high)].sum()))
        segments = layer.exact_fold.segments / n_low
        segments[:, HEADLINE:] = layer.exact_fold.segments[:, HEADLINE:] / n_high
        mass = layer.exact_fold.mass / np.array([n_low, n_high])[:, None, None]
    else:
        at = layer.neurons
        for part, columns, rate in zip(
            (0, 1), (slice(None, HEADLINE), slice(HEADLINE, None)), layer.exact.rates(), strict=True
        ):
            factor = rate / _positive(mass[part, at].sum(axis=1))
            mass[part, at] *= factor[:, None]
            segments[at, columns] *= factor[:, None]
    return segments, mass.sum(axis=0)


def _ratio(part: Doubles, whole: Doubles) -> Doubles:
    """part / whole, NaN where the whole is not positive."""
    out: Doubles = np.full(np.broadcast(part, whole).shape, np.nan)
    np.divide(part, whole, out=out, where=whole > 0)
    return out


def _positive(x: Doubles) -> Doubles:
    return np.where(x > 0, x, 1.0)


def _filled(shares: Doubles) -> Doubles:
    """Columns without any value get 0, so that a quantile of them is no fault."""
    return np.where(np.isnan(shares).all(axis=0), 0.0, shares)


def _number(x: float) -> float | None:
    return float(x) if np.isfinite(x) else None
