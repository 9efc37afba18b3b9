"""Statistics of some versions of a layer, cut out of what a run has found, and their records."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace

import numpy as np
import numpy.typing as npt

from store.records import (
    CorrespondenceRecord,
    LogitEffectsRecord,
    NeuronRecord,
    PartnerRecord,
    Side,
    Site,
    SiteStatistics,
)
from worker.accumulators.distribution import SiteDistribution
from worker.correspondence import NOTHING, Correspondence
from worker.layer_job import LayerResults
from worker.layout import SideLayout, hook_point
from worker.quantiles import Quantiles


@dataclass(frozen=True)
class NeuronPart:
    """Of the versions from `first` on, as many as the lists have."""

    one: SideLayout
    layer: int
    first: int
    distribution: dict[Site, SiteDistribution]
    band_edges: npt.NDArray[np.floating] | None  # [n, 4]
    correspondence: list[CorrespondenceRecord]
    partners: list[tuple[PartnerRecord, ...]]
    logit_effects: list[LogitEffectsRecord]

    def __str__(self) -> str:
        return f"packing {self.one.side} L{self.layer}N{self.first} and following"

    @classmethod
    def of(
        cls,
        one: SideLayout,
        layer: int,
        first: int,
        end: int,
        distribution: dict[Site, SiteDistribution],
        results: LayerResults,
    ) -> NeuronPart:
        """Of the versions [first, end) of a layer's."""
        here = slice(first, end)
        draws = results.draws[one.side, layer]
        correspondence, partners = _correspondence(results, one.side, layer, one.n_neurons)
        return cls(
            one,
            layer,
            first,
            {site: _some(found, here) for site, found in distribution.items()},
            None if draws is None else draws.edges[here],
            correspondence[here],
            partners[here],
            results.logit_effects[one.side, layer][here],
        )

    def records(self) -> Iterator[NeuronRecord]:
        """A record a version."""
        display = self.distribution[self.one.display_site]
        threshold = display.mean + 0.1 * (display.max - display.mean)
        places = np.arange(len(self.partners))
        density = 1.0 - Quantiles(display).share_below(places, threshold.astype(np.float32))
        density[display.min == display.max] = 0.0
        for j in places.tolist():
            edges = None
            if self.band_edges is not None:
                half, nine, high, highest = (float(edge) for edge in self.band_edges[j])
                edges = half, nine, high, highest
            yield NeuronRecord(
                side=self.one.side,
                layer=self.layer,
                neuron=self.first + j,
                display_site=self.one.display_site,
                sites={
                    site: _site_statistics(hook_point(self.layer, site), of, j)
                    for site, of in self.distribution.items()
                },
                density=float(density[j]),
                density_threshold=float(threshold[j]),
                band_edges=edges,
                correspondence=self.correspondence[j],
                logit_effects=self.logit_effects[j],
                partners=self.partners[j],
            )


def _some(of: SiteDistribution, here: slice) -> SiteDistribution:
    """The same for some of the neurons."""
    arrays = {one.name: getattr(of, one.name) for one in fields(of) if one.name != "n"}
    return replace(of, **{name: array[here] for name, array in arrays.items()})


def _correspondence(
    results: LayerResults, side: Side, layer: int, n: int
) -> tuple[list[CorrespondenceRecord], list[tuple[PartnerRecord, ...]]]:
    both = results.correspondence[layer]
    if not isinstance(both, Correspondence):
        return [NOTHING] * n, both
    if side == "left":
        return both.left, both.left_partners
    return both.right, both.right_partners


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
