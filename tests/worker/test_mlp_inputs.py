"""Activations along snippets are the same whether what the MLPs read was kept or made again."""

from __future__ import annotations

import dataclasses
import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from store.records import Side
from tests.worker.tiny_pair import SHAPE
from tests.worker.tiny_run import Place
from worker import gather, mlp_inputs, steps
from worker.accumulators import LayerBatch
from worker.accumulators.accumulator import Rows
from worker.activations import Models, stream
from worker.layout import Layout
from worker.lean import LeanModel
from worker.mlp_inputs import InputFiles
from worker.models import build_native
from worker.neuron_values import LayerNeurons, numbers_of, reads_of
from worker.shards import Shard
from worker.statistics_job import batches
from worker.windows import TokenWindows

ACT_FNS = ("gelu", "gelu_new", "relu", "silu", "solu", "solu_ln")
SIDES: tuple[Side, ...] = ("left", "right")
N_CTX, SNIPPET = SHAPE["n_ctx"], 9


def tiny(act_fn: str, dtype: torch.dtype = torch.float32, scale: float = 0.4) -> LeanModel:
    torch.manual_seed(ACT_FNS.index(act_fn))
    model = build_native({**SHAPE, "act_fn": act_fn})
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += scale * torch.randn_like(parameter)
    return LeanModel(model.requires_grad_(False).to(dtype))


def shard(n_windows: int, number: int = 0) -> Shard:
    rng = np.random.default_rng(number)
    tokens = rng.integers(0, 300, (n_windows, N_CTX)).astype(np.int32)
    mask = np.ones((n_windows, N_CTX), bool)
    mask[:, 0] = mask[-1, -5:] = False
    document = np.arange(n_windows) // 2 + 100 * number
    return Shard(
        number, TokenWindows(tokens, mask, document, np.arange(n_windows, dtype=np.int32) % 2), ()
    )


def snippets(n: int, places: int) -> dict[str, Any]:
    """N snippets in one batch: their first places, what is inside, their neurons."""
    rng = np.random.default_rng(7)
    length = rng.integers(1, SNIPPET + 1, n)
    return {
        "group": np.zeros(n, np.int64),
        "first": rng.integers(0, places - SNIPPET, n),
        "inside": np.arange(SNIPPET) < length[:, None],
        "neuron": rng.integers(0, SHAPE["d_mlp"], n),
    }


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("act_fn", ACT_FNS)
def test_they_are_the_model_s_own(act_fn: str, dtype: torch.dtype) -> None:
    lean = tiny(act_fn, dtype)
    models = Models({"left": lean}, torch.device("cpu"))
    some = snippets(200, 6 * N_CTX)
    places = some["first"][:, None] + np.where(some["inside"], np.arange(SNIPPET), 0)
    seen = []

    def take(_: Side, layer: int, batch: LayerBatch) -> None:
        found = LayerNeurons(lean, layer).values(reads_of(lean, layer, batch), **some)
        assert found.keys() == batch.sites.keys()
        for site, values in found.items():
            exact = np.where(some["inside"], batch.flat(site)[places, some["neuron"][:, None]], 0)
            rtol = 1e-5 if dtype == torch.float32 else torch.finfo(dtype).eps
            np.testing.assert_allclose(values, exact, rtol=rtol, atol=1e-5, err_msg=site)
            assert np.ptp(exact) > 0.5
        seen.append(layer)

    stream(models, ("left",), Rows.of(shard(6).windows), take)
    assert seen == [0, 1]


@pytest.mark.parametrize("scale", [0.0, 0.4, 4.0])
def test_scales_are_what_solu_and_its_layer_norm_divide_by(scale: float) -> None:
    """Also where the softmax has one large entry, or all are equal and no `pre` is above 0."""
    lean = tiny("solu_ln", scale=scale)

    def take(_: Side, layer: int, batch: LayerBatch) -> None:
        _, scales = numbers_of(lean, layer, batch)
        pre, mid = (batch.sites[site].double().flatten(0, 1) for site in ("pre", "mid"))  # type: ignore[index]
        inverse = (mid.var(-1, unbiased=False) + 1e-5).rsqrt()
        exact = torch.stack([pre.logsumexp(-1), mid.mean(-1) * inverse, inverse])
        np.testing.assert_allclose(scales, exact, rtol=2e-5, atol=2e-6)

    stream(Models({"left": lean}, torch.device("cpu")), ("left",), Rows.of(shard(6).windows), take)


@pytest.fixture
def files(tmp_path: Path) -> InputFiles:
    configs: dict[str, dict[str, Any]] = {
        side: {**SHAPE, "act_fn": act_fn}
        for side, act_fn in zip(SIDES, ("solu_ln", "gelu"), strict=True)
    }
    layout = Layout.of_configs({side: configs[side] for side in SIDES})
    return InputFiles.of(tmp_path / "in", layout, configs, batch_windows=4, shard_windows=10)


@pytest.fixture
def models() -> Models:
    lean = {"left": tiny("solu_ln"), "right": tiny("gelu")}
    return Models(lean, torch.device("cpu"))


def keep(files: InputFiles, models: Models, one: Shard) -> bool:
    """A shard through the models into its file."""
    spool = files.begin(one)
    if spool is None:
        return False

    def take(side: Side, layer: int, batch: LayerBatch) -> None:
        spool.take(*numbers_of(models.lean[side], layer, batch))

    for windows in batches(one.windows, files.batch_windows):
        stream(models, SIDES, Rows.of(windows), take)
    spool.end()
    return True


def test_what_was_kept_is_what_is_made_again(files: InputFiles, models: Models) -> None:
    one = shard(10)
    assert keep(files, models, one)
    places = 4 * N_CTX
    some = snippets(300, places)
    some["group"] = np.random.default_rng(3).integers(0, 3, 300)
    kept = {(side, layer): reads for side, layer, reads in files.reads(0)}
    assert list(kept) == [("left", 0), ("left", 1), ("right", 0), ("right", 1)]
    compared = 0
    for group, windows in enumerate(batches(one.windows, 4)):
        here = some["group"] == group
        mine = {name: values[here] for name, values in some.items()}
        again = mine | {"group": np.zeros(here.sum(), np.int64)}

        def take(
            side: Side, layer: int, batch: LayerBatch, mine: Any = mine, again: Any = again
        ) -> None:
            nonlocal compared
            neurons = LayerNeurons(models.lean[side], layer)
            fresh = neurons.values(reads_of(models.lean[side], layer, batch), **again)
            for site, values in neurons.values(kept[side, layer], **mine).items():
                np.testing.assert_array_equal(values, fresh[site])
                compared += values.size

        stream(models, SIDES, Rows.of(windows), take)
    assert compared == 300 * SNIPPET * (3 + 3 + 2 + 2)


def test_windows_are_found_in_whole_files_only(files: InputFiles, models: Models) -> None:
    for number in range(3):
        assert keep(files, models, shard(10, number))
    windows = shard(10, 1).windows
    wanted = np.unique(mlp_inputs.window_keys([3, *windows.document[[2, 7]], 999], [0, 0, 1, 0]))
    said: list[str] = []
    files.remove_damaged(said.append)
    number, slot = files.find(wanted)
    assert (number.tolist(), slot.tolist()) == ([0, 1, 1, -1], [6, 2, 7, 0])
    assert files.find(wanted[:0])[0].tolist() == []
    assert said == []
    files.keys_path(1).unlink()
    assert files.find(wanted)[0].tolist() == [0, -1, -1, -1]


def _cut_off(file: bytes) -> bytes:
    return file[:-4]


def _one_bit(file: bytes) -> bytes:
    place = len(file) // 2
    return file[:place] + bytes([file[place] ^ 1]) + file[place + 1 :]


def _emptied(file: bytes) -> bytes:
    return b""


@pytest.mark.parametrize("of_keys", [False, True])
@pytest.mark.parametrize("damage", [_cut_off, _one_bit, _emptied])
def test_a_damaged_file_is_named_and_removed(
    files: InputFiles, models: Models, damage: Callable[[bytes], bytes], of_keys: bool
) -> None:
    for number in range(2):
        assert keep(files, models, shard(10, number))
    path = files.keys_path(1) if of_keys else files.path(1)
    path.write_bytes(damage(path.read_bytes()))
    said: list[str] = []
    files.remove_damaged(said.append)
    assert said == ["what was kept of shard 1 is damaged: its windows are run again."]
    assert {path.name for path in files.directory.iterdir()} == {
        files.path(0).name,
        files.keys_path(0).name,
    }


def test_no_more_is_kept_than_there_is_room_for(
    files: InputFiles, models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    two = dataclasses.replace(files, n_shards=2)
    assert [keep(two, models, shard(10, number)) for number in range(3)] == [True, True, False]
    size = two.path(0).stat().st_size - 128  # a header
    configs = {
        side: {**SHAPE, "act_fn": a} for side, a in zip(SIDES, ("solu_ln", "gelu"), strict=True)
    }
    layout = Layout.of_configs({side: configs[side] for side in SIDES})
    sizes: dict[str, Any] = {"batch_windows": 4, "shard_windows": 10}

    def n_shards(most_bytes: int) -> int:
        return InputFiles.of(
            two.directory, layout, configs, most_bytes=most_bytes, **sizes
        ).n_shards

    assert [n_shards(n * size) for n in (0, 1, 2)] == [0, 1, 2]
    assert n_shards(2 * size - 1) == 1
    monkeypatch.setattr(mlp_inputs, "_free", lambda _: 5 * size)
    assert n_shards(1 << 40) == 1, "a quarter of what is free"


def test_a_full_disk_costs_what_was_kept_and_nothing_else(
    files: InputFiles, models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = files.begin(shard(10))
    assert spool is not None

    def full(*_: object, **__: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    opened = spool._file
    assert opened is not None

    class Full:
        write = staticmethod(full)

        def close(self) -> None:
            opened.close()
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(spool, "_file", Full())
    spool.take(np.zeros((4 * N_CTX, 16), np.float32), None)
    spool.take(np.zeros((4 * N_CTX, 16), np.float32), None)
    spool.end()
    assert list(files.directory.iterdir()) == []
    assert keep(files, models, shard(10))
    assert len(list(files.directory.iterdir())) == 2

    monkeypatch.setattr(mlp_inputs.np, "savez", full)  # the inputs fit, their keys do not
    assert keep(files, models, shard(10))
    assert list(files.directory.iterdir()) == []


def test_a_run_is_the_same_however_much_was_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing, half of the shards, everything: each number of the run, and each example."""
    place = Place(tmp_path)
    found = []
    sources: list[set[type]] = []
    real = gather.GatherWork.handle

    def handle(work: gather.GatherWork, task: gather.GatherTask) -> int:
        sources[-1].add(type(task.source))
        return real(work, task)

    monkeypatch.setattr(gather.GatherWork, "handle", handle)
    input_files = steps.input_files
    for n_shards in (0, 3, 1000):

        def limited(*args: Any, n_shards: int = n_shards) -> InputFiles | None:
            files = input_files(*args)
            return None if files is None else dataclasses.replace(files, n_shards=n_shards)

        monkeypatch.setattr("worker.token_pass.input_files", limited)
        sources.append(set())
        _, published = place.published(workers=1, shard_windows=8, flush_seconds=0)
        found.append(published)
    assert sources == [{TokenWindows}, {int, TokenWindows}, {int}]
    assert found[0] == found[1] == found[2]
