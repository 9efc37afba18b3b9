"""k-means of many small sets of points at once: one set per neuron.

    found = k_means(points, present, k=2, starts=8, seed=0)
    found.centroids[i]                        # [k, d] of the i-th neuron's points

Lloyd's iterations from k-means++ starts [Arthur and Vassilvitskii 2007], all sets and starts in
one batch of matrix products; of each set the start of least inertia is kept, the lowest among
equals. The draws depend on the seed and on a set's place in the batch alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

ITERATIONS = 12


@dataclass(frozen=True)
class Clusters:
    """Of N sets: centroids [N, k, d], label of each point [N, n] (−1 where absent), sizes [N, k]
    (sums of weights) and inertia [N]."""

    centroids: Tensor
    labels: Tensor
    sizes: Tensor
    inertia: Tensor


def k_means(points: Tensor, weight: Tensor, k: int, starts: int, seed: int) -> Clusters:
    """points: [N, n, d] float32; weight: [N, n] ≥ 0 (or bool: present or not), 0 for absent."""
    n_sets = len(points)
    generator = torch.Generator().manual_seed(seed)
    uniform = torch.rand((starts, k, n_sets), generator=generator)
    best: Clusters | None = None
    present = weight > 0
    weight = weight.to(points.dtype)
    for start in range(starts):
        centroids = _spread(points, weight, uniform[start])
        for _ in range(ITERATIONS):
            labels = _distances(points, centroids).argmin(dim=2)
            centroids, _ = _means(points, weight, labels, centroids)
        distances = _distances(points, centroids)
        least, labels = distances.min(dim=2)
        _, sizes = _means(points, weight, labels, centroids)
        found = Clusters(
            centroids, labels.masked_fill(~present, -1), sizes, (least * weight).sum(dim=1)
        )
        best = found if best is None else _better(best, found)
    assert best is not None
    return best


def _spread(points: Tensor, weight: Tensor, uniform: Tensor) -> Tensor:
    """k-means++ starts: each next centroid drawn by squared distance; uniform [k, N]."""
    rows = torch.arange(len(points))
    chosen = [points[rows, _draw(weight, uniform[0])]]
    nearest = torch.full_like(weight, torch.inf)
    for u in uniform[1:]:
        nearest = torch.minimum(nearest, (points - chosen[-1][:, None]).square().sum(dim=2))
        chosen.append(points[rows, _draw(nearest * weight, u)])
    return torch.stack(chosen, dim=1)


def _draw(weight: Tensor, uniform: Tensor) -> Tensor:
    """An index of each row of weights [N, n], drawn by `uniform` [N]; 0 where all are zero."""
    cumulative = weight.double().cumsum(dim=1)
    target = uniform.double() * cumulative[:, -1]
    at = torch.searchsorted(cumulative, target[:, None], right=True)[:, 0]
    return at.clamp(max=weight.shape[1] - 1)


def _distances(points: Tensor, centroids: Tensor) -> Tensor:
    """Squared distances [N, n, k]."""
    products = torch.bmm(points, centroids.transpose(1, 2))
    squares = points.square().sum(dim=2, keepdim=True)
    return (squares - 2 * products + centroids.square().sum(dim=2)[:, None]).clamp(min=0)


def _means(points: Tensor, weight: Tensor, labels: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
    """Means [N, k, d] and sizes [N, k] of the labelled points; an empty one stays where it was."""
    k = before.shape[1]
    member = torch.nn.functional.one_hot(labels, k).to(points.dtype) * weight[:, :, None]
    sizes = member.sum(dim=1)
    sums = torch.bmm(member.transpose(1, 2), points)
    means = torch.where(sizes[:, :, None] > 0, sums / sizes[:, :, None].clamp(min=1e-30), before)
    return means, sizes


def _better(one: Clusters, other: Clusters) -> Clusters:
    """Set by set the one of less inertia."""
    take = other.inertia < one.inertia * (1 - 1e-6)
    return Clusters(
        torch.where(take[:, None, None], other.centroids, one.centroids),
        torch.where(take[:, None], other.labels, one.labels),
        torch.where(take[:, None], other.sizes, one.sizes),
        torch.where(take, other.inertia, one.inertia),
    )
