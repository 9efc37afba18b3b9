"""The command ``twinscope``: one verb a function, nothing but wiring.

Each verb imports what it runs when it runs it: `twinscope runs` never waits for torch.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from pathlib import Path
from typing import Annotated, Literal

import typer

from twinscope import faults
from twinscope.labels import labels
from twinscope.quantities import parse_count, show_count, show_duration
from twinscope.users import users

app = typer.Typer(
    name="twinscope",
    help="Puts each neuron's SoLU and GeLU versions side by side, and shows what a page of top "
    "activations hides.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
database = typer.Typer(help="The database: bring it up to date, check it, describe it.")
app.add_typer(database, name="db", no_args_is_help=True)
app.add_typer(users, name="users", no_args_is_help=True)
app.add_typer(labels, name="labels", no_args_is_help=True)

DEMO_PAIR, DEMO_CORPUS, DEMO_TOKENS = "pystd-2l", "stdlib", "1M"

PortOption = Annotated[int, typer.Option(min=1, max=65535, help="Port to serve on.")]
DataDirOption = Annotated[
    Path | None, typer.Option(help="Where the database and the work directories are kept.")
]
CorpusOption = Annotated[
    list[str],
    typer.Option(
        help="stdlib, a file, directory or glob of .txt .md .py .jsonl .jsonl.gz .parquet, or "
        "hf:NAME[:config][:split]. May be given more than once."
    ),
]
EvidenceOption = Annotated[
    bool, typer.Option("--evidence/--no-evidence", help="Compute what top activations hide, too.")
]
WeightsOption = Annotated[
    str | None,
    typer.Option(
        help="Loss differences of a mixture of sources, too, such as code=0.2,c4=0.8 (shares of "
        "tokens)."
    ),
]
RunArgument = Annotated[str, typer.Argument(help="A run's id, a unique prefix of it, or latest.")]
PairArgument = Annotated[
    str,
    typer.Argument(
        help="pystd-2l, a pair's directory, or models of the Hugging Face hub: solu-1l--gelu-1l, "
        "solu-6l, OWNER/NAME--OWNER/NAME, with @checkpoint=N."
    ),
]
PairOption = Annotated[
    Path | None, typer.Option(help="The pair's directory, if it is not one that ships.")
]
LivePairOption = Annotated[
    list[Path] | None,
    typer.Option(help="The directory of a pair that does not ship. May be given more than once."),
]
WorkersOption = Annotated[
    int | None, typer.Option(min=1, help="Processes, or actors: one a core, or one a GPU.")
]
WorkDirOption = Annotated[Path | None, typer.Option(help="Where partial results are kept.")]
EngineOption = Annotated[
    Literal["local", "ray"],
    typer.Option(help="Processes of this machine, or actors of a Ray cluster (RAY_ADDRESS)."),
]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")]
DtypeOption = Annotated[
    str, typer.Option(help="What models are computed in: float32, bfloat16 or float16.")
]


@app.command()
def demo(
    port: PortOption = 8000,
    browser: Annotated[bool, typer.Option(help="Open a browser, on a desktop.")] = True,
    data_dir: DataDirOption = None,
    tokens: Annotated[str, typer.Option(help="Tokens of the corpus to read.")] = DEMO_TOKENS,
    with_evidence: EvidenceOption = True,
) -> None:
    """Precompute the shipped pair over Python's standard library, and serve the site."""
    from twinscope import demo as stage

    _use_data_dir(data_dir)
    stage.interrupt_on_sigterm()
    stage.require_free_port(port)
    _upgrade_own_database()
    with stage.site(port) as child:
        url = f"http://localhost:{port}/"
        print(f"Twinscope is at {url}  (Ctrl-C ends it)", flush=True)
        if browser:
            stage.open_browser(url)
        run_id = _precompute(DEMO_PAIR, [DEMO_CORPUS], tokens=tokens, resume=True)
        print(f"The neurons are at {url}{DEMO_PAIR}  (Ctrl-C ends it)", flush=True)
        if with_evidence:
            _evidence(run_id, resume=True)
            _counterexamples(run_id)
            print(f"What the top activations hide is at {url}{DEMO_PAIR}/tax", flush=True)
        stage.serve_until_interrupted(child)


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port to serve on; 0 takes any free one.")
    ] = 8000,
    with_worker: Annotated[
        bool, typer.Option("--with-worker", help="Start a live worker, too: texts of one's own.")
    ] = False,
    pair: LivePairOption = None,
    device: DeviceOption = "auto",
    data_dir: DataDirOption = None,
    processes: Annotated[
        int, typer.Option(min=1, max=64, help="Processes that answer; one a core is quickest.")
    ] = 1,
    shared: Annotated[int | None, typer.Option("--socket", hidden=True)] = None,
    leash: Annotated[bool, typer.Option(hidden=True)] = False,
) -> None:
    """Serve the site over what was precomputed."""
    _use_data_dir(data_dir)
    from server.serve import serve as run_server
    from twinscope import live, several

    if shared is None:
        _upgrade_own_database()
    with contextlib.ExitStack() as children:
        if with_worker:
            address = children.enter_context(live.child(device=device, pairs=pair or ()))
            os.environ["TWINSCOPE_WORKER_URL"] = address
        say = None if leash else lambda url: print(f"Twinscope is at {url}", flush=True)
        if processes > 1:
            several.serve(host, port, processes, leash=leash, on_ready=say)
        else:
            run_server(host, port, leash=leash, shared=shared, on_ready=say)


@app.command()
def worker(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes any free one.")
    ] = 8010,
    pair: LivePairOption = None,
    device: DeviceOption = "auto",
    data_dir: DataDirOption = None,
    inherited: Annotated[int | None, typer.Option("--socket", hidden=True)] = None,
    leash: Annotated[bool, typer.Option(hidden=True)] = False,
) -> None:
    """Run readers' own texts through the models, for the site."""
    _use_data_dir(data_dir)
    from twinscope import live

    live.run(host, port, device=device, pairs=pair or (), inherited=inherited, leash=leash)


@app.command()
def precompute(
    pair: PairArgument,
    corpus: CorpusOption,
    tokens: Annotated[str | None, typer.Option(help="How many, such as 2M; all if left out.")] = (
        None
    ),
    device: DeviceOption = "auto",
    engine: EngineOption = "local",
    dtype: DtypeOption = "float32",
    workers: WorkersOption = None,
    work_dir: WorkDirOption = None,
    shard: Annotated[
        str | None,
        typer.Option(help="I/N: only the I-th of N shares of the work, for an array job."),
    ] = None,
    resume: Annotated[bool, typer.Option(help="Go on with an interrupted run.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Seed of order and draws.")] = 0,
    with_evidence: EvidenceOption = True,
    weights: WeightsOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Stream a corpus through a pair's models, and publish a run of every neuron."""
    _use_data_dir(data_dir)
    _check_weights(weights, with_evidence)
    if shard is not None:
        from twinscope import array_job

        if engine != "local":
            raise faults.UsageFault("--shard goes with --engine local: Ray shares the work itself.")
        array_job.compute(
            pair,
            corpus,
            shard,
            tokens=None if tokens is None else _count("--tokens", tokens),
            device=device,
            dtype=dtype,
            workers=workers,
            work_dir=work_dir,
            seed=seed,
        )
        return
    _upgrade_own_database()
    run_id = _precompute(
        pair,
        corpus,
        tokens=tokens,
        device=device,
        engine=engine,
        dtype=dtype,
        workers=workers,
        work_dir=work_dir,
        resume=resume,
        seed=seed,
    )
    if with_evidence:
        directory = Path(pair) if Path(pair).is_dir() else None
        _evidence(
            run_id,
            pair=directory,
            device=device,
            engine=engine,
            workers=workers,
            work_dir=work_dir,
            resume=resume,
            weights=weights,
        )
        _counterexamples(run_id, pair=directory, device=device, engine=engine, workers=workers)


@app.command()
def fetch(pair: PairArgument, data_dir: DataDirOption = None) -> None:
    """Get a pair from the Hugging Face hub and keep it, for a machine that cannot reach it."""
    _use_data_dir(data_dir)
    from twinscope import fetching

    fetching.fetch(pair)


@app.command()
def evidence(
    run: RunArgument,
    tokens: Annotated[str, typer.Option(help="Tokens to measure effects on.")] = "100k",
    exact: Annotated[
        Literal["all", "sample"],
        typer.Option(help="True ablation of all neurons, or of 128 of each earlier layer."),
    ] = "all",
    pair: PairOption = None,
    corpus: Annotated[
        list[str] | None, typer.Option(help="Where the run's corpus is now, if it has moved.")
    ] = None,
    device: DeviceOption = "auto",
    engine: EngineOption = "local",
    workers: WorkersOption = None,
    work_dir: WorkDirOption = None,
    resume: Annotated[bool, typer.Option(help="Go on with an interrupted stage.")] = False,
    weights: WeightsOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Measure what a published run's top activations hide: the second stage of a run."""
    _use_data_dir(data_dir)
    _upgrade_own_database()
    _evidence(
        run,
        tokens=tokens,
        exact=exact,
        pair=pair,
        corpus=corpus,
        device=device,
        engine=engine,
        workers=workers,
        work_dir=work_dir,
        resume=resume,
        weights=weights,
    )


@app.command()
def counterexamples(
    run: RunArgument,
    neuron: Annotated[
        list[str] | None,
        typer.Option(help="L0N17, or left:L0N17 for one version of it. May be repeated."),
    ] = None,
    most_monosemantic: Annotated[
        int, typer.Option(min=1, help="Without --neuron: so many of each layer and version.")
    ] = 8,
    pair: PairOption = None,
    device: DeviceOption = "auto",
    engine: EngineOption = "local",
    workers: WorkersOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Change one token at a time, until a neuron fires where nobody would expect it."""
    _use_data_dir(data_dir)
    _upgrade_own_database()
    _counterexamples(
        run,
        names=neuron,
        most_monosemantic=most_monosemantic,
        pair=pair,
        device=device,
        engine=engine,
        workers=workers,
    )


@app.command()
def train(
    out_dir: Annotated[Path, typer.Argument(help="The pair's directory; its name is the slug.")],
    corpus: CorpusOption,
    layers: Annotated[int, typer.Option(min=1)] = 2,
    d_model: Annotated[int, typer.Option(min=1)] = 128,
    d_mlp: Annotated[int, typer.Option(min=1)] = 512,
    heads: Annotated[int, typer.Option(min=1)] = 4,
    n_ctx: Annotated[int, typer.Option(min=2)] = 128,
    vocab: Annotated[int, typer.Option(min=257)] = 4096,
    tokens: Annotated[str, typer.Option(help="How many to train on.")] = "30M",
    seed: Annotated[int, typer.Option(min=0)] = 0,
    device: DeviceOption = "auto",
    left: Annotated[str, typer.Option(help="The left version's activation function.")] = "solu_ln",
    right: Annotated[str, typer.Option(help="The right version's activation function.")] = "gelu",
    control: Annotated[
        str, typer.Option(help="A third model's activation function, or none.")
    ] = "solu",
    tokenizer: Annotated[
        Path | None, typer.Option(help="A tokenizer.json to use; one is trained if left out.")
    ] = None,
    resume: Annotated[bool, typer.Option(help="Go on with an interrupted run.")] = False,
) -> None:
    """Train a matched pair: same starting weights, same batches, two activation functions."""
    count = _count("--tokens", tokens)
    from worker.train import TrainSettings, run

    settings = TrainSettings(
        corpora=tuple(corpus),
        n_layers=layers,
        d_model=d_model,
        d_mlp=d_mlp,
        n_heads=heads,
        n_ctx=n_ctx,
        d_vocab=vocab,
        tokens=count,
        seed=seed,
        left=left,
        right=right,
        control=None if control == "none" else control,
    )
    run(settings, out_dir, tokenizer=tokenizer, device=device, resume=resume)


@app.command()
def runs(data_dir: DataDirOption = None) -> None:
    """List runs with their progress, loss and size."""
    _use_data_dir(data_dir)
    from store import progress
    from store import runs as stored
    from store.engine import open_engine
    from twinscope import listing

    engine = open_engine()
    published = stored.list_runs(engine)
    losses = {run.id: stored.losses(engine, run.id) for run in published}
    under_way = [each for each in progress.current(engine) if each.state != "done"]
    listing.print_runs(published, losses, under_way)


@app.command()
def verify(
    run: RunArgument,
    sample: Annotated[int, typer.Option(min=1, help="Versions to recompute.")] = 200,
    seed: Annotated[int, typer.Option(min=0, help="Which versions.")] = 0,
    pair: PairOption = None,
    corpus: Annotated[
        list[str] | None, typer.Option(help="Where the run's corpus is now, if it has moved.")
    ] = None,
    device: DeviceOption = "auto",
    workers: WorkersOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Recompute a sample of a published run by brute force, and compare."""
    _use_data_dir(data_dir)
    _upgrade_own_database()
    from twinscope import verify as verification

    verification.verify(
        run,
        sample=sample,
        seed=seed,
        pair=pair,
        corpus=corpus,
        device=device,
        workers=workers,
    )


@app.command()
def export(
    run: RunArgument,
    what: Annotated[
        Literal["run", "neurons", "examples", "neuronpedia", "labels"],
        typer.Argument(help="The whole run, for `twinscope import`; or a table of what it found."),
    ] = "run",
    out: Annotated[
        Path | None,
        typer.Option(help="The file; its ending (.csv .jsonl .parquet) says of what kind."),
    ] = None,
    force: Annotated[bool, typer.Option(help="Write over a file that is there.")] = False,
    data_dir: DataDirOption = None,
) -> None:
    """Write a run, or what it found, into a file."""
    _use_data_dir(data_dir)
    _upgrade_own_database()
    from twinscope import export as files

    files.export(run, what, out, force=force)


@app.command("import")
def import_(
    path: Annotated[
        Path, typer.Argument(help="What `twinscope export RUN` wrote: a run, or labels.")
    ],
    data_dir: DataDirOption = None,
) -> None:
    """Take in a run that was exported elsewhere, with the same id, or labels."""
    _use_data_dir(data_dir)
    _upgrade_own_database()
    from twinscope import export as files

    files.take_in(path)


@database.command("upgrade")
def upgrade_database(data_dir: DataDirOption = None) -> None:
    """Bring the database's tables up to date."""
    _use_data_dir(data_dir)
    from store import schema
    from store.engine import open_engine, shown_url

    engine = open_engine(must_be_current=False)
    before, after = schema.upgrade(engine)
    if before == after:
        print(f"{shown_url(engine)} is up to date already.")
    else:
        print(f"{shown_url(engine)} is up to date.")


@database.command("check")
def check_database(data_dir: DataDirOption = None) -> None:
    """Compare the database's tables with those of this version of Twinscope."""
    _use_data_dir(data_dir)
    from store import schema
    from store.engine import open_engine

    differences = schema.check(open_engine())
    if differences:
        raise faults.Fault(
            f"The database differs from this version of Twinscope: {' '.join(differences)}"
        )
    print("The database's tables are those of this version of Twinscope.")


@database.command("info")
def describe_database(data_dir: DataDirOption = None) -> None:
    """Say where the database is, how large it is, and what it holds."""
    _use_data_dir(data_dir)
    from store import schema
    from store.engine import open_engine
    from twinscope import listing

    listing.print_database(schema.describe(open_engine(must_be_current=False)))


def _use_data_dir(data_dir: Path | None) -> None:
    """Name the data directory for this process and its children."""
    if data_dir is not None:
        os.environ["TWINSCOPE_DATA_DIR"] = str(data_dir.expanduser().resolve())


def _upgrade_own_database() -> None:
    """Bring the embedded SQLite file up to date; a team's Postgres is upgraded by its keepers."""
    from store import schema
    from store.engine import database_url, open_engine

    if database_url().startswith("sqlite"):
        engine = open_engine(must_be_current=False)
        schema.upgrade(engine)
        engine.dispose()


def _check_weights(weights: str | None, with_evidence: bool) -> None:
    """Before anything is computed that they come after."""
    if weights is None:
        return
    if not with_evidence:
        raise faults.UsageFault("--weights are of the evidence: leave out --no-evidence.")
    from worker.evidence.mixture import Weights

    Weights.parse(weights)


def _precompute(
    pair: str,
    corpus: list[str],
    *,
    tokens: str | None = None,
    device: str = "auto",
    engine: Literal["local", "ray"] = "local",
    dtype: str = "float32",
    workers: int | None = None,
    work_dir: Path | None = None,
    resume: bool = False,
    seed: int = 0,
) -> str:
    """The run's id."""
    count = None if tokens is None else _count("--tokens", tokens)
    from worker.precompute import precompute as run_precompute
    from worker.reporter import Terminal

    began = time.monotonic()
    with Terminal() as reporter:
        run = run_precompute(
            pair,
            corpus,
            tokens=count,
            device=device,
            engine=engine,
            dtype=dtype,
            workers=workers,
            work_dir=work_dir,
            resume=resume,
            seed=seed,
            reporter=reporter,
        )
    print(
        f"Run {run.id} of {run.pair.slug} is published: {show_count(run.n_tokens)} tokens of "
        f"{run.corpus.spec}; this took {show_duration(time.monotonic() - began)}.",
        flush=True,
    )
    return run.id


def _evidence(
    run: str,
    *,
    tokens: str = "100k",
    exact: Literal["all", "sample"] = "all",
    pair: Path | None = None,
    corpus: list[str] | None = None,
    device: str = "auto",
    engine: Literal["local", "ray"] = "local",
    workers: int | None = None,
    work_dir: Path | None = None,
    resume: bool = False,
    weights: str | None = None,
) -> None:
    count = _count("--tokens", tokens)
    from worker.evidence.mixture import Weights
    from worker.evidence.settings import EvidenceSettings
    from worker.evidence.stage import evidence as run_evidence
    from worker.reporter import Terminal

    began = time.monotonic()
    with Terminal() as reporter:
        found = run_evidence(
            run,
            pair_spec=pair,
            corpus_spec=corpus,
            settings=EvidenceSettings.chosen(
                count, exact, None if weights is None else Weights.parse(weights)
            ),
            device=device,
            engine=engine,
            workers=workers,
            work_dir=work_dir,
            resume=resume,
            reporter=reporter,
        )
    took = show_duration(time.monotonic() - began)
    print(f"The evidence of run {found.id} is published; this took {took}.", flush=True)


def _counterexamples(
    run: str,
    *,
    names: list[str] | None = None,
    most_monosemantic: int = 8,
    pair: Path | None = None,
    device: str = "auto",
    engine: Literal["local", "ray"] = "local",
    workers: int | None = None,
) -> None:
    from twinscope import listing
    from worker.evidence.substitution_search import parse_version, search
    from worker.reporter import Terminal

    wanted = None if names is None else [one for name in names for one in parse_version(name)]
    with Terminal() as reporter:
        found = search(
            run,
            wanted=wanted,
            most_monosemantic=most_monosemantic,
            pair_spec=pair,
            device=device,
            engine=engine,
            workers=workers,
            reporter=reporter,
        )
    listing.print_counterexamples(
        found.found,
        found.vocabulary,
        len(found.searched),
        len(found.known),
        whole=names is not None,
    )


def _count(option: str, text: str) -> int:
    try:
        return parse_count(text)
    except ValueError as error:
        raise faults.UsageFault(f"{option}: {error}") from None


def main() -> None:
    """Run the command line; exit with 0, 1, 2 or 130 and no traceback."""
    sys.exit(faults.run(app))
