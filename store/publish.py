"""Loading a run: in chunks, unseen by readers, then published in one small transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from sqlalchemy import Engine

from store.records import (
    DocumentRecord,
    ExampleRecord,
    LayerRecord,
    LossRecord,
    NeuronRecord,
    RunRecord,
    WindowRecord,
)

#: Called as progress(what, rows): what is "windows", "neurons", "examples" …, rows so far of it.
Progress = Callable[[str, int], None]


class Loader:
    """What `loading` gives: a method a kind of record, each of which may be called repeatedly.

    Order: vocabulary, documents, windows, neurons, examples (foreign keys); layers and losses at
    any time; publish last. Iterables may be generators: rows go out in chunks.
    """

    def vocabulary(self, tokens: list[bytes]) -> None:
        """The bytes of each token id (index = id). Needed before windows, neurons, examples."""
        raise NotImplementedError

    def documents(self, records: Iterable[DocumentRecord]) -> int:
        """Documents that examples name; returns the rows written."""
        raise NotImplementedError

    def windows(self, records: Iterable[WindowRecord]) -> int:
        """Token windows that examples show, each once."""
        raise NotImplementedError

    def neurons(self, records: Iterable[NeuronRecord]) -> int:
        """Versions with their histograms, partners and logit effects."""
        raise NotImplementedError

    def examples(self, records: Iterable[ExampleRecord]) -> int:
        """Examples of versions that were loaded, on windows that were loaded."""
        raise NotImplementedError

    def layers(self, records: Iterable[LayerRecord]) -> int:
        """What has one value per layer of the pair."""
        raise NotImplementedError

    def losses(self, records: Iterable[LossRecord]) -> int:
        """Losses on held-out documents, a row a side and source."""
        raise NotImplementedError

    def publish(self, stage: str = "statistics") -> RunRecord:
        """Flip the run to published in one small transaction; the run as stored."""
        raise NotImplementedError


@contextmanager
def loading(engine: Engine, run: RunRecord, progress: Progress | None = None) -> Iterator[Loader]:
    """Load a run; a reader sees nothing of it until `Loader.publish`.

        with loading(engine, run) as loader:
            loader.vocabulary(tokens)
            loader.documents(documents)
            ...
            loader.publish()

    Leaving without `publish`, or by an exception, removes what was loaded. Errors:
    `AlreadyPublished` (nothing to do), `LoadInterrupted` (another process loads the same run).
    """
    raise NotImplementedError
    yield Loader()


def sweep(engine: Engine, idle: timedelta = timedelta(minutes=5)) -> list[str]:
    """Remove what loads left behind that wrote nothing for `idle`; the ids of those runs."""
    raise NotImplementedError
