"""What each quantity on a study's results page means; part of `server.definitions.DEFINITIONS`."""

from __future__ import annotations

from server.definition import Definition

_POINTS = "points (share of neurons)"

STUDY_DEFINITIONS: dict[str, Definition] = {
    "study_condition": Definition(
        "condition",
        "",
        "What a card shows of a neuron. Top only: its strongest firings, as a page of top "
        "activations does. Over the range: firings from all of its range. With silence: those, and "
        "contexts in which its rule would have it fire and it is silent.",
        source="study-conditions",
    ),
    "study_share": Definition(
        "share monosemantic",
        "share of neurons",
        "Of the neurons rated under a condition, those that more than half of their raters call "
        "monosemantic. “Unclear” counts as not monosemantic; the column beside leaves such answers "
        "out. The interval is Wilson's: each neuron is one observation, whatever its raters share.",
        source="study-unit",
    ),
    "study_answers": Definition(
        "share of all answers",
        "share of answers",
        "Of all answers on these cards, those that say monosemantic. Answers about one neuron are "
        "alike, so the interval is Wilson's with the effective number of answers, from how much "
        "neurons differ.",
        source="study-answers",
    ),
    "study_fall": Definition(
        "fall between conditions",
        _POINTS,
        "Of the same neurons: the share called monosemantic under the condition that shows less, "
        "minus that under the one that shows more. It measures how much of “monosemantic” is owed "
        "to what a card leaves out. The interval is Newcombe's for pairs.",
        "p(first) − p(then), within neurons",
        "study-fall",
    ),
    "study_fall_answers": Definition(
        "fall of all answers",
        "points (share of answers)",
        "The mean over neurons of the share of their raters who say monosemantic under the first "
        "condition, minus that under the second. Bootstrapped over neurons, each drawn with all "
        "its answers.",
        source="study-fall",
    ),
    "newcombe": Definition(
        "Newcombe interval",
        _POINTS,
        "A 95 % interval of the difference of two shares, made of their two Wilson intervals; for "
        "pairs with their correlation. Where it includes zero, no difference is seen.",
        source="study-differences",
    ),
    "mcnemar": Definition(
        "McNemar's test",
        "p-value",
        "Of pairs that differ: the chance that they would differ in one direction this much more "
        "than in the other, if neither direction were likelier. Exact for fewer than 25. Adjusted: "
        "for the number of such tests on the page (Holm).",
        source="study-differences",
    ),
    "study_alpha": Definition(
        "Krippendorff's α",
        "",
        "Agreement of all raters beyond chance, over cards that two or more have rated: 1 is "
        "perfect, 0 is what answers dealt out at random would give. The interval is bootstrapped "
        "over neurons.",
        "1 − observed ÷ expected disagreement",
        "study-agreement",
    ),
    "study_alpha_binary": Definition(
        "α, two verdicts",
        "",
        "The same with polysemantic and unclear as one verdict: monosemantic or not.",
        source="study-agreement",
    ),
    "study_kappa": Definition(
        "Cohen's κ",
        "",
        "Agreement of two raters beyond chance over the cards that both have rated, chance being "
        "each rater's own habit. The interval is bootstrapped over neurons.",
        "(observed − expected) ÷ (1 − expected)",
        "study-agreement",
    ),
    "study_fleiss": Definition(
        "Fleiss' κ",
        "",
        "Agreement beyond chance of all raters over the cards that every one of them has rated.",
        source="study-agreement",
    ),
    "study_pair_agreement": Definition(
        "same answer",
        "share of pairs of answers",
        "Of all pairs of answers to one card by two raters, those that are the same verdict.",
        source="study-agreement",
    ),
    "study_self_agreement": Definition(
        "self-agreement",
        "share of repeats",
        "Of the cards that a rater was shown twice, those that got the same verdict both times.",
        source="study-self-agreement",
    ),
    "study_sensitivity": Definition(
        "sensitivity",
        "share of planted cards",
        "Of planted cards that show two neurons' contexts as one (merged neurons), those that are "
        "not called monosemantic: how often a second meaning is noticed.",
        source="study-planted",
    ),
    "study_specificity": Definition(
        "specificity",
        "share of planted cards",
        "Of planted cards with a single meaning, those that are called monosemantic.",
        source="study-planted",
    ),
    "study_strictness": Definition(
        "deviation from the others",
        "points (share of answers)",
        "On the cards that somebody else has rated, too: how much more often this rater says "
        "monosemantic than the others do on the same cards. Below zero is stricter.",
        source="study-strictness",
    ),
    "study_time": Definition(
        "seconds a card",
        "seconds",
        "Time that a card was before the rater, pauses left out and at one go no more than the "
        "study's cap. The middle half and the median.",
        source="study-time",
    ),
    "study_power": Definition(
        "what a study can see",
        _POINTS,
        "The smallest difference between two arms of this many neurons that is seen (its p-value "
        "is below 0.05) in four of five such studies.",
        source="study-power",
    ),
}
