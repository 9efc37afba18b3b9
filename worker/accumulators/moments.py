"""Count, mean and central sums of powers, merged without loss [Pébay 2008, eq. 2.1, 3.1].

State: n, mean, m2, m3, m4 (m_p = Σ (z − mean)^p), float64. Sums are taken around a pivot near the
mean, so offsets a million times the spread leave the moments right to 1e-5.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Moments:
    """Of n values each; the arrays have one shape."""

    n: int
    mean: Doubles
    m2: Doubles
    m3: Doubles
    m4: Doubles

    @classmethod
    def empty(cls, shape: tuple[int, ...]) -> Moments:
        return cls(0, np.zeros(shape), np.zeros(shape), np.zeros(shape), np.zeros(shape))

    @classmethod
    def of_sums(
        cls, n: int, pivot: Doubles, s1: Doubles, s2: Doubles, s3: Doubles, s4: Doubles
    ) -> Moments:
        """From s_p = Σ (z − pivot)^p over n > 0 values."""
        d = s1 / n
        return cls(
            n,
            pivot + d,
            np.maximum(s2 - n * d * d, 0.0),
            s3 - 3 * d * s2 + 2 * n * d**3,
            np.maximum(s4 - 4 * d * s3 + 6 * d * d * s2 - 3 * n * d**4, 0.0),
        )

    def merge(self, other: Moments) -> Moments:
        """Moments of both together."""
        if self.n == 0 or other.n == 0:
            return other if self.n == 0 else self
        a, b = float(self.n), float(other.n)
        n = a + b
        d = other.mean - self.mean
        dn = d / n
        m2 = self.m2 + other.m2 + d * dn * a * b
        m3 = (
            self.m3
            + other.m3
            + d * dn * dn * a * b * (a - b)
            + 3 * dn * (a * other.m2 - b * self.m2)
        )
        m4 = (
            self.m4
            + other.m4
            + d * dn**3 * a * b * (a * a - a * b + b * b)
            + 6 * dn * dn * (a * a * other.m2 + b * b * self.m2)
            + 4 * dn * (a * other.m3 - b * self.m3)
        )
        return Moments(self.n + other.n, self.mean + dn * b, m2, m3, m4)

    def standardized(self) -> tuple[Doubles, Doubles, Doubles]:
        """Population std, skewness, kurtosis E[((z − μ)/σ)⁴]; NaN where the spread is zero."""
        with np.errstate(divide="ignore", invalid="ignore"):
            variance = self.m2 / self.n
            skewness = self.m3 / self.n / variance**1.5
            kurtosis = self.m4 / self.n / variance**2
        return np.sqrt(variance), skewness, kurtosis
