"""The size of a batch: what is quick, less where memory is short, and a message where it ends."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.worker.tiny_pair import SHAPE, make_corpus, make_pair
from worker import batch_size
from worker.activations import BATCH_TOKENS, load_models
from worker.batch_size import PROBE, ProbeJob, estimate, planned_batch
from worker.errors import DeviceError
from worker.layout import Layout
from worker.models import build_native
from worker.pairs import load_pair
from worker.plan import make_plan
from worker.settings import StatisticsSettings

CPU = torch.device("cpu")
HUB = {
    "n_layers": 4, "d_model": 512, "d_mlp": 2048, "n_ctx": 1024, "n_heads": 8, "d_head": 64,
    "d_vocab": 48_262, "act_fn": "gelu",
}  # fmt: skip


def with_memory(monkeypatch: pytest.MonkeyPatch, n_bytes: int | None) -> None:
    monkeypatch.setattr(batch_size, "memory", lambda device: n_bytes)


def test_a_batch_is_what_is_quick_where_memory_is_no_matter(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for room in (None, 1 << 40):
        with_memory(monkeypatch, room)
        assert planned_batch([SHAPE], CPU, 2, "float32") == BATCH_TOKENS["cpu"] // SHAPE["n_ctx"]
        assert planned_batch([HUB, HUB], CPU, 2, "float32") == 1


def test_it_is_halved_until_every_worker_has_room(monkeypatch: pytest.MonkeyPatch) -> None:
    need = estimate([SHAPE], "cpu", "float32")
    quick = BATCH_TOKENS["cpu"] // SHAPE["n_ctx"]
    with_memory(monkeypatch, 3 * need.of(quick // 4))
    assert planned_batch([SHAPE], CPU, 3, "float32") == quick // 4
    with_memory(monkeypatch, 3 * need.of(quick // 4) - 3)
    assert planned_batch([SHAPE], CPU, 3, "float32") == quick // 8


def test_a_model_that_does_not_fit_is_refused_with_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    with_memory(monkeypatch, 600 << 20)
    with pytest.raises(
        DeviceError, match=r"need about [\d,]+ MiB .* 2 workers, but cpu has 300 MiB"
    ) as e:
        planned_batch([HUB, HUB], CPU, 2, "float32")
    assert "--workers" in str(e.value.hint)
    with pytest.raises(DeviceError, match="but cpu has 600 MiB"):
        planned_batch([HUB, HUB], CPU, 1, "float32")


def test_the_weights_are_counted_as_they_are() -> None:
    parameters = sum(p.numel() for p in build_native(HUB | {"n_layers": 1}).parameters())
    one, two = (estimate([HUB | {"n_layers": 1}] * n, "cpu", "float32").fixed for n in (1, 2))
    assert two - one == pytest.approx(4 * parameters, rel=0.01)
    assert estimate([HUB], "cpu", "bfloat16").fixed < estimate([HUB], "cpu", "float32").fixed


def test_available_memory_is_the_least_of_machine_and_control_group(tmp_path: Path) -> None:
    assert batch_size._available(tmp_path) is None
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/meminfo").write_text("MemTotal: 900 kB\nMemAvailable:     500 kB\n")
    assert batch_size._available(tmp_path) == 500 * 1024
    group = tmp_path / "sys/fs/cgroup"
    group.mkdir(parents=True)
    (group / "memory.max").write_text("max\n")
    assert batch_size._available(tmp_path) == 500 * 1024
    (group / "memory.max").write_text("300000\n")
    (group / "memory.current").write_text("100000\n")
    assert batch_size._available(tmp_path) == 200_000


def test_a_batch_is_tried_and_halved_when_the_device_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = load_pair(make_pair(tmp_path / "tiny-pair"))
    sides = {"left": pair.left, "right": pair.right}
    models = load_models(sides, "cpu")
    layout = Layout.of_configs({side: version.config for side, version in sides.items()})
    job = ProbeJob(layout, StatisticsSettings(), SHAPE["n_ctx"], 16)
    assert job.open(models).handle(PROBE) == 16
    real, tried = batch_size.stream, []

    def limited(models: object, sides: object, rows: batch_size.Rows, take: object) -> None:
        tried.append(len(rows.windows))
        if len(rows.windows) > most:
            raise torch.OutOfMemoryError("no more")
        real(models, sides, rows, take)

    monkeypatch.setattr(batch_size, "stream", limited)
    most = 5
    assert job.open(models).handle(PROBE) == 4
    assert tried == [16, 8, 4]
    most = 0
    with pytest.raises(DeviceError, match="out of memory with one window of 24 tokens"):
        job.open(models).handle(PROBE)


def test_shards_do_not_depend_on_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair, corpus = make_pair(tmp_path / "tiny-pair"), make_corpus(tmp_path / "texts", 4)
    plans = []
    configs = [getattr(load_pair(pair), side).config for side in ("left", "right", "control")]
    for room in (None, estimate(configs, "cpu", "float32").of(3)):
        with_memory(monkeypatch, room)
        plans.append(
            make_plan(
                pair, str(corpus), tokens=None, device="cpu", workers=1, seed=0,
                settings=StatisticsSettings(),
            )
        )  # fmt: skip
    assert plans[0].batch_windows > 3 >= plans[1].batch_windows
    assert plans[0].shard_windows == plans[1].shard_windows
    assert plans[0].run_id == plans[1].run_id
