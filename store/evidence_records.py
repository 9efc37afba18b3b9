"""Frozen records of a run's evidence stage: what a page of top activations hides.

Definitions stand in docs/evidence.md. All are computed on a stated part of the corpus, after the
statistics stage, and published once. Tokens are named by (document, window, position), as ever.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from store.records import FloatArray, HalfArray, Side, Site, TokenArray, Verdict

DoubleArray = npt.NDArray[np.float64]

#: Quantiles of the display site at which hidden-share curves are kept, ascending.
CURVE_QUANTILES: tuple[float, ...] = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.995, 0.999, 1.0)
HEADLINE_QUANTILE = 0.999

#: Bands by which polysemanticity is scored: of the shown ones the strong, and last the tokens from
#: a quarter to half of the way from the mean to the maximum.
SCORED_BANDS: tuple[str, ...] = ("top", "q99.9-100", "q99-99.9", "max25-50")


@dataclass(frozen=True)
class HiddenShareRecord:
    """How much of a version's effect lies below a quantile of its display site.

    `effect` is the KL divergence (nats a token, mean over the evidence tokens) that mean-ablating
    the version causes; `share` is H at HEADLINE_QUANTILE. `method` says whether both come from
    true ablations ("exact") or from the second-order estimate; `error` is the mean absolute error
    of the estimate's share on the layer's neurons that were measured both ways (None for exact
    ones), `interval` a 95 % bootstrap interval over windows. `estimated_share` is always kept, so
    that estimates can be compared with estimates. `curve` is H at CURVE_QUANTILES.
    `mass` is the effect in each histogram bin of the display site (387 bins, sums to the effect).
    """

    side: Side
    layer: int
    neuron: int
    effect: float | None
    share: float | None
    method: Literal["exact", "estimate"]
    error: float | None
    interval: tuple[float, float] | None
    estimated_effect: float | None
    estimated_share: float | None
    curve: tuple[float | None, ...]
    mass: FloatArray


@dataclass(frozen=True)
class JointDensityRecord:
    """Counts of (mid, post) over the evidence tokens; versions with a LayerNorm after act_fn only.

    `counts` is [len(mid_edges) − 1, len(post_edges) − 1] int64.
    """

    side: Side
    layer: int
    neuron: int
    mid_edges: FloatArray
    post_edges: FloatArray
    counts: npt.NDArray[np.int64]


@dataclass(frozen=True)
class SenseRecord:
    """A cluster of a version's contexts. `share` of the clustered contexts; `band` where it lives
    (the band in which its share is largest against the others); `tokens` ids with counts;
    `examples` (band, rank) of the shown examples that belong to it.
    """

    rank: int
    share: float
    band: str
    tokens: tuple[tuple[int, int], ...]
    examples: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class PolysemanticityRecord:
    """Separation of two meanings among a version's contexts: a heuristic, per band and in all.

    `score` is the largest of `bands` (one of SCORED_BANDS → separation from 0 to 2, None where
    there is too little to cluster). `token_entropy` in nats and `max_token_share` are of the top
    examples' focus tokens; `token_variance_explained` is Var(E[z|token])/Var z on the token sample.
    """

    side: Side
    layer: int
    neuron: int
    score: float | None
    bands: dict[str, float | None]
    token_entropy: float | None
    max_token_share: float | None
    token_variance_explained: float | None
    senses: tuple[SenseRecord, ...] = ()


@dataclass(frozen=True)
class LayerEvidenceRecord:
    """The layer panel of one side. Each estimate carries a 95 % interval (bootstrap over windows).

    `kept_share` of activations against `loss_recovered` (keep-top-q curve); `orphan_effect` is the
    share of the layer's mean-ablation KL on tokens where no neuron exceeds its own q99.9;
    `rescue` is the KL share by decile of the pre-LayerNorm standard deviation, lowest first (None
    for versions without that LayerNorm). `layer_effect` in nats a token.
    """

    side: Side
    layer: int
    n_tokens: int
    layer_effect: float
    kept_share: tuple[float, ...]
    loss_recovered: tuple[float, ...]
    orphan_effect: float | None
    orphan_interval: tuple[float, float] | None
    orphan_token_share: float | None
    rescue: tuple[float, ...] | None


@dataclass(frozen=True)
class EstimateCheckRecord:
    """The estimate against exact ablation on a layer of one side: how far to trust it."""

    side: Side
    layer: int
    n_neurons: int
    effect_spearman: float | None
    share_bias: float | None
    share_mean_error: float | None
    additivity: float | None


#: How the name of a weighted mean of sources begins.
MIXTURE = "mixture of "


@dataclass(frozen=True)
class LossDifferenceRecord:
    """Loss of `side` minus loss of `against` on the same held-out tokens, nats a token.

    `interval` is a 95 % paired bootstrap over documents; `source` "" means all sources together as
    they were read. One that begins with `MIXTURE` is a mean of sources by stated weights: its
    tokens are those that were measured, its bytes those that so many tokens of the mixture have.
    """

    side: str
    against: str
    source: str
    n_documents: int
    n_tokens: int
    n_bytes: int
    difference: float
    interval: tuple[float, float]


@dataclass(frozen=True)
class ContextRecord:
    """A token in its snippet [start, start + length) with one value a token."""

    document: int
    window: int
    position: int
    start: int
    value: float
    values: HalfArray


@dataclass(frozen=True)
class CandidateRecord:
    """A candidate invisible feature: a direction of a layer's MLP output (docs/evidence.md).

    `direction` is [d_model], of length one. `effect` is the KL of ablating it on held-out tokens,
    `random_quantile` the share of variance-matched random directions that do less. `carriers` are
    (neuron, share of the direction's output), largest first; `participation` is (Σc)²/Σc²;
    `other_carriers` the same for what carries these contexts in the other version. `contexts`
    maps a band of the projection ("top", "q99-99.9", …) to examples.
    """

    side: Side
    layer: int
    rank: int
    direction: FloatArray
    token_share: float
    effect: float
    random_quantile: float
    random_median: float
    participation: float
    carriers: tuple[tuple[int, float], ...]
    other_carriers: tuple[tuple[int, float], ...]
    promoted: tuple[tuple[int, float], ...]
    suppressed: tuple[tuple[int, float], ...]
    contexts: dict[str, tuple[ContextRecord, ...]] = field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        """Names the direction wherever it is found again, as labels do: the first 16 hex digits
        of the SHA-256 of its half-precision values."""
        return hashlib.sha256(np.asarray(self.direction, "<f2").tobytes()).hexdigest()[:16]


@dataclass(frozen=True)
class CounterexampleRecord:
    """A context that speaks against what the top examples suggest.

    `kind`: "unlike" (strong, yet far from the top examples), "silent" (the rule predicts firing,
    the neuron is silent), "substitution" (one token changed). `activation` is the display site's,
    verified by a true forward pass; for substitutions `tokens` is the changed window, `changed`
    the position that was changed and `original` the token id that stood there; otherwise the
    window is the corpus's own. `distance` is to the nearest top example in whitened context space.
    """

    side: Side
    layer: int
    neuron: int
    kind: Literal["unlike", "silent", "substitution"]
    rank: int
    document: int
    window: int
    position: int
    start: int
    activation: float
    values: Mapping[Site, HalfArray]
    distance: float | None
    rule: str = ""
    tokens: TokenArray | None = None
    changed: int | None = None
    original: int | None = None
    original_activation: float | None = None


@dataclass(frozen=True)
class StageRecord:
    """A published stage of a run: what it was computed with, and what it cost.

    `parameters` decide its numbers (sizes, seeds, versions of the method); `provenance` says when
    and how (seconds and processor seconds of each step, tokens, a bare forward pass for scale).
    """

    stage: str
    published_at: datetime
    parameters: dict[str, Any]
    provenance: dict[str, Any]


@dataclass(frozen=True)
class CandidateSearchRecord:
    """How the search for candidates went in one layer of one side; none kept is a result.

    `n_tokens` were looked at, `orphan_share` of them have no neuron above its headline quantile;
    `n_tried` directions were tested on other documents and `n_kept` beat 95 % of random ones.
    """

    side: Side
    layer: int
    n_tokens: int
    orphan_share: float | None
    n_tried: int
    n_kept: int


@dataclass(frozen=True)
class SubstitutionSearchRecord:
    """A search for counterexamples by substitution was made for this version, once.

    `tried` replacements were run; `created_at` is set by the store.
    """

    side: Side
    layer: int
    neuron: int
    tried: int
    parameters: dict[str, Any] = field(default_factory=dict)
    created_at: datetime | None = None


@dataclass(frozen=True)
class CandidateLabelRecord:
    """One entry of the history of labels on a candidate; as `store.records.LabelRecord`.

    The label is on the direction of this fingerprint, in a layer of the model with these weights,
    whichever run found it.
    """

    weights_sha256: str
    layer: int
    fingerprint: str
    annotator: str
    verdict: Verdict
    description: str = ""
    confidence: int | None = None
    run_id: str | None = None
    created_at: datetime | None = None
    id: int | None = None
    latest: bool = True
    key: str | None = None
    withdrawn_at: datetime | None = None
