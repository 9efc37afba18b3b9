"""Page object of `/{pair}/{layer}/{neuron}`, the side by side: the JSON is a public contract.

Fields may be added, not renamed. `values` are kept in half precision and given as its shortest
decimals; `activation` and the statistics are as they were computed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from server.pages.evidence import (
    EvidenceStageView,
    EvidenceView,
    HiddenComparison,
    SideName,
    SiteName,
)
from server.pages.examples import AllExamples
from server.pages.fields import HTML_ONLY, Link
from server.pages.lazy import Tally
from server.pages.sharing import SharingView


@dataclass(frozen=True)
class HistogramView:
    """`counts[i]` values lie in bin i; they sum to n.

    `edges` are the inner ones, one less than the bins: the first and the last bin are open.
    """

    edges: tuple[float, ...]
    counts: Tally


@dataclass(frozen=True)
class SiteView:
    """Population statistics of one version at one site; None where undefined."""

    hook_point: str
    n: int
    mean: float | None
    std: float | None
    skewness: float | None
    kurtosis: float | None
    min: float | None
    max: float | None
    histogram: HistogramView


@dataclass(frozen=True)
class BandView:
    """A band of examples: `low` and `high` bound the display site's value, None is open.

    `examples` are indices into the version's `examples`.
    """

    key: str
    title: str
    definition: str
    low: float | None
    high: float | None
    examples: tuple[int, ...]


@dataclass(frozen=True)
class SenseView:
    """A cluster of a version's contexts; `examples` are indices into its examples.

    `share` is of the clustered contexts, `counts` those that have each of `tokens` in focus, and
    `band` the one in which the sense is most common beside the others. `href` shows its examples
    alone, or all again when they are alone already.
    """

    rank: int
    share: float
    band: str
    tokens: tuple[str, ...]
    counts: tuple[int, ...]
    examples: tuple[int, ...]
    href: str


@dataclass(frozen=True)
class LogitEffectsView:
    """Tokens that the neuron promotes and suppresses: (display string, effect on the logit)."""

    promoted: tuple[tuple[str, float], ...]
    suppressed: tuple[tuple[str, float], ...]
    kurtosis: float | None
    skewness: float | None


@dataclass(frozen=True)
class PartnerView:
    """A neuron of the other model correlated with this version, the strongest first.

    `null` is the same maximum against a random basis; `mutual` says (of the best one only) that
    each is the other's best.
    """

    layer: int
    neuron: int
    correlation: float
    null: float | None
    mutual: bool | None
    name: str
    href: str


@dataclass(frozen=True)
class SimilarView:
    """A neuron of the same model correlated with this version."""

    layer: int
    neuron: int
    correlation: float
    name: str
    href: str


@dataclass(frozen=True)
class CorrespondenceView:
    """How strongly this version corresponds to the other model: `excess` = best − null.

    `assigned_neuron` is its partner where each neuron of the layer gets exactly one.
    """

    same_index_correlation: float | None
    same_index_rank: int | None
    best_neuron: int | None
    best_correlation: float | None
    null: float | None
    excess: float | None
    mutual: bool | None
    assigned_neuron: int | None
    assigned_correlation: float | None
    best_href: str | None
    assigned_href: str | None


@dataclass(frozen=True)
class BandEdges:
    """Quantiles of the display site in the run's token sample, where the bands meet."""

    q50: float
    q90: float
    q99: float
    q999: float


@dataclass(frozen=True)
class VersionView:
    """One neuron in one model of the pair.

    `shown_site` is the site that the page draws: the one asked for by `?site=`, or the display
    site where that one does not exist in this model. `shown_sense` is the sense asked for by
    `?sense=`, None for all: `examples` are all in any case. `senses` and `evidence` are empty and
    None until the run's evidence is published. `labels_href` is this side's own fragment.
    """

    side: SideName
    model: str
    act_fn: str
    weights_sha256: str
    layer: int
    neuron: int
    name: str
    display_site: SiteName
    shown_site: SiteName
    sites: dict[SiteName, SiteView]
    density: float | None
    density_threshold: float | None
    band_edges: BandEdges | None
    bands: tuple[BandView, ...]
    examples: AllExamples
    senses: tuple[SenseView, ...]
    shown_sense: int | None
    logit_effects: LogitEffectsView | None
    evidence: EvidenceView | None
    partners: tuple[PartnerView, ...]
    similar: tuple[SimilarView, ...]
    correspondence: CorrespondenceView
    labels_action: str
    labels_href: str


@dataclass(frozen=True)
class Versions:
    """Left and right; `right` is None in a single-sided run, or where there is no match."""

    left: VersionView | None
    right: VersionView | None

    def by_side(self) -> dict[str, VersionView]:
        """Those that there are, by their side."""
        both = {"left": self.left, "right": self.right}
        return {side: version for side, version in both.items() if version is not None}


@dataclass(frozen=True)
class NeuronLinks:
    """Where one can go from here; None at an end. `pairings`, `sites` and
    `examples` are choices."""

    explorer: str
    layer: str
    run: str
    invisible: str
    random: str
    live: str
    previous: str | None
    next: str | None
    labels: str
    newest: str | None
    pairings: tuple[Link, ...]
    sites: tuple[Link, ...]
    examples: tuple[Link, ...]
    layers: tuple[Link, ...]


@dataclass(frozen=True)
class NeuronPage:
    """The side by side. `neuron` is the anchor's index; the other column may show another.

    `pinned` says that `?run=` was given; `permalink` is this state with its run pinned.
    `n_tokens` are the unmasked tokens that every statistic is of. `cka` is the layer's.
    `examples` says which examples the page draws: all, or None for the first of each band; those
    of `versions` are all in any case. `hidden_comparison` is None where the two hidden shares
    cannot be compared.
    """

    pair: str
    run: str
    layer: int
    neuron: int
    pairing: Literal["index", "match"]
    permalink: str
    versions: Versions
    anchor: SideName
    site: SiteName | None
    sense: str | None
    examples: Literal["all"] | None
    name: str
    pair_name: str
    corpus: str
    n_tokens: int
    n_layers: int
    n_neurons: int
    pinned: bool
    cka: float | None
    evidence: EvidenceStageView
    hidden_comparison: HiddenComparison | None
    links: NeuronLinks
    sharing: SharingView
    json_href: str
    values_href: Annotated[str, HTML_ONLY] = ""
    all_examples_href: Annotated[str, HTML_ONLY] = ""
