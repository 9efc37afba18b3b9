"""Raters one at a time, by hand; and the bootstrap that their intervals rest on."""

from __future__ import annotations

import numpy as np
import pytest

from server.agreement.bootstrap import mean_interval, percentile_interval, ratio_interval, resampled
from server.agreement.raters import share_by_cluster, strictness

NAN = float("nan")


def test_strictness_by_hand() -> None:
    hits = np.array([[1, 1, 0, 1], [0, 1, 0, NAN], [0, 1, NAN, NAN]])
    first, second, third = strictness(hits, np.array([0, 1, 2, 3]))
    assert (first.own.hits, first.own.n, first.shared) == (3, 4, 3)
    assert first.deviation == pytest.approx((1 + 0 + 0) / 3)
    assert second.deviation == pytest.approx((-0.5 + 0 + 0) / 3)
    assert third.deviation == pytest.approx((-0.5 + 0) / 2)
    assert third.own.share == 0.5


def test_who_rates_alone_deviates_from_nobody() -> None:
    (alone,) = strictness(np.array([[1.0, 0.0]]), np.array([0, 1]))
    assert (alone.shared, alone.deviation, alone.deviation_interval) == (0, None, None)
    assert alone.own.interval is not None
    assert share_by_cluster([], []).share is None


def test_the_bootstrap_of_a_mean_is_the_t_interval() -> None:
    """Of many normal values, and of few: the widening is there for them."""
    from scipy.stats import t

    values = np.random.default_rng(3).normal(size=12)
    reach = t.ppf(0.975, 11) * values.std(ddof=1) / np.sqrt(12)
    interval = mean_interval(values.tolist())
    assert interval is not None
    assert interval == pytest.approx((values.mean() - reach, values.mean() + reach), abs=0.12)
    assert ratio_interval(values.tolist(), [1.0] * 12) == pytest.approx(interval)
    assert mean_interval(values.tolist()) == interval  # seeded


def test_what_has_no_interval() -> None:
    assert mean_interval([0.5]) is None
    assert mean_interval([0.0] * 30) is None  # neurons that do not differ say nothing of others
    assert ratio_interval([1.0], [1.0]) is None
    half = np.where(np.arange(2000) % 2, 0.5, NAN) + np.arange(2000)
    assert percentile_interval(half, 10) is None
    assert resampled(7, draws=5).sum(axis=1).tolist() == [7.0] * 5
