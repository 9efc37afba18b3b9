"""How much of a neuron the current token says: plain counts, to stand beside the score."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]
Longs = npt.NDArray[np.int64]


def entropy_and_largest(tokens: Longs) -> tuple[Doubles, Doubles]:
    """Entropy in nats of each row's tokens, and the largest share; −1 is no token.

    tokens: [N, m]; NaN for a row without any.
    """
    entropy, largest = np.full(len(tokens), np.nan), np.full(len(tokens), np.nan)
    for i, row in enumerate(tokens):
        _, counts = np.unique(row[row >= 0], return_counts=True)
        if len(counts):
            share = counts / counts.sum()
            entropy[i] = max(0.0, float(-(share * np.log(share)).sum()))
            largest[i] = share.max()
    return entropy, largest


def variance_explained(values: npt.NDArray[np.floating], tokens: Longs) -> Doubles:
    """Var(E[z | token]) / Var z of each neuron, without the part that chance gives.

    values: [K, n]; tokens: [K]. A token that occurs once explains all of itself: the share of
    the between-token variance expected of independent values is taken off (adjusted R²:
    1 − (1 − R²)(K − 1)/(K − T) for T kinds of token), and what falls below zero is zero. NaN for
    a constant neuron, or where no token occurs twice.
    """
    _, kind, counts = np.unique(tokens, return_inverse=True, return_counts=True)
    k, kinds = len(tokens), len(counts)
    explained = np.full(values.shape[1], np.nan)
    if k <= kinds:
        return explained
    order = np.argsort(kind, kind="stable")
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    for a in range(0, values.shape[1], 64):
        x = np.asarray(values[:, a : a + 64], dtype=np.float64)[order]
        x = x - x.mean(axis=0)
        between = (np.add.reduceat(x, starts, axis=0) ** 2 / counts[:, None]).sum(axis=0)
        total = (x**2).sum(axis=0)
        defined = total > 1e-12 * k
        share = 1 - (1 - between[defined] / total[defined]) * (k - 1) / (k - kinds)
        found = np.full(x.shape[1], np.nan)
        found[defined] = np.clip(share, 0.0, 1.0)
        explained[a : a + 64] = found
    return explained
