"""What layers and labels of the tax page say, in plain words: pure functions of its views.

For its losses see `server.loss_words`. Each gives a `Reading`: a text that changes with the numbers
and says "no difference seen" when an interval includes zero or two intervals overlap; and what the
figure does not mean.
"""

from __future__ import annotations

from collections.abc import Sequence

from server.intervals import overlap
from server.number_text import count, listed, number, share
from server.pages.tax import (
    HiddenDistributionView,
    LabelShareView,
    LayerSides,
    LayerSideView,
    Reading,
)

#: Curves carry no interval: what differs by less is called the same.
CURVE_TOLERANCE = 0.05
#: Shares kept at which curves are read off.
READ_AT = (0.001, 0.01, 0.1)
#: Fewer labelled versions than this are called few.
FEW_LABELS = 30


def shares_span(interval: tuple[float, float]) -> str:
    """`31.2 % to 44 %`"""
    return f"{share(interval[0])} to {share(interval[1])}"


def _exactly(kept: float) -> str:
    """A share that is chosen, not measured: 0.1 %, 10 %."""
    return f"{100 * kept:g} %"


def _both(sides: LayerSides) -> tuple[LayerSideView, LayerSideView] | None:
    return None if sides.left is None or sides.right is None else (sides.left, sides.right)


def _each(sides: LayerSides) -> list[LayerSideView]:
    return [one for one in (sides.left, sides.right) if one is not None]


def recovered_at(side: LayerSideView, kept: float) -> float | None:
    """Loss recovered where this share was kept; None if it was not measured."""
    for share_kept, recovered in zip(side.kept_share, side.loss_recovered, strict=True):
        if abs(share_kept - kept) < 1e-9:
            return recovered
    return None


def kept_reading(sides: LayerSides) -> Reading:
    """Of the keep-top-q curves of a layer."""
    not_meant = (
        "All neurons of the layer are cut at once, at their own quantiles, and the rest of the "
        "model goes on as trained. It says nothing of single neurons, and no interval was "
        f"measured: curves closer than {_exactly(CURVE_TOLERANCE)} are called the same."
    )
    said = []
    for one in _each(sides):
        if not one.kept_share:
            said.append(
                f"Without this layer {one.name} predicts no worse on these tokens, so there is "
                "nothing to recover."
            )
            continue
        values = [(kept, recovered_at(one, kept)) for kept in READ_AT]
        parts = [f"{share(v)} with {_exactly(kept)}" for kept, v in values if v is not None]
        said.append(f"{one.name} recovers {', '.join(parts)} of its activations kept.")
    both = _both(sides)
    if both is not None and all(one.kept_share for one in both):
        said.append(_compare_curves(*both))
    return Reading(" ".join(said) or "Not measured.", not_meant)


def _compare_curves(left: LayerSideView, right: LayerSideView) -> str:
    differences = []
    for kept in READ_AT:
        mine, other = recovered_at(left, kept), recovered_at(right, kept)
        if mine is not None and other is not None:
            differences.append((kept, mine - other))
    if not differences or all(abs(gap) < CURVE_TOLERANCE for _, gap in differences):
        return "No difference seen between the two curves."
    ahead = {
        left.name: [kept for kept, gap in differences if gap >= CURVE_TOLERANCE],
        right.name: [kept for kept, gap in differences if gap <= -CURVE_TOLERANCE],
    }
    leaders = [name for name, where in ahead.items() if where]
    if len(leaders) == 2:
        said = [
            f"{name} at {listed([_exactly(kept) for kept in where])}"
            for name, where in ahead.items()
        ]
        return f"The curves cross: more is recovered by {' and by '.join(said)} kept."
    (name,) = leaders
    weaker = right.name if name == left.name else left.name
    return (
        f"More of {name}’s layer is in its strongest activations; {weaker} needs more of its weak "
        "ones."
    )


def orphan_reading(sides: LayerSides) -> Reading:
    """Of the share of a layer's effect on tokens that no neuron's strongest activations show."""
    not_meant = (
        "A token without a strong neuron is not a token with an invisible feature: many weak "
        "neurons may act there, each in its own way. A quantile gives every version the same "
        "number of strong tokens a neuron, but not of tokens on which any neuron is strong."
    )
    said = [_orphans(one) for one in _each(sides)]
    both = _both(sides)
    if both is not None:
        said += _compare_orphans(*both)
    return Reading(" ".join(said) or "Not measured.", not_meant)


def _orphans(one: LayerSideView) -> str:
    if one.orphan_effect is None:
        return f"Undefined for {one.name}: the layer has no effect here."
    text = f"{one.name}: {share(one.orphan_effect)} of the layer’s effect"
    if one.orphan_interval is not None:
        text += f" (95 % interval {shares_span(one.orphan_interval)})"
    if not one.orphan_token_share:
        return f"{text} is on tokens without a strong neuron."
    text += f" is on the {share(one.orphan_token_share)} of tokens without a strong neuron"
    times = one.orphan_effect / one.orphan_token_share
    ends = _by_token(one)
    if ends is not None and ends[0] <= 1 <= ends[1]:
        return f"{text}: no difference seen from what their number alone would give."
    more = "more" if times > 1 else "less"
    return f"{text}: {number(times, 2)} times, so {more} than, what their number alone would give."


def _by_token(one: LayerSideView) -> tuple[float, float] | None:
    """The interval of the orphan effect over the share of tokens that it is on."""
    if one.orphan_interval is None or not one.orphan_token_share:
        return None
    low, high = one.orphan_interval
    return low / one.orphan_token_share, high / one.orphan_token_share


def _compare_orphans(left: LayerSideView, right: LayerSideView) -> list[str]:
    met = overlap(left.orphan_interval, right.orphan_interval)
    if met is None or left.orphan_effect is None or right.orphan_effect is None:
        return []
    if met:
        return ["No difference seen between the versions: the intervals overlap."]
    more, less = (left, right) if left.orphan_effect > right.orphan_effect else (right, left)
    said = (
        f"More of {more.name}’s layer works where no strong example would be shown than of "
        f"{less.name}’s"
    )
    if overlap(_by_token(left), _by_token(right)):
        return [f"{said}, but there are more such tokens, too: for their number, no difference "
                "seen."]  # fmt: skip
    return [f"{said}."]


def rescue_reading(sides: LayerSides) -> Reading:
    """Of a layer's effect by decile of the standard deviation before its LayerNorm."""
    not_meant = (
        "A decile holds a tenth of the tokens, whatever they are. Effect in the lowest ones shows "
        "that small activations matter after the LayerNorm, not that they mean something else "
        "than the large ones. No interval was measured."
    )
    said = []
    lowest: dict[str, float] = {}
    for one in _each(sides):
        if one.rescue is None:
            said.append(f"{one.name} has no LayerNorm after its activation.")
            continue
        low = lowest[one.name] = sum(one.rescue[:5])
        if abs(low - 0.5) < CURVE_TOLERANCE:
            judged = "no difference seen from an even spread"
        elif low > 0.5:
            judged = (
                "more than an even spread’s 50 %: small activations are amplified into much of "
                "what the layer does"
            )
        else:
            judged = "less than an even spread’s 50 %: the layer works mostly where it is strong"
        said.append(
            f"The half of the tokens on which {one.name}’s layer is weakest before its "
            f"LayerNorm carries {share(low)} of its effect, {judged}."
        )
    if len(lowest) == 2:
        (first, mine), (second, other) = lowest.items()
        if abs(mine - other) < CURVE_TOLERANCE:
            said.append("No difference seen between the versions.")
        else:
            said.append(f"It is more in {first if mine > other else second}.")
    return Reading(" ".join(said) or "Not measured.", not_meant)


def hidden_reading(sides: LayerSides) -> Reading:
    """Of the hidden shares of a layer's neurons, exact values only."""
    not_meant = (
        "A hidden share is of one neuron, and these are medians: single neurons differ far more "
        "than the versions do. The medians' intervals are over neurons, all measured on the same "
        "windows: what other windows would have given is not in them, least of all in early "
        "layers. Effect below the 99.9 % quantile is not effect without meaning; it is what the "
        "strongest examples do not show."
    )
    said = []
    for one in _each(sides):
        said.append(_hidden(one.name, one.hidden))
    both = _both(sides)
    if both is not None:
        left, right = both[0].hidden, both[1].hidden
        met = overlap(left.median_interval, right.median_interval)
        if met:
            said.append("No difference seen: the medians’ intervals overlap.")
        elif met is not None and left.median is not None and right.median is not None:
            more, less = both if left.median > right.median else both[::-1]
            said.append(f"{more.name}’s neurons hide more than {less.name}’s.")
        elif left.n_exact or right.n_exact:
            said.append("Too few exact values to compare the versions.")
    return Reading(" ".join(said) or "Not measured.", not_meant)


def _hidden(name: str, hidden: HiddenDistributionView) -> str:
    if hidden.median is None:
        if hidden.n_estimate:
            return (
                f"{name} has estimates only ({count(hidden.n_estimate)} neurons), which are not "
                "compared."
            )
        return f"{name} has no hidden shares in this run."
    text = f"{name}: half of {count(hidden.n_exact)} neurons hide more than {share(hidden.median)}"
    if hidden.median_interval is not None:
        text += f" (95 % interval {shares_span(hidden.median_interval)})"
    text += " of their effect"
    if hidden.n_estimate:
        text += f"; {count(hidden.n_estimate)} more have an estimate only and are left out"
    return text + "."


def label_reading(labels: Sequence[LabelShareView]) -> Reading:
    """Of the shares labelled as monosemantic."""
    not_meant = (
        "Labels are of whatever versions somebody chose to look at, not of a sample, and whoever "
        "labels sees which version it is. Only a blind study of neurons drawn by chance says what "
        "share of a layer is monosemantic."
    )
    said = []
    for one in labels:
        if one.share is None or one.interval is None:
            said.append(f"Nobody has labelled a {one.name} version yet.")
            continue
        few = ", which is few," if one.n_labelled < FEW_LABELS else ""
        said.append(
            f"{one.name}: {count(one.n_monosemantic)} of {count(one.n_labelled)} labelled "
            f"versions{few} are called monosemantic, {share(one.share)} (95 % interval "
            f"{shares_span(one.interval)})."
        )
    if len(labels) == 2:
        met = overlap(labels[0].interval, labels[1].interval)
        if met:
            said.append("No difference seen: the intervals overlap.")
        elif met is not None:
            more, less = sorted(labels, key=lambda one: -(one.share or 0.0))
            said.append(f"More of {more.name}’s are than of {less.name}’s.")
    return Reading(" ".join(said), not_meant)
