"""The home page: pairs with their newest run, and where to begin."""

from __future__ import annotations

from server import urls
from server.compose.runs import model_views, run_view, unfinished
from server.pages.fields import Link
from server.pages.home import HomePage, PairView
from server.site import Site
from store import runs as run_store
from store.columns import VERSION_COLUMNS
from store.records import PairRecord, RunRecord

#: Further places to begin in a pair: (sort, what one sees there), shown when the column exists.
STARTING_POINTS = (
    ("-kurtosis", "rare but strong"),
    ("-same_index_correlation", "the same neuron in both"),
    ("same_index_correlation", "gone its own way"),
    ("-density", "always on"),
)


def home_page(site: Site) -> HomePage:
    """`/`."""
    runs = run_store.list_runs(site.engine)
    newest: dict[str, RunRecord] = {}
    for run in runs:  # the newest first
        newest.setdefault(run.pair.slug, run)
    return HomePage(
        pairs=tuple(
            pair_view(pair, newest.get(pair.slug)) for pair in run_store.list_pairs(site.engine)
        ),
        runs=tuple(run_view(run) for run in runs),
        progress=unfinished(site),
    )


def _begin(pair: PairRecord, run: RunRecord | None) -> tuple[Link, ...]:
    """The first ways in: what top examples hide, what is mixed, what it costs, and any neuron."""
    chance = Link(urls.random_neuron(pair.slug), "A random neuron", "Another one each time")
    if run is None or "evidence" not in run.stages:
        return (chance,)
    hidden = {"hidden_method__eq": "exact", "sort": "-hidden_share"}
    return (
        Link(
            urls.explorer(pair.slug, hidden),
            "Most hidden",
            "Neurons most of whose effect lies outside their top examples",
        ),
        Link(
            urls.explorer(pair.slug, {"sort": "-polysemanticity"}),
            "Most polysemantic",
            "Neurons that respond to unlike contexts, by a heuristic",
        ),
        Link(urls.tax(pair.slug), "The tax", "What being easier to read costs, layer by layer"),
        chance,
    )


def _further(pair: PairRecord, run: RunRecord | None) -> tuple[Link, ...]:
    """What else one may look for, by the columns that there are."""
    sorts = tuple(
        Link(urls.explorer(pair.slug, {"sort": sort}), text)
        for sort, text in STARTING_POINTS
        if sort.removeprefix("-") in VERSION_COLUMNS
    )
    if run is None or "evidence" not in run.stages:
        return sorts
    last = pair.left.n_layers - 1
    return (Link(urls.invisible(pair.slug, last), "what no neuron shows"), *sorts)


def pair_view(pair: PairRecord, run: RunRecord | None) -> PairView:
    """A pair; `n_versions` counts the neurons of both models."""
    models = model_views(pair)
    return PairView(
        slug=pair.slug,
        name=pair.name,
        description=pair.description,
        href=urls.explorer(pair.slug),
        models=models,
        run=None if run is None else run_view(run),
        n_versions=sum(model.n_layers * model.d_mlp for model in models),
        begin=_begin(pair, run),
        further=_further(pair, run),
    )
