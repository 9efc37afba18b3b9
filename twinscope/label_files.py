"""Labels as files, out and in again: `.csv`, `.jsonl` or `.parquet`, by the file's ending.

    export("latest", Path("labels.csv"))
    import_labels(Path("labels.csv"))          # in this database or another that has the models

A file holds the history: each label with who gave it and when, also those that count no more and
those that were withdrawn. A label belongs to its model's weights, so it fits any database with
that model in it. The other columns of a file are for the reader; importing does not look at them.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from store import label_import, label_list, runs
from store.engine import Engine, open_engine
from store.evidence_records import CandidateLabelRecord
from store.label_import import Imported, Numbered
from store.records import VERDICTS, LabelRecord
from twinscope import faults

ENDINGS = (".csv", ".jsonl", ".parquet")

#: What a file of labels must have; by these a file is known as one.
NEEDED = ("annotator", "created_at", "weights_sha256", "layer", "verdict")


def export(run: str, out: Path) -> int:
    """Write the history of labels on the models of a run; how many there are.

    The file is written under another name and renamed. Errors: `RunNotFound`, `AmbiguousRun`, a
    fault for an ending that is not known or a file that cannot be written.
    """
    if out.suffix not in ENDINGS:
        raise faults.UsageFault(f"{out.name} ends in none of {', '.join(ENDINGS)}.")
    with closing(open_engine()) as engine:
        return _export(engine, run, out)


def _export(engine: Engine, run: str, out: Path) -> int:
    from server.label_rows import COLUMNS, row_of
    from server.table_files import KINDS

    found = runs.get_run(engine, run)
    wanted = label_list.Wanted(run=found.id, history=True)
    number = 0

    def chunks() -> Iterator[list[dict[str, Any]]]:
        nonlocal number
        for chunk in label_list.chunks(engine, wanted):
            number += len(chunk)
            yield [row_of(one) for one in chunk]

    make, _ = KINDS[out.suffix[1:]]
    about = {"run": found.id, "pair": found.pair.slug, "content": "labels"}
    unfinished = out.with_name(f".{out.name}.unfinished")
    try:
        with unfinished.open("wb") as file:
            for piece in make(COLUMNS, chunks(), about):
                file.write(piece)
        os.replace(unfinished, out)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise faults.Fault(f"{out} cannot be written: {error.strerror}.") from None
    return number


def import_labels(path: Path, engine: Engine | None = None) -> Imported:
    """Take the labels of a file into the history; those that are there already are not doubled.

    All or nothing. Raises `LabelsRefused` with the numbers of the lines that cannot be labels (for
    parquet the rows', from 1), a fault for a file that cannot be read or is none of labels.
    """
    numbered: list[Numbered] = []
    wrong: list[tuple[int, str]] = []
    for line, row in _rows(path):
        try:
            numbered.append(Numbered(line, _label(row)))
        except ValueError as fault:
            wrong.append((line, str(fault)))
    if wrong:
        raise label_import.refused(wrong)
    if engine is not None:
        return label_import.add_all(engine, numbered)
    with closing(open_engine()) as own:
        return label_import.add_all(own, numbered)


def said(imported: Imported) -> str:
    """`12 labels are new, 30 were here already.`"""
    new = imported.new
    text = (
        f"{new:,} label{' is' if new == 1 else 's are'} new, {imported.known:,} were here already"
    )
    if imported.withdrawn:
        text += f", of these {imported.withdrawn:,} are taken back now"
    return f"{text}."


@contextmanager
def closing(engine: Engine) -> Iterator[Engine]:
    """The engine, whose connections are closed at the end."""
    try:
        yield engine
    finally:
        engine.dispose()


def _rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """The lines of a file with their numbers."""
    reader = {".csv": _csv_rows, ".jsonl": _jsonl_rows, ".parquet": _parquet_rows}.get(path.suffix)
    if reader is None:
        raise faults.UsageFault(f"{path.name} ends in none of {', '.join(ENDINGS)}.")
    try:
        yield from reader(path)
    except OSError as error:
        raise faults.Fault(f"{path} cannot be read: {error.strerror or error}.") from None
    except UnicodeDecodeError:
        raise faults.Fault(f"{path} is no text in UTF-8.") from None


def _csv_rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        _must_have(path, reader.fieldnames or ())
        try:
            for row in reader:
                yield reader.line_num, {k: v for k, v in row.items() if k is not None}
        except csv.Error as error:
            raise faults.Fault(f"{path}, line {reader.line_num}: {error}.") from None


def _jsonl_rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    with path.open(encoding="utf-8-sig") as file:
        for line, text in enumerate(file, 1):
            if not text.strip():
                continue
            try:
                row = json.loads(text)
            except (json.JSONDecodeError, RecursionError):
                row = None
            if not isinstance(row, dict):
                raise faults.Fault(f"{path}, line {line}: this is no JSON object.")
            yield line, row


def _parquet_rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    import pyarrow
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path) as file:
            _must_have(path, file.schema_arrow.names)
            line = 0
            for batch in file.iter_batches(1_000):
                for row in batch.to_pylist():
                    line += 1
                    yield line, row
    except pyarrow.ArrowInvalid:
        raise faults.Fault(f"{path} is no parquet file.") from None


def _must_have(path: Path, columns: Any) -> None:
    missing = [name for name in NEEDED if name not in columns]
    if missing:
        raise faults.Fault(f"{path} is no file of labels: it has no column {', '.join(missing)}.")


def _label(row: Mapping[str, Any]) -> LabelRecord | CandidateLabelRecord:
    """The label of a row. Raises ValueError with what is wrong."""
    missing = [name for name in NEEDED if _text(row, name) == ""]
    if missing:
        raise ValueError(f"{missing[0]} is missing")
    weights = _text(row, "weights_sha256").lower()
    if len(weights) != 64 or set(weights) - set("0123456789abcdef"):
        raise ValueError("weights_sha256 is no SHA-256 in hex")
    verdict = _text(row, "verdict")
    if verdict not in VERDICTS:
        raise ValueError(f"verdict is {verdict[:40]!r}, none of {', '.join(VERDICTS)}")
    neuron, fingerprint = _whole(row, "neuron"), _text(row, "candidate")
    if (neuron is None) == (fingerprint == ""):
        raise ValueError("a label is on a neuron or on a candidate, and this on both or neither")
    layer = _whole(row, "layer")
    created_at = _moment(row, "created_at")
    assert layer is not None
    assert created_at is not None
    shared: dict[str, Any] = {
        "annotator": _text(row, "annotator"),
        "verdict": verdict,
        "description": str(row.get("description") or ""),
        "confidence": _whole(row, "confidence"),
        "run_id": _text(row, "run")[:10] or None,
        "created_at": created_at,
        "withdrawn_at": _moment(row, "withdrawn_at"),
    }
    if neuron is not None:
        return LabelRecord(weights, layer, neuron, **shared)
    if len(fingerprint) > 16 or not fingerprint.isascii() or not fingerprint.isalnum():
        raise ValueError("candidate is no fingerprint of a direction")
    return CandidateLabelRecord(weights, layer, fingerprint, **shared)


def _text(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name)
    return "" if value is None else str(value).strip()


def _whole(row: Mapping[str, Any], name: str) -> int | None:
    text = _text(row, name)
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise ValueError(f"{name} is {text[:40]!r}, no whole number")
    return int(text)


def _moment(row: Mapping[str, Any], name: str) -> datetime | None:
    text = _text(row, name)
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(
            f"{name} is {text[:40]!r}, no moment such as 2026-01-31T12:00:00Z"
        ) from None
    if moment.tzinfo is None:
        raise ValueError(f"{name} has no time zone")
    return moment
