"""A run recomputed by brute force agrees, and a value altered by hand does not."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from store import packing, verifications
from store.engine import open_engine
from store.records import RunRecord
from store.verifications import VerificationRecord
from tests import databases
from tests.worker.evidence.test_stage import SETTINGS
from tests.worker.tiny_pair import make_corpus, make_pair
from worker.errors import CorpusError, PairError, UsageError
from worker.evidence.stage import evidence
from worker.precompute import precompute
from worker.settings import StatisticsSettings
from worker.verify.stage import verify

STATISTICS = StatisticsSettings(sample_size=500, loss_tokens=200)


@dataclass(frozen=True)
class Case:
    """A whole run in a SQLite file; `copy` gives another database with the same."""

    base: Path
    path: Path
    run: RunRecord

    def copy(self, target: Path) -> str:
        shutil.copyfile(self.path, target)
        return f"sqlite:///{target}"

    def verified(self, url: str, sample: int = 1000, **options: object) -> VerificationRecord:
        given = {"pair_spec": self.base / "tiny-pair", "device": "cpu", "workers": 1}
        _, found = verify(self.run.id, sample=sample, database_url=url, **(given | options))  # type: ignore[arg-type]
        return found


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Case]:
    base = tmp_path_factory.mktemp("verify")
    pair, corpus = make_pair(base / "tiny-pair"), make_corpus(base / "texts")
    with databases.fresh("sqlite") as url:
        options = {"device": "cpu", "workers": 1, "work_dir": base / "work", "database_url": url}
        run = precompute(
            pair, str(corpus), tokens=1500, seed=3, settings=STATISTICS, **options  # type: ignore[arg-type]
        )  # fmt: skip
        run = evidence(run.id, pair_spec=pair, settings=SETTINGS, **options)  # type: ignore[arg-type]
        path = Path(url.removeprefix("sqlite:///"))
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        yield Case(base, path, run)


def test_a_run_agrees_with_what_is_recomputed(case: Case, tmp_path: Path) -> None:
    url = case.copy(tmp_path / "copy.sqlite3")
    found = case.verified(url)
    assert [(c.name, c.failed) for c in found.checks if c.n_failed] == []
    assert found.ok
    assert found.versions == 2 * 2 * 12
    n = {check.name: check.n for check in found.checks}
    assert n["documents, windows, tokens"] == 3
    assert n["histogram counts"] == 2 * 12 * 5 * (387 + 1)
    assert n["mean"] == n["kurtosis"] == 2 * 12 * (5 + 2)
    assert n["example activations"] == n["example tokens"] > 48 * 30
    assert n["correlation with the same index"] == 48
    assert n["exact hidden share"] >= 4
    assert n["estimated effect"] == 48
    assert {"held-out losses", "loss differences", "logit effects"} <= set(n)
    assert all(check.tolerance for check in found.checks)
    engine = open_engine(url)
    assert verifications.last(engine, case.run.id) == found
    engine.dispose()
