"""Runs of the tiny pair, each in a database of its own, and what can happen to them on the way."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from store.engine import open_engine
from store.records import RunRecord
from tests import databases
from tests.worker.published import everything
from tests.worker.tiny_pair import make_corpus, make_pair
from worker.precompute import precompute
from worker.reporter import Silent
from worker.settings import StatisticsSettings

SETTINGS = StatisticsSettings(
    sample_size=500, top=4, bottom=2, drawn=2, before=6, after=4, partners=2, loss_tokens=300
)


class Place:
    """A pair, a corpus and a work directory; every run is published in a database of its own."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.pair = make_pair(root / "tiny-pair")
        self.corpus = make_corpus(root / "texts")

    def compute(self, url: str, **options: Any) -> RunRecord:
        given = {
            "device": "cpu",
            "workers": 1,
            "work_dir": self.root / "work",
            "seed": 5,
            "tokens": 2500,
            "settings": SETTINGS,
            "batch_windows": 8,
            "shard_windows": 16,
        }
        pair = options.pop("pair", self.pair)
        corpus = options.pop("corpus", str(self.corpus))
        return precompute(pair, corpus, database_url=url, **(given | options))

    def published(self, **options: Any) -> tuple[RunRecord, dict[str, Any]]:
        """A run in a fresh database, and all that it published."""
        with databases.fresh("sqlite") as url:
            run = self.compute(url, **options)
            with opened(url) as engine:
                return run, everything(engine, run)


@contextmanager
def opened(url: str) -> Iterator[Any]:
    engine = open_engine(url)
    try:
        yield engine
    finally:
        engine.dispose()


class Disturb(Silent):
    """Does something once, when the first tokens of a step are done."""

    def __init__(self, step: str, deed: Any) -> None:
        self._step, self._deed, self._now = step, deed, ""

    def step(self, name: str, total: int | None, unit: str) -> None:
        self._now = name

    def advance(self, done: int, total: int | None = None) -> None:
        if self._now == self._step and self._deed is not None:
            deed, self._deed = self._deed, None
            deed()


def press_ctrl_c() -> None:
    os.kill(os.getpid(), signal.SIGINT)
