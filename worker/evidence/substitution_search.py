"""`twinscope counterexamples`: searches by substitution for some versions of a published run.

Each version is searched once; what is found is published with the search and never changed. All
that is needed is in the database and the pair's weights: the corpus is not read again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from store import evidence as stored
from store import examples, neurons, runs, vocabulary
from store.engine import Engine as Database
from store.engine import open_engine
from store.errors import AlreadyPublished
from store.evidence_records import CounterexampleRecord, SubstitutionSearchRecord
from store.publish_evidence import publish_search
from store.records import SIDES, RunRecord, Side
from worker.contexts import Contexts
from worker.engines import EngineName, make_engine, places
from worker.errors import UsageError
from worker.evidence.published_run import pair_of_run
from worker.evidence.shown import Shown
from worker.evidence.substitution import CANDIDATES, substitutions
from worker.evidence.substitution_starts import starts
from worker.layout import Layout
from worker.pairs import Version
from worker.reporter import Reporter, Silent
from worker.settings import StatisticsSettings

Place = tuple[Side, int, int]  # (side, layer, neuron)

#: Of each layer and side, without `--neuron`.
MOST_MONOSEMANTIC = 8
SEARCH_VERSION = 1


@dataclass(frozen=True)
class Searched:
    """What a call did: versions searched now, those searched before, and what was found now."""

    run: RunRecord
    searched: tuple[Place, ...]
    known: tuple[Place, ...]
    found: tuple[CounterexampleRecord, ...]
    vocabulary: list[bytes]


def search(
    run_name: str,
    *,
    wanted: Sequence[Place] | None = None,
    most_monosemantic: int = MOST_MONOSEMANTIC,
    pair_spec: str | Path | None = None,
    device: str = "auto",
    engine: EngineName = "local",
    workers: int | None = None,
    database_url: str | None = None,
    reporter: Reporter | None = None,
) -> Searched:
    """Search for the versions `wanted`, or for the most monosemantic ones of each layer and side.

    The run's evidence must be published: its score makes the choice, and its pages show the result.
    """
    database = open_engine(database_url)
    reporter = reporter or Silent()
    try:
        run = runs.get_run(database, run_name)
        if stored.stage(database, run.id, stored.EVIDENCE) is None:
            raise UsageError(
                f"run {run.id} has no evidence yet, and counterexamples stand beside it",
                f"run twinscope evidence {run.id} first",
            )
        pair = pair_of_run(run, pair_spec)
        versions = [one for one in dict.fromkeys(wanted or ()) if _exists(run, one)]
        if wanted is None:
            versions = _most_monosemantic(database, run, most_monosemantic)
        known = [one for one in versions if _is_searched(database, run, one)]
        versions = [one for one in versions if one not in known]
        target, most = places(engine, device, workers)
        models: dict[str, Version] = {
            side: model for side in SIDES if (model := getattr(pair, side)) is not None
        }
        layout = Layout.of_configs({side: models[side].config for side in SIDES if side in models})
        count = min(most, max(1, len(versions)))
        parameters = dict(run.parameters)
        settings = StatisticsSettings(
            **{k: v for k, v in parameters.items() if k not in ("tokens", "seed")}
        )
        shown, contexts = _shown(database, run, versions)
        begun = list(starts(versions, shown, contexts))
        with make_engine(engine, models, str(target), count) as running:
            found = tuple(substitutions(running, begun, layout, settings, reporter))
        for version in versions:
            searches = sum(_of(one, version) and one.has_something_to_change for one in begun)
            _publish(database, run, version, found, searches)
        return Searched(
            run, tuple(versions), tuple(known), found, vocabulary.load(database, run.id)
        )
    finally:
        database.dispose()


def _of(one: object, version: Place) -> bool:
    return (one.side, one.layer, one.neuron) == version  # type: ignore[attr-defined]


def _publish(
    database: Database,
    run: RunRecord,
    version: Place,
    found: Sequence[CounterexampleRecord],
    searches: int,
) -> None:
    side, layer, neuron = version
    record = SubstitutionSearchRecord(
        side,
        layer,
        neuron,
        tried=searches * CANDIDATES,
        parameters={"version": SEARCH_VERSION, "candidates": CANDIDATES, "searches": searches},
    )
    try:
        publish_search(database, run.id, record, [one for one in found if _of(one, version)])
    except AlreadyPublished:  # by another process, meanwhile
        return


def _exists(run: RunRecord, version: Place) -> bool:
    """False for the side that a single-sided run lacks; `UsageError` for no such neuron."""
    side, layer, neuron = version
    model = run.pair.left
    if not (0 <= layer < model.n_layers and 0 <= neuron < model.d_mlp):
        raise UsageError(
            f"L{layer}N{neuron} does not exist",
            f"{run.pair.slug} has layers 0 to {model.n_layers - 1} of {model.d_mlp} neurons",
        )
    return side == "left" or run.pair.right is not None


def _most_monosemantic(database: Database, run: RunRecord, count: int) -> list[Place]:
    """By the heuristic's score, the lowest of each layer and side first."""
    found: list[Place] = []
    for side, model in zip(SIDES, (run.pair.left, run.pair.right), strict=True):
        if model is None:
            continue
        for layer in range(model.n_layers):
            rows, _ = neurons.page(
                database,
                run.id,
                {"side": side, "layer": str(layer), "polysemanticity__gte": "0"},
                sort="polysemanticity",
                size=count,
            )
            found += [(row.side, row.layer, row.neuron) for row in rows]
    return found


def _is_searched(database: Database, run: RunRecord, version: Place) -> bool:
    known = stored.of_neuron(database, run.id, *version)
    return known is not None and known.search is not None


def _shown(database: Database, run: RunRecord, versions: Sequence[Place]) -> tuple[Shown, Contexts]:
    """The examples of these versions, and their windows."""
    records = [
        one.example
        for side, layer, neuron in versions
        for one in examples.of_neuron(database, run.id, side, layer, neuron)
    ]
    places = {(one.document, one.window) for one in records}
    return (
        Shown.of_records(records),
        Contexts.of_records(examples.windows(database, run.id, places)),
    )


def parse_version(text: str) -> list[Place]:
    """`L0N17` (both versions) or `left:L0N17`; `UsageError` for anything else."""
    side, colon, name = text.rpartition(":")
    layer, letter, neuron = name.upper().removeprefix("L").partition("N")
    if (
        not letter
        or not (layer.isascii() and layer.isdigit() and neuron.isascii() and neuron.isdigit())
        or (colon and side not in SIDES)
    ):
        raise UsageError(
            f"{text!r} names no neuron", "write L0N17, or left:L0N17 for one version of it"
        )
    return [(one, int(layer), int(neuron)) for one in SIDES if not colon or one == side]
