"""What models are computed in: part of a run's identity, refused where it cannot be had."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from store.engine import open_engine
from tests import databases
from tests.worker.published import versions
from tests.worker.tiny_pair import make_corpus, make_pair
from worker import models
from worker.accumulators import Distribution, LayerBatch, distribution
from worker.accumulators.accumulator import Rows
from worker.errors import DeviceError
from worker.layout import SideLayout
from worker.models import resolve_dtype
from worker.pairs import load_pair
from worker.plan import make_plan
from worker.precompute import precompute
from worker.settings import StatisticsSettings
from worker.windows import TokenWindows

CPU = torch.device("cpu")
SETTINGS = StatisticsSettings(sample_size=300, top=4, bottom=3, drawn=2, loss_tokens=100)


def test_unknown_and_impossible_dtypes_are_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    assert resolve_dtype("float32", CPU) == "float32"
    assert resolve_dtype("bfloat16", CPU) == "bfloat16"
    with pytest.raises(DeviceError, match="dtype 'float8' is not known; use one of: float32"):
        resolve_dtype("float8", CPU)

    def cannot(*_: object, **__: object) -> None:
        raise RuntimeError("\"addmm_impl_cpu_\" not implemented for 'Half'")

    monkeypatch.setattr(models.torch, "ones", cannot)
    with pytest.raises(DeviceError, match="cpu cannot compute in float16"):
        resolve_dtype("float16", CPU)


def test_a_run_in_half_precision_is_another_run_with_nearly_the_same_numbers(
    tmp_path: Path,
) -> None:
    pair, corpus = make_pair(tmp_path / "tiny-pair"), make_corpus(tmp_path / "texts", 12)
    found = {}
    with databases.fresh("sqlite") as url:
        for dtype in ("float32", "bfloat16"):
            run = precompute(
                pair, str(corpus), device="cpu", dtype=dtype, workers=1, database_url=url,
                work_dir=tmp_path / "work", settings=SETTINGS, batch_windows=8,
            )  # fmt: skip
            assert run.identity["dtype"] == dtype
            engine = open_engine(url)
            found[dtype] = [record for record, _ in versions(engine, run)]
            engine.dispose()
        again = make_plan(
            pair, str(corpus), tokens=None, device="cpu", dtype="bfloat16", workers=1, seed=0,
            settings=SETTINGS,
        )  # fmt: skip
        assert again.run_id == run.id
    changed = 0
    for one, other in zip(found["float32"], found["bfloat16"], strict=True):
        for site, of in one.sites.items():
            half = other.sites[site]
            assert half.n == of.n
            assert half.counts.sum() == of.counts.sum()
            changed += int(np.abs(half.counts - of.counts).sum())
            if of.std:
                assert half.std == pytest.approx(of.std, rel=0.1)
    assert changed > 0  # it was computed in another precision, not only named so


def test_later_stages_compute_in_float32(tmp_path: Path) -> None:
    pair, corpus = make_pair(tmp_path / "tiny-pair"), make_corpus(tmp_path / "texts", 3)
    plan = make_plan(
        pair, str(corpus), tokens=None, device="cpu", dtype="bfloat16", workers=1, seed=0,
        settings=SETTINGS,
    )  # fmt: skip
    assert {one.dtype for one in plan.versions.values()} == {"bfloat16"}
    assert models.load_native(plan.versions["left"]).head.weight.dtype == torch.bfloat16
    single = plan.in_float32()
    assert single.run_id == plan.run_id
    assert models.load_native(single.versions["left"]).head.weight.dtype == torch.float32
    assert load_pair(pair).left.dtype == "float32"


def test_short_counters_are_emptied_before_they_overflow(monkeypatch: pytest.MonkeyPatch) -> None:
    layout = SideLayout("right", 1, 5, has_layer_norm=False)
    mask = np.ones((2, 9), bool)
    windows = TokenWindows(np.zeros((2, 9), np.int32), mask, np.arange(2), np.zeros(2, np.int32))
    rows = Rows.of(windows)
    generator = torch.Generator().manual_seed(0)
    batches = [
        LayerBatch({s: torch.randn((2, 9, 5), generator=generator) for s in layout.sites}, rows)
        for _ in range(7)
    ]

    def counts() -> np.ndarray:
        one = Distribution.empty(layout, SETTINGS)
        most = 0
        for batch in batches:
            one.update(batch)
            assert one._recent is not None
            most = max(most, int(one._recent.sum(axis=2).max()))
        assert most <= distribution._RECENT_TOKENS
        return one.arrays()["counts"]

    expected = counts()
    assert expected.sum() == 7 * 18 * 5 * 2
    monkeypatch.setattr(distribution, "_RECENT_TOKENS", 40)
    np.testing.assert_array_equal(counts(), expected)
