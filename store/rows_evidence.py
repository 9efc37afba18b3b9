"""Evidence of versions and layers as rows and back; see `store.rows`.

A version's numbers come in records of two kinds and go into one row of `neuron_evidence`: `Summary`
gathers them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from store import packing
from store.bulk import Row
from store.evidence_records import (
    CURVE_QUANTILES,
    CandidateSearchRecord,
    EstimateCheckRecord,
    HiddenShareRecord,
    JointDensityRecord,
    LayerEvidenceRecord,
    LossDifferenceRecord,
    PolysemanticityRecord,
    SenseRecord,
)
from store.histogram_edges import N_BINS
from store.records import BANDS
from store.rows import Read, integer, number
from store.types import clean_text

_NO_HIDDEN: Row = (None,) * 8
_NO_MEANING: Row = (None,) * 7


@dataclass
class Summary:
    """What one version's row of `neuron_evidence` holds beside its key."""

    hidden: Row = _NO_HIDDEN
    meaning: Row = _NO_MEANING
    candidates: int = 0
    counterexamples: int = 0

    def row(self) -> Row:
        """The columns from `hidden_share` on."""
        return (*self.hidden, *self.meaning, self.candidates, self.counterexamples)


def of_hidden_share(record: HiddenShareRecord) -> Row:
    """Columns `hidden_share` to `estimated_hidden_share` of `neuron_evidence`."""
    low, high = record.interval or (None, None)
    return (
        number(record.share),
        record.method,
        number(record.error),
        number(low),
        number(high),
        number(record.effect),
        number(record.estimated_effect),
        number(record.estimated_share),
    )


def of_hidden_curve(run_key: int, record: HiddenShareRecord) -> Row:
    """A row of `hidden_curve`. ValueError for a curve or a mass of another length."""
    if len(record.curve) != len(CURVE_QUANTILES) or np.shape(record.mass) != (N_BINS,):
        raise ValueError(
            f"{record.side} L{record.layer}N{record.neuron}: a curve of {len(record.curve)} "
            f"quantiles, a mass of {np.shape(record.mass)} bins"
        )
    return (
        *version(run_key, record),
        packing.pack_numbers(map(number, record.curve)),
        packing.pack_mass(record.mass),
    )


def of_joint_axes(run_key: int, record: JointDensityRecord) -> Row:
    """A row of `joint_axes`."""
    return (
        run_key,
        record.side,
        packing.pack_singles(record.mid_edges),
        packing.pack_singles(record.post_edges),
    )


def of_joint_density(run_key: int, record: JointDensityRecord) -> Row:
    """A row of `joint_density`. ValueError for counts that do not fit the edges."""
    counts = np.asarray(record.counts)
    if counts.shape != (len(record.mid_edges) - 1, len(record.post_edges) - 1):
        raise ValueError(
            f"{record.side} L{record.layer}N{record.neuron}: counts of shape {counts.shape} "
            f"between {len(record.mid_edges)} and {len(record.post_edges)} edges"
        )
    return *version(run_key, record), packing.pack_counts(counts.ravel())


def of_meaning(record: PolysemanticityRecord) -> Row:
    """Columns `polysemanticity` to `senses` of `neuron_evidence`."""
    bands = {band: number(score) for band, score in record.bands.items()}
    return (
        number(record.score),
        bands.get("top"),
        packing.pack_bands(bands),
        number(record.token_entropy),
        number(record.max_token_share),
        number(record.token_variance_explained),
        len(record.senses),
    )


def of_senses(run_key: int, record: PolysemanticityRecord, n_vocabulary: int) -> list[Row]:
    """Rows of `sense`."""
    return [
        (
            *version(run_key, record),
            int(sense.rank),
            float(sense.share),
            BANDS.index(sense.band),
            packing.pack_token_counts(sense.tokens, n_vocabulary),
            packing.pack_places(sense.examples),
        )
        for sense in record.senses
    ]


def of_layer_evidence(run_key: int, record: LayerEvidenceRecord) -> Row:
    """A row of `layer_evidence`."""
    low, high = record.orphan_interval or (None, None)
    return (
        run_key,
        record.side,
        int(record.layer),
        int(record.n_tokens),
        float(record.layer_effect),
        packing.pack_numbers(record.kept_share),
        packing.pack_numbers(record.loss_recovered),
        number(record.orphan_effect),
        number(low),
        number(high),
        number(record.orphan_token_share),
        None if record.rescue is None else packing.pack_numbers(record.rescue),
    )


def of_estimate_check(run_key: int, record: EstimateCheckRecord) -> Row:
    """A row of `estimate_check`."""
    return (
        run_key,
        record.side,
        int(record.layer),
        int(record.n_neurons),
        number(record.effect_spearman),
        number(record.share_bias),
        number(record.share_mean_error),
        number(record.additivity),
    )


def of_loss_difference(run_key: int, record: LossDifferenceRecord) -> Row:
    """A row of `loss_difference`."""
    return (
        run_key,
        record.side,
        record.against,
        clean_text(record.source),
        int(record.n_documents),
        int(record.n_tokens),
        int(record.n_bytes),
        float(record.difference),
        float(record.interval[0]),
        float(record.interval[1]),
    )


def of_candidate_search(run_key: int, record: CandidateSearchRecord) -> Row:
    """A row of `candidate_search`."""
    return (
        run_key,
        record.side,
        int(record.layer),
        int(record.n_tokens),
        number(record.orphan_share),
        int(record.n_tried),
        int(record.n_kept),
    )


def to_hidden_share(row: Read, curve: Read | None) -> HiddenShareRecord | None:
    """The record of a row of `neuron_evidence`, None where it has no hidden share."""
    if curve is None or row["hidden_method"] is None:
        return None
    return HiddenShareRecord(
        side=row["side"],
        layer=row["layer"],
        neuron=row["neuron"],
        effect=row["effect"],
        share=row["hidden_share"],
        method=row["hidden_method"],
        error=row["hidden_error"],
        interval=_interval(row["hidden_low"], row["hidden_high"]),
        estimated_effect=row["estimated_effect"],
        estimated_share=row["estimated_hidden_share"],
        curve=packing.unpack_numbers(curve["curve"]),
        mass=packing.unpack_mass(curve["mass"]),
    )


def to_joint_density(row: Read) -> JointDensityRecord:
    """The record of a row of `joint_density` with its axes."""
    mid, post = packing.unpack_singles(row["mid_edges"]), packing.unpack_singles(row["post_edges"])
    counts = packing.unpack_counts(row["counts"]).reshape(len(mid) - 1, len(post) - 1)
    return JointDensityRecord(row["side"], row["layer"], row["neuron"], mid, post, counts)


def to_meaning(
    row: Read, senses: Iterable[Read], n_vocabulary: int
) -> PolysemanticityRecord | None:
    """The record of a row of `neuron_evidence`, None where it has no score."""
    if row["senses"] is None:
        return None
    return PolysemanticityRecord(
        side=row["side"],
        layer=row["layer"],
        neuron=row["neuron"],
        score=row["polysemanticity"],
        bands=packing.unpack_bands(row["polysemanticity_bands"]),
        token_entropy=row["token_entropy"],
        max_token_share=row["max_token_share"],
        token_variance_explained=row["token_variance_explained"],
        senses=tuple(
            SenseRecord(
                rank=sense["rank"],
                share=sense["share"],
                band=BANDS[sense["band"]],
                tokens=packing.unpack_token_counts(sense["tokens"], n_vocabulary),
                examples=packing.unpack_places(sense["examples"]),
            )
            for sense in senses
        ),
    )


def to_layer_evidence(row: Read) -> LayerEvidenceRecord:
    """The record of a row of `layer_evidence`."""
    rescue = row["rescue"]
    return LayerEvidenceRecord(
        side=row["side"],
        layer=row["layer"],
        n_tokens=row["n_tokens"],
        layer_effect=row["layer_effect"],
        kept_share=packing.unpack_defined(row["kept_share"]),
        loss_recovered=packing.unpack_defined(row["loss_recovered"]),
        orphan_effect=row["orphan_effect"],
        orphan_interval=_interval(row["orphan_low"], row["orphan_high"]),
        orphan_token_share=row["orphan_token_share"],
        rescue=None if rescue is None else packing.unpack_defined(rescue),
    )


def to_estimate_check(row: Read) -> EstimateCheckRecord:
    """The record of a row of `estimate_check`."""
    return EstimateCheckRecord(**{name: row[name] for name in row if name != "run_key"})


def to_loss_difference(row: Read) -> LossDifferenceRecord:
    """The record of a row of `loss_difference`."""
    plain = {name: row[name] for name in row if name not in ("run_key", "low", "high")}
    return LossDifferenceRecord(**plain, interval=(row["low"], row["high"]))


def to_candidate_search(row: Read) -> CandidateSearchRecord:
    """The record of a row of `candidate_search`."""
    return CandidateSearchRecord(**{name: row[name] for name in row if name != "run_key"})


def version(
    run_key: int, record: HiddenShareRecord | JointDensityRecord | PolysemanticityRecord
) -> Row:
    """The key of a version's row."""
    return run_key, record.side, integer(record.layer), integer(record.neuron)


def _interval(low: float | None, high: float | None) -> tuple[float, float] | None:
    return None if low is None or high is None else (low, high)
