"""A stand-in of the hub with a pair, a larger model alone, their tokenizer and a corpus; and one
process that asks it, since what it imports takes longer than all the tests."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.worker.hub.process import Answer, HubProcess
from tests.worker.hub.repositories import (
    CORPUS,
    GELU,
    LARGER,
    SOLU,
    TOKENIZER,
    corpus_rows,
    dataset_files,
    model_files,
    tokenizer_files,
)
from tests.worker.hub.stand_in import StandIn, hub

CHECKS = "tests.worker.hub.checks"


@dataclass
class Hub:
    """The stand-in, the process, and a data directory that several tests share."""

    stand_in: StandIn
    process: HubProcess
    data_dir: Path

    @property
    def pair(self) -> str:
        """The directory of a kept pair."""
        return str(self.data_dir / "pairs" / "solu-1l--gelu-1l")

    def fetch(self, spec: str, data_dir: Path) -> Answer:
        return self.process.twinscope("fetch", spec, data_dir=data_dir)

    def precompute(self, *arguments: str) -> Answer:
        fixed = ("--device", "cpu", "--workers", "1")
        return self.process.twinscope("precompute", *arguments, *fixed, data_dir=self.data_dir)

    def check(self, function: str, *arguments: Any) -> Any:
        """One of `tests.worker.hub.checks`."""
        return self.process.call(CHECKS, function, *arguments)


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    with hub() as stand_in:
        stand_in.add("model", SOLU, model_files("solu_ln", 1))
        stand_in.add("model", GELU, model_files("gelu", 2))
        stand_in.add("model", LARGER, model_files("solu_ln", 3, n_layers=2))
        stand_in.add("model", TOKENIZER, tokenizer_files())
        stand_in.add("dataset", CORPUS, dataset_files(corpus_rows(400)))
        data_dir = tmp_path_factory.mktemp("data")
        with HubProcess(stand_in.url, tmp_path_factory.mktemp("hub-cache")) as process:
            served = Hub(stand_in, process, data_dir)
            answer = served.fetch("solu-1l--gelu-1l", data_dir)
            assert answer.code == 0, answer.err
            yield served
