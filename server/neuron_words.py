"""What the numbers of a neuron page say, in sentences: its answers to two of three questions.

    responds(version)      what does it respond to?
    unshown(version, …)    what am I not being shown?      compared(page)   … of the two together

The words claim no more than the numbers do: an estimate stands beside its error, a heuristic is
called one, and what was not looked for is said. (Are they the same thing? `server.sameness_words`.)
"""

from __future__ import annotations

from server.activation_names import activation_name
from server.band_titles import band_title, in_order
from server.number_text import count, fixed, number, share
from server.pages.evidence import EvidenceView, HiddenView
from server.pages.neuron import NeuronPage, VersionView
from server.sameness_words import are_twins

#: (upper end of a share, how it is called); the number always stands beside the word.
_PARTS = (
    (0.02, "Almost none"),
    (0.1, "Little"),
    (0.4, "Part"),
    (0.6, "About half"),
    (0.9, "Most"),
    (1.1, "Nearly all"),
)
_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def responds(version: VersionView) -> str:
    """How alike the tokens are that its top examples have in focus, in a few words."""
    site = version.sites[version.display_site]
    if not site.std:
        return f"Constant ({number(site.mean)} on every token): it responds to nothing."
    top = [example for example in version.examples if example.band == "top"]
    if not top:
        return "No top examples."
    tokens = [example.tokens[example.focus] for example in top]
    most = max(tokens.count(token) for token in tokens)
    different = len(set(tokens))
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


def unshown(version: VersionView, other_act: str) -> list[str]:
    """Sentences on what a page of the version's top examples leaves out; none without evidence."""
    evidence = version.evidence
    if evidence is None:
        return []
    return [
        _of_effect(evidence.hidden),
        _of_senses(version),
        *_of_layer_norm(version),
        _of_candidates(evidence, other_act),
        _of_counterexamples(evidence),
    ]


def _of_effect(hidden: HiddenView | None) -> str:
    if hidden is None:
        return "Its effect was not measured."
    if hidden.share is None:
        return "Ablating it changed nothing, so there is no effect to be hidden."
    word = next(name for end, name in _PARTS if hidden.share < end)
    beside = (
        "" if hidden.layer_median is None else f"; its layer’s median: {share(hidden.layer_median)}"
    )
    return (
        f"{word} of its effect ({share(hidden.share)}, {hidden_method(hidden)}{beside}) lies "
        "outside its strongest 0.1 % of tokens."
    )


def _of_senses(version: VersionView) -> str:
    assert version.evidence is not None
    found = version.evidence.polysemanticity
    if found is None or (found.score is None and not version.senses):
        return "Too few contexts to tell senses apart."
    score = "" if found.score is None else f" (heuristic score {fixed(found.score)})"
    if len(version.senses) < 2:
        return f"Its strong contexts fall into no separate groups{score}."
    elsewhere = [sense for sense in version.senses if sense.band != "top"]
    where = ""
    if elsewhere:
        bands = in_order({sense.band for sense in elsewhere})
        named = " and ".join(map(band_title, bands))
        where = f", {_number(len(elsewhere))} of them most common at {named}"
    return f"Its strong contexts fall into {_number(len(version.senses))} groups{score}{where}."


def _of_layer_norm(version: VersionView) -> list[str]:
    """How far the LayerNorm lifts tokens with a low `mid`, against the top examples' `post`."""
    lifted, top = (
        [
            example.values["post"][example.focus]
            for example in version.examples
            if example.band == band and "post" in example.values
        ]
        for band in ("lifted", "top")
    )
    if not lifted or not top:
        return []
    highest = max(lifted)
    beaten = sum(post <= highest for post in top)
    reach = (
        f"as high as {beaten} of its {len(top)} top examples"
        if beaten
        else f"below all its top examples (from {number(min(top))})"
    )
    return [f"Its LayerNorm lifts tokens of low mid to a post of {number(highest)}, {reach}."]


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
