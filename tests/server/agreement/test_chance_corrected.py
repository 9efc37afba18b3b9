"""α and both κ against the worked examples of those who proposed them."""

from __future__ import annotations

import numpy as np
import pytest

from server.agreement.bootstrap import percentile_interval, resampled
from server.agreement.chance_corrected import (
    Codes,
    alpha,
    alpha_interval,
    cohen,
    cohen_interval,
    fleiss,
    pair_agreement,
)


def reliability() -> Codes:
    """Krippendorff 2011, §C: four observers, twelve units, missing answers; from 0, −1 missing."""
    rows = (
        "1 2 3 3 2 1 4 1 2 . . .",
        "1 2 3 3 2 2 4 1 2 5 . 3",
        ". 3 3 3 2 3 4 2 2 5 1 .",
        "1 2 3 3 2 4 4 1 2 5 1 .",
    )
    return np.array([[-1 if c == "." else int(c) - 1 for c in row.split()] for row in rows])


def from_table(table: list[list[int]]) -> tuple[Codes, Codes]:
    """The answers of two raters whose agreement table this is."""
    pairs = [(i, j) for i, row in enumerate(table) for j, n in enumerate(row) for _ in range(n)]
    one, other = np.array(pairs).T
    return one, other


#: Fleiss 1971: what six psychiatrists said of thirty patients (depression, personality disorder,
#: schizophrenia, neurosis, other), a string a patient.
DIAGNOSES = (
    "444444 222555 233335 555555 222444 113333 333355 113334 114444 555555 "
    "144444 124444 222333 144444 224445 333335 111455 111112 224444 133555 "
    "555555 244444 224555 114444 144445 222224 111155 224444 133333 555555"
)


def test_krippendorffs_twelve_units() -> None:
    assert alpha(reliability(), 5) == pytest.approx(0.743, abs=5e-4)


def test_alpha_of_two_observers() -> None:
    # Krippendorff 2011, §A: ten articles, two observers, binary: α = 0.095
    codes = np.array([[0, 1, 0, 0, 0, 0, 0, 0, 1, 0], [1, 1, 1, 0, 0, 1, 0, 0, 0, 0]])
    assert alpha(codes, 2) == pytest.approx(0.095, abs=5e-4)
    assert pair_agreement(codes, 2) == pytest.approx(0.6)


def test_fleiss_psychiatrists() -> None:
    codes = np.array([[int(c) - 1 for c in patient] for patient in DIAGNOSES.split()]).T
    kappa, n = fleiss(codes, 5)
    assert n == 30
    margins = [(codes == c).mean() for c in range(5)]  # as in the last line of his table 1
    assert margins == pytest.approx([0.144, 0.144, 0.167, 0.306, 0.239], abs=5e-4)
    assert kappa == pytest.approx(0.430, abs=5e-4)


def test_cohens_first_example() -> None:
    # Cohen 1960, table 1: 200 cases, κ = .492
    one, other = from_table([[88, 14, 18], [10, 40, 10], [2, 6, 12]])
    assert cohen(one, other) == pytest.approx(0.492, abs=5e-4)


def test_cohen_in_a_textbook_with_its_interval() -> None:
    # Fleiss, Levin & Paik 2003, table 18.1: κ = .676, standard error .088
    one, other = from_table([[75, 1, 4], [5, 4, 1], [0, 0, 10]])
    assert cohen(one, other) == pytest.approx(0.676, abs=5e-4)
    interval = cohen_interval(one, other, np.arange(100), 3)
    assert interval is not None
    assert interval[1] - interval[0] == pytest.approx(2 * 1.96 * 0.088, rel=0.1)


def test_the_draws_of_alpha_are_alphas() -> None:
    """The bootstrap's own formula against the library, draw by draw."""
    import krippendorff

    codes, clusters = reliability(), np.arange(12) // 2
    weights = resampled(6)
    counts = np.stack([(codes == c).sum(axis=0) for c in range(5)], axis=1)
    theirs = []
    for draw in weights:
        repeated = np.repeat(counts, draw.astype(int)[clusters], axis=0)
        pairable = repeated[repeated.sum(axis=1) >= 2]
        varied = (pairable.sum(axis=0) > 0).sum() > 1
        theirs.append(
            krippendorff.alpha(value_counts=pairable, level_of_measurement="nominal")
            if varied
            else np.nan
        )
    expected = percentile_interval(np.array(theirs), 6)
    assert expected is not None
    assert alpha_interval(codes, clusters, 5) == pytest.approx(expected, abs=1e-9)


def test_one_rater_agrees_with_nobody() -> None:
    codes = np.array([[0, 1, 1, 0]])
    assert alpha(codes, 3) is None
    assert alpha_interval(codes, np.arange(4), 3) is None
    assert pair_agreement(codes, 3) is None
    assert fleiss(codes, 3) == (None, 4)
    assert cohen(codes[0], np.array([-1, -1, -1, -1])) is None
    assert cohen_interval(codes[0], np.full(4, -1), np.arange(4), 3) is None


def test_where_chance_agrees_always_nothing_is_beyond_it() -> None:
    codes = np.ones((3, 5), dtype=np.int64)
    assert alpha(codes, 3) is None
    assert cohen(codes[0], codes[1]) is None
    assert fleiss(codes, 3) == (None, 5)
    assert pair_agreement(codes, 3) == 1.0
    assert alpha_interval(codes, np.arange(5), 3) is None
