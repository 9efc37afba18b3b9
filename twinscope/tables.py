"""`twinscope export RUN neurons|examples`: rows as csv, jsonl or parquet, by the file's ending.

The three hold the same values. Lists (tokens, values) are lists in jsonl and parquet, and JSON in a
cell of csv; what is undefined is null, null, and an empty cell.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from server.token_text import token_string
from store import examples, listing, vocabulary
from store.columns import VERSION_COLUMNS
from store.engine import Engine
from store.records import SITES, OtherValues, RunRecord, ShownExample
from twinscope.export import versions_of
from worker.reporter import Reporter

Kind = Literal["integer", "number", "text", "boolean", "texts", "integers", "numbers"]
Row = dict[str, Any]

CHUNK = 1_000

#: Columns of the labels are no part of a run: they are exported apart.
NEURONS: dict[str, Kind] = {
    key: column.type for key, column in VERSION_COLUMNS.items() if not column.verdicts
}

EXAMPLES: dict[str, Kind] = {
    "side": "text",
    "layer": "integer",
    "neuron": "integer",
    "band": "text",
    "rank": "integer",
    "document": "integer",
    "document_name": "text",
    "source": "text",
    "window": "integer",
    "position": "integer",
    "start": "integer",
    "focus": "integer",
    "activation": "number",
    "tokens": "texts",
    "token_ids": "integers",
    **dict.fromkeys(SITES, "numbers"),
    "same_index_quantile": "number",
    **{f"same_index_{site}": "numbers" for site in SITES},
    "match_neuron": "integer",
    "match_quantile": "number",
    **{f"match_{site}": "numbers" for site in SITES},
}


def write(
    engine: Engine, run: RunRecord, what: str, ending: str, path: Path, reporter: Reporter
) -> None:
    """Write the rows to `path`, in the format that `ending` names."""
    models = [model for model in (run.pair.left, run.pair.right) if model is not None]
    total = sum(model.n_layers * model.d_mlp for model in models)
    reporter.step(what, total, "versions")
    if what == "neurons":
        columns, rows = NEURONS, neuron_rows(engine, run, reporter)
    else:
        columns, rows = EXAMPLES, example_rows(engine, run, reporter)
    _WRITERS[ending](path, columns, rows)


def neuron_rows(engine: Engine, run: RunRecord, reporter: Reporter) -> Iterator[Row]:
    """Every version with all its columns, by side, layer and neuron."""
    done = 0
    for chunk in listing.rows(engine, run.id, "version"):
        yield from ({key: row[key] for key in NEURONS} for row in chunk)
        done += len(chunk)
        reporter.advance(done)


def example_rows(engine: Engine, run: RunRecord, reporter: Reporter) -> Iterator[Row]:
    """Every example, by side, layer, neuron, band and rank."""
    known = vocabulary.load(engine, run.id)
    for done, (side, layer, neuron) in enumerate(versions_of(run), 1):
        for shown in examples.of_neuron(engine, run.id, side, layer, neuron):
            yield _example(shown, known)
        if done % 32 == 0:
            reporter.advance(done)
    reporter.advance(done)


def _example(shown: ShownExample, known: Sequence[bytes]) -> Row:
    one = shown.example
    ids = shown.tokens.tolist()
    return {
        "side": one.side,
        "layer": one.layer,
        "neuron": one.neuron,
        "band": one.band,
        "rank": one.rank,
        "document": one.document,
        "document_name": shown.document_name,
        "source": shown.source,
        "window": one.window,
        "position": one.position,
        "start": one.start,
        "focus": shown.focus,
        "activation": one.activation,
        "tokens": [token_string(known[id]) for id in ids],
        "token_ids": ids,
        **_values("", one.values),
        "same_index_quantile": one.same_index.quantile if one.same_index else None,
        **_other("same_index_", one.same_index),
        "match_neuron": one.match.neuron if one.match else None,
        "match_quantile": one.match.quantile if one.match else None,
        **_other("match_", one.match),
    }


def _other(prefix: str, other: OtherValues | None) -> Row:
    return _values(prefix, {} if other is None else other.values)


def _values(prefix: str, values: Any) -> Row:
    return {
        f"{prefix}{site}": values[site].astype(float).tolist() if site in values else None
        for site in SITES
    }


def write_csv(path: Path, columns: dict[str, Kind], rows: Iterable[Row]) -> None:
    """A line of the columns' names, then a line a row."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        for row in rows:
            writer.writerow([_cell(row[key]) for key in columns])


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return json.dumps(value, ensure_ascii=False)
    return "" if value is None else value


def write_jsonl(path: Path, columns: dict[str, Kind], rows: Iterable[Row]) -> None:
    """An object a line, with every column."""
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps({key: row[key] for key in columns}) + "\n")


def write_parquet(path: Path, columns: dict[str, Kind], rows: Iterable[Row]) -> None:
    """A row group a chunk."""
    import pyarrow
    from pyarrow import parquet

    single = {
        "integer": pyarrow.int64(),
        "number": pyarrow.float64(),
        "text": pyarrow.string(),
        "boolean": pyarrow.bool_(),
    }
    types = single | {
        "texts": pyarrow.list_(single["text"]),
        "integers": pyarrow.list_(single["integer"]),
        "numbers": pyarrow.list_(single["number"]),
    }
    schema = pyarrow.schema([(key, types[kind]) for key, kind in columns.items()])
    iterator = iter(rows)
    with parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        while part := list(islice(iterator, CHUNK)):
            writer.write_table(pyarrow.Table.from_pylist(part, schema=schema))


_WRITERS: dict[str, Callable[[Path, dict[str, Kind], Iterable[Row]], None]] = {
    ".csv": write_csv,
    ".jsonl": write_jsonl,
    ".parquet": write_parquet,
}
