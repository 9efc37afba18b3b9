"""Local corpora: which files a spec names, and the documents each file holds.

A file is one document (`.txt .md .py`), or one per line (`.jsonl`, `.jsonl.gz`), or one per row
(`.parquet`). Nothing but paths and line offsets is kept in memory. Reading never raises for what
a file holds: a record that is no document comes back as a `Flaw`, to be counted and named.
"""

from __future__ import annotations

import gzip
import json
import os
import sysconfig
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np

from worker.errors import CorpusError

TEXT_ENDINGS = (".txt", ".md", ".py")
LINE_ENDINGS = (".jsonl", ".jsonl.gz")
ENDINGS = (*TEXT_ENDINGS, *LINE_ENDINGS, ".parquet")
KINDS = (
    f"stdlib, stdlib-tests, installed, a file, directory or glob of {' '.join(ENDINGS)}, or hf:NAME"
)
TEST_DIRECTORIES = frozenset({"test", "tests", "idle_test"})
NOT_SOURCE = frozenset({"site-packages", "dist-packages", "__pycache__"})
LABEL_CHARACTERS = 300
#: Entries of a column `meta` that name the part of a collection that a row is from.
META_SOURCES = ("source", "pile_set_name", "redpajama_set_name")
# Generated code and a hundred near-copies of one model: they would crowd out the rest.
INSTALLED_EXCLUDED = ("plotly", "transformers/models")


@dataclass(frozen=True)
class Record:
    """One document as read: exactly one of `text` and `tokens` is set."""

    source: str
    name: str
    text: str | None
    tokens: list[int] | None
    invalid_utf8: bool = False


@dataclass(frozen=True)
class Flaw:
    """A record that is no document: what kind of fault, where, and the reason."""

    kind: str
    name: str
    detail: str


@dataclass(frozen=True)
class CorpusFile:
    """A file of a corpus, with the source and the name that its documents get by default."""

    path: Path
    source: str
    name: str

    @property
    def is_text(self) -> bool:
        return self.path.name.endswith(TEXT_ENDINGS)


def list_files(spec: str) -> list[CorpusFile]:
    """The files that a local spec names, sorted by path; `CorpusError` if it names none."""
    if spec in ("stdlib", "stdlib-tests"):
        files = _standard_library(tests=spec == "stdlib-tests")
    elif spec == "installed":
        files = _installed()
    else:
        try:
            files = _named(spec)
        except (OSError, ValueError) as error:  # a name that no file can have, a pattern likewise
            why = error.strerror if isinstance(error, OSError) else str(error)
            raise CorpusError(
                f"corpus {label(spec)!r} cannot be looked for: {why}",
                f"accepted: {KINDS}",
            ) from error
    if not files:
        raise CorpusError(
            f"corpus {spec!r} holds no document", f"give one that has some of: {' '.join(ENDINGS)}"
        )
    return files


def _standard_library(*, tests: bool) -> list[CorpusFile]:
    root = Path(sysconfig.get_paths()["stdlib"])
    spec = "stdlib-tests" if tests else "stdlib"
    return [
        CorpusFile(path, spec, name)
        for name, path in _walk(root, (".py",), skip=NOT_SOURCE)
        if tests == bool(TEST_DIRECTORIES.intersection(name.split("/")[:-1]))
    ]


def _installed() -> list[CorpusFile]:
    root = Path(sysconfig.get_paths()["purelib"])
    return [
        CorpusFile(path, "installed", name)
        for name, path in _walk(root, (".py",), skip=frozenset({"__pycache__"}))
        if not any(name.startswith(f"{excluded}/") for excluded in INSTALLED_EXCLUDED)
    ]


def _named(spec: str) -> list[CorpusFile]:
    if not spec.strip():
        raise CorpusError("a corpus has no name", f"accepted: {KINDS}")
    path = Path(spec).expanduser()
    if path.is_dir():
        source = path.resolve().name or "root"
        found = _walk(path, ENDINGS, skip=frozenset({"__pycache__"}))
        return [CorpusFile(file, source, name) for name, file in found]
    if path.is_file():
        if not path.name.endswith(ENDINGS):
            raise CorpusError(
                f"corpus file {spec!r} is of no kind that can be read", f"accepted: {KINDS}"
            )
        return [CorpusFile(path, _stem(path), path.name)]
    if any(character in spec for character in "*?["):
        root = _fixed_root(path)
        pattern = path.relative_to(root).as_posix()
        found = sorted(
            (label(file.relative_to(root).as_posix()), file)
            for file in root.glob(pattern)
            if file.name.endswith(ENDINGS) and not file.is_dir()
        )
        return [CorpusFile(file, root.resolve().name or "root", name) for name, file in found]
    raise CorpusError(f"corpus {spec!r} does not exist", f"accepted: {KINDS}")


def _walk(root: Path, endings: tuple[str, ...], *, skip: frozenset[str]) -> list[tuple[str, Path]]:
    """Files under `root` with one of `endings` as (name relative to it, path), sorted by name."""
    found = []
    for directory, directories, names in os.walk(root):
        directories[:] = [d for d in directories if d not in skip and not d.startswith(".")]
        for name in names:
            if name.endswith(endings):
                path = Path(directory, name)
                found.append((label(path.relative_to(root).as_posix()), path))
    return sorted(found)


def _fixed_root(path: Path) -> Path:
    """The longest leading part of a glob without wildcards."""
    root = Path(path.anchor) if path.anchor else Path(".")
    for part in path.parts[1 if path.anchor else 0 : -1]:
        if any(character in part for character in "*?["):
            break
        root /= part
    return root


def _stem(path: Path) -> str:
    return path.name.removesuffix(".gz").rsplit(".", 1)[0] or path.name


def read_text_file(file: CorpusFile) -> Record | Flaw:
    """The single document of a text file. Bytes that are not UTF-8 are replaced, and flagged."""
    try:
        if not file.path.is_file():
            return Flaw("unreadable", file.name, "not a regular file")
        content = file.path.read_bytes()
    except OSError as error:
        return Flaw("unreadable", file.name, error.strerror or str(error))
    if not content:
        return Flaw("empty", file.name, "no content")
    text, invalid = _decode(content)
    return Record(file.source, file.name, text, None, invalid)


def iterate_rows(file: CorpusFile) -> Iterator[Record | Flaw]:
    """The records of a file with many, in file order."""
    if file.path.name.endswith(".parquet"):
        yield from _parquet_rows(file)
        return
    try:
        with open_lines(file.path) as lines:
            for number, line in enumerate(lines, 1):
                yield parse_line(file, number, line)
    except (OSError, EOFError, zlib.error) as error:
        yield Flaw("unreadable", file.name, str(error))


def open_lines(path: Path) -> BinaryIO:
    """The file's bytes, decompressed where its name ends in `.gz`."""
    if path.name.endswith(".gz"):
        return cast(BinaryIO, gzip.GzipFile(path))
    return path.open("rb")


def parse_line(file: CorpusFile, number: int, line: bytes) -> Record | Flaw:
    """Line `number` (from 1) of a JSONL file as a document."""
    name = f"{file.name}:{number}"
    if not line.strip():
        return Flaw("empty", name, "blank line")
    text, invalid = _decode(line)
    try:
        row = json.loads(text)
    except (ValueError, RecursionError) as error:
        return Flaw("broken", name, f"not JSON: {error}")
    if not isinstance(row, dict):
        return Flaw("broken", name, f"a {type(row).__name__}, not an object")
    return record_of_row(row, file.source, name, invalid)


def record_of_row(
    row: dict[str, Any], source: str, name: str, invalid_utf8: bool = False
) -> Record | Flaw:
    """A document from a row with a column `text` or `tokens`, and perhaps `source` (or `meta`,
    which may name one) and `name`."""
    source = _source_of(row) or source
    if isinstance(row.get("name"), str) and row["name"]:
        name = label(row["name"])
    text, tokens = row.get("text"), row.get("tokens")
    if isinstance(text, str):
        if not text:
            return Flaw("empty", name, "no content")
        text, replaced = clean(text)
        return Record(source, name, text, None, invalid_utf8 or replaced)
    if isinstance(tokens, list) and all(_is_token(token) for token in tokens):
        if not tokens:
            return Flaw("empty", name, "no content")
        return Record(source, name, None, tokens)
    return Flaw("broken", name, "no text and no tokens")


def _source_of(row: dict[str, Any]) -> str | None:
    """Which part of a collection a row is from, if it says: its column `source`, or a usual entry
    of its column `meta`, an object or the JSON of one."""
    meta = row.get("meta")
    if isinstance(meta, str) and meta.startswith("{"):
        try:
            meta = json.loads(meta)
        except (ValueError, RecursionError):
            meta = None
    said = [row.get("source")]
    said += [meta.get(key) for key in META_SOURCES] if isinstance(meta, dict) else []
    return next((label(one) for one in said if isinstance(one, str) and one), None)


def _is_token(value: object) -> bool:
    return type(value) is int and 0 <= value < 1 << 31


def _parquet_rows(file: CorpusFile) -> Iterator[Record | Flaw]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    try:
        with pq.ParquetFile(file.path) as table:
            wanted = ("text", "tokens", "source", "meta", "name")
            columns = [column for column in table.schema_arrow.names if column in wanted]
            if not {"text", "tokens"}.intersection(columns):
                yield Flaw("broken", file.name, "no column text or tokens")
                return
            for batch in table.iter_batches(batch_size=64, columns=columns):
                for row in batch.to_pylist():
                    number += 1
                    yield record_of_row(row, file.source, f"{file.name}:{number}")
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
        yield Flaw("unreadable", file.name, str(error))


class RowIndex:
    """Random access to the rows of a file by their number, holding only line offsets.

    A compressed or columnar file is copied once to an unnamed temporary file of JSON lines,
    because a row in its middle cannot be reached otherwise; the file goes with the index.
    """

    def __init__(self, file: CorpusFile) -> None:
        self.file = file
        self._is_spool = not file.path.name.endswith(".jsonl")
        try:
            self._lines = _spool(iterate_rows(file)) if self._is_spool else file.path.open("rb")
        except OSError as error:
            self._is_spool = True
            self._lines = _spool([Flaw("unreadable", file.name, error.strerror or str(error))])
        self._lines.seek(0)
        lengths = np.fromiter((len(line) for line in self._lines), dtype=np.int64)
        self._ends = np.cumsum(lengths)

    def __len__(self) -> int:
        return len(self._ends)

    def __getitem__(self, number: int) -> Record | Flaw:
        """Row `number`, from 0."""
        start = int(self._ends[number - 1]) if number else 0
        self._lines.seek(start)
        line = self._lines.read(int(self._ends[number]) - start)
        return _unpack(line) if self._is_spool else parse_line(self.file, number + 1, line)

    def __del__(self) -> None:
        self._lines.close()


def _spool(rows: Iterable[Record | Flaw]) -> BinaryIO:
    spool = tempfile.TemporaryFile()  # noqa: SIM115 (it lives as long as its index)
    for row in rows:
        spool.write(_pack(row))
    return cast(BinaryIO, spool)


def _pack(row: Record | Flaw) -> bytes:
    return json.dumps([type(row).__name__, vars(row)]).encode() + b"\n"


def _unpack(line: bytes) -> Record | Flaw:
    kind, fields = json.loads(line)
    return Record(**fields) if kind == "Record" else Flaw(**fields)


def _decode(content: bytes) -> tuple[str, bool]:
    try:
        return content.decode(), False
    except UnicodeDecodeError:
        return content.decode(errors="replace"), True


def label(text: str) -> str:
    """`text` as the name of something: valid Unicode, without NUL, and not endless."""
    text = clean(text)[0].replace("\0", "\ufffd")
    return text if len(text) <= LABEL_CHARACTERS else text[: LABEL_CHARACTERS - 1] + "…"


def clean(text: str) -> tuple[str, bool]:
    """`text` with its lone surrogates replaced (JSON can hold them, UTF-8 cannot), and whether
    there were any."""
    if text.isascii():
        return text, False
    try:
        text.encode()
        return text, False
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass").decode("utf-8", "replace"), True
