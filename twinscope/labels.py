"""`twinscope labels`: the history of labels as a file, out and in again.

twinscope labels export latest --out labels.csv
twinscope labels import labels.csv
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

labels = typer.Typer(help="Labels as files: csv, jsonl or parquet.")

DataDir = Annotated[Path | None, typer.Option(help="Where the database is kept.")]


@labels.command("export")
def export(
    run: Annotated[str, typer.Argument(help="A run's id, a unique prefix of it, or latest.")],
    out: Annotated[Path, typer.Option(help="The file: .csv, .jsonl or .parquet.")],
    data_dir: DataDir = None,
) -> None:
    """Write the labels on a run's models to a file, with their history."""
    _use(data_dir)
    from twinscope import label_files

    number = label_files.export(run, out)
    print(f"{number:,} label{'' if number == 1 else 's'} in {out}.")


@labels.command("import")
def import_file(
    path: Annotated[Path, typer.Argument(help="A file of labels: .csv, .jsonl or .parquet.")],
    data_dir: DataDir = None,
) -> None:
    """Take the labels of a file into the history; those that are there already are not doubled."""
    _use(data_dir)
    from twinscope import label_files

    print(label_files.said(label_files.import_labels(path)))


def _use(data_dir: Path | None) -> None:
    if data_dir is not None:
        os.environ["TWINSCOPE_DATA_DIR"] = str(data_dir.expanduser().resolve())
