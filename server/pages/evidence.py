"""What the evidence stage says of one version, as its page and its JSON show it.

All of it is None where the run's evidence is not published. Fields may be added, not renamed.
Shares are of one, effects are nats a token; a share of effect that is undefined (a version without
effect) is None.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal

from server.pages.fields import HTML_ONLY
from server.pages.lazy import Numbers, SiteName, Tallies, Texts, Values

__all__ = ["SideName", "SiteName"]

SideName = Literal["left", "right"]
Method = Literal["exact", "estimate"]


@dataclass(frozen=True)
class EstimateCheckView:
    """The estimate against exact ablation on `n_neurons` of the layer: how far to trust it.

    `share_bias` is the mean of estimate − exact, `additivity` the exact parts over the exact whole.
    """

    n_neurons: int
    effect_spearman: float | None
    share_bias: float | None
    share_mean_error: float | None
    additivity: float | None


@dataclass(frozen=True)
class HiddenCurveView:
    """`share[i]` of the effect lies below the `quantiles[i]`-quantile of the display site."""

    quantiles: tuple[float, ...]
    share: tuple[float | None, ...]


@dataclass(frozen=True)
class HiddenView:
    """How much of the version's effect lies below its 99.9 % quantile.

    `share` and `effect` are by `method`; `error` is the estimate's mean absolute error of the
    share on the layer's neurons measured both ways (None for exact values), `interval` 95 %. The
    estimates are always given, for versions may be compared by one method only. `mass[i]` is the
    effect in bin i of the display site's histogram. `lowest_top_quantile` is that of the lowest
    top example shown and `lowest_top_share` the share of the effect in the bins below its own.
    `layer_median` is of the layer's exact shares, None for an estimate, which is of another kind.
    `layer_quantile` is the part of its layer's other versions whose exact share is lower (equal
    ones count half), None likewise.
    """

    share: float | None
    method: Method
    error: float | None
    interval: tuple[float, float] | None
    effect: float | None
    estimated_share: float | None
    estimated_effect: float | None
    curve: HiddenCurveView
    mass: Numbers
    lowest_top_quantile: float | None
    lowest_top_share: float | None
    layer_median: float | None
    layer_quantile: float | None
    check: EstimateCheckView | None


@dataclass(frozen=True)
class PolysemanticityView:
    """A heuristic. `score` is the largest of `bands` and `band` the one that has it.

    `layer_median` is of the layer's scores, `layer_quantile` the part of its layer's other versions
    whose score is lower (equal ones count half).
    """

    score: float | None
    bands: dict[str, float | None]
    band: str | None
    token_entropy: float | None
    token_variance_explained: float | None
    max_token_share: float | None
    layer_median: float | None
    layer_quantile: float | None


@dataclass(frozen=True)
class JointDensityView:
    """`counts[i][j]` tokens have `mid` in bin i and `post` in bin j; the outer bins are open."""

    mid_edges: tuple[float, ...]
    post_edges: tuple[float, ...]
    counts: Tallies


@dataclass(frozen=True)
class CarriedCandidateView:
    """A candidate in which the version takes part.

    `own`: it carries a candidate of its own model; else it carries the same contexts as one of
    the other model's. `share` is its part of the direction's output, `effect` the candidate's.
    """

    k: int
    side: SideName
    layer: int
    share: float
    effect: float
    own: bool
    name: str
    href: str


@dataclass(frozen=True)
class CounterexampleView:
    """A context that speaks against what the top examples suggest.

    Of a substitution, `tokens` and `activation` are after the change; `changed` is the index among
    `tokens` of the token that was changed (None where it lies outside of them).
    """

    kind: Literal["unlike", "silent", "substitution"]
    rank: int
    document: str
    document_id: int
    source: str
    window: int
    position: int
    activation: float
    tokens: Texts
    focus: int
    values: Values
    distance: float | None
    rule: str
    changed: int | None
    original_token: str | None
    new_token: str | None
    original_activation: float | None
    pieces: Annotated[Sequence[bytes], HTML_ONLY] = ()


@dataclass(frozen=True)
class SubstitutionSearchView:
    """Whether counterexamples by substitution were searched for, else the `command` that does."""

    searched: bool
    tried: int | None
    created_at: datetime | None
    command: str


@dataclass(frozen=True)
class EvidenceView:
    """All evidence of one version."""

    polysemanticity: PolysemanticityView | None
    hidden: HiddenView | None
    joint_density: JointDensityView | None
    candidates: tuple[CarriedCandidateView, ...]
    counterexamples: tuple[CounterexampleView, ...]
    search: SubstitutionSearchView


@dataclass(frozen=True)
class HiddenComparison:
    """Both versions' hidden shares by one method, or why there is none to compare.

    `method` is "exact" where both are exact; else both are estimates, even where one version has
    an exact value. `difference` is left − right; `seen` says whether it is larger than what the
    intervals (of exact values) or the errors (of estimates) leave open.
    """

    method: Method
    left: float
    right: float
    difference: float
    seen: bool | None


@dataclass(frozen=True)
class EvidenceStageView:
    """The run's evidence stage: when it was published, or the `command` that makes it."""

    published_at: datetime | None
    command: str
