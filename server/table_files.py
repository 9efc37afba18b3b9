"""Rows as a file, made piece by piece: csv, jsonl and parquet.

    for piece in csv_file(columns, chunks): ...        # bytes

`chunks` are lists of {column: value}. Whatever is undefined is an empty cell, null, null.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, Protocol


class TableColumn(Protocol):
    """What a file says of a column: its name, unit, the address of its definition, its type."""

    @property
    def name(self) -> str: ...
    @property
    def unit(self) -> str: ...
    @property
    def anchor(self) -> str: ...
    @property
    def type(self) -> Literal["number", "integer", "text", "boolean"]: ...


Row = Mapping[str, float | int | str | bool | None]
Columns = Mapping[str, TableColumn]
#: About the whole file: where it is from, and what its columns mean.
About = Mapping[str, str]


def csv_file(columns: Columns, chunks: Iterable[Sequence[Row]], about: About) -> Iterator[bytes]:
    """A line of the columns' keys, then a line a row; true and false, and nothing for None."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(columns)
    for chunk in chunks:
        writer.writerows([_cell(row.get(key)) for key in columns] for row in chunk)
        yield text.getvalue().encode()
        text.seek(0)
        text.truncate()
    if text.getvalue():
        yield text.getvalue().encode()


def _cell(value: float | int | str | bool | None) -> float | int | str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else value


def jsonl_file(columns: Columns, chunks: Iterable[Sequence[Row]], about: About) -> Iterator[bytes]:
    """An object a line, with every column."""
    for chunk in chunks:
        lines = (json.dumps({key: row.get(key) for key in columns}) + "\n" for row in chunk)
        yield "".join(lines).encode()


def parquet_file(
    columns: Columns, chunks: Iterable[Sequence[Row]], about: About
) -> Iterator[bytes]:
    """A row group a chunk. `about` is the schema's metadata; each field has its column's name,
    unit and the address of its definition."""
    import pyarrow  # heavy, and wanted by few requests
    from pyarrow import parquet

    types = {
        "number": pyarrow.float64(),
        "integer": pyarrow.int64(),
        "text": pyarrow.string(),
        "boolean": pyarrow.bool_(),
    }
    fields = []
    for key, column in columns.items():
        said = {"name": column.name, "unit": column.unit, "definition": column.anchor}
        fields.append(pyarrow.field(key, types[column.type], metadata=said))
    schema = pyarrow.schema(fields, metadata={f"twinscope.{name}": v for name, v in about.items()})
    sink = _Pieces()
    with parquet.ParquetWriter(sink, schema, compression="zstd") as writer:
        for chunk in chunks:
            writer.write_table(
                pyarrow.table(
                    {
                        key: pyarrow.array([_typed(row.get(key), column.type) for row in chunk],
                                           types[column.type])
                        for key, column in columns.items()
                    },
                    schema=schema,
                )
            )  # fmt: skip
            yield sink.taken()
    yield sink.taken()


def _typed(value: Any, kind: str) -> Any:
    """The value as its column's type: an integer column may hold 3.0, a flag 0 or 1."""
    if value is None:
        return None
    if kind == "integer":
        return int(value)
    return bool(value) if kind == "boolean" else value


class _Pieces(io.RawIOBase):
    """A file that is written from one end and taken away from the other."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[bytes] = []
        self._place = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        part = bytes(data)
        self._parts.append(part)
        self._place += len(part)
        return len(part)

    def tell(self) -> int:
        return self._place

    def taken(self) -> bytes:
        """All that was written since the last time."""
        found = b"".join(self._parts)
        self._parts.clear()
        return found


Writer = Callable[[Columns, Iterable[Sequence[Row]], About], Iterator[bytes]]

#: Ending → (what makes it, its media type).
KINDS: dict[str, tuple[Writer, str]] = {
    "csv": (csv_file, "text/csv; charset=utf-8"),
    "jsonl": (jsonl_file, "application/jsonl"),
    "parquet": (parquet_file, "application/vnd.apache.parquet"),
}
