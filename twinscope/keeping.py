"""The verbs for what is kept: runs listed, verified, exported and taken in."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from twinscope.options import (
    DataDirOption,
    DeviceOption,
    PairOption,
    RunArgument,
    WorkersOption,
    upgrade_own_database,
    use_data_dir,
)


def runs(data_dir: DataDirOption = None) -> None:
    """List runs with their progress, loss and size."""
    use_data_dir(data_dir)
    from store import progress
    from store import runs as stored
    from store.engine import open_engine
    from twinscope import listing

    engine = open_engine()
    published = stored.list_runs(engine)
    losses = {run.id: stored.losses(engine, run.id) for run in published}
    under_way = [each for each in progress.current(engine) if each.state != "done"]
    listing.print_runs(published, losses, under_way)


def verify(
    run: RunArgument,
    sample: Annotated[int, typer.Option(min=1, help="Versions to recompute.")] = 200,
    seed: Annotated[int, typer.Option(min=0, help="Which versions.")] = 0,
    pair: PairOption = None,
    corpus: Annotated[
        list[str] | None, typer.Option(help="Where the run's corpus is now, if it has moved.")
    ] = None,
    device: DeviceOption = "auto",
    workers: WorkersOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Recompute a sample of a published run by brute force, and compare."""
    use_data_dir(data_dir)
    upgrade_own_database()
    from twinscope import verify as verification

    verification.verify(
        run,
        sample=sample,
        seed=seed,
        pair=pair,
        corpus=corpus,
        device=device,
        workers=workers,
    )


def export(
    run: RunArgument,
    what: Annotated[
        Literal["run", "neurons", "examples", "neuronpedia", "labels"],
        typer.Argument(help="The whole run, for `twinscope import`; or a table of what it found."),
    ] = "run",
    out: Annotated[
        Path | None,
        typer.Option(help="The file; its ending (.csv .jsonl .parquet) says of what kind."),
    ] = None,
    force: Annotated[bool, typer.Option(help="Write over a file that is there.")] = False,
    data_dir: DataDirOption = None,
) -> None:
    """Write a run, or what it found, into a file."""
    use_data_dir(data_dir)
    upgrade_own_database()
    from twinscope import export as files

    files.export(run, what, out, force=force)


def import_(
    path: Annotated[
        Path, typer.Argument(help="What `twinscope export RUN` wrote: a run, or labels.")
    ],
    data_dir: DataDirOption = None,
) -> None:
    """Take in a run that was exported elsewhere, with the same id, or labels."""
    use_data_dir(data_dir)
    upgrade_own_database()
    from twinscope import export as files

    files.take_in(path)
