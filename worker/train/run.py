"""A whole training run: data, all versions, the pair directory; interrupted and resumed at will.

On a CPU each version is a process with one torch thread, as many at once as there are cores; on
a GPU, or one at a time, they follow one another in this process.
"""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import torch
from tokenizers import Tokenizer

from worker.corpus import open_corpus
from worker.errors import TrainError, UsageError
from worker.models import resolve_device
from worker.pairs import check_slug
from worker.tokenizer import END_OF_TEXT, load_tokenizer, train_tokenizer
from worker.train.data import (
    TOKENIZER_CHARACTERS,
    batch_rows,
    is_prepared,
    open_windows,
    prepare,
    sample_texts,
)
from worker.train.interrupt import noted
from worker.train.loop import Report, step_count, train_version
from worker.train.pair_writer import write_pair
from worker.train.processes import train_in_processes
from worker.train.progress import Progress
from worker.train.settings import TrainSettings, WorkFiles

WORK_NAME = ".train"


def run(
    settings: TrainSettings,
    out: Path,
    *,
    tokenizer: Path | None = None,
    device: str = "auto",
    resume: bool = False,
    processes: int | None = None,
) -> None:
    """Train the pair that `settings` says and write it to `out`.

    `tokenizer` is a tokenizer.json to use instead of training one. Raises `KeyboardInterrupt`
    when interrupted, with all versions' checkpoints written: `resume=True` then goes on.
    """
    chosen = resolve_device(device)
    check_slug(out.resolve().name)
    work = WorkFiles(out / WORK_NAME)
    _check_out(settings, out, work, resume)
    for corpus in settings.corpora:
        open_corpus(corpus)  # a fault in a corpus shows before anything is written
    if tokenizer is not None:
        load_tokenizer(tokenizer, END_OF_TEXT, settings.d_vocab)
    try:
        work.directory.mkdir(parents=True, exist_ok=True)
        settings.save(work.settings)
    except OSError as error:
        raise TrainError(f"{out} cannot be written: {error}", "name another directory") from error
    with Progress() as progress:
        _prepare(settings, work, tokenizer, progress)
        at_once = processes or os.cpu_count() or 1
        if chosen.type == "cpu" and at_once > 1:
            train_in_processes(settings, work, at_once, progress.show)
        else:
            _train_in_turn(settings, work, chosen, progress.show)
        progress.say("Measuring the loss on held-out text")
        training = write_pair(work, out, chosen)
        for side, loss in training["losses"].items():
            nats, bits = loss["nats_per_token"], loss["bits_per_byte"]
            measured = (
                f"{nats} nats a token, {bits} bits a byte" if nats else "nothing was held out"
            )
            progress.say(f"{side}: {measured}")
    shutil.rmtree(work.directory)


def _check_out(settings: TrainSettings, out: Path, work: WorkFiles, resume: bool) -> None:
    if resume:
        if not work.settings.is_file():
            raise UsageError(f"{out} holds no run to resume", "start it without --resume")
        if TrainSettings.load(work.settings) != settings:
            raise UsageError(
                f"the run in {out} was started with other settings", "resume with the same ones"
            )
    elif out.exists() and (not out.is_dir() or any(out.iterdir())):
        hint = "resume it with --resume" if work.settings.is_file() else "name a new directory"
        raise UsageError(f"{out} exists already", hint)


def _prepare(
    settings: TrainSettings, work: WorkFiles, given: Path | None, progress: Progress
) -> None:
    """Tokenizer, training windows and held-out windows, each unless it is there already."""
    if given is not None and not work.tokenizer.is_file():
        shutil.copyfile(given, work.tokenizer)
    if not work.tokenizer.is_file():
        progress.say("Training the tokenizer")
        corpora = [open_corpus(spec) for spec in settings.corpora]
        trained = train_tokenizer(
            sample_texts(corpora, settings.seed, TOKENIZER_CHARACTERS), settings.d_vocab
        )
        _save_tokenizer(trained, work.tokenizer)
    tokenizer = load_tokenizer(work.tokenizer, END_OF_TEXT, settings.d_vocab)
    for path, held_out, tokens in (
        (work.windows, False, settings.tokens),
        (work.held_out, True, settings.held_out_tokens),
    ):
        if not is_prepared(path):
            progress.say(f"Tokenizing {'held-out' if held_out else 'training'} text")
            prepare(
                path,
                settings.corpora,
                tokenizer,
                settings.n_ctx,
                tokens,
                settings.seed,
                held_out=held_out,
            )
    store = open_windows(work.windows)
    next(batch_rows(len(store), settings.batch, 1, settings.seed))  # is it enough for a batch?
    progress.say(f"{store.n_tokens:,} tokens to train on, {step_count(settings, store):,} steps")


def _save_tokenizer(tokenizer: Tokenizer, path: Path) -> None:
    temporary = path.with_suffix(".tmp")
    tokenizer.save(str(temporary))
    temporary.replace(path)


def _train_in_turn(
    settings: TrainSettings,
    work: WorkFiles,
    device: torch.device,
    show: Callable[[str, Report], None],
) -> None:
    store = open_windows(work.windows)
    if device.type == "cpu":
        torch.set_num_threads(1)
    with noted(signal.SIGINT, signal.SIGTERM) as asked_to_stop:
        for side in settings.versions:

            def report(progress: Report, side: str = side) -> None:
                show(side, progress)

            checkpoint = work.checkpoint(side)
            state = train_version(settings, side, store, device, checkpoint, report, asked_to_stop)
            if state is None:
                raise KeyboardInterrupt
