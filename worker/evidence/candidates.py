"""Candidate invisible features: directions of a layer's output that no single neuron shows.

Tokens are taken on which ablating the whole layer costs much (KL in the upper quarter) while no
neuron reaches its own headline quantile. Their MLP outputs, centred, are clustered by direction,
weighted by KL; the mean of each cluster, brought to length one, is a candidate. Whether it is more
than a direction of that variance is tested on documents that the finding did not see
(`direction_test`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from worker.evidence.k_means import k_means

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Longs = npt.NDArray[np.int64]

#: Clusters looked for, and candidates kept of a layer at most.
CLUSTERS = 8
MOST = 6
#: Clusters whose directions are nearer than this are one.
SAME = 0.8
#: A candidate's tokens: at least so many, in at least so many documents.
LEAST_TOKENS = 20
LEAST_DOCUMENTS = 3
MUCH = 0.75
#: A weight is no larger than this quantile of the weights: no token speaks for a cluster alone.
WEIGHT_LIMIT = 0.99
STARTS = 8
CLUSTERED_TOKENS = 16_384


@dataclass(frozen=True)
class LayerOutputs:
    """One layer of one side on R tokens of the finding windows."""

    output: npt.NDArray[np.float16]  # [R, d] what the MLP adds to the stream
    kl: Floats  # [R] nats that ablating the whole layer costs
    orphan: npt.NDArray[np.bool_]  # [R] no neuron reaches its headline quantile
    document: Longs  # [R]


@dataclass(frozen=True)
class Found:
    """A candidate before its test: unit direction [d], its tokens (places among R), weights."""

    direction: Floats
    places: Longs
    weights: Floats
    token_share: float


def find(outputs: LayerOutputs, mean: Floats, seed: int) -> list[Found]:
    """Candidates of a layer, the one with the largest share of the clustered KL first.

    mean: [d], the layer's mean output.
    """
    if not len(outputs.kl):
        return []
    much = outputs.kl >= np.quantile(outputs.kl, MUCH)
    places = np.flatnonzero(outputs.orphan & much & (outputs.kl > 0))[:CLUSTERED_TOKENS]
    if len(places) < LEAST_TOKENS:
        return []
    x = outputs.output[places].astype(np.float32) - mean
    kl = outputs.kl[places]
    weights = np.minimum(kl, np.quantile(kl, WEIGHT_LIMIT)).astype(np.float32)
    unit = x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)
    k = min(CLUSTERS, len(places) // LEAST_TOKENS)
    clusters = k_means(
        torch.from_numpy(unit)[None], torch.from_numpy(weights)[None], k, STARTS, seed
    )
    labels = _joined(clusters.labels[0].numpy(), x, weights, k)
    found = []
    for label in np.unique(labels):
        mine = labels == label
        known = len(np.unique(outputs.document[places[mine]]))
        if mine.sum() < LEAST_TOKENS or known < LEAST_DOCUMENTS:
            continue
        found.append(
            Found(
                _direction(x[mine], weights[mine]),
                places[mine],
                weights[mine],
                float(mine.sum() / len(outputs.kl)),
            )
        )
    found.sort(key=lambda one: -float(one.weights.sum()))
    return found[:MOST]


def _direction(x: Floats, weights: Floats) -> Floats:
    mean = (weights[:, None].astype(np.float64) * x).sum(axis=0)
    return np.asarray(mean / max(np.linalg.norm(mean), 1e-12), dtype=np.float32)


def _joined(labels: Longs, x: Floats, weights: Floats, k: int) -> Longs:
    """Labels with clusters of nearly one direction made one, the nearest two first."""
    labels = labels.copy()
    while True:
        names = [int(name) for name in np.unique(labels)]
        if len(names) < 2:
            return labels
        directions = np.stack([_direction(x[labels == n], weights[labels == n]) for n in names])
        cosines = directions @ directions.T
        np.fill_diagonal(cosines, -1)
        i, j = np.unravel_index(int(cosines.argmax()), cosines.shape)
        if cosines[i, j] < SAME:
            return labels
        labels[labels == names[max(i, j)]] = names[min(i, j)]


def random_directions(
    covariance: Doubles, direction: Floats, count: int, seed: int
) -> tuple[Floats, Doubles]:
    """Random unit directions [count, d] at right angles to `direction`, along which the output
    varies as much as along it; and [count] by what factor it varies less, where none can.

    uᵀΣu = variance for u ∝ Σ^{p/2} g with Gaussian g: the mean of the eigenvalues λ weighted by
    λ^p g² grows with p, so p is found by bisection, for any variance within their range. Without
    the right angle, all directions of a large variance would be nearly the candidate itself.
    """
    unit = direction.astype(np.float64) / np.linalg.norm(direction)
    variance = float(unit @ covariance @ unit)
    basis = np.linalg.qr(np.column_stack([unit, np.eye(len(unit))]))[0][:, 1 : len(unit)]
    values, vectors = np.linalg.eigh(basis.T @ covariance @ basis)
    vectors = basis @ vectors
    positive = np.maximum(values, max(float(values.max()), 1e-300) * 1e-9)
    logs = np.log(positive / positive.max())
    target = float(np.clip(variance, positive.min() * 1.001, positive.max() * 0.999))
    found = np.empty((count, len(unit)), np.float32)
    draws = np.random.default_rng(seed).standard_normal((count, len(values)))
    for i, g in enumerate(draws):
        low, high = -64.0, 64.0
        for _ in range(60):
            p = (low + high) / 2
            w = p * logs + 2 * np.log(np.abs(g))
            share = np.exp(w - w.max())
            low, high = (p, high) if (share @ positive) / share.sum() < target else (low, p)
        u = vectors @ (np.sign(g) * np.sqrt(share / share.sum()))
        found[i] = u / np.linalg.norm(u)
    return found, np.full(count, max(1.0, variance / target))


def participation(shares: Doubles) -> float:
    """(Σc)²/Σc²: how many carriers it comes to."""
    squares = float((shares**2).sum())
    return float(shares.sum() ** 2 / squares) if squares > 0 else 0.0
