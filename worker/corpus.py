"""A corpus: documents in a fixed order, streamed, with what could not be read counted and named.

    corpus = open_corpus(["stdlib", "notes/*.md"])
    for document in corpus.documents(order_seed=0):
        ...

A document's id is its place in the fixed order: corpora as given, paths sorted, lines in file
order. Records that are no document (empty, broken, unreadable) keep their place, so an id does
not depend on what else can be read. Contents are never held: memory does not grow with the corpus.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from worker.corpus_files import (
    CorpusFile,
    Flaw,
    Record,
    RowIndex,
    iterate_rows,
    list_files,
    read_text_file,
)
from worker.corpus_hub import HubCorpus, is_of_hub
from worker.errors import CorpusError

HELD_OUT_MODULUS = 20
PROBLEMS_LISTED = 100


@dataclass(frozen=True)
class Document:
    """One document; exactly one of `text` and `tokens` is set. `text` is always valid Unicode."""

    id: int
    source: str
    name: str
    text: str | None
    tokens: list[int] | None

    @property
    def digest(self) -> bytes:
        """SHA-256 of the content: of the text's UTF-8, or of the token ids as int64."""
        if self.text is not None:
            return _text_digest(self.text)
        return hashlib.sha256(np.asarray(self.tokens, dtype="<i8").tobytes()).digest()

    @property
    def held_out(self) -> bool:
        """Whether training must not see it (DESIGN §2)."""
        return int.from_bytes(self.digest) % HELD_OUT_MODULUS == 0


def is_held_out(text: str) -> bool:
    """Whether a document with this content is held out: its SHA-256 is 0 modulo 20."""
    return int.from_bytes(_text_digest(text)) % HELD_OUT_MODULUS == 0


def _text_digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


@dataclass
class Problems:
    """What could not be read as it stands: a count for each kind, and the first by name.

    Kinds: `empty`, `broken` and `unreadable` records were skipped; in `invalid-utf8` ones the
    bytes that are no text were replaced. Reading a corpus again counts nothing twice.
    """

    counts: Counter[str] = field(default_factory=Counter)
    listed: list[Flaw] = field(default_factory=list)
    _seen: set[tuple[str, int]] = field(default_factory=set)

    def note(self, document: int, flaw: Flaw) -> None:
        if (flaw.kind, document) in self._seen:
            return
        self._seen.add((flaw.kind, document))
        self.counts[flaw.kind] += 1
        if len(self.listed) < PROBLEMS_LISTED:
            self.listed.append(flaw)

    def __bool__(self) -> bool:
        return bool(self.counts)

    def __str__(self) -> str:
        """One line: "2 empty (a.py, b.py), 1 broken (c.jsonl:7)"."""
        parts = []
        for kind, count in sorted(self.counts.items()):
            names = [flaw.name for flaw in self.listed if flaw.kind == kind][:3]
            more = ", …" if count > len(names) else ""
            parts.append(f"{count} {kind} ({', '.join(names)}{more})")
        return ", ".join(parts)


class Corpus:
    """Documents of one or several specs, one after another."""

    def __init__(
        self, specs: Sequence[str], files: list[CorpusFile], hubs: list[HubCorpus]
    ) -> None:
        self.specs = tuple(specs)
        self.problems = Problems()
        self._files = files
        self._hubs = hubs
        self._rows: dict[int, RowIndex] = {}
        self._starts: list[int] | None = None

    def documents(self, order_seed: int | None = None) -> Iterator[Document]:
        """All documents in the fixed order, or in one shuffled by `order_seed`.

        Streams (`hf:`) keep their own order, after the local documents.
        """
        rows = self._in_order() if order_seed is None else self._shuffled(order_seed)
        for id, row in rows:
            document = self._accept(id, row)
            if document is not None:
                yield document

    def fingerprint(self) -> str:
        """SHA-256 over (source, name, content's SHA-256) of all local documents, and over the
        name, config, split and revision of each hub corpus. Reads every local document."""
        digest = hashlib.sha256()
        for id, row in self._local_in_order():
            document = self._accept(id, row)
            if document is not None:
                line = f"{document.source}\0{document.name}\0{document.digest.hex()}\n"
                digest.update(line.encode())
        for hub in self._hubs:
            digest.update(f"{hub.identity()}\n".encode())
        return digest.hexdigest()

    def pinned_specs(self) -> list[str]:
        """The specs, those of the hub with the commit that is read. Asks the hub, once."""
        hubs = iter(self._hubs)
        return [next(hubs).pinned if is_of_hub(one) else one for one in self.specs]

    def _accept(self, id: int, row: Record | Flaw) -> Document | None:
        if isinstance(row, Flaw):
            self.problems.note(id, row)
            return None
        if row.invalid_utf8:
            self.problems.note(id, Flaw("invalid-utf8", row.name, "bytes replaced by U+FFFD"))
        return Document(id, row.source, row.name, row.text, row.tokens)

    def _in_order(self) -> Iterator[tuple[int, Record | Flaw]]:
        id = -1
        for id, row in self._local_in_order():
            yield id, row
        yield from self._streams(id + 1)

    def _local_in_order(self) -> Iterator[tuple[int, Record | Flaw]]:
        id = 0
        for file in self._files:
            if file.is_text:
                yield id, read_text_file(file)
                id += 1
            else:
                for row in iterate_rows(file):
                    yield id, row
                    id += 1

    def _shuffled(self, seed: int) -> Iterator[tuple[int, Record | Flaw]]:
        starts = self._file_starts()
        for id in np.random.default_rng(seed).permutation(starts[-1]).tolist():
            number = int(np.searchsorted(starts, id, side="right")) - 1
            file = self._files[number]
            if file.is_text:
                yield id, read_text_file(file)
            else:
                yield id, self._rows[number][id - starts[number]]
        yield from self._streams(starts[-1])

    def _streams(self, start: int) -> Iterator[tuple[int, Record | Flaw]]:
        for hub in self._hubs:
            for row in hub.rows():
                yield start, row
                start += 1

    def _file_starts(self) -> list[int]:
        """The id of each file's first record, and the number of records in all."""
        if self._starts is None:
            starts = [0]
            for number, file in enumerate(self._files):
                if not file.is_text:
                    self._rows[number] = RowIndex(file)
                starts.append(starts[-1] + (1 if file.is_text else len(self._rows[number])))
            self._starts = starts
        return self._starts


def open_corpus(spec: str | Sequence[str]) -> Corpus:
    """Open what one or several CORPUS specs name (`KINDS` in corpus_files lists them).

    Raises `CorpusError` for a spec that does not exist or holds no document that can be read.
    """
    specs = [spec] if isinstance(spec, str) else list(spec)
    if not specs:
        raise CorpusError("no corpus was given", "name one, such as stdlib")
    files: list[CorpusFile] = []
    hubs: list[HubCorpus] = []
    for one in specs:
        if is_of_hub(one):
            hubs.append(HubCorpus.parse(one))
            continue
        found = list_files(one)
        probe = Corpus([one], found, [])
        if next(probe.documents(), None) is None:
            raise CorpusError(
                f"corpus {one!r} holds no document that can be read: {probe.problems}",
                "give text that is not empty",
            )
        files += found
    return Corpus(specs, files, hubs)
