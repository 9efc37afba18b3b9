"""The evidence of a neuron page as it is drawn: figures, senses, counterexamples.

    drawn = draw_evidence(version, axis, …)      chart = hidden_chart(page)

All numbers drawn are in the page object already. Versions are drawn together by one method only:
where one has an exact hidden share and the other an estimate, both curves are the estimates'.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from server.activation_names import activation_name
from server.band_titles import band_title
from server.example_drawing import DrawnPlaces, anchor
from server.figures.axes import ActivationAxis
from server.figures.band_scores import band_scores
from server.figures.effect_histogram import effect_histogram, tallest_cell
from server.figures.hidden_curves import HEADLINE, HiddenCurve, hidden_curves
from server.figures.joint_density import Lifted, class_name, joint_density, largest_class
from server.pages.evidence import CounterexampleView, HiddenView
from server.pages.neuron import NeuronPage, SenseView, VersionView
from server.snippets import Snippet, draw_snippets
from server.token_text import text_markup

KINDS = (
    ("unlike", "Strong, unlike the top examples"),
    ("silent", "Silent where the top examples’ rule holds"),
    ("substitution", "One token changed"),
)
_SENSE_TOKENS = 6


@dataclass(frozen=True)
class DrawnSense:
    """A sense with its most frequent tokens: (markup, contexts that have it in focus)."""

    sense: SenseView
    tokens: tuple[tuple[Markup, int], ...]
    omitted: int


@dataclass(frozen=True)
class DrawnCounterexample:
    """A counterexample with its tokens as spans; `before` and `after` are the changed token."""

    counterexample: CounterexampleView
    anchor: str
    tokens: Markup
    attributes: Markup
    before: Markup | None
    after: Markup | None


@dataclass(frozen=True)
class DrawnEvidence:
    """The figures of one version's evidence; None where there is nothing to draw.

    `effect_height` is the share of effect that a full height of the histogram stands for, the same
    on both sides. `density_key` has a class and what it stands for, of the joint density's colours.
    `counterexamples` are (kind, title, those found), kinds in their order.
    """

    effect_histogram: Markup | None
    effect_height: float
    joint_density: Markup | None
    density_key: tuple[tuple[str, str], ...]
    band_scores: Markup | None
    senses: tuple[DrawnSense, ...]
    counterexamples: tuple[tuple[str, str, tuple[DrawnCounterexample, ...]], ...]


def draw_evidence(
    versions: dict[str, VersionView],
    axis: ActivationAxis,
    scales: dict[str, float | None],
    places: DrawnPlaces,
    popovers: bool,
) -> dict[str, DrawnEvidence]:
    """By side; `axis` is that of the histograms, `scales` those of the tokens' colours, `places`
    the examples that the page draws; `popovers`: with every token's values."""
    masses = [hidden.mass for hidden in map(_hidden, versions.values()) if hidden is not None]
    highest = tallest_cell(axis, masses)
    scores = [
        score
        for version in versions.values()
        if version.evidence is not None and version.evidence.polysemanticity is not None
        for score in version.evidence.polysemanticity.bands.values()
        if score is not None
    ]
    scale = max([1.0, *scores])
    counterexamples = _draw_counterexamples(versions, scales, popovers)
    return {
        side: DrawnEvidence(
            effect_histogram=_effect_histogram(version, axis, highest),
            effect_height=highest,
            joint_density=_joint_density(version, places),
            density_key=_density_key(version),
            band_scores=_band_scores(version, scale),
            senses=tuple(_sense(sense) for sense in version.senses),
            counterexamples=_by_kind(counterexamples[side]),
        )
        for side, version in versions.items()
    }


def hidden_chart(page: NeuronPage) -> Markup | None:
    """Both versions' hidden-share curves in one chart; None without evidence."""
    found = [
        (version, version.evidence.hidden)
        for version in (page.versions.left, page.versions.right)
        if version is not None
        and version.evidence is not None
        and version.evidence.hidden is not None
    ]
    if not found:
        return None
    estimated = any(hidden.method == "estimate" for _, hidden in found)
    return hidden_curves(
        [_curve(version, hidden, estimated) for version, hidden in found], estimated
    )


def _hidden(version: VersionView) -> HiddenView | None:
    return None if version.evidence is None else version.evidence.hidden


def _curve(version: VersionView, hidden: HiddenView, estimated: bool) -> HiddenCurve:
    """`estimated`: the curve by the estimate, though this version's values may be exact."""
    share = hidden.estimated_share if estimated else hidden.share
    shares: Sequence[float | None] = hidden.curve.share
    lowest = hidden.lowest_top_share
    interval = hidden.interval
    if estimated and hidden.method == "exact":
        shares = [at_share(one, hidden.share, share) for one in shares]
        lowest = at_share(lowest, hidden.share, share)
        interval = None
    lowest_top = None
    if lowest is not None and hidden.lowest_top_quantile is not None:
        beyond = hidden.lowest_top_quantile >= HEADLINE
        floor = share if beyond and share is not None else 0.0
        lowest_top = (hidden.lowest_top_quantile, max(lowest, floor))
    return HiddenCurve(
        side=version.side,
        name=activation_name(version.act_fn),
        quantiles=hidden.curve.quantiles,
        shares=shares,
        headline=share,
        interval=interval,
        lowest_top=lowest_top,
    )


def at_share(below: float | None, share: float | None, wanted: float | None) -> float | None:
    """A point of a curve that passes `share` at the headline, as if it passed `wanted` there.

    What lies below the headline and what lies above are each stretched evenly, as the worker does
    when it spreads an exact value by the estimate's shape. None where that is undefined.
    """
    if below is None or share is None or wanted is None:
        return None
    if below <= share:
        return below * wanted / share if share > 0 else wanted
    return 1 - (1 - below) * (1 - wanted) / (1 - share)


def _effect_histogram(version: VersionView, axis: ActivationAxis, highest: float) -> Markup | None:
    hidden = _hidden(version)
    if hidden is None:
        return None
    examples = version.examples
    top = [examples.activations[n] for n in examples.of_band("top")]
    return effect_histogram(
        name=f"{activation_name(version.act_fn)} {version.name}",
        side=version.side,
        axis=axis,
        mass=hidden.mass,
        highest=highest,
        headline=None if version.band_edges is None else version.band_edges.q999,
        share_below=hidden.share,
        lowest_top=min(top, default=None),
        hook_point=version.sites[version.display_site].hook_point,
    )


def _joint_density(version: VersionView, places: DrawnPlaces) -> Markup | None:
    joint = None if version.evidence is None else version.evidence.joint_density
    if joint is None:
        return None
    examples, hrefs = version.examples, places.hrefs[version.side]
    mids, posts = examples.at_focus("mid"), examples.at_focus("post")
    lifted = [
        Lifted(mids[n], posts[n], href=Markup(hrefs[n]), rank=examples.ranks[n])
        for n in examples.of_band("lifted")
        if mids is not None and posts is not None
    ]
    return joint_density(
        name=f"{activation_name(version.act_fn)} {version.name}",
        side=version.side,
        mid_edges=joint.mid_edges,
        post_edges=joint.post_edges,
        counts=joint.counts.array,
        median=None if version.band_edges is None else version.band_edges.q50,
        lifted=lifted,
    )


def _density_key(version: VersionView) -> tuple[tuple[str, str], ...]:
    joint = None if version.evidence is None else version.evidence.joint_density
    if joint is None:
        return ()
    darkest = largest_class(joint.counts.array)
    return tuple((f"d{level}", class_name(level)) for level in range(1, darkest + 1))


def _band_scores(version: VersionView, scale: float) -> Markup | None:
    found = None if version.evidence is None else version.evidence.polysemanticity
    if found is None or not found.bands:
        return None
    return band_scores(
        name=f"{activation_name(version.act_fn)} {version.name}",
        side=version.side,
        scores={band_title(band): score for band, score in found.bands.items()},
        carrier=None if found.band is None else band_title(found.band),
        scale=scale,
    )


def _sense(sense: SenseView) -> DrawnSense:
    named = [
        (text_markup(token), number)
        for token, number in zip(sense.tokens, sense.counts, strict=True)
    ]
    return DrawnSense(sense, tuple(named[:_SENSE_TOKENS]), max(len(named) - _SENSE_TOKENS, 0))


def _draw_counterexamples(
    versions: Mapping[str, VersionView], scales: Mapping[str, float | None], popovers: bool
) -> dict[str, list[DrawnCounterexample]]:
    """Those of each side, drawn together."""
    found = [
        (version, one)
        for version in versions.values()
        if version.evidence is not None
        for one in version.evidence.counterexamples
    ]
    snippets = [
        Snippet(
            tokens=one.pieces,
            focus=one.focus,
            masked=1 if one.position == one.focus else 0,
            own=one.values,
            own_site=(
                version.shown_site if version.shown_site in one.values else version.display_site
            ),
            scale=scales[version.side],
            changed=one.changed,
        )
        for version, one in found
    ]
    drawn: dict[str, list[DrawnCounterexample]] = {side: [] for side in versions}
    for (version, one), (tokens, attributes) in zip(
        found, draw_snippets(snippets, popovers), strict=True
    ):
        drawn[version.side].append(
            DrawnCounterexample(
                counterexample=one,
                anchor=anchor(version.side, one.kind, one.rank),
                tokens=tokens,
                attributes=attributes,
                before=None if one.original_token is None else text_markup(one.original_token),
                after=None if one.new_token is None else text_markup(one.new_token),
            )
        )
    return drawn


def _by_kind(
    drawn: Sequence[DrawnCounterexample],
) -> tuple[tuple[str, str, tuple[DrawnCounterexample, ...]], ...]:
    return tuple(
        (kind, title, tuple(one for one in drawn if one.counterexample.kind == kind))
        for kind, title in KINDS
    )
