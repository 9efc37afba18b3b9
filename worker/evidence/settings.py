"""How much evidence is gathered, and on which part of the corpus."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Self

from worker.evidence.candidate_description import CandidateSettings
from worker.evidence.mixture import Weights

#: Bumped whenever the same input would give other numbers.
EVIDENCE_VERSION = 2
#: Neurons of an earlier layer that are measured exactly with `--exact sample`.
SAMPLE_NEURONS = 128


@dataclass(frozen=True)
class EffectSettings:
    """Sizes of the effects part of the evidence stage (docs/evidence.md, "Effect").

    Evidence windows are drawn until `tokens` unmasked tokens are reached; each smaller number
    takes the first of them by hash, so the sets are nested. `samples` is S of the effect mass.
    Exact ablation splits each version's tokens at its headline quantile: the many below are
    measured on `last_low` tokens (last layer) and `early_low` (each earlier layer), the few above
    on `tokens` and `early_high`. `early_neurons` limits how many neurons of an earlier layer are
    measured exactly (None: all); those of lowest hash are taken.
    """

    tokens: int = 100_000
    samples: int = 4
    last_low: int = 16_384
    early_low: int = 3_072
    early_high: int = 16_384
    early_neurons: int | None = None
    panel: int = 16_384
    resamples: int = 400
    loss_tokens: int = 100_000


@dataclass(frozen=True)
class EvidenceSettings:
    """All that the stage is asked to do, beside the run's own settings and seed.

    `weights` add a loss difference of a mixture of sources; nothing else depends on them.
    """

    effects: EffectSettings = field(default_factory=EffectSettings)
    candidates: CandidateSettings = field(default_factory=CandidateSettings)
    weights: Weights | None = None

    @classmethod
    def chosen(
        cls,
        tokens: int = 100_000,
        exact: Literal["all", "sample"] = "all",
        weights: Weights | None = None,
    ) -> Self:
        """What `twinscope evidence RUN --tokens N --exact all|sample --weights …` asks for."""
        early = None if exact == "all" else SAMPLE_NEURONS
        return cls(EffectSettings(tokens=tokens, early_neurons=early), weights=weights)

    def as_dict(self) -> dict[str, Any]:
        """As plain JSON values, with the method's version."""
        parts = {name: value for name, value in asdict(self).items() if name != "weights"}
        if self.weights is not None:
            parts["weights"] = self.weights.as_dict()
        return {"version": EVIDENCE_VERSION, **parts}
