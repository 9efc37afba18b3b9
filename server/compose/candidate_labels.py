"""Labels of a candidate invisible feature: they belong to its direction, whatever the run."""

from __future__ import annotations

from server import urls
from server.access import Person
from server.compose.invisible import shown_candidate
from server.compose.labels import counts_view, label_view, model_of, own_label
from server.errors import BadLabel
from server.pages.invisible import CandidateLabelCreated, CandidateLabelsPage
from server.pages.labels import SideLabels
from server.site import Site
from store import candidate_labels as label_store
from store.evidence import ShownCandidate
from store.evidence_records import CandidateLabelRecord
from store.records import VERDICTS, RunRecord, Side, Verdict


def candidate_labels_page(
    site: Site, run: RunRecord, layer: int, k: int, pinned: bool, annotator: str | None
) -> CandidateLabelsPage:
    """`/{pair}/{layer}/invisible/{k}/labels`, as `annotator` sees it."""
    slug, run_id = run.pair.slug, run.id if pinned else None
    shown = shown_candidate(site, run, layer, k)
    return CandidateLabelsPage(
        pair=slug,
        run=run.id,
        layer=layer,
        k=k,
        name=urls.candidate_name(layer, k),
        fingerprint=shown.fingerprint,
        annotator=annotator,
        verdicts=VERDICTS,
        labels=candidate_labels(site, run, shown, annotator),
        action=urls.candidate_labels(slug, layer, k),
        candidate_href=urls.candidate(slug, layer, k, run_id),
        json_href=urls.json_twin(urls.candidate_labels(slug, layer, k, run_id)),
    )


def candidate_labels(
    site: Site, run: RunRecord, shown: ShownCandidate, annotator: str | None
) -> SideLabels:
    """Labels of one candidate, the newest first; `own` is `annotator`'s."""
    side = shown.record.side
    model = model_of(run, side)
    place = (model.weights_sha256, shown.record.layer, shown.fingerprint)
    history = tuple(label_view(label) for label in label_store.history(site.engine, *place))
    return SideLabels(
        side=side,
        act_fn=model.act_fn,
        counts=counts_view(label_store.counts(site.engine, *place)),
        history=history,
        own=own_label(history, annotator),
    )


def add_candidate_label(
    site: Site,
    person: Person,
    run: RunRecord,
    layer: int,
    k: int,
    side: Side | None,
    verdict: Verdict,
    description: str,
    confidence: int | None,
) -> CandidateLabelCreated:
    """Append a person's label. Raises BadLabel for another side."""
    shown = shown_candidate(site, run, layer, k)
    own = shown.record.side
    if side is not None and side != own:
        raise BadLabel(f"{urls.candidate_name(layer, k)} is of the {own} version, not {side}.")
    kept = label_store.add(
        site.engine,
        CandidateLabelRecord(
            weights_sha256=model_of(run, own).weights_sha256,
            layer=layer,
            fingerprint=shown.fingerprint,
            annotator=person.name,
            verdict=verdict,
            description=description,
            confidence=confidence,
            run_id=run.id,
        ),
    )
    return CandidateLabelCreated(
        pair=run.pair.slug,
        layer=layer,
        k=k,
        fingerprint=shown.fingerprint,
        label=label_view(kept),
        labels=candidate_labels(site, run, shown, person.name),
    )
