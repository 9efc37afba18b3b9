"""The interpretability tax: differences, layer panels and labels, each with its reading."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from server import loss_words, tax_words, urls
from server.activation_names import activation_name
from server.compose.labels import model_of
from server.compose.pair_links import pair_links, stage_view, version_names
from server.intervals import median_interval, quantile, wilson
from server.pages.tax import (
    ControlView,
    DifferenceView,
    HiddenDistributionView,
    LabelShareView,
    LayerPanelView,
    LayerSides,
    LayerSideView,
    PublishedView,
    Reading,
    SideName,
    TaxPage,
)
from server.site import Site
from store import distributions, evidence
from store import labels as label_store
from store.distributions import HiddenShares
from store.evidence_records import LayerEvidenceRecord, LossDifferenceRecord
from store.records import RunRecord

_SOLU = ("Elhage et al. 2022, Softmax Linear Units", "https://transformer-circuits.pub/2022/solu")

#: What has been published, of models far larger than these.
PUBLISHED = (
    PublishedView("SoLU without LayerNorm: a loss like that of a model 30–50 % smaller.", *_SOLU),
    PublishedView(
        "SoLU with LayerNorm: like a model of 0.95–1.05 times its size, within ±0.01 nats a token; "
        "so about no difference is to be expected here.",
        *_SOLU,
    ),
    PublishedView(
        "Neurons whose strongest activations have one explanation: 35 % without SoLU, 60 % with it "
        "(1 to 40 layers); 33 % and 42 % in 64 layers.",
        *_SOLU,
    ),
)


def tax_page(site: Site, run: RunRecord, pinned: bool) -> TaxPage:
    """`/{pair}/tax` of a run."""
    slug, run_id = run.pair.slug, run.id if pinned else None
    names = version_names(run)
    stage = stage_view(site, run)
    found = evidence.loss_differences(site.engine, run.id) if stage.published else []
    names_of_models = {**names, "control": control_name(run)}
    pair_losses = differences(found, ("left",), ("right",), names_of_models)
    labels = label_shares(site, run, names)
    return TaxPage(
        pair=slug,
        pair_name=run.pair.name,
        run=run.id,
        pinned=pinned,
        permalink=urls.tax(slug, run.id),
        corpus=run.corpus.spec,
        left_act_fn=run.pair.left.act_fn,
        right_act_fn=None if run.pair.right is None else run.pair.right.act_fn,
        stage=stage,
        losses=pair_losses,
        loss_reading=loss_words.loss_reading(pair_losses),
        control=control_view(run, found, names_of_models),
        layers=layer_panels(site, run, names) if stage.published else (),
        labels=labels,
        label_reading=tax_words.label_reading(labels),
        published=PUBLISHED,
        links=pair_links(run, pinned, "tax"),
        json_href=urls.json_twin(urls.tax(slug, run_id)),
    )


def control_name(run: RunRecord) -> str:
    """The control's activation function as people write it; "control" where it is not known."""
    models = run.identity.get("models")
    control = models.get("control") if isinstance(models, dict) else None
    config = control.get("config") if isinstance(control, dict) else None
    act_fn = config.get("act_fn") if isinstance(config, dict) else None
    return activation_name(act_fn) if isinstance(act_fn, str) else "control"


def differences(
    records: Iterable[LossDifferenceRecord],
    sides: Sequence[str],
    against: Sequence[str],
    names: Mapping[str, str],
) -> tuple[DifferenceView, ...]:
    """Those between these models: of all sources first, then a source each where there are two."""
    chosen = [one for one in records if one.side in sides and one.against in against]
    several = len({one.source for one in chosen if one.source}) > 1
    views = [difference_view(one, names) for one in chosen if several or not one.source]
    return tuple(sorted(views, key=lambda one: (one.side, one.against, one.source != "all",
                                                one.source)))  # fmt: skip


#: Of fewer documents no interval is given: with three of them all differences have one sign in a
#: quarter of all cases, whatever is drawn from them.
FEWEST_DOCUMENTS = 5


def difference_view(one: LossDifferenceRecord, names: Mapping[str, str]) -> DifferenceView:
    """A difference in both units: bits a byte = nats a token · tokens / bytes / ln 2."""
    factor = one.n_tokens / one.n_bytes / math.log(2) if one.n_bytes else None
    known = one.n_documents >= FEWEST_DOCUMENTS
    low, high = one.interval
    return DifferenceView(
        side=one.side,
        against=one.against,
        side_name=names.get(one.side, one.side),
        against_name=names.get(one.against, one.against),
        source=one.source or "all",
        n_documents=one.n_documents,
        n_tokens=one.n_tokens,
        n_bytes=one.n_bytes,
        nats_per_token=one.difference,
        nats_interval=one.interval if known else None,
        bits_per_byte=None if factor is None else factor * one.difference,
        bits_interval=(factor * low, factor * high) if known and factor is not None else None,
        seen=known and (low > 0 or high < 0),
    )


def control_view(
    run: RunRecord, records: Sequence[LossDifferenceRecord], names: Mapping[str, str]
) -> ControlView | None:
    """Differences from the control, None where there is no control."""
    found = tuple(
        one
        for side, against in (("left", "control"), ("control", "right"))
        for one in differences(records, (side,), (against,), names)
    )
    if not found:
        return None
    trained = {side: trained_tokens(run.provenance, side) for side in ("left", "right", "control")}
    pair = trained["left"] if trained["left"] is not None else trained["right"]
    control = trained["control"]
    whole = [one for one in found if one.source == "all"]
    fair = None if control is None or pair is None else control == pair
    readings = [loss_words.loss_reading([one]) for one in whole]
    words = [one.text for one in readings]
    if not fair:
        words.append(loss_words.UNFAIR)
    return ControlView(
        name=names["control"],
        tokens_trained=control,
        pair_tokens_trained=pair,
        fair=fair,
        warning=loss_words.training_warning(names["control"], control, pair),
        differences=found,
        reading=Reading(
            " ".join(words),
            readings[0].not_meant if readings else "",
        ),
    )


def trained_tokens(provenance: Mapping[str, Any], side: str) -> int | None:
    """How many tokens a model was trained on, from the pair's own record of its training."""
    training = provenance.get("training")
    losses = training.get("losses") if isinstance(training, dict) else None
    own = losses.get(side) if isinstance(losses, dict) else None
    tokens = own.get("tokens_trained") if isinstance(own, dict) else None
    return tokens if isinstance(tokens, int) else None


def layer_panels(
    site: Site, run: RunRecord, names: Mapping[str, str]
) -> tuple[LayerPanelView, ...]:
    """A panel a layer."""
    hidden = distributions.hidden_shares(site.engine, run.id)
    by_layer: dict[int, dict[str, LayerSideView]] = {}
    for record in evidence.layers(site.engine, run.id):
        view = layer_side(
            record,
            model_of(run, record.side).act_fn,
            names[record.side],
            hidden.get((record.side, record.layer)),
        )
        by_layer.setdefault(record.layer, {})[record.side] = view
    return tuple(
        layer_panel(layer, LayerSides(sides.get("left"), sides.get("right")))
        for layer, sides in sorted(by_layer.items())
    )


def layer_panel(layer: int, sides: LayerSides) -> LayerPanelView:
    """A layer with the reading of each figure."""
    return LayerPanelView(
        layer=layer,
        versions=sides,
        kept_reading=tax_words.kept_reading(sides),
        orphan_reading=tax_words.orphan_reading(sides),
        rescue_reading=tax_words.rescue_reading(sides),
        hidden_reading=tax_words.hidden_reading(sides),
    )


def layer_side(
    record: LayerEvidenceRecord, act_fn: str, name: str, hidden: HiddenShares | None
) -> LayerSideView:
    """One version's part of a layer."""
    return LayerSideView(
        side=record.side,
        act_fn=act_fn,
        name=name,
        n_tokens=record.n_tokens,
        layer_effect=record.layer_effect,
        kept_share=record.kept_share,
        loss_recovered=record.loss_recovered,
        orphan_effect=record.orphan_effect,
        orphan_interval=record.orphan_interval,
        orphan_token_share=record.orphan_token_share,
        rescue=record.rescue,
        hidden=hidden_distribution(
            hidden.exact if hidden else (), hidden.n_estimate if hidden else 0
        ),
    )


def hidden_distribution(exact: Iterable[float], n_estimate: int) -> HiddenDistributionView:
    """Quantiles of exact hidden shares."""
    values = sorted(exact)
    if not values:
        return HiddenDistributionView(0, n_estimate, None, None, None, None, None, None)
    q05, q25, median, q75, q95 = (quantile(values, q) for q in (0.05, 0.25, 0.5, 0.75, 0.95))
    return HiddenDistributionView(
        len(values), n_estimate, q05, q25, median, q75, q95, median_interval(values)
    )


def label_shares(
    site: Site, run: RunRecord, names: Mapping[str, str]
) -> tuple[LabelShareView, ...]:
    """The share of labelled versions that are called monosemantic, a side each."""
    sides: tuple[SideName, ...] = ("left",) if run.pair.right is None else ("left", "right")
    views = []
    for side in sides:
        model = model_of(run, side)
        labelled = monosemantic = 0
        for layer in range(model.n_layers):
            of_layer = label_store.counts_of_layer(site.engine, model.weights_sha256, layer)
            for counts in of_layer.values():
                labelled += 1
                monosemantic += 2 * counts.monosemantic > counts.total
        views.append(
            LabelShareView(
                side=side,
                act_fn=model.act_fn,
                name=names[side],
                n_versions=model.n_layers * model.d_mlp,
                n_labelled=labelled,
                n_monosemantic=monosemantic,
                share=monosemantic / labelled if labelled else None,
                interval=wilson(monosemantic, labelled),
            )
        )
    return tuple(views)
