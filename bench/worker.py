"""How fast the statistics stage is, beside a bare forward pass of the same models.

    python -m bench.worker --json FILE               # both sizes: about ten minutes on two cores
    python -m bench.worker --size shipped --rounds 3
    python -m bench.worker --size hub --tokens 1000000

(a) *Bare*: both versions on the same windows by TransformerLens's `NativeModel.forward` itself,
without the bridge's wrappers, without hooks, without the unembedding; the same batch, the same
dtype, the same processes (one a core, with one thread) of the same engine.

(b) *Stage*: EVIDENCE §1 to §3 on all tokens as `twinscope precompute` computes them, from text (or
rows of ids) to the published run in a database: tokenizing, the statistics pass, the token sample
to its place, draws and correspondence of each layer, the gather pass and the publication. What
precompute does beside that, logit effects (§8), losses (§7) and the search index, is timed and
shown, but is no part of (b); their rows are written by the publication, which is. Models are loaded
before either begins.

(a) is measured before and after each round of (b), on part of the tokens; the ratio b/a of a round
takes the mean of the two. Medians over rounds are what counts. Processor seconds, of the workers
and the coordinator together, make a second ratio that depends less on what else the machine does.
At hub size the sample, the comparison, the gather pass and the publication are fixed costs that
real runs spread over far more tokens: the model of both is printed, and what it foretells.

`--device cuda --dtype bfloat16` takes the same way through one process; no GPU has tried it yet.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any, Literal

import torch

from bench import hub_pair
from store.engine import open_engine
from store.schema import upgrade
from worker.activations import Models
from worker.engine import Engine
from worker.plan import Plan, make_plan
from worker.precompute import find, run_record
from worker.publish import publish
from worker.reporter import Silent
from worker.run_directory import RunDirectory
from worker.sample import Threshold
from worker.shards import Shard, ShardStream
from worker.statistics_job import batches
from worker.watch import Watch

#: Laps of a precompute that are no part of EVIDENCE §1 to §3.
BESIDE = ("logit effects", "search index", "losses")
TARGETS = {"shipped": 0.5, "hub": 0.6}

Kind = Literal["bare", "lean"]


@dataclass(frozen=True)
class ForwardJob:
    """Forward passes of both versions and nothing else."""

    kind: Kind
    sides: tuple[str, ...]
    batch_windows: int

    def open(self, models: Models) -> ForwardWork:
        return ForwardWork(self, models)


class ForwardWork:
    """`handle` gives the number of unmasked tokens."""

    def __init__(self, job: ForwardJob, models: Models) -> None:
        self._job = job
        self._models = models
        self._heads = {side: models.lean[side].model.head for side in job.sides}
        if job.kind == "bare":
            for side in job.sides:
                models.lean[side].model.head = torch.nn.Identity()  # type: ignore[assignment]

    def handle(self, shard: Shard) -> int:
        device = self._models.device
        with torch.inference_mode():
            for windows in batches(shard.windows, self._job.batch_windows):
                tokens = torch.from_numpy(windows.tokens).long().to(device)
                for side in self._job.sides:
                    lean = self._models.lean[side]
                    if self._job.kind == "bare":
                        lean.model(tokens)
                    else:
                        lean.forward(tokens, want="none")
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return shard.windows.unmasked

    def finish(self) -> None:
        for side, head in self._heads.items():
            self._models.lean[side].model.head = head


@dataclass(frozen=True)
class Forward:
    """One measurement of forward passes."""

    kind: Kind
    tokens: int
    seconds: float
    cpu_seconds: float

    @property
    def per_second(self) -> float:
        return self.tokens / self.seconds


@dataclass(frozen=True)
class Stage:
    """One statistics stage. `laps`: wall seconds and processor seconds of each step."""

    tokens: int
    windows: int
    gathered: int
    examples: int
    versions: int
    seconds: float
    cpu_seconds: float
    laps: dict[str, tuple[float, float]]
    forward_seconds: float
    accumulator_seconds: float

    @property
    def per_second(self) -> float:
        return self.tokens / self.seconds


class LapWatch(Watch):
    """A watch that also counts the coordinator's processor time."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self.laps: dict[str, tuple[float, float]] = {}
        self._wall, self._cpu = time.monotonic(), time.process_time()

    def lap(self, name: str, *, by_workers: bool = True) -> None:
        super().lap(name, by_workers=by_workers)
        wall, cpu = time.monotonic(), time.process_time()
        theirs = self._engine.cpu_seconds if by_workers and self._engine.workers > 1 else 0.0
        self.laps[name] = (wall - self._wall, cpu - self._cpu + theirs)
        self._wall, self._cpu = wall, cpu

    def beside(self, name: str, seconds: float, cpu_seconds: float) -> None:
        """Counted as if it had been done alone; its processor time is not the other step's."""
        super().beside(name, seconds, cpu_seconds)
        self.laps[name] = (seconds, cpu_seconds)
        self._cpu += cpu_seconds


def forward(plan: Plan, engine: Engine, shards: list[Shard], kind: Kind) -> Forward:
    """Both versions' forward passes on some shards."""
    sides = tuple(one.side for one in plan.layout.sides)
    wall, cpu = time.monotonic(), time.process_time()
    tokens = sum(engine.run(ForwardJob(kind, sides, plan.batch_windows), shards))
    seconds, cpu = time.monotonic() - wall, time.process_time() - cpu
    theirs = engine.cpu_seconds if engine.workers > 1 else 0.0
    return Forward(kind, tokens, seconds, cpu + theirs)


def stage(plan: Plan, engine: Engine, directory: Path) -> Stage:
    """A whole statistics stage into a new SQLite database."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    database = open_engine(f"sqlite:///{directory / 'bench.sqlite3'}", must_be_current=False)
    try:
        upgrade(database)
        with RunDirectory.locked(directory / "work") as run_directory:
            watch = LapWatch(engine)
            found, findings = find(plan, engine, run_directory, Silent(), watch)
            publish(database, run_record(plan, watch, found), findings, engine, Silent())
            watch.lap("publication")
            examples = len(findings.requests)
            gathered = len(set(findings.requests["window"].tolist()))
    finally:
        database.dispose()
    counted = [lap for name, lap in watch.laps.items() if name not in BESIDE]
    return Stage(
        tokens=found.n_tokens,
        windows=found.n_windows,
        gathered=gathered,
        examples=examples,
        versions=plan.layout.versions,
        seconds=sum(wall for wall, _ in counted),
        cpu_seconds=sum(cpu for _, cpu in counted),
        laps=watch.laps,
        forward_seconds=found.tally.forward,
        accumulator_seconds=found.tally.statistics,
    )


def some_shards(plan: Plan, tokens: int) -> list[Shard]:
    """The first shards of the plan's corpus, for forward passes."""
    stream = ShardStream(
        plan.corpus.documents(plan.order_seed),
        plan.tokenizer,
        plan.n_ctx,
        size=plan.shard_windows,
        max_tokens=tokens,
        seed=plan.seed,
        threshold=Threshold(plan.settings.sample_size),
    )
    return list(stream)


@dataclass(frozen=True)
class Round:
    """A stage between two measurements of the forward passes."""

    bare: tuple[Forward, Forward]
    stage: Stage

    @property
    def bare_per_second(self) -> float:
        return sum(one.tokens for one in self.bare) / sum(one.seconds for one in self.bare)

    @property
    def ratio(self) -> float:
        return self.stage.per_second / self.bare_per_second

    @property
    def cpu_ratio(self) -> float:
        bare = sum(one.cpu_seconds for one in self.bare) / sum(one.tokens for one in self.bare)
        return bare / (self.stage.cpu_seconds / self.stage.tokens)


def measure(
    size: str,
    plan: Plan,
    bare_tokens: int,
    rounds: int,
    directory: Path,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """All rounds of one size; a record of the figures, which are said as well."""
    shards = some_shards(plan, bare_tokens)
    with plan.engine() as engine:
        # Workers start, load the models and compile: of no interest here.
        for kind in ("bare", "lean"):
            forward(plan, engine, shards[: 2 * engine.workers], kind)
        done: list[Round] = []
        lean: list[Forward] = []
        before = forward(plan, engine, shards, "bare")
        for number in range(1, rounds + 1):
            lean.append(forward(plan, engine, shards, "lean"))
            one = stage(plan, engine, directory)
            after = forward(plan, engine, shards, "bare")
            done.append(Round((before, after), one))
            before = after
            say(
                f"  round {number}: bare {done[-1].bare_per_second:,.0f} tokens/s, stage "
                f"{one.per_second:,.0f}, ratio {done[-1].ratio:.2f} (processor time "
                f"{done[-1].cpu_ratio:.2f})"
            )
    figures = {
        "size": size,
        "device": plan.device,
        "dtype": plan.identity["dtype"],
        "processes": plan.workers,
        "batch_windows": plan.batch_windows,
        "tokens": done[0].stage.tokens,
        "versions": plan.layout.versions,
        "bare_tokens_per_second": median(one.bare_per_second for one in done),
        "lean_tokens_per_second": median(one.per_second for one in lean),
        "stage_tokens_per_second": median(one.stage.per_second for one in done),
        "ratio": median(one.ratio for one in done),
        "ratio_of_cpu_seconds": median(one.cpu_ratio for one in done),
        "target": TARGETS.get(size),
        "laps": laps_of([one.stage for one in done]),
        "model": model_of(done),
        "rounds": [asdict(one) for one in done],
    }
    for line in report(figures):
        say(line)
    return figures


def laps_of(stages: list[Stage]) -> dict[str, dict[str, float]]:
    """Median wall and processor seconds of each step; parts of the pass by processor time."""
    found = {
        name: {
            "seconds": median(one.laps[name][0] for one in stages),
            "cpu_seconds": median(one.laps[name][1] for one in stages),
        }
        for name in stages[0].laps
    }
    for name in ("forward", "accumulator"):
        of = [getattr(one, f"{name}_seconds") for one in stages]
        found[f"statistics: {name}"] = {"cpu_seconds": median(of)}
    return found


def model_of(rounds: list[Round]) -> dict[str, float]:
    """seconds(N) = fixed + pass · N + gather · min(windows(N), examples), and what it foretells.

    The pass grows with the tokens; the gather pass with the windows that show examples, at most
    one each; all else does not grow. Ratios for more tokens than were measured follow from it.
    """
    first = rounds[0].stage
    passed = median(one.stage.laps["statistics"][0] / one.stage.tokens for one in rounds)
    gather = median(one.stage.laps["gather"][0] / one.stage.gathered for one in rounds)
    fixed = median(
        one.stage.seconds - one.stage.laps["statistics"][0] - one.stage.laps["gather"][0]
        for one in rounds
    )
    bare = median(one.bare_per_second for one in rounds)
    a_window = first.tokens / first.windows
    found = {"fixed_s": fixed, "pass_us_a_token": 1e6 * passed, "gather_ms_a_window": 1e3 * gather}
    for tokens in (1_000_000, 10_000_000, 100_000_000, 1_000_000_000):
        shown = min(tokens / a_window, first.examples)
        seconds = fixed + passed * tokens + gather * shown
        found[f"ratio_at_{tokens // 1_000_000}M"] = tokens / seconds / bare
    return found


def report(figures: dict[str, Any]) -> Iterator[str]:
    """The figures as lines."""
    target = figures["target"]
    aim = f" (aim {target:.2f})" if target and figures["device"] == "cpu" else ""
    yield f"  bare   {figures['bare_tokens_per_second']:>10,.0f} tokens/s, both versions"
    yield f"  lean   {figures['lean_tokens_per_second']:>10,.0f}"
    yield f"  stage  {figures['stage_tokens_per_second']:>10,.0f}"
    yield (
        f"  stage / bare  {figures['ratio']:.2f}{aim}; by processor seconds "
        f"{figures['ratio_of_cpu_seconds']:.2f}"
    )
    yield f"  {'step':<24}{'seconds':>9}{'processor s':>13}{'µs a token':>12}"
    for name, lap in figures["laps"].items():
        seconds = f"{lap['seconds']:9.1f}" if "seconds" in lap else " " * 9
        micro = 1e6 * lap["cpu_seconds"] / figures["tokens"]
        beside = "  not counted" if name in BESIDE else ""
        yield f"  {name:<24}{seconds}{lap['cpu_seconds']:13.1f}{micro:12.1f}{beside}"
    model = figures["model"]
    yield (
        f"  seconds(N) = {model['fixed_s']:.1f} + {model['pass_us_a_token']:.1f} µs · N + "
        f"{model['gather_ms_a_window']:.2f} ms · windows that show examples"
    )
    ahead = ", ".join(f"{k[9:]}: {v:.2f}" for k, v in model.items() if k.startswith("ratio_at_"))
    yield f"  ratio by this model at {ahead}"


def machine() -> dict[str, Any]:
    """What the figures were taken on."""
    model = "unknown"
    with open("/proc/cpuinfo") as file:
        model = next((line.split(":")[1].strip() for line in file if "model name" in line), model)
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "processor": model,
        "cores": os.cpu_count(),
        "load": os.getloadavg(),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


@contextmanager
def _work(directory: Path | None) -> Iterator[Path]:
    if directory is not None:
        directory.mkdir(parents=True, exist_ok=True)
        yield directory
        return
    with tempfile.TemporaryDirectory(prefix="bench-worker-") as made:
        yield Path(made)


def plan_of(size: str, tokens: int, directory: Path, given: argparse.Namespace) -> Plan:
    """The pair, the corpus and all else of one size."""
    pair: str | Path = "pystd-2l"
    corpus = "stdlib"
    if size == "hub":
        pair = hub_pair.make_pair(directory, given.layers)
        corpus = str(hub_pair.make_corpus(directory, tokens))
    return make_plan(
        pair,
        corpus,
        tokens=tokens,
        device=given.device,
        dtype=given.dtype,
        workers=given.workers,
        seed=0,
        batch_windows=given.batch_windows,
    )


def main() -> None:
    """Measure, print, and write the figures where `--json` says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", choices=("shipped", "hub", "both"), default="both")
    parser.add_argument(
        "--tokens", type=int, help="of the stage; 1,000,000 or, at hub size, 524,288"
    )
    parser.add_argument("--bare-tokens", type=int, help="of each bare measurement")
    parser.add_argument("--rounds", type=int, help="3, or 1 at hub size")
    parser.add_argument("--layers", type=int, default=1, help="of the hub-size pair")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--workers", type=int)
    parser.add_argument("--batch-windows", type=int)
    parser.add_argument("--work", type=Path, help="keeps the hub-size pair (400 MB) for next time")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    found: dict[str, Any] = {"machine": machine(), "sizes": []}
    with _work(given.work) as directory:
        for size in ("shipped", "hub") if given.size == "both" else (given.size,):
            hub = size == "hub"
            tokens = given.tokens or (524_288 if hub else 1_000_000)
            plan = plan_of(size, tokens, directory, given)
            print(f"{plan.pair.slug}, {tokens:,} tokens, {plan.device} {given.dtype}:", flush=True)
            found["sizes"].append(
                measure(
                    size,
                    plan,
                    given.bare_tokens or (49_104 if hub else 200_000),
                    given.rounds or (1 if hub else 3),
                    directory / "run",
                    lambda line: print(line, flush=True),
                )
            )
            if given.json:
                given.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
