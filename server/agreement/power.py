"""What a study can see: neurons per arm, and the smallest difference between two shares.

n_for(0.35, 0.60)                    → 62
n_for(0.33, 0.42)                    → 454
smallest_difference(60, base=0.35)   → 0.253 (35 % against 60.3 %)

Two independent arms and the two-sided z-test with the pooled share, without continuity correction:
n = (z₁₋α/₂·√(2p̄q̄) + z_power·√(p₁q₁ + p₂q₂))² / (p₁ − p₂)² neurons an arm. [Fleiss, Levin & Paik
2003, *Statistical Methods for Rates and Proportions*, ch. 4] A significant difference in
the wrong direction is not counted as seen. Matched neurons and the same neuron under two conditions
are usually judged alike, so that a paired test sees less than this, not more.
Nothing but the standard library, so that a page may say it without loading statsmodels.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Literal

POWER = 0.8
ALPHA = 0.05

Direction = Literal["up", "down"]


def _check(share: float) -> None:
    if not 0 <= share <= 1:
        raise ValueError(f"{share:g} is not a share: it lies between 0 and 1")


def _spreads(p1: float, p2: float) -> tuple[float, float]:
    """√(2p̄q̄) and √(p₁q₁ + p₂q₂): a difference's spread without and with a true difference."""
    pooled = (p1 + p2) / 2
    return (
        math.sqrt(2 * pooled * (1 - pooled)),
        math.sqrt(p1 * (1 - p1) + p2 * (1 - p2)),
    )


def _needed(p1: float, p2: float, power: float, alpha: float) -> float:
    """Neurons per arm, not yet rounded up."""
    if not 0 < alpha < 1 or not alpha < power < 1:
        raise ValueError(f"alpha {alpha:g} and power {power:g}: 0 < alpha < power < 1 is needed")
    normal, (without, with_it) = NormalDist(), _spreads(p1, p2)
    reach = normal.inv_cdf(1 - alpha / 2) * without + normal.inv_cdf(power) * with_it
    return (reach / (p1 - p2)) ** 2


def n_for(p1: float, p2: float, power: float = POWER, alpha: float = ALPHA) -> int:
    """Neurons per arm that a study needs to see `p1` against `p2` with this power.

    ValueError for equal shares, which no number tells apart, and for what is no share.
    """
    _check(p1)
    _check(p2)
    if p1 == p2:
        raise ValueError(f"two shares of {p1:g} are no difference that a study could see")
    return max(math.ceil(_needed(p1, p2, power, alpha)), 1)


def power_of(n_per_arm: int, p1: float, p2: float, alpha: float = ALPHA) -> float:
    """The chance that a study with arms of this size sees `p1` against `p2`."""
    _check(p1)
    _check(p2)
    _check_arm(n_per_arm)
    normal, (without, with_it) = NormalDist(), _spreads(p1, p2)
    beyond = abs(p1 - p2) * math.sqrt(n_per_arm) - normal.inv_cdf(1 - alpha / 2) * without
    if with_it == 0:
        return 1.0 if beyond > 0 else 0.0
    return normal.cdf(beyond / with_it)


def smallest_difference(
    n_per_arm: int,
    base: float,
    power: float = POWER,
    alpha: float = ALPHA,
    direction: Direction = "up",
) -> float | None:
    """How far from `base` the other arm's share must be to be seen with this power.

    Non-negative, as a share (0.25 is 25 percentage points); `up` asks for a share above the base,
    `down` for one below. None where no share in that direction will do: the study is too small
    to see even 100 % (or 0 %) against this base. ValueError for an arm without neurons.
    """
    _check(base)
    _check_arm(n_per_arm)
    sign, room = (1, 1 - base) if direction == "up" else (-1, base)
    if room == 0 or _needed(base, base + sign * room, power, alpha) > n_per_arm:
        return None
    low, high = 0.0, room
    for _ in range(60):
        middle = (low + high) / 2
        if middle > 0 and _needed(base, base + sign * middle, power, alpha) <= n_per_arm:
            high = middle
        else:
            low = middle
    return high


def _check_arm(n_per_arm: int) -> None:
    if n_per_arm < 1:
        raise ValueError(f"an arm of {n_per_arm} neurons can see nothing; it needs one or more")
