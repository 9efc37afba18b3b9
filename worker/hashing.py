"""A hash of a token's key, by which uniform samples are drawn.

    token_hashes(seed, document, window, n_ctx)  # [B, n_ctx] uint64

The hash depends on (seed, document, window, position) alone, so a sample drawn by lowest hash
does not depend on the order of the tokens, the shards or the workers. It is SplitMix64's output
function [Steele, Lea, Flood 2014] applied to each part of the key in turn, and stays as it is for
ever: published runs were drawn by it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

HashArray = npt.NDArray[np.uint64]

_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)


def token_hashes(
    seed: int, document: npt.ArrayLike, window: npt.ArrayLike, n_ctx: int
) -> HashArray:
    """Hashes of every position of B windows; document, window: [B] integers ≥ 0; [B, n_ctx]."""
    rows = key_hashes(seed, document, window)
    return _mixed(rows[:, None] ^ np.arange(n_ctx, dtype=np.uint64)[None, :])


def key_hashes(seed: int, *parts: npt.ArrayLike) -> HashArray:
    """Hash of integer keys ≥ 0, given part by part as arrays of one shape [N]; [N] uint64."""
    state = _mixed(np.array([seed % 2**64], dtype=np.uint64))
    for part in parts:
        state = _mixed(state ^ np.asarray(part).astype(np.uint64))
    return state


def _mixed(state: HashArray) -> HashArray:
    z = state + _GAMMA  # wraps around, as it must
    z = (z ^ (z >> np.uint64(30))) * _FIRST
    z = (z ^ (z >> np.uint64(27))) * _SECOND
    return np.asarray(z ^ (z >> np.uint64(31)), dtype=np.uint64)
