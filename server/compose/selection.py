"""Which run and which neuron an address means, or why it means none."""

from __future__ import annotations

from server import urls
from server.errors import (
    NeuronNotFound,
    PairNotFound,
    RunAmbiguous,
    RunNotFound,
    RunNotPublished,
    RunOfAnotherPair,
)
from server.site import Site
from store import progress as progress_store
from store import runs as run_store
from store.errors import AmbiguousRun
from store.errors import RunNotFound as UnknownRun
from store.records import ProgressRecord, RunRecord


def shown_run(site: Site, pair: str, name: str | None) -> RunRecord:
    """The run that a page of `pair` shows: the one named, else the newest published one.

    Errors: PairNotFound, RunNotFound, RunAmbiguous, RunOfAnotherPair, RunNotPublished.
    """
    if name and name.strip().lower() != run_store.LATEST:
        return _named_run(site, pair, name)
    run = run_store.latest_run(site.engine, pair)
    if run is None:
        raise _nothing_to_show(site, pair)
    return run


def _named_run(site: Site, pair: str, name: str) -> RunRecord:
    try:
        run = run_store.get_run(site.engine, name)
    except AmbiguousRun as error:
        raise RunAmbiguous(error.message, urls.runs()) from error
    except UnknownRun as error:
        if run_store.latest_run(site.engine, pair) is None:
            raise _nothing_to_show(site, pair) from error
        raise RunNotFound(
            f"{pair} has no run “{name[:80]}”; without ?run= the newest one is shown.",
            urls.explorer(pair),
        ) from error
    if run.pair.slug != pair:
        if run_store.latest_run(site.engine, pair) is None:
            raise _nothing_to_show(site, pair)
        raise RunOfAnotherPair(
            f"Run {run.id} is of {run.pair.slug}, not of {pair}.",
            urls.explorer(run.pair.slug, run=run.id),
        )
    return run


def _nothing_to_show(site: Site, pair: str) -> PairNotFound | RunNotPublished:
    """Why a pair has no run: it is being computed, or there is no such pair."""
    for record in progress_store.current(site.engine):
        if record.pair_slug == pair and record.state != "done":
            return RunNotPublished(
                f"{pair} has no published run yet: {_how_far(record)}.", urls.run(record.run_id)
            )
    return PairNotFound.among(pair, (known.slug for known in run_store.list_pairs(site.engine)))


def _how_far(record: ProgressRecord) -> str:
    if record.state == "failed":
        return f"its precompute failed ({record.message or record.step})"
    if record.state == "interrupted":
        return f"its precompute was interrupted at “{record.step}” and can be resumed"
    if record.total:
        share = min(record.done / record.total, 1.0)
        return f"its precompute is at “{record.step}”, {share:.0%} of it done"
    return f"its precompute is at “{record.step}”"


def check_neuron(run: RunRecord, layer: int, neuron: int) -> None:
    """Raise NeuronNotFound unless the run's models have this layer and neuron."""
    slug, model = run.pair.slug, run.pair.left
    if not 0 <= layer < model.n_layers:
        message = f"{slug} has {_count(model.n_layers, 'layer')}; layer {layer} does not exist."
        raise NeuronNotFound(message, urls.explorer(slug))
    if not 0 <= neuron < model.d_mlp:
        raise NeuronNotFound(
            f"{slug} has {_count(model.d_mlp, 'neuron')} in each layer; "
            f"neuron {neuron} does not exist.",
            urls.explorer(slug, {"layer": layer}),
        )


def _count(n: int, noun: str) -> str:
    """`layers 0–1`, or `layer 0 only`."""
    return f"{noun}s 0–{n - 1}" if n > 1 else f"{noun} 0 only"
