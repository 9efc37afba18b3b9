"""Training: matched versions, a resumed run that equals an uninterrupted one, and its faults."""

from __future__ import annotations

import csv
import json
import math
import os
import signal
import subprocess
import sys
import time
import tomllib
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from worker.corpus import is_held_out
from worker.errors import PairError, TrainError, UsageError
from worker.lean import LeanModel
from worker.models import load_native
from worker.pairs import load_pair
from worker.tokenizer import (
    END_OF_TEXT,
    PairTokenizer,
    load_tokenizer,
    token_bytes,
    train_tokenizer,
    with_bos,
)
from worker.train import loop
from worker.train.cross_entropy import unembedding_cross_entropy
from worker.train.data import NO_TARGET, WindowStore, batch_rows, prepare
from worker.train.losses import held_out_losses
from worker.train.pair_writer import to_toml
from worker.train.run import run
from worker.train.settings import TrainSettings

CPU = torch.device("cpu")
torch.set_num_threads(1)  # as training does: two threads collapse on a busy machine


def write_corpus(directory: Path, documents: int = 60) -> tuple[str, ...]:
    """Two corpora of small, learnable texts, the second a third as long."""
    specs = []
    for name, count in (("first", documents), ("second", documents // 3)):
        (directory / name).mkdir(parents=True)
        for n in range(count):
            lines = [f"def {name}_{n}(x):\n    return x + {n * k}\n" for k in range(8)]
            (directory / name / f"{n:03}.py").write_text("".join(lines))
        specs.append(str(directory / name))
    return tuple(specs)


def small_tokenizer() -> PairTokenizer:
    texts = ["def first(x):\n    return x\n"] * 9
    return with_bos(train_tokenizer(texts, 300), END_OF_TEXT, "of the tests")


def tiny(corpora: tuple[str, ...], **more: object) -> TrainSettings:
    settings = TrainSettings(
        corpora=corpora,
        n_layers=1,
        d_model=16,
        d_mlp=32,
        n_heads=2,
        n_ctx=16,
        d_vocab=300,
        tokens=6000,
        batch=8,
        held_out_tokens=500,
    )
    return replace(settings, **more)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    return write_corpus(tmp_path_factory.mktemp("corpora"))


@pytest.fixture(scope="module")
def store(corpora: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> WindowStore:
    tokenizer = with_bos(
        train_tokenizer(["def first(x):\n    return x\n"] * 9, 300), END_OF_TEXT, ""
    )
    path = tmp_path_factory.mktemp("windows")
    return prepare(path, corpora, tokenizer, 16, 10**6, 0, held_out=False)


@pytest.fixture(scope="module")
def trained(corpora: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole run."""
    out = tmp_path_factory.mktemp("out") / "tiny-pair"
    run(tiny(corpora), out, device="cpu", processes=1)
    return out


def is_group_alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def train_one(
    settings: TrainSettings, store: WindowStore, checkpoint: Path, stop_at: int | None = None
) -> loop.State | None:
    steps: list[int] = []

    def should_stop() -> bool:
        steps.append(1)
        return len(steps) == stop_at

    return loop.train_version(
        settings, "left", store, CPU, checkpoint, lambda report: None, should_stop
    )


def test_a_run_leaves_a_pair_and_nothing_else(trained: Path) -> None:
    pair = load_pair(trained)
    assert [version.act_fn for version in pair.versions] == ["solu_ln", "gelu", "solu"]
    assert pair.bos_token == END_OF_TEXT
    load_tokenizer(pair.tokenizer_path, pair.bos_token, 300)
    for version in pair.versions:
        load_native(version)
    assert sorted(path.name for path in trained.iterdir()) == sorted(
        [
            f"{side}.{kind}"
            for side in ("left", "right", "control")
            for kind in ("json", "safetensors")
        ]
        + ["pair.toml", "tokenizer.json", "training.csv"]
    )
    with (trained / "training.csv").open() as file:
        curve = [row for row in csv.DictReader(file) if row["side"] == "left"]
    assert float(curve[-1]["loss"]) < float(curve[0]["loss"]) - 1
    assert int(curve[-1]["tokens"]) == pair.training["losses"]["left"]["tokens_trained"] >= 6000


def test_the_losses_it_notes_are_those_of_the_weights_it_wrote(
    trained: Path, corpora: tuple[str, ...]
) -> None:
    pair = load_pair(trained)
    tokenizer = load_tokenizer(pair.tokenizer_path, pair.bos_token, 300)
    model = load_native(pair.left)
    nats, tokens, n_bytes = 0.0, 0, 0
    for spec in corpora:
        for path in sorted(Path(spec).iterdir()):
            if not is_held_out(path.read_text()):
                continue
            ids = tokenizer.encode([path.read_text()])[0]
            n_bytes += len(path.read_bytes())
            for start in range(0, len(ids), 15):
                window = torch.tensor([[tokenizer.bos, *ids[start : start + 15]]])
                logits = model(window)[0, :-1]
                nats += F.cross_entropy(logits, window[0, 1:], reduction="sum").item()
                tokens += window.shape[1] - 1
    noted = pair.training["losses"]["left"]
    assert tokens == pair.training["held_out"]["tokens"] > 100
    assert noted["nats_per_token"] == pytest.approx(nats / tokens, abs=1e-3)
    assert noted["bits_per_byte"] == pytest.approx(nats / math.log(2) / n_bytes, abs=1e-3)
    assert noted["sources"].keys() <= {"first", "second"}


def test_versions_start_from_the_same_weights_wherever_they_can(store: WindowStore) -> None:
    settings = tiny(("unused",))
    states = {side: loop.build_model(settings, side).state_dict() for side in settings.versions}
    assert states["left"].keys() - states["right"].keys() == {
        "layers.0.mlp.ln.weight",
        "layers.0.mlp.ln.bias",
    }
    assert states["right"].keys() == states["control"].keys()
    for name, tensor in states["right"].items():
        assert torch.equal(tensor, states["left"][name])
        assert torch.equal(tensor, states["control"][name])
    other = loop.build_model(replace(settings, seed=1), "left").state_dict()
    assert not torch.equal(other["head.weight"], states["left"]["head.weight"])


def test_a_resumed_version_equals_an_uninterrupted_one(store: WindowStore, tmp_path: Path) -> None:
    settings = tiny(("unused",), tokens=4000)
    whole = train_one(settings, store, tmp_path / "whole.pt")
    assert train_one(settings, store, tmp_path / "parts.pt", stop_at=7) is None
    assert loop.read_checkpoint(tmp_path / "parts.pt")["step"] == 7
    resumed = train_one(settings, store, tmp_path / "parts.pt")
    assert whole is not None
    assert resumed is not None
    for name, tensor in whole.model.state_dict().items():
        assert torch.equal(tensor, resumed.model.state_dict()[name]), name
    assert (whole.step, whole.tokens, whole.curve) == (resumed.step, resumed.tokens, resumed.curve)


def test_a_run_that_is_interrupted_stops_its_processes_and_goes_on_with_resume(
    corpora: tuple[str, ...], tmp_path: Path
) -> None:
    out = tmp_path / "stopped"
    command = [
        sys.executable,
        "-m",
        "worker.train",
        str(out),
        "--device",
        "cpu",
        "--control",
        "none",
    ]
    for name, value in (("n_layers", 1), ("d_model", 16), ("d_mlp", 32), ("n_ctx", 16)):
        command += [f"--{name}", str(value)]
    for spec in corpora:
        command += ["--corpus", spec]
    command += ["--d_vocab", "300", "--batch", "8", "--tokens"]
    process = subprocess.Popen(
        [*command, "500000000"],
        start_new_session=True,
        # Where the tests run in the background, SIGINT is ignored, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    work = out / ".train"
    try:
        deadline = time.monotonic() + 600  # three imports of TransformerLens, on a busy machine
        reports = [work / f"{side}.progress.json" for side in ("left", "right")]
        while not all(report.exists() for report in reports):
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.1)
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(timeout=600) == 130
        deadline = time.monotonic() + 300
        while is_group_alive(process.pid):
            assert time.monotonic() < deadline
            time.sleep(0.1)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    for side in ("left", "right"):
        step = json.loads((work / f"{side}.progress.json").read_text())["step"]
        assert loop.read_checkpoint(work / f"{side}.checkpoint.pt")["step"] == step > 0
    assert not (out / "pair.toml").exists()
    with pytest.raises(UsageError, match="--resume"):
        run(tiny(corpora), out)
    with pytest.raises(UsageError, match="other settings"):
        run(tiny(corpora), out, resume=True)


def test_training_never_sees_what_is_held_out_and_takes_equal_shares(
    store: WindowStore, corpora: tuple[str, ...], tmp_path: Path
) -> None:
    tokenizer = with_bos(
        train_tokenizer(["def first(x):\n    return x\n"] * 9, 300), END_OF_TEXT, ""
    )
    vocabulary = token_bytes(tokenizer.tokenizer)

    def text(windows: WindowStore) -> str:
        targets = windows.targets[:, :-1]
        return b"".join(vocabulary[id] for id in targets[targets != NO_TARGET]).decode()

    held_out = prepare(tmp_path / "h", corpora, tokenizer, 16, 10**6, 0, held_out=True)
    heads = {True: set[str](), False: set[str]()}
    for spec in corpora:
        for path in Path(spec).iterdir():
            content = path.read_text()
            heads[is_held_out(content)].add(content.split("(")[0] + "(")
    assert heads[True]
    for windows, mine in ((store, False), (held_out, True)):
        assert all(head in text(windows) for head in heads[mine])
        assert not any(head in text(windows) for head in heads[not mine])
    some = prepare(tmp_path / "s", corpora, tokenizer, 16, 6000, 0, held_out=False)
    shares = np.bincount(some.source)
    assert 0.5 < shares[0] / shares[1] < 2, "both last, so both give half"
    shares = np.bincount(store.source)
    assert shares[0] > 2 * shares[1], "the second is used up, and the first goes on"


def test_the_last_position_is_trained_where_the_document_goes_on(store: WindowStore) -> None:
    last = store.targets[:, -1]
    goes_on = np.flatnonzero(last != NO_TARGET)
    assert len(goes_on) > len(store) / 2
    # what follows the last window of a chunk lies behind the other corpus's chunk
    goes_on = goes_on[store.source[goes_on] == store.source[goes_on + 1]]
    assert (last[goes_on] == store.tokens[goes_on + 1, 1]).all()
    assert (store.targets[goes_on, :-1] == store.tokens[goes_on, 1:]).all()


def test_each_pass_shows_every_window_once_in_another_order() -> None:
    steps = list(batch_rows(10, 3, 7, seed=5))
    for start in (0, 3):
        rows = np.concatenate(steps[start : start + 3])
        assert len(set(rows.tolist())) == 9
    assert [s.tolist() for s in steps[:3]] != [s.tolist() for s in steps[3:6]]
    resumed = list(batch_rows(10, 3, 7, seed=5, start=4))
    assert [s.tolist() for s in resumed] == [s.tolist() for s in steps[4:]]


def test_the_fused_loss_has_the_gradients_of_the_plain_one() -> None:
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(2500, 8, generator=generator, requires_grad=True)
    weight = torch.randn(40, 8, generator=generator, requires_grad=True)
    targets = torch.randint(0, 40, (2500,), generator=generator)
    plain = F.cross_entropy(hidden @ weight.T, targets)
    expected = torch.autograd.grad(3 * plain, (hidden, weight))
    fused = unembedding_cross_entropy(hidden, weight, targets, torch.float32)
    found = torch.autograd.grad(3 * fused, (hidden, weight))
    torch.testing.assert_close(fused, plain)
    torch.testing.assert_close(found[0], expected[0])
    torch.testing.assert_close(found[1], expected[1], atol=1e-6, rtol=1e-4)


def test_the_rate_warms_up_and_falls_to_its_last_share() -> None:
    settings = tiny(("unused",), learning_rate=1.0, warm_up=0.1, final_rate=0.05)
    rates = [loop.learning_rate(settings, step, 100) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == rates[9] == rates[10] == 1.0
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[-1] == pytest.approx(0.05, abs=0.01)


def test_a_loss_that_is_not_finite_ends_the_run_before_a_checkpoint(
    store: WindowStore, tmp_path: Path
) -> None:
    with pytest.raises(TrainError, match=r"loss of left became (nan|inf)"):
        train_one(tiny(("unused",), learning_rate=1e30, clip=1e30), store, tmp_path / "c.pt")
    assert not (tmp_path / "c.pt").exists()


def test_faults_are_named_before_anything_is_trained(
    corpora: tuple[str, ...], tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="left has no activation function 'glue'"):
        tiny(corpora, left="glue")
    with pytest.raises(UsageError, match="no multiple of 3 heads"):
        tiny(corpora, n_heads=3)
    with pytest.raises(PairError, match="'runs' is a page"):
        run(tiny(corpora), tmp_path / "runs")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    with pytest.raises(UsageError, match="exists already"):
        run(tiny(corpora), tmp_path / "full")
    with pytest.raises(UsageError, match="no run to resume"):
        run(tiny(corpora), tmp_path / "new", resume=True)
    small = tmp_path / "small.txt"
    small.write_text("few words")
    with pytest.raises(TrainError, match="fewer than one batch of 8"):
        run(tiny((str(small),)), tmp_path / "new")


def test_losses_are_apart_by_source(store: WindowStore) -> None:
    model = LeanModel(loop.build_model(tiny(("unused",)), "right").requires_grad_(False))
    losses = held_out_losses(model, store, [b"xy"] * 300, CPU)
    assert losses.keys() == {"first", "second"}
    assert sum(loss.tokens for loss in losses.values()) == store.n_tokens
    for loss in losses.values():
        assert loss.bytes == 2 * loss.tokens
        assert loss.nats_per_token == pytest.approx(math.log(300), rel=0.2)


def test_toml_is_read_back_as_it_was() -> None:
    table = {
        "name": 'a "quoted" – name\n',
        "left": {"weights": "x", "rate": 1e-3, "on": True},
        "training": {"corpus": ["a", "b"], "losses": {"my.source/é": {"nats": 1.5}}},
    }
    assert tomllib.loads(to_toml(table)) == table
