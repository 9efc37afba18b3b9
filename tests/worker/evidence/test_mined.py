"""Mined counterexamples, and context embeddings, against plain loops."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from store.records import DocumentRecord
from tests.worker.evidence.planting import (
    DirectEngine,
    layout_of,
    random_model,
    random_windows,
)
from worker.contexts import Contexts, window_keys
from worker.evidence.embeddings import Places, codes_of, embed
from worker.evidence.mined import MOST, silent, unlike
from worker.evidence.passes import run
from worker.reporter import Silent


def unit(*angles: float) -> np.ndarray:
    turned = np.deg2rad(angles)
    return np.stack([np.cos(turned), np.sin(turned)], axis=1).astype(np.float32)


def test_the_furthest_strong_contexts_come_first_and_are_unlike_each_other() -> None:
    vectors = unit(0, 5, 10, 8, 170, 172, 80)  # 0-2 are the top examples
    found = unlike(vectors, np.arange(3), np.array([30, 40, 41, 50]), np.array([3, 4, 5, 6]))
    assert [one.place for one in found] == [41, 50, 40][: len(found)]
    assert found[0].distance > found[1].distance > 0.1
    assert 30 not in [one.place for one in found]  # as near as the top examples to each other
    alike = unlike(vectors, np.arange(3), np.array([30]), np.array([3]))
    assert alike == []
    assert unlike(vectors, np.arange(3), np.array([7]), np.array([1])) == []  # a top example


def test_the_narrowest_rule_of_the_top_examples_is_tried_on_silent_tokens() -> None:
    vectors = unit(*range(0, 100, 10))
    top = np.array([0, 1, 2, 3])
    rows = np.arange(4, 10)
    tokens = np.array([[1, 7], [2, 7], [1, 7], [1, 8], [1, 7], [1, 7]])
    values = np.array([0.0, 0.0, 5.0, 0.0, 0.1, 0.0], np.float32)

    def places(top_tokens: list[list[int]], limit: float = 0.2) -> tuple[list[int], set[str]]:
        found = silent(vectors, top, np.array(top_tokens), values, limit, tokens, rows)
        assert [one.distance for one in found] == sorted(one.distance for one in found)
        return [one.place for one in found], {one.rule for one in found}

    assert places([[1, 7], [1, 7], [3, 7], [1, 9]]) == (
        [0, 4, 5], {"same two tokens as 2 of 4 top examples"}
    )  # fmt: skip
    assert places([[1, 7], [2, 7], [3, 7], [1, 9]]) == (
        [0, 1, 4][:MOST], {"same token as 3 of 4 top examples"}
    )  # fmt: skip
    assert places([[1, 7], [1, 7], [3, 7], [1, 9]], limit=0.05)[0] == [0, 5]
    assert places([[1, 1], [1, 2], [1, 3], [1, 4]]) == ([], set())


def test_embeddings_are_what_each_mlp_reads(tmp_path: Path) -> None:
    models = {"left": random_model("solu_ln"), "right": random_model("gelu", 2)}
    windows = random_windows(90, seed=1).windows
    documents = [DocumentRecord(i, "test", f"{i}") for i in range(90)]
    contexts = Contexts.of_windows(
        [windows], documents, np.sort(window_keys(windows.document, windows.window))
    )
    generator = np.random.default_rng(0)
    some = generator.choice(np.flatnonzero(windows.mask), 200, replace=False)
    window, position = np.divmod(some, 12)
    keys = windows.document[window], windows.window[window], position
    places = Places.of(contexts, 12, *keys)
    assert len(places) == 200
    found = embed(
        DirectEngine(models), places, contexts, layout_of(models), {"left": 16, "right": 16},
        tmp_path, 0, Silent(),
    )  # fmt: skip
    rows = places.rows(codes_of(contexts, 12, *keys))
    np.testing.assert_array_equal(places.tokens(contexts)[rows], windows.tokens.ravel()[some])
    np.testing.assert_array_equal(
        places.tokens(contexts, back=1)[rows], windows.tokens[window, position - 1]
    )
    for side, lean in models.items():
        trace = run(lean, torch.from_numpy(windows.tokens).long())
        for layer in (0, 1):
            expected = trace.residual[layer].flatten(0, 1)[some].numpy()
            block = found.block(side, layer)  # type: ignore[arg-type]
            np.testing.assert_allclose(block[rows], expected, rtol=2e-3, atol=2e-3)
