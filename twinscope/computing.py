"""The verbs that compute: a run, its evidence, counterexamples, a pair."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Literal

import typer

from twinscope import faults
from twinscope.options import (
    CorpusOption,
    DataDirOption,
    DeviceOption,
    DtypeOption,
    EngineOption,
    EvidenceOption,
    PairArgument,
    PairOption,
    RunArgument,
    WeightsOption,
    WorkDirOption,
    WorkersOption,
    check_names,
    count,
    upgrade_own_database,
    use_data_dir,
)
from twinscope.quantities import show_count, show_duration
from worker import fork_server


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
    use_data_dir(data_dir)
    _check_weights(weights, with_evidence)
    if shard is not None:
        from twinscope import array_job

        if engine != "local":
            raise faults.UsageFault("--shard goes with --engine local: Ray shares the work itself.")
        array_job.compute(
            pair,
            corpus,
            shard,
            tokens=None if tokens is None else count("--tokens", tokens),
            device=device,
            dtype=dtype,
            workers=workers,
            work_dir=work_dir,
            seed=seed,
        )
        return
    upgrade_own_database()
    run_id = publish_run(
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
        evidence(
            run_id,
            pair=directory,
            device=device,
            engine=engine,
            workers=workers,
            work_dir=work_dir,
            resume=resume,
            weights=weights,
        )
        counterexamples(run_id, pair=directory, device=device, engine=engine, workers=workers)


def publish_run(
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
    """The statistics of a run, as `precompute` without evidence; its id."""
    n_tokens = None if tokens is None else count("--tokens", tokens)
    fork_server.start_early(device, engine, workers)
    check_names(pair, corpus)
    from worker.precompute import precompute as run_precompute
    from worker.reporter import Terminal

    began = time.monotonic()
    with Terminal() as reporter:
        run = run_precompute(
            pair,
            corpus,
            tokens=n_tokens,
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


def fetch(pair: PairArgument, data_dir: DataDirOption = None) -> None:
    """Get a pair from the Hugging Face hub and keep it, for a machine that cannot reach it."""
    use_data_dir(data_dir)
    from twinscope import fetching

    fetching.fetch(pair)


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
    use_data_dir(data_dir)
    upgrade_own_database()
    n_tokens = count("--tokens", tokens)
    fork_server.start_early(device, engine, workers)
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
                n_tokens, exact, None if weights is None else Weights.parse(weights)
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
    use_data_dir(data_dir)
    upgrade_own_database()
    fork_server.start_early(device, engine, workers)
    from twinscope import listing
    from worker.evidence.substitution_search import parse_version, search
    from worker.reporter import Terminal

    wanted = None if neuron is None else [one for name in neuron for one in parse_version(name)]
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
        whole=neuron is not None,
    )


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
    n_tokens = count("--tokens", tokens)
    from worker.train import TrainSettings, run

    settings = TrainSettings(
        corpora=tuple(corpus),
        n_layers=layers,
        d_model=d_model,
        d_mlp=d_mlp,
        n_heads=heads,
        n_ctx=n_ctx,
        d_vocab=vocab,
        tokens=n_tokens,
        seed=seed,
        left=left,
        right=right,
        control=None if control == "none" else control,
    )
    run(settings, out_dir, tokenizer=tokenizer, device=device, resume=resume)


def _check_weights(weights: str | None, with_evidence: bool) -> None:
    """Before anything is computed that they come after."""
    if weights is None:
        return
    if not with_evidence:
        raise faults.UsageFault("--weights are of the evidence: leave out --no-evidence.")
    from worker.evidence.mixture import Weights

    Weights.parse(weights)
