"""Peak memory and disk of a precompute at N and at 4 N tokens.

    python -m bench.memory --json FILE        # 300,000 and 1,200,000 tokens of pystd-2l

Memory is the high-water mark of each process, as the kernel keeps it, coordinator and workers
apart; disk is the largest size that the work directory had, what stays of it, and the database.
Below N the token sample and the examples must be full, or both grow as they fill: N should be
several times 32,768 tokens.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.worker import machine

MIB = 1 << 20
GROWTH = 1.10  # what is allowed over four times the tokens


def descendants(pid: int) -> Iterator[int]:
    """All processes below one."""
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        for task in tasks:
            for child in (task / "children").read_text().split():
                yield int(child)
                yield from descendants(int(child))
    except OSError:
        return


def high_water(pid: int) -> tuple[str, float] | None:
    """(what the process is, MiB at its peak); None if it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
        command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return None
    for line in status.splitlines():
        if line.startswith("VmHWM:"):
            kind = "server of forks" if "forkserver import main" in command else "process"
            return kind, int(line.split()[1]) / 1024
    return None


def size_of(directory: Path) -> int:
    """Bytes of all files below a directory."""
    total = 0
    for root, _, files in os.walk(directory):
        for name in files:
            try:
                total += (Path(root) / name).stat().st_size
            except OSError:  # renamed or removed meanwhile
                continue
    return total


def measured(pair: str, corpus: str, tokens: int, workers: int, directory: Path) -> dict[str, Any]:
    """One precompute in a process of its own."""
    command = [sys.executable, "-m", "twinscope", "precompute", pair, "--corpus", corpus]
    command += ["--tokens", str(tokens), "--no-evidence", "--workers", str(workers)]
    command += ["--device", "cpu", "--data-dir", str(directory)]
    began = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    coordinator, others, disk = 0.0, {}, 0
    while process.poll() is None:
        own = high_water(process.pid)
        coordinator = max(coordinator, own[1] if own else 0.0)
        for pid in set(descendants(process.pid)):
            one = high_water(pid)
            if one is not None:
                others[pid] = max(others.get(pid, 0.0), one[1])
        disk = max(disk, size_of(directory / "work"))
        time.sleep(0.5)
    if process.returncode:
        sys.exit(f"precompute of {tokens:,} tokens ended with {process.returncode}")
    return {
        "tokens": tokens,
        "seconds": time.monotonic() - began,
        "coordinator_mib": coordinator,
        "largest_worker_mib": max(others.values(), default=0.0),
        "all_mib": coordinator + sum(sorted(others.values())[-workers:]),
        "work_peak_mib": disk / MIB,
        "work_kept_mib": size_of(directory / "work") / MIB,
        "database_mib": sum(f.stat().st_size for f in directory.glob("*.sqlite3*")) / MIB,
    }


def main() -> None:
    """Measure, print, and write the figures where `--json` says; 1 where memory grows."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pair", default="pystd-2l")
    parser.add_argument("--corpus", default="stdlib")
    parser.add_argument("--tokens", type=int, default=300_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    found = []
    for tokens in (given.tokens, 4 * given.tokens):
        with tempfile.TemporaryDirectory(prefix="bench-memory-") as made:
            one = measured(given.pair, given.corpus, tokens, given.workers, Path(made))
        found.append(one)
        print(
            f"{tokens:,} tokens: " + ", ".join(f"{k} {v:,.0f}" for k, v in one.items()), flush=True
        )
    growth = {
        name: found[1][name] / found[0][name]
        for name in found[0]
        if name.endswith("_mib") and found[0][name]
    }
    print("four times the tokens: " + ", ".join(f"{k} × {v:.3f}" for k, v in growth.items()))
    if given.json:
        figures = {"machine": machine(), "runs": found, "growth": growth}
        given.json.write_text(json.dumps(figures, indent=1))
    if growth["all_mib"] > GROWTH:
        sys.exit(f"peak memory grew by {100 * (growth['all_mib'] - 1):.0f} %")


if __name__ == "__main__":
    main()
