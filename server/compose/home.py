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

#: Where to begin in a pair: (sort, what one sees there), shown when the column exists.
STARTING_POINTS = (
    ("-kurtosis", "Rare but strong: the heaviest tails first"),
    ("-same_index_correlation", "The same neuron in both: highest correlation first"),
    ("same_index_correlation", "Gone its own way: lowest correlation first"),
    ("-density", "Always on: the densest first"),
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


def _of_evidence(pair: PairRecord, run: RunRecord | None) -> tuple[Link, ...]:
    """Where the newest run's evidence begins; nothing without it."""
    if run is None or "evidence" not in run.stages:
        return ()
    hidden = {"hidden_method__eq": "exact", "sort": "-hidden_share"}
    return (
        Link(urls.explorer(pair.slug, hidden), "What top examples hide: most hidden first"),
        Link(urls.tax(pair.slug), "What it costs: the interpretability tax"),
        Link(urls.invisible(pair.slug, pair.left.n_layers - 1), "What no neuron shows"),
    )


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
        begin=(
            Link(urls.random_neuron(pair.slug), "A random neuron"),
            *_of_evidence(pair, run),
            *(
                Link(urls.explorer(pair.slug, {"sort": sort}), text)
                for sort, text in STARTING_POINTS
                if sort.removeprefix("-") in VERSION_COLUMNS
            ),
        ),
    )
