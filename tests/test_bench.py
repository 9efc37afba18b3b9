"""The benchmarks of the worker run, on a pair so small that their figures say nothing."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from bench import memory, numerics, worker
from tests.worker.tiny_pair import make_corpus, make_pair
from tests.worker.tiny_run import SETTINGS
from worker.plan import Plan, make_plan

pytestmark = pytest.mark.slow


@pytest.fixture
def tiny_pair(tmp_path: Path) -> Path:
    return make_pair(tmp_path / "tiny-pair")


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    return make_corpus(tmp_path / "texts")


def figures(
    main: Any, monkeypatch: pytest.MonkeyPatch, file: Path, *arguments: str
) -> dict[str, Any]:
    """What `main` writes when it is given these."""
    monkeypatch.setattr(sys, "argv", ["bench", *arguments, "--json", str(file)])
    main()
    found: dict[str, Any] = json.loads(file.read_text())
    assert found["machine"]["cores"] > 0
    return found


def test_the_speed_of_the_statistics_stage(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tiny_pair: Path, corpus: Path
) -> None:
    def tiny(size: str, tokens: int, directory: Path, given: Any) -> Plan:
        return make_plan(
            tiny_pair,
            str(corpus),
            tokens=tokens,
            device="cpu",
            workers=1,
            seed=0,
            settings=SETTINGS,
        )

    monkeypatch.setattr(worker, "plan_of", tiny)
    arguments = ["--size", "shipped", "--tokens", "2000", "--bare-tokens", "1000", "--rounds", "1"]
    found = figures(worker.main, monkeypatch, tmp_path / "figures.json", *arguments)
    (size,) = found["sizes"]
    assert size["ratio"] > 0
    assert size["laps"]["statistics"]["seconds"] > 0


def test_the_numerics_of_half_precision(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    arguments = ["--tokens", "2000", "--dtypes", "bfloat16"]
    found = figures(numerics.main, monkeypatch, tmp_path / "figures.json", *arguments)
    assert found["tokens"] >= 2000
    assert all(0 < row["top20"] <= 1 for row in found["dtypes"]["bfloat16"])
    assert found["bridge"]["lean_tokens_per_second"] > 0


def test_the_memory_of_a_precompute(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tiny_pair: Path, corpus: Path
) -> None:
    # So few tokens fill neither sample nor examples: memory may grow, which is said at the end.
    monkeypatch.setattr(memory, "GROWTH", 10.0)
    arguments = ["--pair", str(tiny_pair), "--corpus", str(corpus)]
    arguments += ["--tokens", "500", "--workers", "1"]
    found = figures(memory.main, monkeypatch, tmp_path / "figures.json", *arguments)
    assert [run["tokens"] for run in found["runs"]] == [500, 2000]
    assert all(run["coordinator_mib"] > 10 for run in found["runs"])
    assert found["growth"]["all_mib"] < 10
