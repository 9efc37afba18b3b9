"""What the queries of evidence give back: records with what is needed to show them."""

from __future__ import annotations

from dataclasses import dataclass, field

from store.evidence_records import (
    CandidateRecord,
    ContextRecord,
    CounterexampleRecord,
    EstimateCheckRecord,
    HiddenShareRecord,
    JointDensityRecord,
    PolysemanticityRecord,
    SubstitutionSearchRecord,
)
from store.records import Side, TokenArray

#: Quantiles of the best correlation that `LayerCorrespondence` gives.
CORRELATION_QUANTILES: tuple[float, ...] = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True)
class CarriedCandidate:
    """A candidate in which a version takes part: `k` in its layer, `side` the candidate's.

    `own`: the version is one of its carriers, and `share` its share of the direction's output;
    otherwise the version is of the other model, and `share` is of what carries the same contexts
    there. `effect` is the candidate's.
    """

    k: int
    side: Side
    layer: int
    rank: int
    fingerprint: str
    share: float
    effect: float
    own: bool


@dataclass(frozen=True)
class ShownContext:
    """A context with its snippet: `tokens` ids, [length] like its values."""

    context: ContextRecord
    document_name: str
    source: str
    tokens: TokenArray

    @property
    def focus(self) -> int:
        """Index of the focus within the snippet."""
        return self.context.position - self.context.start


@dataclass(frozen=True)
class ShownCounterexample:
    """A counterexample with its snippet: `tokens` ids, [length], as changed for a substitution."""

    record: CounterexampleRecord
    document_name: str
    source: str
    tokens: TokenArray

    @property
    def focus(self) -> int:
        """Index of the focus within the snippet."""
        return self.record.position - self.record.start

    @property
    def changed(self) -> int | None:
        """Index of the changed token within the snippet; None where it lies outside or is none."""
        if self.record.changed is None:
            return None
        index = self.record.changed - self.record.start
        return index if 0 <= index < len(self.tokens) else None


@dataclass(frozen=True)
class NeuronEvidence:
    """All evidence of one version; None and empty where the stage has nothing of a kind.

    `check` is of the version's layer. Candidates by k, counterexamples by kind and rank.
    """

    hidden: HiddenShareRecord | None
    joint: JointDensityRecord | None
    meaning: PolysemanticityRecord | None
    check: EstimateCheckRecord | None
    candidates: tuple[CarriedCandidate, ...]
    counterexamples: tuple[ShownCounterexample, ...]
    search: SubstitutionSearchRecord | None


@dataclass(frozen=True)
class ListedCandidate:
    """A candidate of a list: the record without contexts, and the first of its top contexts."""

    k: int
    record: CandidateRecord
    best: ShownContext | None

    @property
    def fingerprint(self) -> str:
        """What its labels are on."""
        return self.record.fingerprint


@dataclass(frozen=True)
class ShownCandidate:
    """A candidate whole; `contexts` by band, in the order of `records.BANDS`."""

    k: int
    record: CandidateRecord
    contexts: dict[str, tuple[ShownContext, ...]] = field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        """What its labels are on."""
        return self.record.fingerprint


@dataclass(frozen=True)
class LayerCorrespondence:
    """How much of a layer of one side has a twin in the other model.

    Of `n` versions, `n_defined` have a correlation; all other counts are among these:
    `n_same_index` with the same index as their best match, `n_mutual` whose best match matches
    back, `n_above_null` whose best correlation exceeds that with a rotated basis by ABOVE_NULL at
    least, `n_twins` with both of these.
    `best_quantiles` are the best correlation's at CORRELATION_QUANTILES (empty where none is
    defined), `assigned_median` the median correlation of the one-to-one assignment's pairs.
    """

    layer: int
    side: Side
    n: int
    n_defined: int
    n_same_index: int
    n_mutual: int
    n_above_null: int
    n_twins: int
    best_quantiles: tuple[float, ...]
    assigned_median: float | None
