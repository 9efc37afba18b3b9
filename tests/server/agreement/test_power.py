"""What a study can see, against published sample sizes, statsmodels, and simulated studies."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from server.agreement.power import n_for, power_of, smallest_difference


def test_the_sample_sizes_that_evidence_names() -> None:
    assert n_for(0.35, 0.60) == 62
    assert n_for(0.33, 0.42) == 454
    assert n_for(0.60, 0.35) == 62


def test_a_difference_and_its_sample_size_are_inverse() -> None:
    for n in (20, 60, 120, 454):
        for base in (0.1, 0.35, 0.5):
            gap = smallest_difference(n, base)
            assert gap is not None
            assert n_for(base, base + gap + 1e-9) == n
            assert power_of(n, base, base + gap) == pytest.approx(0.8, abs=1e-6)
    fall = smallest_difference(60, 0.6, direction="down")
    assert fall is not None
    assert fall == pytest.approx(0.2528, abs=3e-4)
    assert n_for(0.6, 0.6 - fall - 1e-9) == 60


def test_what_no_study_can_see() -> None:
    assert smallest_difference(5, 0.9) is None
    assert smallest_difference(5, 0.1, direction="down") is None
    assert smallest_difference(500, 1.0) is None
    assert power_of(10, 0.0, 1.0) == 1.0
    assert power_of(10, 1.0, 1.0) == 0.0


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda: n_for(0.5, 0.5), "no difference"),
        (lambda: n_for(0.5, 1.2), "1.2 is not a share"),
        (lambda: n_for(0.1, 0.2, 0.01), "alpha 0.05 and power 0.01"),
        (lambda: smallest_difference(0, 0.5), "one or more"),
        (lambda: power_of(0, 0.5, 0.6), "one or more"),
    ],
)
def test_what_is_no_question(wrong: Callable[[], object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        wrong()


def test_statsmodels_gives_the_same() -> None:
    from statsmodels.stats.proportion import power_proportions_2indep

    for p1, p2 in ((0.35, 0.6), (0.33, 0.42), (0.1, 0.15), (0.9, 0.5)):
        n = n_for(p1, p2)
        theirs = power_proportions_2indep(p1 - p2, p2, n, alternative="two-sided")
        assert power_of(n, p1, p2) == pytest.approx(theirs.power, abs=2e-3)
        assert power_of(n, p1, p2) >= 0.8 > power_of(n - 1, p1, p2)


def test_a_simulated_study_sees_it_as_often() -> None:
    generator, n = np.random.default_rng(0), n_for(0.33, 0.42)
    one, other = (generator.binomial(n, share, 20_000) / n for share in (0.33, 0.42))
    pooled = (one + other) / 2
    z = np.abs(one - other) / np.sqrt(2 * pooled * (1 - pooled) / n)
    assert (z > 1.959964).mean() == pytest.approx(0.8, abs=0.02)
    assert math.isclose(power_of(n, 0.33, 0.42), 0.8, abs_tol=0.01)
