"""How much of each layer has a twin: from the store's counts to the pair's page."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from server import urls
from server.compose.labels import model_of
from server.correspondence_words import twins_text
from server.pages.correspondence import Correspondence, LayerTwins, SideTwins
from server.site import Site
from store import evidence
from store.engine import Engine
from store.evidence import LayerCorrespondence
from store.records import ABOVE_NULL, RunRecord


@lru_cache(maxsize=16)
def _counted(engine: Engine, run_id: str) -> tuple[LayerCorrespondence, ...]:
    """The counts of a published run, which never change: they are made of all of its versions."""
    return tuple(evidence.correspondence(engine, run_id))


def correspondence_view(
    site: Site, run: RunRecord, names: Mapping[str, str], run_id: str | None
) -> Correspondence | None:
    """Every layer of a pair; None in a single-sided run."""
    if run.pair.right is None:
        return None
    slug = run.pair.slug
    cka = site.layer_cka(run)
    by_layer: dict[int, list[SideTwins]] = {}
    for one in _counted(site.engine, run.id):
        act_fn = model_of(run, one.side).act_fn
        by_layer.setdefault(one.layer, []).append(
            side_twins(one, act_fn, names[one.side], slug, run_id)
        )
    layers = tuple(
        LayerTwins(
            layer=layer,
            cka=cka.get(layer),
            sides=tuple(sides),
            href=urls.explorer(slug, {"layer": layer, "sort": "-excess"}, run_id),
            invisible_href=urls.invisible(slug, layer, run_id),
        )
        for layer, sides in sorted(by_layer.items())
    )
    return Correspondence(layers, twins_text(layers))


def side_twins(
    one: LayerCorrespondence, act_fn: str, name: str, slug: str, run_id: str | None
) -> SideTwins:
    """Counts as shares of what is defined."""
    twins: dict[str, str | int | None] = {
        "layer": one.layer,
        "side": one.side,
        "mutual__eq": "true",
        "excess__gte": str(ABOVE_NULL),
        "sort": "-best_correlation",
    }

    def of_defined(count: int) -> float | None:
        return count / one.n_defined if one.n_defined else None

    return SideTwins(
        side=one.side,
        act_fn=act_fn,
        name=name,
        n=one.n,
        n_defined=one.n_defined,
        twins=of_defined(one.n_twins),
        mutual=of_defined(one.n_mutual),
        above_null=of_defined(one.n_above_null),
        same_index=of_defined(one.n_same_index),
        best_quantiles=one.best_quantiles,
        assigned_median=one.assigned_median,
        twins_href=urls.explorer(slug, twins, run_id),
    )
