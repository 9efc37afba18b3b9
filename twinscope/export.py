"""`twinscope export RUN WHAT --out PATH`: a run, or what it found, as a file.

run          the whole run for another database: `twinscope import` takes it in
neurons      a row a version with every statistic and its evidence: csv, jsonl or parquet
examples     a row an example with its tokens and values: csv, jsonl or parquet
neuronpedia  Neuronpedia's batches, as far as they fit: a zip
labels       labels with their history: see `twinscope.label_files`
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, get_args

from twinscope.faults import Fault, UsageFault
from twinscope.quantities import show_count, show_duration
from twinscope.whole_file import refuse_existing, whole_file
from worker.errors import NO_SPACE

What = Literal["run", "neurons", "examples", "neuronpedia", "labels"]
WHAT: tuple[str, ...] = get_args(What)

RUN_ENDING = ".twinscope"
TABLE_ENDINGS = (".csv", ".jsonl", ".parquet")
#: The endings of each kind of file; a run may be called as one likes.
ENDINGS: dict[str, tuple[str, ...]] = {
    "neurons": TABLE_ENDINGS,
    "examples": TABLE_ENDINGS,
    "neuronpedia": (".zip",),
}


def export(run: str, what: What = "run", out: Path | None = None, *, force: bool = False) -> Path:
    """Write the file; where it is. `UsageFault` for an ending that is none of `ENDINGS`."""
    if what == "labels":
        path = _named(out, "labels", ".csv")
        refuse_existing(path, force)
        import_module("twinscope.label_files").export(run, path)
        return path
    if out is not None:
        _check_ending(what, out)
        refuse_existing(out, force)  # before any work
    from store import runs
    from store.engine import open_engine
    from worker.reporter import Terminal

    engine = open_engine()
    try:
        record = runs.get_run(engine, run)
        stem = f"{record.pair.slug}-{record.id}"
        began = time.monotonic()
        if what == "run":
            path = _named(out, stem, RUN_ENDING)
            with Terminal() as reporter, whole_file(path, force=force) as unfinished:
                _write_run(engine, record.id, unfinished, reporter)
        else:
            ending = ENDINGS[what][0]
            path = _named(out, f"{stem}-{what}", ending)
            write = import_module(
                "twinscope.neuronpedia" if what == "neuronpedia" else "twinscope.tables"
            ).write
            with Terminal() as reporter, whole_file(path, force=force) as unfinished:
                write(engine, record, what, path.suffix, unfinished, reporter)
    finally:
        engine.dispose()
    took = show_duration(time.monotonic() - began)
    print(f"{path}: {what} of {record.id}, {show_count(path.stat().st_size)}B; this took {took}.")
    if what == "run":
        print("Labels are not part of a run; `twinscope export RUN labels` writes them.")
    return path


def take_in(path: Path) -> None:
    """`twinscope import PATH`: publish the file's run in this database, or take its labels in."""
    from twinscope import label_files

    if path.suffix in label_files.ENDINGS and path.exists():
        print(label_files.said(label_files.import_labels(path)))
        return
    from store.engine import data_dir, open_engine
    from store.errors import AlreadyPublished
    from store.run_import import import_run
    from worker.reporter import Terminal

    engine = open_engine()
    began = time.monotonic()
    scratch = data_dir()
    scratch.mkdir(parents=True, exist_ok=True)
    try:
        with Terminal() as reporter, _named_scratch_faults(scratch):
            run = import_run(engine, path, steps(reporter), scratch)
    except AlreadyPublished as there:
        stages = ", ".join(there.run.stages)
        print(f"Run {there.run.id} is here already, with {stages}: nothing was changed.")
        return
    finally:
        engine.dispose()
    took = show_duration(time.monotonic() - began)
    print(f"Run {run.id} of {run.pair.slug} is published ({', '.join(run.stages)}); took {took}.")


@contextmanager
def _named_scratch_faults(scratch: Path) -> Iterator[None]:
    """What goes wrong where a file is unpacked, in words."""
    try:
        yield
    except OSError as error:
        if error.errno in NO_SPACE:
            raise Fault(
                f"There is no space left in {scratch} to unpack it; nothing was imported. Make "
                "room, or name another place with TWINSCOPE_DATA_DIR."
            ) from error
        raise Fault(
            f"{error.filename or scratch} cannot be read or written: {error.strerror or error}; "
            "nothing was imported."
        ) from error


def steps(reporter: Any) -> Callable[[str, str], Callable[[int, int], None]]:
    """A reporter as what the store tells its progress to."""

    def step(name: str, unit: str) -> Callable[[int, int], None]:
        reporter.step(name, None, unit)

        def advance(done: int, total: int) -> None:
            reporter.advance(done, total)

        return advance

    return step


def _write_run(engine: Any, run_id: str, path: Path, reporter: Any) -> None:
    from server.version import version
    from store.run_export import export_run

    export_run(engine, run_id, path, version(), steps(reporter))


def _named(out: Path | None, stem: str, ending: str) -> Path:
    return Path(stem + ending) if out is None else out


def _check_ending(what: str, out: Path) -> None:
    endings = ENDINGS.get(what)
    if endings is not None and out.suffix not in endings:
        raise UsageFault(
            f"{out} does not say what kind of file it is to be; let its name end with "
            f"{' or '.join(endings)}."
        )


def versions_of(run: Any) -> Iterator[tuple[Literal["left", "right"], int, int]]:
    """(side, layer, neuron) of every version of a run, in their order."""
    sides: tuple[tuple[Literal["left", "right"], Any], ...] = (
        ("left", run.pair.left),
        ("right", run.pair.right),
    )
    for side, model in sides:
        if model is not None:
            for layer in range(model.n_layers):
                for neuron in range(model.d_mlp):
                    yield side, layer, neuron
