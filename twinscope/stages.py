"""The stages of a run, as verbs and the demo begin them: with progress bars, a word at the end."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Literal

from twinscope import faults
from twinscope.options import count
from twinscope.quantities import show_count, show_duration


def check_weights(weights: str | None, with_evidence: bool) -> None:
    """Before anything is computed that they come after."""
    if weights is None:
        return
    if not with_evidence:
        raise faults.UsageFault("--weights are of the evidence: leave out --no-evidence.")
    from worker.evidence.mixture import Weights

    Weights.parse(weights)


def precompute(
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
    n_tokens = None if tokens is None else count("--tokens", tokens)
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


def evidence(
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
    n_tokens = count("--tokens", tokens)
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
