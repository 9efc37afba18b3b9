"""What a study's results say, and how they are drawn: each reading follows from its numbers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from server.agreement.contrasts import Arm, Fall, FallDifference, MatchedDifference
from server.agreement.contrasts import VersionDifference as Difference
from server.agreement.mcnemar import McNemar
from server.agreement.proportions import PairCounts
from server.agreement.reliability import Reliability
from server.figures.shares_by_condition import ShareLine, shares_by_condition
from server.study_words import (
    agreement_reading,
    fall_reading,
    p_said,
    points,
    points_span,
    version_reading,
)
from tests.server.test_panel_figures import SVG, parsed

NAMES = {"left": "SoLU", "right": "GeLU"}
PAIRS = PairCounts(10, 20, 5, 25)
FALL = Fall(
    *("left", "top", "silent", PAIRS, 0.25, (0.1, 0.4)),
    *(McNemar(0.004, True, None), 0.03, 0.2, (0.05, 0.35), True),
)


def arm(condition: str, share: float) -> Arm:
    return Arm("left", condition, 60, 30, share, None, 180, 90, 80, 10, 0.5, None)  # type: ignore[arg-type]


ARMS = [arm("top", 0.5), arm("silent", 0.25)]


def test_a_fall_a_rise_and_neither() -> None:
    said = fall_reading([FALL], [], ARMS, NAMES).text
    assert (
        "SoLU: 50.0 % are called monosemantic on their strongest firings alone and 25.0 %" in said
    )
    assert "A fall of 25.0 points within 60 neurons (95 % interval 10.0 to 40.0 points" in said
    assert "McNemar p = 0.0040" in said
    rise = replace(FALL, fall=-0.25, interval=(-0.4, -0.1))
    assert "A rise of 25.0 points" in fall_reading([rise], [], ARMS, NAMES).text
    unseen = replace(FALL, fall=0.05, interval=(-0.1, 0.2), seen=False)
    assert (
        "No fall seen within 60 neurons (5.0 points" in fall_reading([unseen], [], ARMS, NAMES).text
    )
    assert fall_reading([], [], ARMS, NAMES).text == "One condition alone has no fall."


def test_only_the_whole_fall_is_told() -> None:
    parts = [
        replace(FALL, then="range", fall=0.111),
        FALL,
        replace(FALL, first="range", fall=0.139),
    ]
    said = fall_reading(parts, [], ARMS, NAMES).text
    assert said.count("A fall of") == 1
    assert "25.0 points" in said
    differences = [
        FallDifference("top", "silent", 0.2, (0.05, 0.35), True),
        FallDifference("top", "range", 0.9, (0.8, 1.0), True),
    ]
    said = fall_reading(parts, differences, ARMS, NAMES).text
    assert "The fall is larger in SoLU (difference 20.0 points" in said
    assert "90.0 points" not in said


@pytest.mark.parametrize("whole", [True, False])
def test_pairs_are_told_where_all_neurons_are_pairs(whole: bool) -> None:
    independent = Difference("top", 0.25, (0.01, 0.45), True)
    pairs = MatchedDifference(
        "top", PAIRS, whole, 0.25, (-0.02, 0.4), McNemar(0.06, True, None), 0.2, False
    )
    said = version_reading([independent], [pairs], NAMES).text
    assert ("No difference seen under “top only”" in said) == whole
    assert ("All neurons are pairs" in said) == whole
    assert ("More of SoLU’s are called monosemantic under “top only”" in said) != whole
    assert ("20 are called so in SoLU alone and 5 in GeLU alone (p = 0.060)" in said) != whole


@pytest.mark.parametrize(
    ("alpha", "words"),
    [(0.85, "reliable"), (0.7, "tentative conclusions by"), (0.3, "below the usual mark")],
)
def test_agreement_by_the_usual_marks(alpha: float, words: str) -> None:
    one = Reliability(None, 60, 3, 0.8, alpha, (0.2, 0.9), alpha, None, None, 0)
    assert words in agreement_reading([one], 3).text
    undefined = replace(one, alpha=None)
    assert "α is undefined" in agreement_reading([undefined], 3).text
    assert agreement_reading([], 1).text == "With one rater there is nobody to agree with."
    assert agreement_reading([], 0).text == "Nobody has rated a card."


def test_numbers_of_differences() -> None:
    assert points(-0.0331) == "−3.3 points"
    assert points(9e-17) == "0.0 points"
    assert points(None) == "–"
    assert points_span((-0.08, 0.2151)) == "−8.0 to 21.5 points"
    assert p_said(0.0000003) == "p < 0.0001"


def test_the_figure_of_shares() -> None:
    lines = [
        ShareLine("left", "So<LU", [1.0, None, 0.25], [(0.9, 1.0), None, (0.1, 0.4)]),
        ShareLine("right", "GeLU", [0.5, 0.5, 0.5], [None] * 3),
    ]
    root = parsed(shares_by_condition("Shares & more", ["top", "range", "silent"], lines))
    groups = {g.get("class"): g for g in root.iter(f"{SVG}g")}
    left = groups["left"].findall(f"{SVG}circle")
    assert [round(float(c.get("cy", ""))) for c in left] == [12, 183]  # 240 − 228·share
    assert len(groups["left"].findall(f"{SVG}line[@class='fall']")) == 1
    assert len(groups["right"].findall(f"{SVG}line[@class='fall']")) == 2
    assert len(groups["left"].findall(f"{SVG}line[@class='whisker']")) == 2
    assert not groups["right"].findall(f"{SVG}line[@class='whisker']")
    assert left[0].findtext(f"{SVG}title") == "So<LU, top: 100 %, 95 % interval 90.0 % to 100 %"
    described = root.findtext(f"{SVG}desc")
    assert described is not None
    assert "range –" in described
