"""The methods paragraph of a study, filled from its settings: text to copy into a paper."""

from __future__ import annotations

from collections.abc import Mapping

from server.agreement.bootstrap import DRAWS, SEED
from server.agreement.mcnemar import EXACT_BELOW
from server.condition_words import CONDITION_WORDS, condition_title
from server.number_text import count, duration, listed, share
from server.version import version
from store.study_records import StudyRecord


def _counted(n: int, one: str, several: str = "") -> str:
    return f"{count(n)} {one if n == 1 else several or one + 's'}"


def methods(
    study: StudyRecord,
    names: Mapping[str, str],
    raters: int,
    answers: int,
    median_seconds: float | None,
) -> str:
    """One paragraph: what was drawn, shown, asked and computed. `answers` counts all ratings."""
    design = study.design
    several = len(names) > 1
    conditions = [
        f"{condition_title(one)} ({CONDITION_WORDS[one][1]})" for one in design.conditions
    ]
    layers = (
        f"layer {design.layers[0]}"
        if len(design.layers) == 1
        else f"layers {listed([str(layer) for layer in design.layers])}"
    )
    parts = [
        f"From {listed([f'{name} ({side} version)' for side, name in names.items()])} of the pair "
        f"{study.pair} (run {study.run_id}) we drew "
        f"{_counted(design.neurons_per_version, 'neuron')}{' per version' if several else ''} in "
        f"{layers}, stratified by layer and density (seed {study.seed}).",
        f"Each was shown on cards of up to {_counted(design.snippets_per_card, 'snippet')} under "
        f"{_counted(len(conditions), 'condition')}: {'; '.join(conditions)}.",
    ]
    if len(conditions) > 1:
        parts.append(
            "Every rater saw every neuron under every condition"
            if design.assignment == "within"
            else "A rater saw a neuron under one condition and other raters under the others (a "
            "Latin square)"
        )
        parts[-1] += f", cards of one neuron at least {count(design.apart)} cards apart."
    parts.append(
        "Cards named neither model, activation function, neuron, scale nor other verdicts; "
        "activations were ranked within the card, and each rater had an order of their own."
    )
    added = [
        text
        for value, text in (
            (design.repeat_share, "repeats of earlier cards"),
            (
                design.planted_share,
                "planted cards of known truth (merged neurons, single meanings)",
            ),
        )
        if value > 0
        for text in [f"{share(value)} {text}"]
    ]
    if added:
        parts.append(f"Of the number of a rater’s cards, {listed(added)} were added.")
    timed = "" if median_seconds is None else f", a median of {duration(median_seconds)} per card"
    parts.append(
        f"{_counted(raters, 'rater')} gave {_counted(answers, 'answer')}{timed} (at most "
        f"{duration(design.seconds_cap)} at one go counted). They were asked: “{study.question}” "
        f"and given the rule: “{study.rule}”"
    )
    parts.append(
        "The unit of analysis is the neuron under a condition, called monosemantic when more than "
        "half of its raters said so; “unclear” counts as not monosemantic (results without such "
        "answers are given beside). Shares have 95 % Wilson intervals, differences between "
        "versions Newcombe’s (method 10); differences within neurons between conditions, and "
        "between neurons of the same index, Newcombe’s for pairs, with McNemar’s test (exact below "
        f"{EXACT_BELOW} discordant pairs; p-values adjusted by Holm’s method beside). Agreement is "
        "Krippendorff’s α (nominal), Cohen’s and Fleiss’ κ; their intervals, and those of all "
        f"answers, are over neurons with the same raters (bootstrap of {count(DRAWS)} draws, seed "
        f"{SEED})."
    )
    if study.frozen_sha256:
        parts.append(
            f"Cards and orders were frozen before the first answer (SHA-256 {study.frozen_sha256})."
        )
    parts.append(f"Computed by Twinscope {version()}.")
    return " ".join(parts)
