"""Agreement beyond chance: Krippendorff's α, Cohen's κ, Fleiss' κ.

codes = np.array([[0, 1, 1, -1], [0, 1, 0, 2]])    # [raters, cards], −1: not rated
alpha(codes, 3), alpha_interval(codes, clusters, 3)

Categories are 0 … n − 1, without order. α takes any number of raters a card, Fleiss' κ the cards
that all have rated, Cohen's κ two raters. Intervals draw clusters (neurons), see `bootstrap`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from server.agreement.bootstrap import Floats, percentile_interval, resampled
from server.agreement.proportions import Interval

Codes = npt.NDArray[np.int64]


def counts_of(codes: Codes, categories: int) -> Floats:
    """How often each category was given to each card; [cards, categories]."""
    return np.stack([(codes == c).sum(axis=0) for c in range(categories)], axis=1).astype(float)


def alpha(codes: Codes, categories: int) -> float | None:
    """Krippendorff's α for nominal values; 1 is perfect, 0 is chance, below 0 is worse.

    [Krippendorff 2011, *Computing Krippendorff's Alpha-Reliability*] Cards with one answer do not
    count. None where no card has two, and where all answers are the same (chance agrees, too).
    """
    counts = counts_of(codes, categories)
    pairable = counts[counts.sum(axis=1) >= 2]
    if (pairable.sum(axis=0) > 0).sum() < 2:
        return None
    import krippendorff  # brings scipy

    return float(krippendorff.alpha(value_counts=pairable, level_of_measurement="nominal"))


def alpha_interval(codes: Codes, clusters: Codes, categories: int) -> Interval | None:
    """Interval of α, bootstrapped over clusters; `clusters` [cards] says which each is of.

    Not Krippendorff's own bootstrap, which draws pairs of answers as if independent.
    """
    counts = counts_of(codes, categories)
    answers = counts.sum(axis=1)
    kept = answers >= 2
    if not kept.any():
        return None
    counts, answers = counts[kept], answers[kept]
    disagreement = (answers**2 - (counts**2).sum(axis=1)) / (answers - 1)
    totals, n = _summed(np.column_stack([disagreement, counts]), clusters[kept])
    drawn = resampled(n) @ totals
    margins = drawn[:, 1:]
    pairable = margins.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        values = 1 - (pairable - 1) * drawn[:, 0] / (pairable**2 - (margins**2).sum(axis=1))
    return percentile_interval(values, n)


def pair_agreement(codes: Codes, categories: int) -> float | None:
    """Share of all pairs of answers to one card that are the same; None without pairs."""
    counts = counts_of(codes, categories)
    answers = counts.sum(axis=1)
    pairs = float((answers * (answers - 1)).sum())
    return float((counts * (counts - 1)).sum()) / pairs if pairs else None


def cohen(one: Codes, other: Codes) -> float | None:
    """Cohen's κ of two raters over the cards that both have rated. [Cohen 1960, EPM 20, 37–46]

    None without such cards, and where chance alone would agree always.
    """
    both = (one >= 0) & (other >= 0)
    if not both.any() or len(set(one[both]) | set(other[both])) < 2:
        return None
    from sklearn.metrics import cohen_kappa_score  # heavy

    return float(cohen_kappa_score(one[both], other[both]))


def cohen_interval(one: Codes, other: Codes, clusters: Codes, categories: int) -> Interval | None:
    """Interval of Cohen's κ, bootstrapped over clusters."""
    both = (one >= 0) & (other >= 0)
    if not both.any():
        return None
    cells = one[both] * categories + other[both]
    tables, n = _summed(np.eye(categories**2)[cells], clusters[both])
    drawn = (resampled(n) @ tables).reshape(-1, categories, categories)
    cards = drawn.sum(axis=(1, 2))
    observed = np.trace(drawn, axis1=1, axis2=2) / cards
    expected = (drawn.sum(axis=1) * drawn.sum(axis=2)).sum(axis=1) / cards**2
    with np.errstate(invalid="ignore", divide="ignore"):
        return percentile_interval((observed - expected) / (1 - expected), n)


def fleiss(codes: Codes, categories: int) -> tuple[float | None, int]:
    """Fleiss' κ over the cards that all raters have rated, and how many those are.

    [Fleiss 1971, Psychological Bulletin 76, 378–382] None for fewer than two raters, without such
    cards, and where all answers are the same.
    """
    complete = (codes >= 0).all(axis=0)
    n = int(complete.sum())
    if len(codes) < 2 or n == 0 or len(np.unique(codes[:, complete])) < 2:
        return None, n
    from statsmodels.stats.inter_rater import fleiss_kappa  # heavy

    return float(fleiss_kappa(counts_of(codes[:, complete], categories))), n


def _summed(rows: Floats, clusters: Codes) -> tuple[Floats, int]:
    """Rows added up by cluster, and the number of clusters."""
    names, index = np.unique(clusters, return_inverse=True)
    sums = np.zeros((len(names), rows.shape[1]))
    np.add.at(sums, index, rows)
    return sums, len(names)
