"""The fork server begins to import before the command does, and only where it will be needed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from multiprocessing import forkserver
from pathlib import Path

import pytest

from worker import fork_server


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[tuple[str | None, bool]]:
    """For each start: OMP_NUM_THREADS, and whether Ctrl-C is kept away."""
    found: list[tuple[str | None, bool]] = []

    def ensure_running() -> None:
        blocked = signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, [])
        found.append((os.environ.get("OMP_NUM_THREADS"), blocked))

    monkeypatch.setattr(forkserver, "ensure_running", ensure_running)
    monkeypatch.setattr(fork_server, "default_workers", lambda: 2)
    monkeypatch.setattr(fork_server, "_NVIDIA", tmp_path / "none")
    return found


@pytest.mark.parametrize(("device", "workers"), [("cpu", None), ("auto", None), ("cpu", 3)])
def test_it_starts_with_one_thread_and_without_ctrl_c(
    started: list[tuple[str | None, bool]], device: str, workers: int | None
) -> None:
    before = dict(os.environ), signal.pthread_sigmask(signal.SIG_BLOCK, [])
    fork_server.start_early(device, "local", workers)
    assert started == [("1", True)]
    assert (dict(os.environ), signal.pthread_sigmask(signal.SIG_BLOCK, [])) == before


@pytest.mark.parametrize(
    ("device", "engine", "workers"),
    [("cpu", "local", 1), ("cuda", "local", None), ("cpu", "ray", 4)],
)
def test_it_does_not_start_where_nothing_is_forked(
    started: list[tuple[str | None, bool]], device: str, engine: str, workers: int | None
) -> None:
    fork_server.start_early(device, engine, workers)
    assert started == []


def test_it_does_not_start_beside_a_gpu(
    started: list[tuple[str | None, bool]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(fork_server, "_NVIDIA", tmp_path)
    fork_server.start_early("auto", "local", None)
    assert started == []
    fork_server.start_early("cpu", "local", None)
    assert len(started) == 1


@pytest.mark.parametrize("shard", [None, "1/2"])
def test_a_wrong_corpus_is_refused_before_torch_is_imported(
    tmp_path: Path, shard: str | None
) -> None:
    arguments = ["precompute", "pystd-2l", "--corpus", "/nowhere", "--workers", "1"]
    arguments += [] if shard is None else ["--shard", shard]
    code = (
        "import sys\nfrom twinscope.app import main\n"
        f"sys.argv[1:] = {arguments}\n"
        "try: main()\nfinally: print('torch' in sys.modules)"
    )
    environment = os.environ | {"TWINSCOPE_DATA_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, env=environment
    )
    assert done.returncode == 1
    assert "corpus '/nowhere' does not exist" in done.stderr
    assert done.stdout.strip() == "False"


def test_nothing_heavy_stands_before_it() -> None:
    """What a command imports before it starts the server."""
    heavy = "import sys, twinscope.app, worker.fork_server; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", heavy], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_workers_are_forked_with_numba_ready() -> None:
    """What the server is told to import is there: it passes over a name that it does not find."""
    code = (
        "import importlib, sys; from worker import fork_server\n"
        "for name in fork_server._PRELOAD: importlib.import_module(name)\n"
        "ready = 'numba.cpython.unicode' in sys.modules\n"
        "print(ready, 'worker.engine_local' in sys.modules, 'worker.statistics_job' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=True
    )
    assert done.stdout.split() == ["True"] * 3
