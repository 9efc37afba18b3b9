"""Intervals of shares and differences, against the tables of the papers that define them."""

from __future__ import annotations

import pytest

from server.agreement.mcnemar import holm, mcnemar
from server.agreement.proportions import (
    PairCounts,
    clustered_share,
    difference_of,
    newcombe,
    newcombe_paired,
    pair_counts,
)
from server.intervals import wilson


@pytest.mark.parametrize(
    ("hits", "n", "interval"),
    # Newcombe 1998, Stat. Med. 17, 857–872, table I, method 3
    [
        (81, 263, (0.2553, 0.3662)),
        (15, 148, (0.0624, 0.1605)),
        (0, 20, (0.0, 0.1611)),
        (1, 29, (0.0061, 0.1718)),
    ],
)
def test_wilson(hits: int, n: int, interval: tuple[float, float]) -> None:
    from statsmodels.stats.proportion import proportion_confint

    assert wilson(hits, n) == pytest.approx(interval, abs=5e-5)
    assert wilson(hits, n) == pytest.approx(proportion_confint(hits, n, method="wilson"), abs=1e-12)


@pytest.mark.parametrize(
    ("counts", "interval"),
    # Newcombe 1998, Stat. Med. 17, 873–890, table II, method 10
    [
        ((56, 70, 48, 80), (0.0524, 0.3339)),
        ((9, 10, 3, 10), (0.1705, 0.8090)),
        ((6, 7, 2, 7), (0.0582, 0.8062)),
        ((5, 56, 0, 29), (-0.0381, 0.1926)),
        ((0, 10, 0, 20), (-0.1611, 0.2775)),
        ((10, 10, 0, 20), (0.6791, 1.0)),
    ],
)
def test_newcombe(counts: tuple[int, int, int, int], interval: tuple[float, float]) -> None:
    assert newcombe(*counts) == pytest.approx(interval, abs=5e-5)


@pytest.mark.parametrize(
    ("counts", "interval", "digits"),
    [
        # Newcombe 1998, Stat. Med. 17, 2635–2650, table II, method 10
        ((36, 12, 2, 0), (0.0569, 0.3404), 5e-5),
        # Altman, Machin, Bryant & Gardner 2000, Statistics with Confidence, ch. 6, table 6.2
        ((14, 5, 0, 22), (0.011, 0.226), 5e-4),
        # Fagerland, Lydersen & Laake 2014, Stat. Med. 33, of Bentur et al. 2009: square-and-add
        ((1, 1, 7, 12), (-0.507, -0.026), 5e-4),
    ],
)
def test_newcombe_paired(
    counts: tuple[int, int, int, int], interval: tuple[float, float], digits: float
) -> None:
    assert newcombe_paired(PairCounts(*counts)) == pytest.approx(interval, abs=digits)


def test_mcnemar_of_the_prime_ministers_approval() -> None:
    # Agresti 2002, Categorical Data Analysis, table 10.1: 944 of 1,600 approve, then 880
    pairs = PairCounts(794, 150, 86, 570)
    assert pairs.difference == pytest.approx(944 / 1600 - 880 / 1600)
    found = mcnemar(pairs)
    assert found is not None
    assert not found.exact
    assert found.statistic == pytest.approx(17.36, abs=5e-3)
    assert found.p == pytest.approx(3.1e-5, abs=1e-6)
    # §10.1.1: the Wald interval 0.04 ± 0.019, which so many pairs have in common with the score's
    assert newcombe_paired(pairs) == pytest.approx((0.021, 0.059), abs=5e-4)


def test_mcnemar_of_few_pairs_is_exact() -> None:
    # Fagerland, Lydersen & Laake 2013, BMC Med. Res. Methodol. 13:91, of Bentur et al. 2009
    found = mcnemar(PairCounts(1, 1, 7, 12))
    assert found is not None
    assert found.exact
    assert found.p == pytest.approx(0.0703, abs=5e-5)
    none = mcnemar(PairCounts(3, 0, 0, 4))
    assert none is not None
    assert none.p == 1.0
    assert mcnemar(PairCounts(0, 0, 0, 0)) is None


def test_holm() -> None:
    # Holm's steps by hand: 3·0.01, max(0.03, 2·0.04), max(0.08, 0.045)
    assert holm([0.045, 0.01, 0.04]) == pytest.approx([0.08, 0.03, 0.08])
    assert holm([]) == []


def test_pairs_are_counted() -> None:
    counts = pair_counts([True, True, False, False, True], [True, False, True, False, True])
    assert counts == PairCounts(both=2, first=1, second=1, neither=1)
    with pytest.raises(ValueError, match="zip"):
        pair_counts([True], [])


def test_answers_that_repeat_each_other_count_once() -> None:
    """Three raters who always agree know no more than one."""
    agreed = clustered_share([3] * 12 + [0] * 8, [3] * 20)
    alone = wilson(12, 20)
    assert agreed is not None
    assert alone is not None
    assert agreed[0] < alone[0] + 0.005
    assert agreed[1] > alone[1] - 0.005
    # …and answers that spread evenly over neurons know at least as much as independent ones
    even = clustered_share([2, 1] * 10, [3] * 20)
    together = wilson(30, 60)
    assert even is not None
    assert together is not None
    assert even[1] - even[0] == pytest.approx(together[1] - together[0], abs=0.02)
    # all alike: as many answers as neurons
    assert clustered_share([3] * 20, [3] * 20) == pytest.approx(wilson(20, 20))
    assert clustered_share([1, 0], [1, 0]) is None


def test_a_difference_from_two_intervals_is_newcombes() -> None:
    one, other = wilson(56, 70), wilson(48, 80)
    assert one is not None
    assert other is not None
    assert difference_of(0.8, one, 0.6, other) == pytest.approx((0.0524, 0.3339), abs=5e-5)


def test_nothing_has_no_interval() -> None:
    assert newcombe(0, 0, 1, 2) is None
    assert newcombe_paired(PairCounts(0, 0, 0, 0)) is None
    assert PairCounts(0, 0, 0, 0).difference is None
    assert newcombe_paired(PairCounts(0, 5, 0, 0)) == pytest.approx((0.385, 1.0), abs=5e-3)
