"""The side by side: which neuron stands in each column, and the links around it."""

from __future__ import annotations

from dataclasses import dataclass

from server import urls
from server.activation_names import activation_name
from server.compose.version import version_view
from server.errors import NeuronNotFound
from server.pages.fields import Link
from server.pages.neuron import (
    NeuronLinks,
    NeuronPage,
    SideName,
    SiteName,
    Versions,
    VersionView,
)
from server.site import Site
from store import examples, neurons
from store import runs as run_store
from store.records import NeuronRecord, RunRecord, Side


@dataclass(frozen=True)
class View:
    """The state of the page besides its run: which pairing, whose best match, which site."""

    pairing: str = "index"
    anchor: SideName = "left"
    site: SiteName | None = None

    def address(self, run: RunRecord, layer: int, neuron: int, pinned: bool) -> str:
        """The page of another neuron in the same state, pinned to the run or not."""
        return urls.neuron(
            run.pair.slug,
            layer,
            neuron,
            pairing=self.pairing,
            anchor=self.anchor,
            site=self.site,
            run=run.id if pinned else None,
        )


def neuron_page(
    site: Site, run: RunRecord, layer: int, neuron: int, view: View, pinned: bool
) -> NeuronPage:
    """The page of a neuron that the run has (see selection.check_neuron)."""
    left, right = _columns(site, run, layer, neuron, view)
    model = run.pair.left
    return NeuronPage(
        pair=run.pair.slug,
        run=run.id,
        layer=layer,
        neuron=neuron,
        pairing="match" if view.pairing == "match" else "index",
        permalink=view.address(run, layer, neuron, pinned=True),
        versions=Versions(
            left=_version(site, run, left, right, view, pinned),
            right=_version(site, run, right, left, view, pinned),
        ),
        anchor=view.anchor,
        site=view.site,
        name=urls.neuron_name(layer, neuron),
        pair_name=run.pair.name,
        corpus=run.corpus.spec,
        n_tokens=run.n_tokens,
        n_layers=model.n_layers,
        n_neurons=model.d_mlp,
        pinned=pinned,
        cka=next(
            (row.cka for row in run_store.layers(site.engine, run.id) if row.layer == layer), None
        ),
        links=_links(run, layer, neuron, view, pinned),
        json_href=urls.json_twin(view.address(run, layer, neuron, pinned)),
    )


def _columns(
    site: Site, run: RunRecord, layer: int, neuron: int, view: View
) -> tuple[NeuronRecord | None, NeuronRecord | None]:
    """What stands left and right: same index, or the anchor and its best match (None: none)."""

    def get(side: Side, index: int) -> NeuronRecord | None:
        return neurons.get(site.engine, run.id, side, layer, index)

    if view.pairing == "index":
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
    pinned: bool,
) -> VersionView | None:
    if record is None:
        return None
    return version_view(
        run=run,
        record=record,
        examples=examples.of_neuron(site.engine, run.id, record.side, record.layer, record.neuron),
        vocabulary=site.vocabulary(run.id),
        opposite=None if opposite is None else opposite.neuron,
        site=view.site,
        pinned=pinned,
    )


def _links(run: RunRecord, layer: int, neuron: int, view: View, pinned: bool) -> NeuronLinks:
    slug, model = run.pair.slug, run.pair.left
    run_id = run.id if pinned else None
    place, last = layer * model.d_mlp + neuron, model.n_layers * model.d_mlp - 1

    def at(index: int) -> str:
        return view.address(run, *divmod(index, model.d_mlp), pinned)

    def choice(text: str, title: str, chosen: View) -> Link:
        return Link(chosen.address(run, layer, neuron, pinned), text, title, chosen == view)

    pairings = [choice("same index", "L0N17 beside L0N17", View("index", "left", view.site))]
    if run.pair.right is not None:
        for side, model_there in (("left", run.pair.left), ("right", run.pair.right)):
            pairings.append(
                choice(
                    f"best match of {activation_name(model_there.act_fn)}",
                    f"the {side} version beside the neuron that correlates with it most",
                    View("match", "left" if side == "left" else "right", view.site),
                )
            )
    return NeuronLinks(
        explorer=urls.explorer(slug, run=run_id),
        layer=urls.explorer(slug, {"layer": layer}, run_id),
        run=urls.run(run.id),
        random=urls.random_neuron(slug, run=run_id),
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
        layers=tuple(
            Link(
                view.address(run, other, neuron, pinned),
                f"layer {other}",
                urls.neuron_name(other, neuron),
                other == layer,
            )
            for other in range(model.n_layers)
        ),
    )


def _at_site(view: View, site: SiteName | None) -> View:
    return View(view.pairing, view.anchor, site)
