"""What a study's results say, in plain words made from their numbers.

Each function gives a `Reading`: a text, which says "no … seen" where an interval includes zero, and
what the numbers do not mean.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from server.agreement.contrasts import (
    Arm,
    Fall,
    FallDifference,
    MatchedDifference,
    VersionDifference,
)
from server.agreement.planted import Detection, SelfAgreement
from server.agreement.proportions import Interval
from server.agreement.reliability import Reliability
from server.condition_words import condition_title
from server.number_text import count, fixed, listed, number, share
from server.pages.study_results import RaterView
from server.pages.tax import Reading

#: α at and above which [Krippendorff 2004] calls conclusions tentative, and reliable.
TENTATIVE, RELIABLE = 0.667, 0.8
FEW = 30


def points(difference: float | None) -> str:
    """A difference of shares: `−9.1 points`."""
    if difference is None:
        return "–"
    return f"{fixed(100 * difference, 1)} points"


def points_span(interval: Interval | None) -> str:
    """`3.2 to 21.5 points`"""
    if interval is None:
        return "–"
    low, high = (fixed(100 * end, 1) for end in interval)
    return f"{low} to {high} points"


def p_value(p: float | None) -> str:
    """`0.034`, `< 0.0001`."""
    if p is None:
        return "–"
    return "< 0.0001" if p < 1e-4 else number(p, 2)


def p_said(p: float) -> str:
    """`p = 0.034`, `p < 0.0001`."""
    return f"p {p_value(p)}" if p < 1e-4 else f"p = {p_value(p)}"


def fall_reading(
    falls: Sequence[Fall],
    differences: Sequence[FallDifference],
    arms: Sequence[Arm],
    names: Mapping[str, str],
) -> Reading:
    """Of the fall from the first condition to the last, each version; the illusion."""
    not_meant = (
        "A fall shows that cards with more on them are called monosemantic less often. It does not "
        "show that the strongest firings mislead about any one neuron, and part of a fall is what "
        "any judge does with more to explain; falls of two versions, on the same kinds of cards, "
        "can be compared."
    )
    whole = [fall for fall in falls if _is_whole(fall, falls)]
    if not whole:
        return Reading("One condition alone has no fall.", not_meant)
    shares = {(arm.side, arm.condition): arm.share for arm in arms}
    said = []
    for fall in whole:
        first, then = shares.get((fall.side, fall.first)), shares.get((fall.side, fall.then))
        head = (
            f"{names[fall.side]}: {share(first)} are called monosemantic {_under(fall.first)} and "
            f"{share(then)} {_under(fall.then)}. "
        )
        test = f"; McNemar {p_said(fall.test.p)}" if fall.test else ""
        span = f"95 % interval {points_span(fall.interval)}{test}"
        of = f"within {count(fall.pairs.n)} neurons"
        if not fall.seen:
            said.append(f"{head}No fall seen {of} ({points(fall.fall)}, {span}).")
        elif (fall.fall or 0) > 0:
            said.append(f"{head}A fall of {points(fall.fall)} {of} ({span}).")
        else:
            said.append(f"{head}A rise of {points(-(fall.fall or 0))} {of} ({span}).")
    for one in differences:
        if any(one.first == fall.first and one.then == fall.then for fall in whole):
            span = f"difference {points(one.difference)}, 95 % interval {points_span(one.interval)}"
            if one.seen:
                more = names["left" if one.difference > 0 else "right"]
                said.append(f"The fall is larger in {more} ({span}).")
            else:
                said.append(f"No difference seen between the versions’ falls ({span}).")
    return Reading(" ".join(said), not_meant)


def _is_whole(fall: Fall, falls: Sequence[Fall]) -> bool:
    """Whether no other fall of this version begins earlier or ends later."""
    of_side = [one for one in falls if one.side == fall.side]
    return fall.first == of_side[0].first and fall.then == of_side[-1].then


def _under(condition: str) -> str:
    return {
        "top": "on their strongest firings alone",
        "range": "on firings from all over their range",
        "silent": "once contexts in which they are silent are shown, too",
    }[condition]


def version_reading(
    differences: Sequence[VersionDifference],
    matched: Sequence[MatchedDifference],
    names: Mapping[str, str],
) -> Reading:
    """Of the left version against the right one under each condition."""
    not_meant = (
        "Shares are of the neurons that this study drew, in the layers that it names, as these "
        "raters judge. Several differences are tested at the same level: of twenty where there is "
        "none, one is seen by chance; the adjusted p-values count all tests of this page."
    )
    if not differences:
        return Reading("Only one version was rated, so nothing is compared.", not_meant)
    said, unseen = [], []
    whole = {one.condition: one for one in matched if one.all_neurons}
    for independent in differences:
        one = whole.get(independent.condition, independent)
        span = f"{points(one.difference)}, 95 % interval {points_span(one.interval)}"
        if isinstance(one, MatchedDifference) and one.test is not None:
            span += f"; McNemar {p_said(one.test.p)}"
        title = f"under “{condition_title(one.condition)}”"
        if one.seen:
            more = names["left" if (one.difference or 0) > 0 else "right"]
            said.append(f"More of {more}’s are called monosemantic {title} ({span}).")
        else:
            unseen.append(f"{title} ({span})")
    if unseen:
        said.append(f"No difference seen {listed(unseen)}.")
    if whole:
        said.append("All neurons are pairs with the same index, so these intervals are for pairs.")
    for pair in matched:
        if pair.test is not None and not pair.all_neurons:
            title = f"under “{condition_title(pair.condition)}”"
            said.append(
                f"Of {count(pair.pairs.n)} pairs with the same index, {title}, "
                f"{count(pair.pairs.first)} are called so in {names['left']} alone and "
                f"{count(pair.pairs.second)} in {names['right']} alone ({p_said(pair.test.p)})."
            )
    return Reading(" ".join(said), not_meant)


def agreement_reading(found: Sequence[Reliability], raters: int) -> Reading:
    """Of Krippendorff's α over all conditions."""
    not_meant = (
        "Agreement is not truth: raters who share a habit agree. α counts against what answers "
        "drawn at random from all of theirs would give, so it is low, too, where nearly all cards "
        "deserve one verdict."
    )
    if raters == 0:
        return Reading("Nobody has rated a card.", not_meant)
    if raters == 1:
        return Reading("With one rater there is nobody to agree with.", not_meant)
    whole = found[0] if found else None
    if whole is None or whole.cards == 0:
        return Reading(
            "No card of a drawn neuron was rated by two raters (each saw a neuron under another "
            "condition), so agreement cannot be said.",
            not_meant,
        )
    if whole.alpha is None:
        return Reading(
            f"All answers to the {count(whole.cards)} cards that two or more have rated are the "
            "same, so chance would agree, too, and α is undefined.",
            not_meant,
        )
    judged = (
        "reliable by the usual mark of 0.8"
        if whole.alpha >= RELIABLE
        else "enough for tentative conclusions by the usual marks (0.667 and 0.8)"
        if whole.alpha >= TENTATIVE
        else "below the usual mark of 0.667 for tentative conclusions"
    )
    ends = whole.alpha_interval
    span = f" (95 % interval {fixed(ends[0])} to {fixed(ends[1])})" if ends is not None else ""
    return Reading(
        f"{count(whole.raters)} raters, {count(whole.cards)} cards that two or more have rated: "
        f"two answers to one card are the same in {share(whole.agreement)} of cases. "
        f"Krippendorff’s α = {fixed(whole.alpha)}{span}, {judged}.",
        not_meant,
    )


def planted_reading(
    detections: Sequence[Detection], self_agreement: Sequence[SelfAgreement]
) -> Reading:
    """Of what is known by construction, and of cards shown twice."""
    not_meant = (
        "Planted cards are clearer than neurons: two neurons’ contexts on one card, or one "
        "token’s. Raters who find them may still miss a rare second meaning, and shares are not "
        "corrected for raters’ errors."
    )
    said = []
    for truth, what in (
        ("polysemantic", "merged neurons, not called monosemantic (sensitivity)"),
        ("monosemantic", "single meanings, called monosemantic (specificity)"),
    ):
        one = next(d for d in detections if d.truth == truth and d.condition is None)
        if one.share is None:
            kind = "of merged neurons" if truth == "polysemantic" else "of a single meaning"
            said.append(f"No planted card {kind} was rated.")
            continue
        right = f"{count(one.right)} of {count(one.cards)}"
        said.append(f"Planted {what}: {right}, {share(one.share)}{_span(one.interval)}.")
    everyone = self_agreement[-1].same
    if everyone.share is None:
        said.append("No card was shown to a rater twice.")
    else:
        said.append(
            f"Shown the same card again, raters say the same in {share(everyone.share)} of "
            f"{count(everyone.n)} cases{_span(everyone.interval)}."
        )
    return Reading(" ".join(said), not_meant)


def _span(interval: Interval | None) -> str:
    return (
        "" if interval is None else f" (95 % interval {share(interval[0])} to {share(interval[1])})"
    )


def rater_reading(raters: Sequence[RaterView]) -> Reading:
    """Of who is stricter than the others."""
    not_meant = (
        "To be strict is not to be wrong. Intervals are of other neurons judged by the same "
        "raters; what other raters would say, this study cannot tell."
    )
    if not raters:
        return Reading("Nobody has rated a card.", not_meant)
    compared = [one for one in raters if one.strictness.deviation is not None]
    if not compared:
        return Reading("No two raters have rated the same card, so none is compared.", not_meant)
    said, alike = [], []
    for one in compared:
        deviation, interval = one.strictness.deviation or 0.0, one.strictness.deviation_interval
        if interval is not None and (interval[0] > 0 or interval[1] < 0):
            word = "milder" if deviation > 0 else "stricter"
            said.append(
                f"{one.rater} is {word} than the others on the same cards ({points(deviation)}, "
                f"95 % interval {points_span(interval)})."
            )
        else:
            alike.append(one.rater)
    if alike:
        said.append(f"No deviation from the others seen in {listed(alike)}.")
    return Reading(" ".join(said), not_meant)
