"""The statistics stage beside other ways to make pages of top activations.

    python -m bench.peers --json FILE

Same weights, same tokens, the same k = 20; each in processes of one thread, one process a core, all
cores as busy for the one as for the other: ours shares out its work, of a peer one process makes
one version while another makes the other. Figures are a core's, of the median of three rounds by
turns (SAEDashboard: of one). SAEDashboard gets an environment of its own, made below the cache
directory and installed by name; where that fails the bench says so and goes on.

| | plain one-pass | SAEDashboard 0.8.0 | Twinscope |
|---|---|---|---|
| sites | the displayed one | `post`, what is positive | `pre`, `mid`, `post` |
| top examples | 20 windows, one value each | 20 | 20, one a document |
| lowest, bands below the top, lifted | no | quantile intervals | yes |
| histogram, moments | no | histogram of positive values | exact, all values |
| the other version's values, correspondence | no | no | yes |
| logit effects | no | yes | yes |
| losses on held-out text, an index for search by token | no | no | yes |
| memory grows with tokens | windows kept | all activations of a batch of features | no |

Only what grows in proportion is extrapolated: pages of the plain method (each is drawn alone), from
`--neurons` a layer to all; and SAEDashboard's batches of features, each of which reads all tokens
again. Tokens are not extrapolated unless `--peer-windows` says that peers read fewer; then seconds
are scaled by the tokens, and the record says so.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import venv
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch

from bench.memory import descendants, high_water
from bench.worker import forward, machine, some_shards
from store.engine import open_engine
from store.schema import upgrade
from worker.activations import load_models
from worker.fork_server import default_workers
from worker.plan import Plan, make_plan
from worker.precompute import precompute

PAIR, CORPUS = "pystd-2l", "stdlib"
AIMS = {"saedashboard": 12.0, "plain": 3.0}
ROOT = Path(__file__).resolve().parents[1]
#: Packages of a peer's environment, each by its version: nothing is left to resolve.
REQUIREMENTS = {"saedashboard": ROOT / "bench" / "peer_saedashboard.txt"}
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")


class PeakMemory:
    """High-water marks of the processes below this one, looked at twice a second."""

    def __init__(self) -> None:
        self._peaks: dict[int, float] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def of_largest(self, n: int) -> float:
        """MiB of the n largest together."""
        return sum(sorted(self._peaks.values())[-n:])

    def _look(self) -> None:
        while not self._over.wait(0.5):
            for pid in set(descendants(os.getpid())):
                found = high_water(pid)
                if found is not None:
                    self._peaks[pid] = max(self._peaks.get(pid, 0.0), found[1])


class PeerMissing(Exception):
    """A peer that cannot be had here, or does not run."""


def shared_files(plan: Plan, directory: Path) -> None:
    """What all peers read: weights, configs, tokenizer, windows, and activations to check by."""
    directory.mkdir(parents=True, exist_ok=True)
    shutil.copy(plan.pair.tokenizer_path, directory / "tokenizer.json")
    shards = some_shards(plan, int(plan.tokens or 0))
    for name in ("tokens", "mask"):
        np.save(
            directory / f"{name}.npy", np.concatenate([getattr(s.windows, name) for s in shards])
        )
    first = torch.from_numpy(shards[0].windows.tokens[:1]).long()
    for side, version in plan.versions.items():
        shutil.copy(version.weights, directory / f"{side}.safetensors")
        (directory / f"{side}.json").write_text(json.dumps(version.config))
        lean = load_models({side: version}, "cpu").lean[side]
        with torch.inference_mode():
            lean.forward(
                first,
                lambda layer, sites, _, side=side: np.save(  # type: ignore[misc]
                    directory / f"check-{side}-{layer}.npy", sites["post"][0].numpy()
                ),
                want="none",
            )


def environment(peer: str, cache: Path, seconds: float) -> Path:
    """The Python of the peer's environment, made when it is not there, in so many seconds.

    Raises `PeerMissing` where it cannot be made; what pip had fetched stays in pip's own cache.
    """
    where = cache / peer
    python = where / "bin" / "python"
    if (where / "ready").is_file():
        return python
    print(f"  making an environment for {peer} in {where} (some minutes, once) …", flush=True)
    shutil.rmtree(where, ignore_errors=True)
    venv.create(where, with_pip=True)
    install = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    try:
        done = subprocess.run(
            [*install, "--no-deps", "--no-compile", "-r", str(REQUIREMENTS[peer])],
            capture_output=True, text=True, check=False, timeout=seconds,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise PeerMissing(
            f"was not installed within {seconds:.0f} s: run again, or with a longer --install-limit"
        ) from error
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["pip failed"])[-1]
        raise PeerMissing(f"{peer} cannot be installed here: {last}")
    (where / "ready").touch()
    return python


def ran(command: list[str], seconds: float) -> dict[str, Any]:
    """The JSON that a peer's process printed last, and its peak memory. Raises `PeerMissing` where
    it failed."""
    try:
        with PeakMemory() as memory:
            done = subprocess.run(
                command, capture_output=True, text=True, check=False, timeout=seconds, cwd=ROOT,
                env=os.environ | ONE_THREAD | {"PYTHONPATH": str(ROOT)},
            )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise PeerMissing(f"took longer than {seconds:.0f} s") from error
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise PeerMissing(f"failed: {last}")
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found | {"peak_mib": memory.of_largest(1)}  # of whatever runs beside it, too


def of_both(command: list[str], plan: Plan, given: argparse.Namespace) -> list[dict[str, Any]]:
    """What the peer's command prints for each version: one process a core at a time, as ours."""
    commands = [[*command, "--side", one.side, *_windows(given)] for one in plan.layout.sides]
    with ThreadPoolExecutor(given.workers) as processes:
        return list(processes.map(partial(ran, seconds=given.limit), commands))


def plain(shared: Path, plan: Plan, given: argparse.Namespace) -> dict[str, Any]:
    """The plain method on both versions, pages extrapolated."""
    command = [sys.executable, "-m", "bench.peer_plain", str(shared)]
    parts = of_both([*command, "--neurons", str(given.neurons)], plan, given)
    total = int(plan.tokens or 0)
    seconds = {
        kind: sum(
            p[f"pass_{kind}"] * total / p["tokens"] + p[f"page_{kind}"] * p["neurons"]
            for p in parts
        )
        for kind in ("seconds", "cpu_seconds")
    }
    neurons = sum(p["neurons"] for p in parts)
    return _figures(seconds, neurons, total, parts, max(p["bytes_a_neuron"] for p in parts))


def saedashboard(shared: Path, plan: Plan, given: argparse.Namespace) -> dict[str, Any]:
    """SAEDashboard on a batch of features of one layer of each version."""
    python = environment("saedashboard", given.cache, given.install_limit)
    script = str(ROOT / "bench" / "peer_saedashboard.py")
    command = [str(python), script, str(shared), "--neurons", str(given.sae_neurons)]
    parts = of_both(command, plan, given)
    total = int(plan.tokens or 0)
    # One whole batch of features a version. A layer's next batch finds the forward passes in the
    # cache, which are a small part; all else it does again.
    neurons = sum(p["neurons"] for p in parts)
    seconds = {
        kind: sum(p[kind] * total / p["tokens"] + p[f"write_{kind}"] for p in parts)
        for kind in ("seconds", "cpu_seconds")
    }
    return _figures(seconds, neurons, total, parts, max(p["bytes_a_neuron"] for p in parts))


def _figures(
    seconds: dict[str, float], neurons: int, tokens: int, parts: list[dict[str, Any]], size: float
) -> dict[str, Any]:
    return {
        "neurons_per_second_a_core": neurons / seconds["seconds"],
        "neurons_per_cpu_second": neurons / seconds["cpu_seconds"],
        "tokens_per_second_a_core": tokens * len(parts) / seconds["seconds"],
        "peak_mib": max(p["peak_mib"] for p in parts),
        "bytes_a_neuron": size,
        "parts": parts,
    }


def ours(directory: Path, plan: Plan, workers: int) -> dict[str, Any]:
    """A whole `twinscope precompute` into a new SQLite database, losses and search index too.

    As with the peers, neither imports nor what is compiled at first count: they are done before.
    """
    with replace(plan, workers=workers).engine() as engine:
        forward(plan, engine, some_shards(plan, 20_000), "lean")
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    url = f"sqlite:///{directory / 'peers.sqlite3'}"
    database = open_engine(url, must_be_current=False)
    upgrade(database)
    empty = (directory / "peers.sqlite3").stat().st_size
    began, cpu = time.monotonic(), time.process_time()
    with PeakMemory() as memory:
        run = precompute(
            PAIR, CORPUS, tokens=plan.tokens, device="cpu", workers=workers,
            work_dir=directory / "work", database_url=url,
        )  # fmt: skip
    seconds, cpu = time.monotonic() - began, time.process_time() - cpu
    with database.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    database.dispose()
    left, right = run.pair.left, run.pair.right
    versions = left.n_layers * left.d_mlp + (right.n_layers * right.d_mlp if right else 0)
    laps = run.provenance["seconds"]
    # What partials are merged in, beside the losses, would then stand alone.
    alike = seconds - laps["losses"] - laps["search index"] + laps["merge"]
    own = high_water(os.getpid())
    assert own is not None
    return {
        "neurons_per_second_a_core": versions / seconds / workers,
        "without_losses_and_index": versions / alike / workers,
        # Of several processes what publication takes is not known.
        "neurons_per_cpu_second": versions / cpu if workers == 1 else None,
        "tokens_per_second_a_core": 2 * run.n_tokens / seconds / workers,
        "peak_mib": own[1] + memory.of_largest(workers),
        "bytes_a_neuron": ((directory / "peers.sqlite3").stat().st_size - empty) / versions,
        "seconds": seconds,
        "workers": workers,
        "laps": laps,
    }


def middle(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    """The round of median speed, and the speeds of all."""
    by_speed = sorted(rounds, key=lambda one: one["neurons_per_second_a_core"])
    speeds = [round(one["neurons_per_second_a_core"], 2) for one in rounds]
    return by_speed[(len(rounds) - 1) // 2] | {"rounds": speeds}


def _windows(given: argparse.Namespace) -> list[str]:
    return ["--windows", str(given.peer_windows)] if given.peer_windows else []


def report(found: dict[str, Any]) -> None:
    """Print the table and the ratios."""
    print(
        f"\n{'':<14}{'neurons/s/core':>15}{'/processor s':>14}{'tokens/s/core':>14}{'MiB':>8}"
        f"{'KiB a neuron':>14}"
    )
    for name, one in found["peers"].items():
        if "missing" in one:
            print(f"{name:<14}{one['missing']}")
            continue
        cpu = one["neurons_per_cpu_second"]
        print(
            f"{name:<14}{one['neurons_per_second_a_core']:>15.1f}"
            f"{'' if cpu is None else f'{cpu:.1f}':>14}{one['tokens_per_second_a_core']:>14,.0f}"
            f"{one['peak_mib']:>8,.0f}{one['bytes_a_neuron'] / 1024:>14.1f}"
        )
    for name, ratio in found["ratios"].items():
        cpu = f", × {ratio['cpu']:.1f} by processor seconds" if "cpu" in ratio else ""
        print(
            f"twinscope / {name}: × {ratio['seconds']:.1f} by the clock{cpu} "
            f"(aim × {AIMS[name]:.0f}); × {ratio['alike']:.1f} without losses and search index, "
            "which no peer computes"
        )


def main() -> None:
    """Measure, print, and write the figures where `--json` says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tokens", type=int, default=524_288)
    parser.add_argument("--neurons", type=int, default=32, help="pages a layer of the plain method")
    parser.add_argument("--sae-neurons", type=int, default=256, help="features of SAEDashboard")
    parser.add_argument("--rounds", type=int, default=3, help="of all but SAEDashboard, by turns")
    parser.add_argument("--peer-windows", type=int, help="peers read only so many windows")
    parser.add_argument("--workers", type=int, default=default_workers())
    parser.add_argument("--skip", nargs="*", default=[], choices=("plain", "saedashboard"))
    parser.add_argument(
        "--cache", type=Path, default=Path("~/.cache/twinscope-bench").expanduser(),
        help="where peers' environments are",
    )  # fmt: skip
    parser.add_argument("--limit", type=float, default=600, help="seconds of each peer's process")
    parser.add_argument(
        "--install-limit", type=float, default=600, help="seconds to make a peer's environment"
    )
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    found: dict[str, Any] = {
        "machine": machine(),
        "tokens": given.tokens,
        "peers": {},
        "ratios": {},
    }
    with tempfile.TemporaryDirectory(prefix="bench-peers-") as made:
        plan = make_plan(
            PAIR, CORPUS, tokens=given.tokens, device="cpu", workers=1, seed=0,
        )  # fmt: skip
        shared = Path(made) / "shared"
        shared_files(plan, shared)
        # By turns, since a shared machine's speed changes from minute to minute.
        rounds: dict[str, list[dict[str, Any]]] = {}
        for number in range(given.rounds):
            for name, measure in (
                ("twinscope", lambda: ours(Path(made) / "ours", plan, given.workers)),
                ("plain", lambda: plain(shared, plan, given)),
                ("saedashboard", lambda: saedashboard(shared, plan, given)),
            ):
                if name in given.skip or (name == "saedashboard" and number):
                    continue
                print(f"{name} …", flush=True)
                try:
                    rounds.setdefault(name, []).append(measure())
                except PeerMissing as error:
                    found["peers"][name] = {"missing": str(error)}
        found["peers"] |= {name: middle(figures) for name, figures in rounds.items()}
    mine = found["peers"]["twinscope"]
    for name, one in found["peers"].items():
        if name in AIMS and "missing" not in one:
            theirs = one["neurons_per_second_a_core"]
            ratio = {
                "seconds": mine["neurons_per_second_a_core"] / theirs,
                "alike": mine["without_losses_and_index"] / theirs,
            }
            if mine["neurons_per_cpu_second"] is not None:
                ratio["cpu"] = mine["neurons_per_cpu_second"] / one["neurons_per_cpu_second"]
            found["ratios"][name] = ratio
    report(found)
    if given.json:
        given.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
