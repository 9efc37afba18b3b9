"""The sample is the tokens of lowest hash, whatever order, parts and thresholds there were."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from store.records import Site
from worker.accumulators import LayerBatch
from worker.accumulators.accumulator import Rows
from worker.hashing import token_hashes
from worker.layout import Layout, SideLayout
from worker.sample import (
    EVERY_HASH,
    Sample,
    SamplePart,
    Spool,
    Threshold,
    open_sample,
    write_sample,
)
from worker.windows import TokenWindows

LAYOUT = Layout((SideLayout("left", 2, 3, True), SideLayout("right", 2, 3, False)))
N_CTX = 9
SIZE = 25


def windows_of(document: int) -> TokenWindows:
    mask = np.zeros((3, N_CTX), bool)
    mask[:, 1 : 4 + document % 5] = True
    return TokenWindows(
        np.zeros((3, N_CTX), np.int32),
        mask,
        np.full(3, document, np.int64),
        np.arange(3, dtype=np.int32),
    )


def activation(document: int, window: int, position: int, column: int) -> float:
    """A value that names its token and place, exact in half precision."""
    return float((document * 37 + window * 11 + position * 3 + column * 5) % 2048)


def batch(windows: TokenWindows, side: str, layer: int) -> LayerBatch:
    sites: dict[Site, torch.Tensor] = {}
    for one_side, one_layer, site, column in LAYOUT.blocks():
        if (one_side, one_layer) == (side, layer):
            values = [
                [
                    [
                        activation(int(windows.document[b]), b, position, column + j)
                        for j in range(3)
                    ]
                    for position in range(N_CTX)
                ]
                for b in range(3)
            ]
            sites[site] = torch.tensor(values)
    return LayerBatch(sites, Rows.of(windows))


def run(directory: Path, parts: list[list[int]], *, known: bool) -> Sample:
    """Documents in parts; with `known` each spool is told the running threshold."""
    threshold = Threshold(SIZE)
    made = []
    for number, documents in enumerate(parts):
        place = directory / str(number)
        place.mkdir(parents=True)
        spool = Spool(place, LAYOUT)
        for document in documents:
            windows = windows_of(document)
            hashes = token_hashes(3, windows.document, windows.window, N_CTX)
            threshold.see(hashes[windows.mask])
            spool.begin(Rows.of(windows), hashes, threshold.value if known else EVERY_HASH)
            for one, layer in LAYOUT.layers():
                spool.take(one.side, layer, batch(windows, one.side, layer))
            spool.end()
        made.append(SamplePart(spool.close(), place / "rows.f16"))
    return write_sample(directory / "sample", made, LAYOUT, SIZE, {})


def expected_keys(documents: range) -> list[tuple[int, int, int]]:
    everything = []
    for document in documents:
        windows = windows_of(document)
        hashes = token_hashes(3, windows.document, windows.window, N_CTX)
        for b in range(3):
            for position in range(N_CTX):
                if windows.mask[b, position]:
                    everything.append((int(hashes[b, position]), (document, b, position)))
    return sorted(key for _, key in sorted(everything)[:SIZE])


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize(
    "parts", [[[*range(12)]], [[11, 3, 5], [], [*range(3)], [4, *range(6, 11)]]]
)
def test_it_is_the_tokens_of_lowest_hash(
    tmp_path: Path, parts: list[list[int]], known: bool
) -> None:
    run(tmp_path, parts, known=known)
    sample = open_sample(tmp_path / "sample")
    keys = [(int(k["document"]), int(k["window"]), int(k["position"])) for k in sample.keys]
    assert keys == expected_keys(range(12))
    for side, layer, site, column in LAYOUT.blocks():
        block = sample.block(side, layer, site)
        assert block.dtype == np.float16
        for row, key in zip(block, keys, strict=True):
            assert row.tolist() == [activation(*key, column + j) for j in range(3)]


def test_a_corpus_smaller_than_the_sample_is_taken_whole(tmp_path: Path) -> None:
    assert len(run(tmp_path, [[0]], known=True)) == int(windows_of(0).mask.sum())


def test_the_threshold_is_the_largest_hash_that_belongs() -> None:
    rng = np.random.default_rng(0)
    hashes = rng.integers(0, 2**63, 1000, dtype=np.uint64) * np.uint64(2)
    threshold = Threshold(10)
    for part in np.split(hashes, 50):
        threshold.see(part)
        assert np.uint64(threshold.value) >= np.sort(hashes)[9]
    assert threshold.value < EVERY_HASH // 10
