"""What the evidence stage found of one version, and of two beside each other."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from server import urls
from server.compose.values import finite
from server.pages.evidence import (
    CarriedCandidateView,
    CounterexampleView,
    EstimateCheckView,
    EvidenceStageView,
    EvidenceView,
    HiddenComparison,
    HiddenCurveView,
    HiddenView,
    JointDensityView,
    PolysemanticityView,
    SubstitutionSearchView,
)
from server.pages.examples import Examples
from server.pages.lazy import Pieces, Singles, Table, TokenTexts, ValueRows
from server.pages.neuron import SenseView
from server.token_text import token_string
from store.distributions import HiddenShares
from store.evidence import CarriedCandidate, NeuronEvidence, ShownCounterexample
from store.evidence_records import (
    CURVE_QUANTILES,
    EstimateCheckRecord,
    HiddenShareRecord,
    JointDensityRecord,
    PolysemanticityRecord,
    SenseRecord,
    StageRecord,
    SubstitutionSearchRecord,
)
from store.histogram_edges import bin_of
from store.records import NeuronRecord, RunRecord


def evidence_view(
    run: RunRecord,
    record: NeuronRecord,
    evidence: NeuronEvidence,
    examples: Examples,
    vocabulary: list[bytes],
    of_layer: HiddenShares | None,
    scores_of_layer: Sequence[float],
    pinned: bool,
) -> EvidenceView:
    """All evidence of one version; `examples` are the version's, of which the top ones count.

    `of_layer` and `scores_of_layer` (ascending) are what its layer's other versions have.
    """
    top = [examples.activations[n] for n in examples.of_band("top")]
    slug, run_id = run.pair.slug, run.id if pinned else None
    return EvidenceView(
        polysemanticity=_polysemanticity(evidence.meaning, scores_of_layer),
        hidden=_hidden(record, evidence.hidden, evidence.check, min(top, default=None), of_layer),
        joint_density=_joint_density(evidence.joint),
        candidates=tuple(_candidate(slug, one, run_id) for one in evidence.candidates),
        counterexamples=tuple(_counterexample(one, vocabulary) for one in evidence.counterexamples),
        search=_search(run, record, evidence.search),
    )


def stage_view(run: RunRecord, stage: StageRecord | None) -> EvidenceStageView:
    """When the run's evidence was published, and what would compute it."""
    return EvidenceStageView(
        published_at=None if stage is None else stage.published_at,
        command=f"twinscope evidence {run.id}",
    )


def sense_views(
    senses: Sequence[SenseRecord],
    examples: Examples,
    vocabulary: list[bytes],
    hrefs: Sequence[str],
) -> tuple[SenseView, ...]:
    """The senses in their order; `hrefs[n]` shows the n-th one's examples alone."""
    ranked = zip(examples.bands, examples.ranks, strict=True)
    place = {one: n for n, one in enumerate(ranked)}
    return tuple(
        SenseView(
            rank=sense.rank,
            share=sense.share,
            band=sense.band,
            tokens=tuple(token_string(vocabulary[token]) for token, _ in sense.tokens),
            counts=tuple(number for _, number in sense.tokens),
            examples=tuple(sorted(place[one] for one in sense.examples if one in place)),
            href=href,
        )
        for sense, href in zip(senses, hrefs, strict=True)
    )


def hidden_comparison(
    left: EvidenceView | None, right: EvidenceView | None
) -> HiddenComparison | None:
    """Both hidden shares by one method: exact if both are, else the estimates of both.

    A difference of exact values is seen where their 95 % intervals do not overlap, one of
    estimates where it is larger than both measured errors together.
    """
    ours, theirs = (None if one is None else one.hidden for one in (left, right))
    if ours is None or theirs is None:
        return None
    if ours.method == theirs.method == "exact":
        if ours.share is None or theirs.share is None:
            return None
        seen = None
        if ours.interval is not None and theirs.interval is not None:
            seen = ours.interval[0] > theirs.interval[1] or theirs.interval[0] > ours.interval[1]
        return HiddenComparison("exact", ours.share, theirs.share, ours.share - theirs.share, seen)
    if ours.estimated_share is None or theirs.estimated_share is None:
        return None
    difference = ours.estimated_share - theirs.estimated_share
    errors = (estimate_error(ours), estimate_error(theirs))
    return HiddenComparison(
        method="estimate",
        left=ours.estimated_share,
        right=theirs.estimated_share,
        difference=difference,
        seen=None if None in errors else abs(difference) > sum(error or 0.0 for error in errors),
    )


def estimate_error(hidden: HiddenView) -> float | None:
    """The measured error of the layer's estimates, whichever method this version's share has."""
    if hidden.error is not None:
        return hidden.error
    return None if hidden.check is None else hidden.check.share_mean_error


def _hidden(
    record: NeuronRecord,
    hidden: HiddenShareRecord | None,
    check: EstimateCheckRecord | None,
    lowest_top: float | None,
    of_layer: HiddenShares | None,
) -> HiddenView | None:
    if hidden is None:
        return None
    exact = of_layer.exact if of_layer is not None and hidden.method == "exact" else ()
    quantile, below = _at_lowest_top(record, hidden, lowest_top)
    return HiddenView(
        share=finite(hidden.share),
        method=hidden.method,
        error=finite(hidden.error),
        interval=hidden.interval,
        effect=finite(hidden.effect),
        estimated_share=finite(hidden.estimated_share),
        estimated_effect=finite(hidden.estimated_effect),
        curve=HiddenCurveView(CURVE_QUANTILES, tuple(finite(share) for share in hidden.curve)),
        mass=Singles(hidden.mass),
        lowest_top_quantile=quantile,
        lowest_top_share=below,
        layer_median=_middle(exact),
        layer_quantile=layer_quantile(hidden.share, exact),
        check=None
        if check is None
        else EstimateCheckView(
            n_neurons=check.n_neurons,
            effect_spearman=finite(check.effect_spearman),
            share_bias=finite(check.share_bias),
            share_mean_error=finite(check.share_mean_error),
            additivity=finite(check.additivity),
        ),
    )


def _at_lowest_top(
    record: NeuronRecord, hidden: HiddenShareRecord, lowest_top: float | None
) -> tuple[float | None, float | None]:
    """(share of tokens, share of effect) in the bins below that of the lowest top example."""
    counts = record.sites[record.display_site].counts
    total = float(hidden.mass.sum(dtype="float64"))
    if lowest_top is None or len(hidden.mass) != len(counts):
        return None, None
    place = bin_of(lowest_top)
    quantile = int(counts[:place].sum()) / max(int(counts.sum()), 1)
    below = float(hidden.mass[:place].sum(dtype="float64")) / total if total > 0 else None
    return quantile, below if below is None or math.isfinite(below) else None


def layer_quantile(value: float | None, of_layer: Sequence[float]) -> float | None:
    """The part of a layer's other versions that lie lower; those that are equal count half.

    `of_layer` ascends and holds the value itself; None where it does not, or holds nothing else.
    """
    if value is None or not math.isfinite(value) or len(of_layer) < 2:
        return None
    lower, not_higher = bisect_left(of_layer, value), bisect_right(of_layer, value)
    if lower == not_higher:
        return None
    return (lower + (not_higher - lower - 1) / 2) / (len(of_layer) - 1)


def _middle(ascending: Sequence[float]) -> float | None:
    """The median of what is in order already."""
    if not ascending:
        return None
    half, odd = divmod(len(ascending), 2)
    return ascending[half] if odd else (ascending[half - 1] + ascending[half]) / 2


def _polysemanticity(
    meaning: PolysemanticityRecord | None, scores_of_layer: Sequence[float]
) -> PolysemanticityView | None:
    if meaning is None:
        return None
    bands = {band: finite(score) for band, score in meaning.bands.items()}
    known = {band: score for band, score in bands.items() if score is not None}
    return PolysemanticityView(
        score=finite(meaning.score),
        bands=bands,
        band=max(known, key=lambda band: known[band]) if known else None,
        token_entropy=finite(meaning.token_entropy),
        token_variance_explained=finite(meaning.token_variance_explained),
        max_token_share=finite(meaning.max_token_share),
        layer_median=_middle(scores_of_layer),
        layer_quantile=layer_quantile(meaning.score, scores_of_layer),
    )


def _joint_density(joint: JointDensityRecord | None) -> JointDensityView | None:
    if joint is None:
        return None
    return JointDensityView(
        mid_edges=tuple(joint.mid_edges.tolist()),
        post_edges=tuple(joint.post_edges.tolist()),
        counts=Table(joint.counts),
    )


def _candidate(slug: str, one: CarriedCandidate, run_id: str | None) -> CarriedCandidateView:
    return CarriedCandidateView(
        k=one.k,
        side=one.side,
        layer=one.layer,
        share=one.share,
        effect=one.effect,
        own=one.own,
        name=f"candidate {one.k}",
        href=urls.candidate(slug, one.layer, one.k, run=run_id),
    )


def _counterexample(shown: ShownCounterexample, vocabulary: list[bytes]) -> CounterexampleView:
    record = shown.record
    pieces = Pieces(shown.tokens, vocabulary)

    def named(token: int | None) -> str | None:
        return None if token is None else token_string(vocabulary[token])

    return CounterexampleView(
        kind=record.kind,
        rank=record.rank,
        document=shown.document_name,
        document_id=record.document,
        source=shown.source,
        window=record.window,
        position=record.position,
        activation=record.activation,
        tokens=TokenTexts(pieces),
        focus=shown.focus,
        values=ValueRows(record.values),
        distance=finite(record.distance),
        rule=record.rule,
        changed=shown.changed,
        original_token=named(record.original),
        new_token=named(
            None
            if record.tokens is None or record.changed is None
            else int(record.tokens[record.changed])
        ),
        original_activation=finite(record.original_activation),
        pieces=pieces,
    )


def _search(
    run: RunRecord, record: NeuronRecord, search: SubstitutionSearchRecord | None
) -> SubstitutionSearchView:
    name = urls.neuron_name(record.layer, record.neuron)
    return SubstitutionSearchView(
        searched=search is not None,
        tried=None if search is None else search.tried,
        created_at=None if search is None else search.created_at,
        command=f"twinscope counterexamples {run.id} --neuron {name}",
    )
