"""Intervals over simulated studies: they cover the truth as often as they say.

Three raters judge each neuron, right or wrong for reasons that they share (it is hard for all of
them), so their answers about it are correlated beyond its class. An interval that took answers for
independent would fail here; `test_it_would_be_noticed` shows that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
import pytest

from server.agreement.answers import Card, cards_of
from server.agreement.chance_corrected import alpha, alpha_interval, cohen, cohen_interval
from server.agreement.contrasts import (
    Fall,
    VersionDifference,
    arms,
    fall_differences,
    falls,
    matched_differences,
    version_differences,
)
from server.agreement.proportions import Interval
from server.agreement.raters import strictness
from server.intervals import wilson
from store.records import Side
from store.study_records import CONDITIONS, Condition, Rating
from tests.simulated_study import BEGUN

pytestmark = pytest.mark.slow

STUDIES = 200
NEURONS = 60
#: Covers with 95 % in truth: fewer than these of 200 have a chance of 1 in 2,000.
LEAST, MOST_SEEN = 180, 21
#: How much wider on average than 95 % of the studies' spread needs: 0.92 to 1.17 here.
WIDEST = 1.25
SIDES: tuple[Side, ...] = ("left", "right")


def sigmoid(values: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-values))


#: Log-odds that a rater calls a neuron monosemantic, by side and condition; and the raters'.
LEVEL = {
    "left": {"top": 1.2, "range": 0.2, "silent": -0.3},
    "right": {"top": 0.4, "range": 0.1, "silent": -0.3},
}
NULL = {side: dict.fromkeys(CONDITIONS, 0.3) for side in SIDES}
STRICTNESS = np.array([0.0, 0.5, -0.5])
SPREAD = 1.5


def verdicts(
    rng: np.random.Generator, level: dict[str, dict[Condition, float]], n: int
) -> np.ndarray:
    """[side, condition, rater, neuron]: 0 monosemantic, 1 polysemantic, 2 unclear.

    A neuron has an ease of its own, shared by its versions in part and by all its raters wholly.
    """
    index = rng.normal(size=n)
    own = 0.6 * index + 0.8 * rng.normal(size=(2, n))
    odds = np.array([[level[side][c] for c in CONDITIONS] for side in SIDES])
    z = odds[:, :, None, None] + SPREAD * own[:, None, None, :] + STRICTNESS[None, None, :, None]
    drawn = rng.random(z.shape)
    said = np.where(drawn < sigmoid(z), 0, 1)
    said[rng.random(z.shape) < 0.05] = 2
    return said


def ratings_of(said: np.ndarray) -> list[Card]:
    names = ("monosemantic", "polysemantic", "unclear")
    ratings, item = [], 0
    for s, side in enumerate(SIDES):
        for c, condition in enumerate(CONDITIONS):
            for neuron in range(said.shape[3]):
                item += 1
                ratings += [
                    Rating(item, "neuron", condition, side, 0, neuron, None, None, f"R{r + 1}",
                           names[said[s, c, r, neuron]], "", None, 1.0, BEGUN)
                    for r in range(said.shape[2])
                ]  # fmt: skip
    return cards_of(ratings)


@cache
def truth(null: bool) -> dict[str, np.ndarray]:
    """What an endless study would find: 400,000 neurons."""
    said = verdicts(np.random.default_rng(99), NULL if null else LEVEL, 400_000)
    mono = said == 0
    called = (mono.sum(axis=2) > 1.5).mean(axis=2)
    answers = mono.mean(axis=(2, 3))
    others = np.stack([np.delete(mono, r, axis=2).mean(axis=2) for r in range(3)], axis=2)
    codes = said.transpose(2, 0, 1, 3).reshape(3, -1)
    return {
        "called": called,
        "answers": answers,
        "strictness": (mono - others).mean(axis=(0, 1, 3)),
        "alpha": np.array(alpha(codes[:, ::40], 3)),
        "cohen": np.array(cohen(codes[0, ::40], codes[1, ::40])),
    }


@cache
def studies(null: bool) -> list[tuple[np.ndarray, list[Card]]]:
    rng = np.random.default_rng(2026 + null)
    level = NULL if null else LEVEL
    said = [verdicts(rng, level, NEURONS) for _ in range(STUDIES)]
    return [(one, ratings_of(one)) for one in said]


@cache
def fallen(null: bool, side: Side) -> list[list[Fall]]:
    return [falls(cards, side, CONDITIONS, "not_monosemantic") for _, cards in studies(null)]


def covered(found: Sequence[Interval | None], value: float) -> int:
    return sum(one is not None and one[0] <= value <= one[1] for one in found)


def check(found: Sequence[Interval | None], value: float) -> None:
    """They hold the truth often enough, and not because they are too wide to say anything."""
    n = covered(found, value)
    assert n >= LEAST, f"{n} of {len(found)} intervals hold {value:.4f}"
    ends = np.array([one for one in found if one is not None])
    needed = 2 * 1.96 * ends.mean(axis=1).std()
    ratio = np.diff(ends).mean() / needed
    assert ratio < WIDEST, f"intervals are {ratio:.2f} times as wide as the studies' spread needs"


def test_intervals_that_are_too_wide_would_be_noticed() -> None:
    around = np.random.default_rng(5).normal(0, 1, STUDIES)
    check([(one - 1.96, one + 1.96) for one in around], 0.0)
    with pytest.raises(AssertionError, match=r"1\.[3-5]\d times as wide"):
        check([(one - 1.4 * 1.96, one + 1.4 * 1.96) for one in around], 0.0)


def test_shares_of_neurons_and_of_all_answers() -> None:
    found = [arms(cards, SIDES, CONDITIONS, "not_monosemantic") for _, cards in studies(False)]
    for place in range(6):
        side, condition = divmod(place, 3)
        check([one[place].interval for one in found], truth(False)["called"][side, condition])
        check(
            [one[place].answers_interval for one in found],
            truth(False)["answers"][side, condition],
        )


def test_it_would_be_noticed() -> None:
    """Answers taken for independent give intervals that hold the truth too seldom."""
    found = [arms(cards, SIDES, CONDITIONS, "not_monosemantic") for _, cards in studies(False)]
    held = [
        covered(
            [wilson(one[place].answers_monosemantic, one[place].answers) for one in found],
            truth(False)["answers"][divmod(place, 3)],
        )
        for place in range(6)
    ]
    assert min(held) < LEAST
    assert sum(held) < 0.92 * 6 * STUDIES


def test_differences_between_versions() -> None:
    called = truth(False)["called"]
    shares = [arms(cards, SIDES, CONDITIONS, "not_monosemantic") for _, cards in studies(False)]
    independent = [version_differences(one, CONDITIONS) for one in shares]
    pairs = [
        matched_differences(cards, CONDITIONS, "not_monosemantic") for _, cards in studies(False)
    ]
    for place in range(3):
        for found in (independent, pairs):
            check([one[place].interval for one in found], called[0, place] - called[1, place])


def test_falls_between_conditions() -> None:
    called, answers = truth(False)["called"], truth(False)["answers"]
    places = ((0, 1), (0, 2), (1, 2))
    of_sides = [fallen(False, side) for side in SIDES]
    for number, of_side in enumerate(of_sides):
        for place, (a, b) in enumerate(places):
            check([one[place].interval for one in of_side], called[number, a] - called[number, b])
            check(
                [one[place].answers_interval for one in of_side],
                answers[number, a] - answers[number, b],
            )
    differences = [fall_differences(*two) for two in zip(*of_sides, strict=True)]
    for place, (a, b) in enumerate(places):
        gap = (called[0, a] - called[0, b]) - (called[1, a] - called[1, b])
        check([one[place].interval for one in differences], gap)


def test_agreement_beyond_chance() -> None:
    clusters = np.tile(np.arange(NEURONS), 6)
    found = [said.transpose(2, 0, 1, 3).reshape(3, -1) for said, _ in studies(False)]
    check([alpha_interval(codes, clusters, 3) for codes in found], float(truth(False)["alpha"]))
    check(
        [cohen_interval(codes[0], codes[1], clusters, 3) for codes in found],
        float(truth(False)["cohen"]),
    )


def test_strictness_of_each_rater() -> None:
    clusters = np.tile(np.arange(NEURONS), 6)
    hits = [
        (said == 0).astype(float).transpose(2, 0, 1, 3).reshape(3, -1) for said, _ in studies(False)
    ]
    found = [strictness(one, clusters) for one in hits]
    for rater in range(3):
        value = float(truth(False)["strictness"][rater])
        check([one[rater].deviation_interval for one in found], value)


def versions(n: int) -> list[VersionDifference]:
    found = arms(studies(True)[n][1], SIDES, CONDITIONS, "not_monosemantic")
    return version_differences(found, CONDITIONS)


COMPARISONS: dict[str, Callable[[int], list[bool]]] = {
    "falls": lambda n: [one.seen for side in SIDES for one in fallen(True, side)[n]],
    "McNemar": lambda n: [
        one.test is not None and one.test.p < 0.05
        for side in SIDES
        for one in fallen(True, side)[n]
    ],
    "versions": lambda n: [one.seen for one in versions(n)],
    "pairs": lambda n: [
        one.seen for one in matched_differences(studies(True)[n][1], CONDITIONS, "not_monosemantic")
    ],
    "fall differences": lambda n: [
        one.seen for one in fall_differences(*(fallen(True, side)[n] for side in SIDES))
    ],
}


@pytest.mark.parametrize("name", COMPARISONS)
def test_no_difference_is_seen_where_there_is_none(name: str) -> None:
    """Of 200 studies without any difference, each comparison is seen by chance in 5 % at most."""
    found = np.array([COMPARISONS[name](n) for n in range(STUDIES)])
    assert (found.sum(axis=0) < MOST_SEEN).all(), found.sum(axis=0).tolist()


def test_and_the_null_is_one() -> None:
    """The simulation has none: otherwise the test above would say nothing."""
    called = truth(True)["called"]
    assert np.ptp(called) < 0.005
