"""Labels of a neuron's versions, and the label that a request asks to be kept."""

from __future__ import annotations

from collections.abc import Iterable

from server import urls
from server.access import Person
from server.errors import VersionMissing
from server.pages.labels import (
    CountsView,
    LabelCreated,
    LabelsPage,
    LabelVersions,
    LabelView,
    SideLabels,
)
from server.site import Site
from store import labels as label_store
from store.evidence_records import CandidateLabelRecord
from store.records import VERDICTS, LabelCounts, LabelRecord, ModelRecord, RunRecord, Side, Verdict


def counts_view(counts: LabelCounts) -> CountsView:
    """Verdicts counted."""
    return CountsView(
        monosemantic=counts.monosemantic,
        polysemantic=counts.polysemantic,
        unclear=counts.unclear,
        dead=counts.dead,
        total=counts.total,
    )


def label_view(label: LabelRecord | CandidateLabelRecord) -> LabelView:
    """One entry of the history."""
    return LabelView(
        id=label.id,
        annotator=label.annotator,
        verdict=label.verdict,
        description=label.description,
        confidence=label.confidence,
        run=label.run_id,
        created_at=label.created_at,
        latest=label.latest,
    )


def model_of(run: RunRecord, side: Side) -> ModelRecord:
    """The model on a side. Raises VersionMissing in a single-sided run."""
    model = run.pair.left if side == "left" else run.pair.right
    if model is None:
        raise VersionMissing(
            f"{run.pair.slug} has no {side} model in run {run.id}.", urls.explorer(run.pair.slug)
        )
    return model


def labels_page(
    site: Site,
    run: RunRecord,
    layer: int,
    neuron: int,
    only: Side | None,
    pinned: bool,
    annotator: str | None,
) -> LabelsPage:
    """Counts and history of both versions, or of `only` one, as `annotator` sees them."""
    slug, run_id = run.pair.slug, run.id if pinned else None
    address = urls.labels(slug, layer, neuron, side=only, run=run_id)
    return LabelsPage(
        pair=slug,
        layer=layer,
        neuron=neuron,
        name=urls.neuron_name(layer, neuron),
        annotator=annotator,
        verdicts=VERDICTS,
        versions=LabelVersions(
            left=None
            if only == "right"
            else side_labels(site, run, "left", layer, neuron, annotator),
            right=(
                None
                if only == "left" or (only is None and run.pair.right is None)
                else side_labels(site, run, "right", layer, neuron, annotator)
            ),
        ),
        action=urls.labels(slug, layer, neuron),
        neuron_href=urls.neuron(slug, layer, neuron, run=run_id),
        json_href=urls.json_twin(address),
    )


def side_labels(
    site: Site, run: RunRecord, side: Side, layer: int, neuron: int, annotator: str | None
) -> SideLabels:
    """Labels of one version, the newest first; `own` is `annotator`'s."""
    model = model_of(run, side)
    history = tuple(
        label_view(label)
        for label in label_store.history(site.engine, model.weights_sha256, layer, neuron)
    )
    return SideLabels(
        side=side,
        act_fn=model.act_fn,
        counts=counts_view(label_store.counts(site.engine, model.weights_sha256, layer, neuron)),
        history=history,
        own=own_label(history, annotator),
    )


def own_label(history: Iterable[LabelView], annotator: str | None) -> LabelView | None:
    """The annotator's own label that counts."""
    return next((one for one in history if one.latest and one.annotator == annotator), None)


def add_label(
    site: Site,
    person: Person,
    run: RunRecord,
    side: Side,
    layer: int,
    neuron: int,
    verdict: Verdict,
    description: str,
    confidence: int | None,
) -> LabelCreated:
    """Append a person's label; what was kept and the counts now."""
    weights = model_of(run, side).weights_sha256
    kept = label_store.add(
        site.engine,
        LabelRecord(
            weights_sha256=weights,
            layer=layer,
            neuron=neuron,
            annotator=person.name,
            verdict=verdict,
            description=description,
            confidence=confidence,
            run_id=run.id,
        ),
    )
    return LabelCreated(
        pair=run.pair.slug,
        side=side,
        layer=layer,
        neuron=neuron,
        label=label_view(kept),
        counts=counts_view(label_store.counts(site.engine, weights, layer, neuron)),
    )
