"""What is computed per layer once the pass is done, as one job: so that layers share the cores.

From the sample: the draws of each side (`worker.bands`), the correspondence of both
(`worker.correspondence`). From the weights: logit effects.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from store.records import LogitEffectsRecord, PartnerRecord, Side
from worker.activations import Models
from worker.bands import Draws, draw
from worker.correspondence import Correspondence, correspondence, partners_within
from worker.layout import Layout
from worker.logit_effects import logit_effects
from worker.sample import Sample, open_sample
from worker.settings import StatisticsSettings

Kind = Literal["draws", "correspondence", "logit_effects"]


@dataclass(frozen=True)
class LayerTask:
    """One quantity of one layer; `side` is None for what concerns both."""

    kind: Kind
    side: Side | None
    layer: int

    def __str__(self) -> str:
        of = f" of {self.side}" if self.side else ""
        return f"{self.kind.replace('_', ' ')}{of}, layer {self.layer}"


@dataclass(frozen=True)
class LayerJob:
    """What a worker needs to know."""

    sample: Path
    layout: Layout
    settings: StatisticsSettings
    seed: int

    def open(self, models: Models) -> LayerWork:
        return LayerWork(self, models, open_sample(self.sample))

    def comparison(self) -> Iterator[LayerTask]:
        """What is computed from the sample, the longest first."""
        for layer in range(self.layout.sides[0].n_layers):
            yield LayerTask("correspondence", None, layer)
        for one, layer in self.layout.layers():
            yield LayerTask("draws", one.side, layer)

    def logit_effects(self) -> Iterator[LayerTask]:
        """What is computed from the weights alone."""
        for one, layer in self.layout.layers():
            yield LayerTask("logit_effects", one.side, layer)


@dataclass(frozen=True)
class LayerWork:
    """`handle` gives (task, what it asks for)."""

    job: LayerJob
    models: Models
    sample: Sample

    def handle(self, task: LayerTask) -> tuple[LayerTask, Any]:
        if task.kind == "correspondence":
            return task, self._correspondence(task.layer)
        assert task.side is not None
        if task.kind == "draws":
            return task, self._draws(task.side, task.layer)
        tokens = self.job.settings.logit_tokens
        return task, logit_effects(self.models, task.side, task.layer, tokens)

    def finish(self) -> None:
        return None

    def _draws(self, side: Side, layer: int) -> Draws | None:
        one = self.job.layout[side]
        display = self.sample.block(side, layer, one.display_site)
        post = pre = None
        if one.has_layer_norm:
            post = self.sample.block(side, layer, "post")
            pre = self.sample.block(side, layer, "pre")
        hashes = self.sample.keys["hash"]
        return draw(display, hashes, self.job.settings.drawn, post, pre)

    def _correspondence(self, layer: int) -> Correspondence | list[tuple[PartnerRecord, ...]]:
        blocks = [
            self.sample.block(one.side, layer, one.display_site) for one in self.job.layout.sides
        ]
        partners = self.job.settings.partners
        if len(blocks) == 1:
            return partners_within(blocks[0], layer, partners)
        return correspondence(blocks[0], blocks[1], layer, partners, self.job.seed)


@dataclass
class LayerResults:
    """Results of all tasks, by what they are of."""

    draws: dict[tuple[Side, int], Draws | None]
    correspondence: dict[int, Correspondence | list[tuple[PartnerRecord, ...]]]
    logit_effects: dict[tuple[Side, int], list[LogitEffectsRecord]]

    @classmethod
    def empty(cls) -> LayerResults:
        return cls({}, {}, {})

    def take(self, task: LayerTask, result: Any) -> None:
        """File one result."""
        if task.side is None:
            self.correspondence[task.layer] = result
        elif task.kind == "draws":
            self.draws[task.side, task.layer] = result
        else:
            self.logit_effects[task.side, task.layer] = result
