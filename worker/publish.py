"""From a finished pass to the store: the records of a run, loaded and published as one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from store.engine import Engine
from store.publish import loading
from store.records import (
    CorrespondenceRecord,
    LayerRecord,
    LogitEffectsRecord,
    LossRecord,
    NeuronRecord,
    PartnerRecord,
    RunRecord,
    Side,
    Site,
    SiteStatistics,
)
from worker.accumulators.distribution import SiteDistribution
from worker.contexts import Contexts
from worker.correspondence import NOTHING, Correspondence
from worker.examples import WindowScales, example_records
from worker.gather import Gathered, Requests
from worker.layer_job import LayerResults
from worker.layout import Layout, SideLayout, hook_point
from worker.quantiles import Quantiles
from worker.reporter import Reporter
from worker.statistics import Statistics
from worker.token_neuron import TokenIndex


@dataclass(frozen=True)
class Findings:
    """All that a run has found."""

    layout: Layout
    statistics: Statistics
    results: LayerResults
    requests: Requests
    gathered: Gathered
    contexts: Contexts
    losses: list[LossRecord]
    vocabulary: list[bytes]
    tokens: TokenIndex


def publish(engine: Engine, run: RunRecord, findings: Findings, reporter: Reporter) -> RunRecord:
    """Load the run's records and publish its statistics; raises `AlreadyPublished`."""
    contexts = findings.contexts
    shown = np.unique(findings.requests["window"])
    total = findings.layout.versions + len(findings.requests) + len(shown)
    written: dict[str, int] = {}

    def progress(what: str, rows: int) -> None:
        if what in ("windows", "neurons", "examples"):
            written[what] = rows
            reporter.advance(sum(written.values()))

    reporter.step("publish", total, "rows")
    distributions = {
        (one.side, layer): findings.statistics.distribution(one.side, layer).compute()
        for one, layer in findings.layout.layers()
    }
    quantiles = {
        (one.side, layer): Quantiles(distributions[one.side, layer][one.display_site])
        for one, layer in findings.layout.layers()
    }
    with loading(engine, run, progress) as loader:
        loader.vocabulary(findings.vocabulary)
        loader.documents(contexts.document_records(shown))
        scales = WindowScales(findings.requests, findings.gathered, contexts)
        loader.windows(contexts.window_records(shown.tolist()), scales.of)
        for one, layer in findings.layout.layers():
            loader.neurons(
                neuron_records(one, layer, distributions[one.side, layer], findings.results)
            )
        loader.examples(
            example_records(
                findings.requests, findings.gathered, contexts, findings.layout, quantiles
            )
        )
        loader.layers(_layers(findings.results))
        loader.losses(findings.losses)
        tokens = findings.tokens
        loader.token_index(tokens.counts(), tokens.records(), tokens.spreads())
        return loader.publish("statistics")


def neuron_records(
    one: SideLayout,
    layer: int,
    distribution: dict[Site, SiteDistribution],
    results: LayerResults,
) -> Iterator[NeuronRecord]:
    """Records of the versions of one layer of one side."""
    display = distribution[one.display_site]
    threshold = display.mean + 0.1 * (display.max - display.mean)
    neurons = np.arange(one.n_neurons)
    density = 1.0 - Quantiles(display).share_below(neurons, threshold.astype(np.float32))
    density[display.min == display.max] = 0.0
    draws = results.draws[one.side, layer]
    correspondence, partners = _correspondence(results, one.side, layer, one.n_neurons)
    effects: list[LogitEffectsRecord] = results.logit_effects[one.side, layer]
    for j in range(one.n_neurons):
        edges = None
        if draws is not None:
            half, nine, high, highest = (float(edge) for edge in draws.edges[j])
            edges = half, nine, high, highest
        yield NeuronRecord(
            side=one.side,
            layer=layer,
            neuron=j,
            display_site=one.display_site,
            sites={
                site: _site_statistics(hook_point(layer, site), distribution[site], j)
                for site in one.sites
            },
            density=float(density[j]),
            density_threshold=float(threshold[j]),
            band_edges=edges,
            correspondence=correspondence[j],
            logit_effects=effects[j],
            partners=partners[j],
        )


def _correspondence(
    results: LayerResults, side: Side, layer: int, n: int
) -> tuple[list[CorrespondenceRecord], list[tuple[PartnerRecord, ...]]]:
    both = results.correspondence[layer]
    if not isinstance(both, Correspondence):
        return [NOTHING] * n, both
    if side == "left":
        return both.left, both.left_partners
    return both.right, both.right_partners


def _layers(results: LayerResults) -> Iterator[LayerRecord]:
    for layer, both in sorted(results.correspondence.items()):
        yield LayerRecord(layer, both.cka if isinstance(both, Correspondence) else None)


def _site_statistics(name: str, of: SiteDistribution, j: int) -> SiteStatistics:
    return SiteStatistics(
        hook_point=name,
        n=of.n,
        mean=_defined(of.mean[j]),
        std=_defined(of.std[j]),
        skewness=_defined(of.skewness[j]),
        kurtosis=_defined(of.kurtosis[j]),
        min=_defined(of.min[j]),
        max=_defined(of.max[j]),
        counts=of.counts[j],
    )


def _defined(value: np.floating) -> float | None:
    return float(value) if np.isfinite(value) else None
