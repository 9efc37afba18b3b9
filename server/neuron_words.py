"""What the numbers of a neuron page say, in sentences: its answers to two of three questions.

    responds(version)      what does it respond to?
    unshown(version, …)    what am I not being shown?      compared(page)   … of the two together

The words claim no more than the numbers do: an estimate stands beside its error, a heuristic is
called one, and what was not looked for is said. (Are they the same thing? `server.sameness_words`.)
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from server.activation_names import activation_name
from server.band_titles import band_title, in_order
from server.number_text import count, fixed, number, share
from server.pages.evidence import EvidenceView, HiddenView
from server.pages.neuron import NeuronPage, VersionView
from server.sameness_words import are_twins
from store.histogram_edges import N_BINS, bin_of

#: (upper end of a share, how it is called); the number always stands beside the word.
_PARTS = (
    (0.02, "Almost none"),
    (0.1, "Little"),
    (0.4, "Part"),
    (0.6, "About half"),
    (0.9, "Most"),
    (1.1, "Nearly all"),
)
#: The parts of a layer at either end that are called unusual.
_TAIL = 0.1
#: The part of a layer beyond which one group of contexts is called spread out.
_SPREAD = 0.75
#: The share of tokens below a `post` from which on it is called strong.
_HIGH_POST = 0.999
_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def responds(version: VersionView) -> str:
    """How alike the tokens are that its top examples have in focus, in a few words."""
    site = version.sites[version.display_site]
    if not site.std:
        return f"Constant ({number(site.mean)} on every token): it responds to nothing."
    top = version.examples.of_band("top")
    if not top:
        return "No top examples."
    counted = Counter(version.examples.focus[n] for n in top)
    most, different = max(counted.values()), len(counted)
    if different == 1:
        return f"one token in all {len(top)} top examples"
    if most == 1:
        return f"{different} different tokens in {len(top)} top examples"
    times = "twice" if most == 2 else f"{most} times"
    return f"{different} different tokens in {len(top)} top examples, one of them {times}"


def hidden_method(hidden: HiddenView) -> str:
    """`exact`, or `estimate ± 9.1 points`: how a version's hidden share is known."""
    if hidden.method == "exact":
        return "exact"
    if hidden.error is None:
        return "estimate, its error not measured"
    return f"estimate ± {points(hidden.error)}"


def points(difference: float) -> str:
    """A difference of shares: `9.1 points`."""
    return f"{number(abs(100 * difference), 2 if abs(difference) < 0.1 else 3)} points"


@dataclass(frozen=True)
class Statement:
    """A sentence on what is not shown, and how far from usual it is: 0 usual, 1 the most.

    `unusual` says that its number lies outside the middle 80 % of its layer.
    """

    text: str
    weight: float = 0.0
    unusual: bool = False


def unshown(version: VersionView, other_act: str) -> list[Statement]:
    """What a page of the version's top examples leaves out: the most unusual first, the rest in
    their order.

    None without evidence.
    """
    evidence = version.evidence
    if evidence is None:
        return []
    said = [
        _of_effect(evidence.hidden),
        _of_senses(version),
        *_of_layer_norm(version),
        Statement(_of_candidates(evidence, other_act)),
        Statement(_of_counterexamples(evidence)),
    ]
    return sorted(said, key=lambda one: -one.weight)


def _against_layer(quantile: float | None, more: str, less: str) -> str:
    """`more than in 96 % of its layer`, `as usual in its layer`; "" where it is not known."""
    if quantile is None:
        return ""
    if not _is_unusual(quantile):
        return "as usual in its layer"
    high = quantile > 0.5
    part = math.floor(100 * (quantile if high else 1 - quantile) + 1e-9)
    return f"{more if high else less} {'any other' if part == 100 else f'{part} %'} of its layer"


def _is_unusual(quantile: float | None) -> bool:
    """Outside the layer's middle 80 %."""
    return quantile is not None and not _TAIL <= quantile <= 1 - _TAIL


def _weight(quantile: float | None) -> float:
    return 2 * abs(quantile - 0.5) if quantile is not None and _is_unusual(quantile) else 0.0


def _of_effect(hidden: HiddenView | None) -> Statement:
    if hidden is None:
        return Statement("Its effect was not measured.")
    if hidden.share is None:
        return Statement("Ablating it changed nothing, so there is no effect to be hidden.")
    word = next(name for end, name in _PARTS if hidden.share < end)
    beside = _against_layer(hidden.layer_quantile, "more than in", "less than in")
    if beside and hidden.layer_median is not None:
        beside = f": {beside} (median {share(hidden.layer_median)})"
    return Statement(
        f"{word} of its effect ({share(hidden.share)}, {hidden_method(hidden)}) lies outside its "
        f"strongest 0.1 % of tokens{beside}.",
        _weight(hidden.layer_quantile),
        _is_unusual(hidden.layer_quantile),
    )


def _of_senses(version: VersionView) -> Statement:
    assert version.evidence is not None
    found = version.evidence.polysemanticity
    if found is None or (found.score is None and not version.senses):
        return Statement("Too few contexts to tell senses apart.")
    score = ""
    if found.score is not None:
        beside = _against_layer(found.layer_quantile, "higher than", "lower than")
        score = f" (heuristic score {fixed(found.score)}{f', {beside}' if beside else ''})"
    weight, unusual = _weight(found.layer_quantile), _is_unusual(found.layer_quantile)
    if len(version.senses) < 2:
        spread = found.layer_quantile is not None and found.layer_quantile > _SPREAD
        form = "are spread out, but in one group" if spread else "form one group"
        return Statement(f"Its strong contexts {form}{score}.", weight, unusual)
    elsewhere = [sense for sense in version.senses if sense.band != "top"]
    where = ""
    if elsewhere:
        bands = in_order({sense.band for sense in elsewhere})
        named = " and ".join(map(band_title, bands))
        where = f", {_number(len(elsewhere))} of them most common at {named}"
    groups = f"Its strong contexts fall into {_number(len(version.senses))} groups{score}{where}."
    return Statement(groups, weight, unusual)


def _of_layer_norm(version: VersionView) -> list[Statement]:
    """Tokens that are weak before the LayerNorm and strong after it, where there are such.

    Strong is a `post` as high as a top example's, or among the highest 0.1 %.
    """
    examples = version.examples
    if not examples.of_band("lifted") or not examples.of_band("top"):
        return []
    posts = examples.at_focus("post")
    if posts is None:
        return []
    lifted, top = ([posts[n] for n in examples.of_band(band)] for band in ("lifted", "top"))
    highest = max(lifted)
    beaten = sum(post <= highest for post in top)
    below = _share_below(version.sites["post"].histogram.counts, highest)
    if not beaten and (below is None or below < _HIGH_POST):
        return []
    reach = (
        f"as high as {beaten} of its {len(top)} top examples"
        if beaten
        else f"higher than {share(below)} of tokens"
    )
    return [
        Statement(
            "Some tokens that are below the median before its LayerNorm are strong after it: up to "
            f"{number(highest)} at post, {reach}.",
            0.95 if beaten else 0.85,
        )
    ]


def _share_below(counts: Sequence[int], activation: float) -> float | None:
    """The share of tokens in the bins below that of an activation."""
    of_bins = np.asarray(counts, np.int64)
    total = int(of_bins.sum())
    if len(of_bins) != N_BINS or not total:
        return None
    return int(of_bins[: bin_of(activation)].sum()) / total


def _of_candidates(evidence: EvidenceView, other_act: str) -> str:
    own = sum(one.own for one in evidence.candidates)
    others = len(evidence.candidates) - own
    if not evidence.candidates:
        return "It takes part in no candidate invisible feature that was found."
    parts = [f"{_number(own)} of its own model"] if own else []
    if others:
        parts.append(f"{_number(others)} of {other_act or 'the other model'}")
    total = len(evidence.candidates)
    return (
        f"It takes part in {_number(total)} candidate invisible feature"
        f"{'' if total == 1 else 's'} ({' and '.join(parts)})."
    )


def _of_counterexamples(evidence: EvidenceView) -> str:
    kinds = [one.kind for one in evidence.counterexamples]
    mined = len(kinds) - kinds.count("substitution")
    words = f"Counterexamples: {_number(mined) if mined else 'none'} in the corpus"
    if not evidence.search.searched:
        return f"{words}; none was searched for by changing tokens."
    changed = len(kinds) - mined
    return f"{words}, {_number(changed) if changed else 'none'} by changing a token."


def compared(page: NeuronPage) -> str:
    """Both hidden shares in one sentence, by one method; "" where there are not two.

    Only of twins is one set against the other: of two different neurons both are told."""
    left, right = page.versions.left, page.versions.right
    if left is None or right is None or left.evidence is None or right.evidence is None:
        return ""
    ours, theirs = (activation_name(left.act_fn), activation_name(right.act_fn))
    found = page.hidden_comparison
    if found is None:
        return f"The hidden shares of {ours} and {theirs} cannot be compared: one is undefined."
    if not are_twins(page):
        how = "exact" if found.method == "exact" else "estimates"
        return (
            f"Two different neurons, not one in two models: {ours} {left.name} hides "
            f"{share(found.left)}, {theirs} {right.name} {share(found.right)} (both {how})."
        )
    numbers = f"{share(found.left)} against {share(found.right)}"
    if found.method == "exact":
        how = f"By exact values ({numbers})"
        doubt = "their 95 % intervals overlap"
    else:
        mixed = {one.method for one in _hidden_of(left, right)} == {"exact", "estimate"}
        why = "one is exact, the other not, so" if mixed else "neither is exact, so"
        how = f"By estimates ({numbers}; {why} estimates are compared)"
        doubt = "the difference is within their errors"
    if found.seen is False:
        return f"{how} no difference is seen between {ours} and {theirs}: {doubt}."
    if found.difference == 0:
        return f"{how} {ours} and {theirs} hide the same share."
    less, more = (ours, theirs) if found.difference < 0 else (theirs, ours)
    unsure = "" if found.seen else ", of unknown error"
    return f"{how} {less} hides {points(found.difference)} less than {more}{unsure}."


def _hidden_of(*versions: VersionView) -> list[HiddenView]:
    found = (version.evidence.hidden for version in versions if version.evidence is not None)
    return [hidden for hidden in found if hidden is not None]


def _number(n: int) -> str:
    return _NUMBERS[n] if 0 <= n < len(_NUMBERS) else count(n)
