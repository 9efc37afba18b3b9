"""The side by side: which neuron stands in each column, and the links around it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from server import urls
from server.activation_names import activation_name
from server.compose.neuron_evidence import hidden_comparison, stage_view
from server.compose.sharing import sharing_view
from server.compose.version import version_view
from server.errors import NeuronNotFound
from server.pages.evidence import SideName, SiteName
from server.pages.fields import Link
from server.pages.neuron import (
    NeuronLinks,
    NeuronPage,
    Versions,
    VersionView,
)
from server.site import Site
from store import evidence, examples, neurons
from store.engine import one_snapshot
from store.records import SIDES, NeuronRecord, RunRecord, Side


@dataclass(frozen=True)
class View:
    """The state of the page besides its run: which pairing, whose best match, which site, which
    examples (None: the first of each band)."""

    pairing: str = "index"
    anchor: SideName = "left"
    site: SiteName | None = None
    sense: str | None = None
    examples: Literal["all"] | None = None

    def without_sense(self) -> View:
        """The same of all senses: they are one version's own, so other neurons' links lack them."""
        return replace(self, sense=None)

    def of_values(self) -> View:
        """The state on which the values of the page's examples depend."""
        return replace(self, site=None, sense=None, examples=None)

    def senses(self) -> dict[str, int]:
        """The sense asked for by side: `left:1,right:0` → {"left": 1, "right": 0}."""
        parts = (part.partition(":") for part in (self.sense or "").split(",") if part)
        return {side: int(rank) for side, _, rank in parts}

    def toggled(self, side: str, rank: int) -> View:
        """This sense alone, or all again where it is alone already."""
        shown = self.senses()
        if shown.get(side) == rank:
            del shown[side]
        else:
            shown[side] = rank
        given = ",".join(f"{one}:{shown[one]}" for one in SIDES if one in shown)
        return replace(self, sense=given or None)

    def address(self, run: RunRecord, layer: int, neuron: int, pinned: bool) -> str:
        """The page of another neuron in the same state, pinned to the run or not."""
        return urls.neuron(
            run.pair.slug,
            layer,
            neuron,
            pairing=self.pairing,
            anchor=self.anchor,
            site=self.site,
            sense=self.sense,
            examples=self.examples,
            run=run.id if pinned else None,
        )


def neuron_page(
    site: Site,
    run: RunRecord,
    layer: int,
    neuron: int,
    view: View,
    pinned: bool,
    base: str = "",
    only: Side | None = None,
) -> NeuronPage:
    """The page of a neuron that the run has (see selection.check_neuron).

    `base` is where the server is reached, for the addresses that are passed on. With `only` the
    other version is not made, as though the run had a single side. All is read in one snapshot.
    """
    with one_snapshot(site.engine):
        return _page(site, run, layer, neuron, view, pinned, base, only)


def _page(
    site: Site,
    run: RunRecord,
    layer: int,
    neuron: int,
    view: View,
    pinned: bool,
    base: str,
    only: Side | None,
) -> NeuronPage:
    stage = evidence.stage(site.engine, run.id, "evidence")  # before any of it is asked for
    left, right = _columns(site, run, layer, neuron, view)
    model = run.pair.left
    place = (layer, neuron)
    permalink = view.address(run, layer, neuron, pinned=True)
    versions = Versions(
        left=None if only == "right" else _version(site, run, left, right, view, place, pinned),
        right=None if only == "left" else _version(site, run, right, left, view, place, pinned),
    )
    return NeuronPage(
        pair=run.pair.slug,
        run=run.id,
        layer=layer,
        neuron=neuron,
        # A model alone has no match; its page says so without speaking of another.
        pairing="match" if view.pairing == "match" and run.pair.right is not None else "index",
        permalink=permalink,
        versions=versions,
        anchor=view.anchor,
        site=view.site,
        sense=view.sense,
        examples=view.examples,
        name=urls.neuron_name(layer, neuron),
        pair_name=run.pair.name,
        corpus=run.corpus.spec,
        n_tokens=run.n_tokens,
        n_layers=model.n_layers,
        n_neurons=model.d_mlp,
        pinned=pinned,
        cka=site.layer_cka(run).get(layer),
        evidence=stage_view(run, stage),
        hidden_comparison=hidden_comparison(
            versions.left.evidence if versions.left else None,
            versions.right.evidence if versions.right else None,
        ),
        links=_links(run, layer, neuron, view, pinned),
        sharing=sharing_view(run, urls.neuron_name(layer, neuron), permalink, base),
        json_href=urls.json_twin(view.address(run, layer, neuron, pinned)),
        values_href=urls.beneath(view.of_values().address(run, layer, neuron, True), "values.json"),
        all_examples_href=replace(view, sense=None, examples="all").address(
            run, layer, neuron, pinned
        ),
    )


def _columns(
    site: Site, run: RunRecord, layer: int, neuron: int, view: View
) -> tuple[NeuronRecord | None, NeuronRecord | None]:
    """What stands left and right: same index, or the anchor and its best match (None: none)."""

    def get(side: Side, index: int) -> NeuronRecord | None:
        return neurons.get(site.engine, run.id, side, layer, index)

    if view.pairing == "index" or run.pair.right is None:
        left, right = get("left", neuron), get("right", neuron)
        anchor = left
    elif view.anchor == "left":
        left = anchor = get("left", neuron)
        best = left.correspondence.best_neuron if left is not None else None
        right = None if best is None else get("right", best)
    else:
        right = anchor = get("right", neuron)
        best = right.correspondence.best_neuron if right is not None else None
        left = None if best is None else get("left", best)
    if anchor is None:
        raise NeuronNotFound(
            f"Run {run.id} has no {view.anchor} version of {urls.neuron_name(layer, neuron)}.",
            urls.explorer(run.pair.slug),
        )
    return left, right


def _version(
    site: Site,
    run: RunRecord,
    record: NeuronRecord | None,
    opposite: NeuronRecord | None,
    view: View,
    place: tuple[int, int],
    pinned: bool,
) -> VersionView | None:
    """One column. `place` is the page's (layer, neuron), which the column's need not be."""
    if record is None:
        return None
    version = (run.id, record.side, record.layer, record.neuron)
    found = evidence.of_neuron(site.engine, *version)
    senses = () if found is None or found.meaning is None else found.meaning.senses
    return version_view(
        run=run,
        record=record,
        examples=examples.shown(site.engine, *version),
        evidence=found,
        vocabulary=site.vocabulary(run.id),
        opposite=None if opposite is None else opposite.neuron,
        site=view.site,
        sense=view.senses().get(record.side),
        sense_hrefs=[
            view.toggled(record.side, sense.rank).address(run, *place, pinned) for sense in senses
        ],
        of_layer=site.hidden_shares(run.id).get((record.side, record.layer)),
        scores_of_layer=site.polysemanticity_scores(run.id).get((record.side, record.layer), ()),
        pinned=pinned,
    )


def _links(run: RunRecord, layer: int, neuron: int, view: View, pinned: bool) -> NeuronLinks:
    slug, model = run.pair.slug, run.pair.left
    run_id = run.id if pinned else None
    place, last = layer * model.d_mlp + neuron, model.n_layers * model.d_mlp - 1

    elsewhere = view.without_sense()

    def at(index: int) -> str:
        return elsewhere.address(run, *divmod(index, model.d_mlp), pinned)

    def choice(text: str, title: str, chosen: View) -> Link:
        current = chosen.without_sense() == elsewhere
        return Link(chosen.address(run, layer, neuron, pinned), text, title, current)

    pairings = [
        choice(
            "same index", "L0N17 beside L0N17", replace(elsewhere, pairing="index", anchor="left")
        )
    ]
    if run.pair.right is not None:
        for side, model_there in (("left", run.pair.left), ("right", run.pair.right)):
            pairings.append(
                choice(
                    f"best match of {activation_name(model_there.act_fn)}",
                    f"the {side} version beside the neuron that correlates with it most",
                    replace(
                        elsewhere, pairing="match", anchor="left" if side == "left" else "right"
                    ),
                )
            )
    return NeuronLinks(
        explorer=urls.explorer(slug, run=run_id),
        layer=urls.explorer(slug, {"layer": layer}, run_id),
        run=urls.run(run.id),
        invisible=urls.invisible(slug, layer, run=run_id),
        random=urls.random_neuron(slug, run=run_id),
        live=urls.live(slug, layer=layer, neuron=neuron, run=run_id),
        previous=at(place - 1) if place > 0 else None,
        next=at(place + 1) if place < last else None,
        labels=urls.labels(slug, layer, neuron, run=run_id),
        newest=view.address(run, layer, neuron, pinned=False) if pinned else None,
        pairings=tuple(pairings),
        sites=(
            choice("display site", "what each version is ranked by", _at_site(view, None)),
            choice("pre", "before the activation function", _at_site(view, "pre")),
            choice("mid", "after SoLU, before its LayerNorm", _at_site(view, "mid")),
            choice("post", "what W_out reads", _at_site(view, "post")),
        ),
        examples=(
            choice("the first", "the first examples of each band", replace(view, examples=None)),
            choice("all", "all examples of each band", replace(view, examples="all")),
        ),
        layers=tuple(
            Link(
                elsewhere.address(run, other, neuron, pinned),
                f"layer {other}",
                urls.neuron_name(other, neuron),
                other == layer,
            )
            for other in range(model.n_layers)
        ),
    )


def _at_site(view: View, site: SiteName | None) -> View:
    return replace(view, site=site)
