"""How many pages a second the server gives, and how long one takes: a bounded load on loopback.

    python -m bench.server                                  # SQLite, then Postgres; a quarter hour
    python -m bench.server --database sqlite --processes 2 --json figures.json
    python -m bench.server --url sqlite:///hub.sqlite3      # a database filled before (--keep)

A synthetic run of the hub's size is published (bench/hub_run.py): 40,960 versions with two million
examples, or with those of `--with-examples` versions alone; neuron pages are of those. The server
is a process of its own, or several; the load comes from this one. `neuron` asks for another neuron
each time, and by an address that was not asked before, so every page is made anew; `neuron
again` asks for a few over and over, as readers of a
shared link do. Processor time is the server's own (Linux), which a busy machine disturbs less than
times.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import platform
import random
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.hub_run import SLUG, fill, layers_of
from bench.load import Seen, closed, opened
from store import runs, schema
from store.engine import open_engine
from store.records import RunRecord
from tests import databases

ROOT = Path(__file__).resolve().parent.parent
SORTS = ("", "-hidden_share", "-kurtosis", "density", "-best_correlation", "-polysemanticity")
FEWEST_AT_A_RATE = 300
PAIR_SORTS = ("", "-diff_hidden_share", "-diff_kurtosis", "left_best_correlation")


def page_kinds(run: RunRecord, with_examples: int, seed: int) -> dict[str, Iterator[str]]:
    """What is asked for → paths without end."""
    rng = random.Random(seed)
    layers, d_mlp = run.pair.left.n_layers, run.pair.left.d_mlp
    shown = [(n % layers, n // layers) for n in range(with_examples // 2)]
    rng.shuffle(shown)
    slug = run.pair.slug

    def explorer(ending: str, rows: str, sorts: tuple[str, ...]) -> Iterator[str]:
        while True:
            sort = rng.choice(sorts)
            layer = rng.choice(["", "", f"&layer={rng.randrange(layers)}"])
            page = rng.randint(1, d_mlp // 50)
            yield f"/{slug}{ending}?rows={rows}&sort={sort}&page={page}{layer}"

    def anew(ending: str) -> Iterator[str]:
        """A parameter that nothing reads makes each address another, so that no answer is kept."""
        for number, (layer, n) in enumerate(itertools.cycle(shown)):
            yield f"/{slug}/{layer}/{n}{ending}?asked={number}"

    again = [f"/{slug}/{layer}/{n}?run={run.id}" for layer, n in shown[:20]]
    return {
        "neuron": anew(""),
        "neuron again": itertools.cycle(again),
        "neuron JSON": anew(".json"),
        "explorer": explorer("", "version", SORTS),
        "explorer, pairs": explorer("", "pair", PAIR_SORTS),
        "explorer JSON": explorer(".json", "version", SORTS),
    }


@contextmanager
def serving(url: str, processes: int) -> Iterator[tuple[str, int]]:
    """A server of this checkout on a free port: (its address, its process id)."""
    command = [sys.executable, "-m", "twinscope", "serve", "--port", "0"]
    if processes > 1:
        command += ["--processes", str(processes)]
    server = subprocess.Popen(
        command,
        cwd=ROOT,
        env=os.environ | {"TWINSCOPE_DATABASE_URL": url},
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
    )
    try:
        assert server.stdout is not None
        found = re.search(r"http://\S+", server.stdout.readline())
        if found is None:
            raise RuntimeError("The server did not start.")
        yield found[0].rstrip("/"), server.pid
    finally:
        server.terminate()
        server.wait(20)


def processor_seconds(pid: int) -> float:
    """User and system time of a process and its children, with those that have ended; Linux."""
    total = 0.0
    tick = os.sysconf("SC_CLK_TCK")
    children = {pid}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) in children or int(entry.parent.name) == pid:
            total += (int(fields[11]) + int(fields[12])) / tick
    return total


def read_through(url: str) -> None:
    """Have the system keep SQLite's file in memory: what its disk costs is not measured here, and
    a machine that lacks memory, or takes it back, would read some pages and not others."""
    kind, _, path = url.partition(":///")
    if kind == "sqlite":
        with Path(path).open("rb", buffering=0) as file:
            while file.read(2**24):
                pass


def measure(
    url: str,
    address: str,
    pid: int,
    run: RunRecord,
    with_examples: int,
    seconds: float,
    repeat: int,
) -> list[dict[str, Any]]:
    """Every kind of page at 1 and 8 connections, and neurons and explorer at a fixed rate."""
    figures = []
    for number in range(repeat):
        read_through(url)
        kinds = page_kinds(run, with_examples, number)
        for paths in kinds.values():  # what is loaded once is loaded now
            for _ in range(4):
                asyncio.run(closed(address, paths, connections=1, seconds=0.01))
        plans: list[tuple[str, str, dict[str, Any]]] = [
            (name, f"{connections} connection{'s'[:connections - 1]}",
             {"connections": connections})
            for name in kinds
            for connections in (1, 8)
        ]  # fmt: skip
        plans += [
            ("neuron", "30 a second", {"rate": 30}),
            ("explorer", "10 a second", {"rate": 10}),
            ("explorer, pairs", "10 a second", {"rate": 10}),
        ]
        for name, load, how in plans:
            before = processor_seconds(pid)
            if "rate" in how:
                # So many that a hundredth of them is more than the one that met a hiccup.
                lasting = max(seconds, FEWEST_AT_A_RATE / how["rate"])
                seen = asyncio.run(opened(address, kinds[name], seconds=lasting, **how))
            else:
                seen = asyncio.run(closed(address, kinds[name], seconds=seconds, **how))
            spent = processor_seconds(pid) - before
            figures.append(figure(name, load, seen, spent))
            print(line(figures[-1]), flush=True)
    return figures


def figure(name: str, load: str, seen: Seen, spent: float) -> dict[str, Any]:
    """One measurement as it is written down."""
    n = max(1, len(seen.seconds))
    return {
        "page": name,
        "load": load,
        "requests": len(seen.seconds),
        "per_second": round(seen.per_second, 1),
        "p50_ms": round(seen.percentile(50), 1),
        "p99_ms": round(seen.percentile(99), 1),
        "processor_ms": round(1000 * spent / n, 1),
        "kilobytes": round(seen.n_bytes / n / 1000, 1),
    }


def line(one: dict[str, Any]) -> str:
    """A measurement for people."""
    return (
        f"  {one['page']:<16}{one['load']:<15}{one['per_second']:>8,.1f}/s"
        f"   p50 {one['p50_ms']:>7,.1f} ms   p99 {one['p99_ms']:>7,.1f} ms"
        f"   processor {one['processor_ms']:>6,.1f} ms   {one['kilobytes']:>6,.1f} kB"
    )


def main() -> None:
    """Fill, serve, load, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", choices=(*databases.KINDS, "both"), default="both")
    parser.add_argument("--url", help="a database of its own, filled if it is not yet; kept")
    parser.add_argument("--versions", type=int, default=40_960, help="of both sides")
    parser.add_argument("--with-examples", type=int, help="of these, of both sides; default: all")
    parser.add_argument("--processes", type=int, default=1, help="of the server")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each measurement")
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--json", type=Path, help="a file for the figures")
    options = parser.parse_args()
    with_examples = min(options.with_examples or options.versions, options.versions)
    report: dict[str, Any] = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": {
            "cores": os.cpu_count(),
            "system": platform.system(),
            "python": platform.python_version(),
            "load_before": os.getloadavg(),
        },
        "versions": options.versions,
        "with_examples": with_examples,
        "seconds": options.seconds,
        "repeat": options.repeat,
        "processes": options.processes,
        "databases": {},
    }
    kinds = databases.KINDS if options.database == "both" else (options.database,)
    for kind in [None] if options.url else kinds:
        with ExitStack() as stack:
            url = options.url or stack.enter_context(databases.fresh(str(kind)))
            engine = open_engine(url, must_be_current=False)
            schema.upgrade(engine)
            if not runs.list_runs(engine, SLUG):
                print(f"{engine.dialect.name}: filling")
                fill(engine, options.versions, with_examples)
            run = runs.get_run(engine, runs.LATEST, SLUG)
            name = engine.dialect.name
            engine.dispose()
            print(f"{name}: {layers_of(options.versions)} layers, {options.processes} processes")
            address, pid = stack.enter_context(serving(url, options.processes))
            report["databases"][name] = measure(
                url, address, pid, run, with_examples, options.seconds, options.repeat
            )
    databases.drop_templates()
    report["machine"]["load_after"] = os.getloadavg()
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
