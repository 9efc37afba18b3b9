"""`twinscope labels`: the history of labels as a file, out and in again.

twinscope labels export latest --out labels.csv
twinscope labels import labels.csv
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from twinscope.options import DataDirOption, use_data_dir

labels = typer.Typer(help="Labels as files: csv, jsonl or parquet.")


@labels.command("export")
def export(
    run: Annotated[str, typer.Argument(help="A run's id, a unique prefix of it, or latest.")],
    out: Annotated[Path, typer.Option(help="The file: .csv, .jsonl or .parquet.")],
    data_dir: DataDirOption = None,
) -> None:
    """Write the labels on a run's models to a file, with their history."""
    use_data_dir(data_dir)
    from twinscope import label_files

    number = label_files.export(run, out)
    print(f"{number:,} label{'' if number == 1 else 's'} in {out}.")


@labels.command("import")
def import_file(
    path: Annotated[Path, typer.Argument(help="A file of labels: .csv, .jsonl or .parquet.")],
    data_dir: DataDirOption = None,
) -> None:
    """Take the labels of a file into the history; those that are there already are not doubled."""
    use_data_dir(data_dir)
    from twinscope import label_files

    print(label_files.said(label_files.import_labels(path)))
