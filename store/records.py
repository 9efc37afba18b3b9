"""Frozen records that cross the packages: what the worker computes and the server shows.

The worker fills them, `store.publish` writes them, the queries in `store` give them back. Ids of
database rows never leave `store`: a version of a neuron is named by (run, side, layer, neuron), a
token by (document, window, position). Every array is numpy; a statistic that is undefined is
``None``, never NaN.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Side = Literal["left", "right"]
Site = Literal["pre", "mid", "post"]
Verdict = Literal["monosemantic", "polysemantic", "unclear", "dead"]

SIDES: tuple[Side, ...] = ("left", "right")
SITES: tuple[Site, ...] = ("pre", "mid", "post")
VERDICTS: tuple[Verdict, ...] = ("monosemantic", "polysemantic", "unclear", "dead")

#: Bands of examples in the order in which they are shown. The five in the middle are ranges of
#: quantiles of the display site among the run's token sample; `lifted` exists for versions with a
#: LayerNorm after the activation only.
BANDS: tuple[str, ...] = (
    "top",
    "q99.9-100",
    "q99-99.9",
    "q90-99",
    "q50-90",
    "q0-50",
    "bottom",
    "lifted",
)

FloatArray = npt.NDArray[np.float32]
HalfArray = npt.NDArray[np.float16]
CountArray = npt.NDArray[np.int64]
TokenArray = npt.NDArray[np.int32]


@dataclass(frozen=True)
class ModelRecord:
    """One model of a pair; its identity is the SHA-256 of its weights."""

    weights_sha256: str
    name: str
    act_fn: str
    n_layers: int
    d_model: int
    d_mlp: int
    n_ctx: int
    d_vocab: int
    config: dict[str, Any]


@dataclass(frozen=True)
class PairRecord:
    """A matched pair. `right` is None for a single-sided run."""

    slug: str
    name: str
    description: str
    left: ModelRecord
    right: ModelRecord | None


@dataclass(frozen=True)
class CorpusRecord:
    """A corpus as it was read: `spec` as the user gave it, `fingerprint` of its content."""

    fingerprint: str
    spec: str


@dataclass(frozen=True)
class RunRecord:
    """A run: one identity, published in stages.

    `id` is the first 10 hex digits of `identity_sha256`, the SHA-256 of `identity` as canonical
    JSON (sorted keys, no spaces). `parameters` is what the run was asked to do, `provenance` what
    it was done with (versions, device, duration, problems found in the corpus): provenance is not
    part of the identity.
    """

    id: str
    identity_sha256: str
    identity: dict[str, Any]
    pair: PairRecord
    corpus: CorpusRecord
    parameters: dict[str, Any]
    provenance: dict[str, Any]
    n_documents: int
    n_windows: int
    n_tokens: int
    status: Literal["computing", "loading", "published", "failed"] = "loading"
    stages: tuple[str, ...] = ()
    created_at: datetime | None = None
    published_at: datetime | None = None
    size_bytes: int | None = None


@dataclass(frozen=True)
class ProgressRecord:
    """How far a run has come, as its page and the home page show it. One row a run, mutable.

    `done` and `total` count `unit` (tokens, versions, rows); `total` is None where it is unknown.
    `pair_slug` and `corpus_spec` are kept here because progress starts before the run is loaded.
    """

    run_id: str
    pair_slug: str
    corpus_spec: str
    stage: str
    step: str
    done: int
    total: int | None
    unit: str
    rate: float | None
    state: Literal["running", "done", "failed", "interrupted"]
    message: str | None = None
    started_at: datetime | None = None
    updated_at: datetime | None = None


@dataclass(frozen=True)
class LossRecord:
    """Loss of one model on held-out documents of one source: sums, so that sources add up.

    nats a token = nats / n_tokens; bits a byte = nats / ln 2 / n_bytes. `side` may be "control".
    """

    side: str
    source: str
    n_documents: int
    n_tokens: int
    n_bytes: int
    nats: float


@dataclass(frozen=True)
class DocumentRecord:
    """`document` is the document's id: its place in the corpus's fixed order."""

    document: int
    source: str
    name: str
    held_out: bool = False


@dataclass(frozen=True)
class WindowRecord:
    """A token window, stored once however many neurons show it.

    `tokens` has no padding: [length] ids, BOS first. `window` is its index within the document.
    """

    document: int
    window: int
    tokens: TokenArray


@dataclass(frozen=True)
class SiteStatistics:
    """Exact statistics of one version at one site over all unmasked tokens (EVIDENCE: §1).

    Population moments (divide by n). `counts` has one entry per bin of
    `store.histogram_edges` (387, the outermost two open) and sums to `n`.
    """

    hook_point: str
    n: int
    mean: float | None
    std: float | None
    skewness: float | None
    kurtosis: float | None
    min: float | None
    max: float | None
    counts: CountArray


@dataclass(frozen=True)
class PartnerRecord:
    """A neuron correlated with this version. `kind` "across": of the other model; "within": own."""

    kind: Literal["across", "within"]
    rank: int
    layer: int
    neuron: int
    correlation: float


@dataclass(frozen=True)
class CorrespondenceRecord:
    """How strongly a version corresponds to the other model's neurons of the same layer.

    Pearson correlations of the display sites over the token sample. `null` is the largest
    correlation with a randomly rotated basis of the other model. None where undefined (a constant
    neuron, a single-sided run).
    """

    same_index_correlation: float | None
    same_index_rank: int | None
    best_neuron: int | None
    best_correlation: float | None
    null: float | None
    mutual: bool | None
    assigned_neuron: int | None
    assigned_correlation: float | None

    @property
    def excess(self) -> float | None:
        """Best correlation − null: what remains above a random basis."""
        if self.best_correlation is None or self.null is None:
            return None
        return self.best_correlation - self.null


#: What a best correlation must exceed the null by to count as above it. The null is one draw of a
#: maximum, so that between layers that have nothing to do with each other half of the best matches
#: exceed it by a little, and many are mutual (bench/chance_twins.py).
ABOVE_NULL = 0.05


@dataclass(frozen=True)
class LogitEffectsRecord:
    """W_out[neuron]·W_U with the final LayerNorm's weights: token ids with effects, moments."""

    promoted: tuple[tuple[int, float], ...]
    suppressed: tuple[tuple[int, float], ...]
    kurtosis: float | None
    skewness: float | None


@dataclass(frozen=True)
class NeuronRecord:
    """One version of a neuron with all that has one value per version.

    `density` is P(z > density_threshold) at the display site, threshold = mean + 0.1·(max − mean).
    `band_edges` are the display site's 0.5, 0.9, 0.99 and 0.999 quantiles in the token sample.
    """

    side: Side
    layer: int
    neuron: int
    display_site: Site
    sites: dict[Site, SiteStatistics]
    density: float | None
    density_threshold: float | None
    band_edges: tuple[float, float, float, float] | None
    correspondence: CorrespondenceRecord
    logit_effects: LogitEffectsRecord | None
    partners: tuple[PartnerRecord, ...] = ()


@dataclass  # a page has a hundred: frozen ones take three times as long to make
class OtherValues:
    """Values of the other version on an example's snippet, and the quantile of its focus value.

    `values[site]` is [length] half precision; `quantile` is the share of all unmasked tokens on
    which that neuron's display site is lower (from its histogram, to within a bin).
    """

    neuron: int
    values: Mapping[Site, HalfArray]
    quantile: float | None


@dataclass  # a page has a hundred: frozen ones take three times as long to make
class ExampleRecord:
    """A token at which a version is shown: (document, window, position) is the focus.

    The snippet is the window's tokens [start, start + length) and `values[site]` is [length].
    `activation` is the display site's value at the focus in float32. `same_index` and `match` are
    the other model's neuron of the same index, and its best match; `match` is None when the two
    are one neuron or there is no match, and both are None in a single-sided run.

    `scales`, which is not read back, lets a run be stored in less: for each model with a LayerNorm
    after its SoLU, by side, what it divides the snippet's tokens by (`store.token_scales`),
    [3, length].
    """

    side: Side
    layer: int
    neuron: int
    band: str
    rank: int
    document: int
    window: int
    position: int
    activation: float
    start: int
    values: Mapping[Site, HalfArray]
    same_index: OtherValues | None
    match: OtherValues | None
    scales: Mapping[Side, FloatArray] | None = None


@dataclass(frozen=True)
class LayerRecord:
    """What has one value per layer of the pair: linear CKA of the display sites on the sample."""

    layer: int
    cka: float | None


@dataclass(frozen=True)
class LabelRecord:
    """One entry of the append-only history of labels; the annotator's latest counts.

    `key` is what whoever sent it calls it (None: nothing). One with `withdrawn_at` was taken back
    by its annotator and counts no more.
    """

    weights_sha256: str
    layer: int
    neuron: int
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


@dataclass(frozen=True)
class LabelCounts:
    """Latest verdicts of all annotators on one version."""

    monosemantic: int = 0
    polysemantic: int = 0
    unclear: int = 0
    dead: int = 0

    @property
    def total(self) -> int:
        """Number of annotators whose latest label is counted."""
        return self.monosemantic + self.polysemantic + self.unclear + self.dead


@dataclass(frozen=True)
class ExplorerRow:
    """A row of the explorer: column name → value, and the labels' counts."""

    side: Side
    layer: int
    neuron: int
    values: dict[str, float | int | str | bool | None] = field(default_factory=dict)
    labels: LabelCounts = field(default_factory=LabelCounts)


@dataclass(frozen=True)
class PairRow:
    """A row of the explorer with `rows=pair`: one index, both versions, their difference.

    `values` has the keys `left_X`, `right_X` and, for numbers, `diff_X` = left − right.
    """

    layer: int
    neuron: int
    values: dict[str, float | int | str | bool | None] = field(default_factory=dict)
    left_labels: LabelCounts = field(default_factory=LabelCounts)
    right_labels: LabelCounts = field(default_factory=LabelCounts)


@dataclass  # a page has a hundred: frozen ones take three times as long to make
class ShownExample:
    """An example with what is needed to show it.

    `tokens` are the snippet's ids, [length] like each of the example's value arrays; the focus is
    `tokens[focus]`. `before` and `after` are ids of the window beside the snippet, whose values are
    not kept.
    """

    example: ExampleRecord
    document_name: str
    source: str
    tokens: TokenArray
    before: TokenArray
    after: TokenArray

    @property
    def focus(self) -> int:
        """Index of the focus within the snippet."""
        return self.example.position - self.example.start
