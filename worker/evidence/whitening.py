"""PCA whitening with shrinkage, so that no few directions decide what is near.

    whitening = Whitening.fit(embeddings)     # [K, d]
    whitening(embeddings)                     # [K, dims], unit length

A residual stream has a few directions of large variance that most tokens share (position, how
frequent a token is); distances in it are theirs. Whitening divides each principal component by
its spread; shrinkage adds `SHRINKAGE` of the mean variance to each, so that components which are
almost constant are not blown up into noise. Vectors are brought to unit length last: then squared
distances are twice cosine distances, and a rare token's long vector does not outvote the others.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

#: Components kept at most, the largest first.
DIMS = 64
SHRINKAGE = 0.01


@dataclass(frozen=True)
class Whitening:
    """x ↦ (x − mean) · projection, then unit length; mean [d], projection [d, dims]."""

    mean: Floats
    projection: Floats

    @classmethod
    def fit(
        cls, embeddings: npt.NDArray[np.floating], dims: int = DIMS, shrinkage: float = SHRINKAGE
    ) -> Whitening:
        """From K embeddings [K, d] of any precision; K ≥ 2."""
        x = np.asarray(embeddings, dtype=np.float64)
        mean = x.mean(axis=0)
        covariance = (x - mean).T @ (x - mean) / len(x)
        values, vectors = np.linalg.eigh(covariance)
        values, vectors = np.maximum(values[::-1], 0.0), vectors[:, ::-1]
        shrunk = (1 - shrinkage) * values + shrinkage * max(values.mean(), 1e-30)
        kept = min(dims, len(values))
        projection = vectors[:, :kept] / np.sqrt(shrunk[:kept])
        return cls(mean.astype(np.float32), projection.astype(np.float32))

    def __call__(self, embeddings: npt.NDArray[np.floating]) -> Floats:
        """[N, d] → [N, dims] of unit length (a zero vector stays zero)."""
        x = (np.asarray(embeddings, dtype=np.float32) - self.mean) @ self.projection
        length = np.linalg.norm(x, axis=1, keepdims=True)
        return np.asarray(x / np.maximum(length, 1e-12), dtype=np.float32)
