"""McNemar's test: did pairs change more often in one direction than in the other?

mcnemar(PairCounts(794, 150, 86, 570))   → χ² = 17.4, p = 0.00003
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from server.agreement.proportions import PairCounts

EXACT_BELOW = 25
"""Fewer discordant pairs than these are judged by the binomial distribution itself."""


@dataclass(frozen=True)
class McNemar:
    """`statistic` is χ² with one degree of freedom, without continuity correction; None of `exact`,
    which is the two-sided binomial test of first against second at one half."""

    p: float
    exact: bool
    statistic: float | None


def mcnemar(pairs: PairCounts) -> McNemar | None:
    """The test of discordant pairs; None of no pairs at all. [McNemar 1947, Psychometrika 12]

    Exact below `EXACT_BELOW` discordant pairs; without any, p is 1.
    """
    if pairs.n == 0:
        return None
    discordant = pairs.first + pairs.second
    if discordant == 0:
        return McNemar(1.0, True, None)
    from statsmodels.stats.contingency_tables import mcnemar as test  # heavy

    exact = discordant < EXACT_BELOW
    table = [[pairs.both, pairs.first], [pairs.second, pairs.neither]]
    found = test(table, exact=exact, correction=False)
    return McNemar(float(found.pvalue), exact, None if exact else float(found.statistic))


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values adjusted for their number, in their order. [Holm 1979, Scand. J. Stat. 6]

    The chance of one or more of them below 0.05 is at most 5 % where none of the differences is.
    """
    if not p_values:
        return []
    from statsmodels.stats.multitest import multipletests  # heavy

    return [float(p) for p in multipletests(list(p_values), method="holm")[1]]
