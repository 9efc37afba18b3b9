"""What several verbs take, and what each does before it begins."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

import typer

from twinscope import faults
from twinscope.quantities import parse_count

PortOption = Annotated[int, typer.Option(min=1, max=65535, help="Port to serve on.")]
DataDirOption = Annotated[
    Path | None, typer.Option(help="Where the database and the work directories are kept.")
]
CorpusOption = Annotated[
    list[str],
    typer.Option(
        help="stdlib, a file, directory or glob of .txt .md .py .jsonl .jsonl.gz .parquet, or "
        "hf:NAME[@REVISION][:config][:split]. May be given more than once."
    ),
]
EvidenceOption = Annotated[
    bool, typer.Option("--evidence/--no-evidence", help="Compute what top activations hide, too.")
]
WeightsOption = Annotated[
    str | None,
    typer.Option(
        help="Loss differences of a mixture of sources, too, such as code=0.2,c4=0.8 (shares of "
        "tokens)."
    ),
]
RunArgument = Annotated[str, typer.Argument(help="A run's id, a unique prefix of it, or latest.")]
PairArgument = Annotated[
    str,
    typer.Argument(
        help="pystd-2l, a pair's directory, or models of the Hugging Face hub: solu-1l--gelu-1l, "
        "solu-6l, OWNER/NAME--OWNER/NAME, with @checkpoint=N."
    ),
]
PairOption = Annotated[
    Path | None, typer.Option(help="The pair's directory, if it is not one that ships.")
]
LivePairOption = Annotated[
    list[Path] | None,
    typer.Option(help="The directory of a pair that does not ship. May be given more than once."),
]
WorkersOption = Annotated[
    int | None, typer.Option(min=1, help="Processes, or actors: one a core, or one a GPU.")
]
WorkDirOption = Annotated[Path | None, typer.Option(help="Where partial results are kept.")]
EngineOption = Annotated[
    Literal["local", "ray"],
    typer.Option(help="Processes of this machine, or actors of a Ray cluster (RAY_ADDRESS)."),
]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")]
DtypeOption = Annotated[
    str, typer.Option(help="What models are computed in: float32, bfloat16 or float16.")
]


def use_data_dir(data_dir: Path | None) -> None:
    """Name the data directory for this process and its children."""
    if data_dir is not None:
        os.environ["TWINSCOPE_DATA_DIR"] = str(data_dir.expanduser().resolve())


def upgrade_own_database() -> None:
    """Bring the embedded SQLite file up to date; a team's Postgres is upgraded by its keepers."""
    from store import schema
    from store.engine import database_url, open_engine

    if database_url().startswith("sqlite"):
        engine = open_engine(must_be_current=False)
        schema.upgrade(engine)
        engine.dispose()


def count(option: str, text: str) -> int:
    """How many `text` means, as `option` was given it. UsageFault where it means no number."""
    try:
        return parse_count(text)
    except ValueError as error:
        raise faults.UsageFault(f"{option}: {error}") from None


def check_names(pair: str, corpus: list[str]) -> None:
    """A pair's directory and the corpora, looked at before what takes seconds to import.

    Models of the hub are looked up later. Raises `WorkerError`.
    """
    from worker.corpus import open_corpus
    from worker.pairs import is_pair, load_pair

    if is_pair(pair):
        load_pair(pair)
    open_corpus(corpus)
