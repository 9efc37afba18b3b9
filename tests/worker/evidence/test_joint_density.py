"""Joint densities count every unmasked token once, in the bin of both of its values."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.worker.evidence.planting import DirectEngine, layout_of, random_model, random_windows
from worker.activations import BATCH_TOKENS
from worker.evidence.batches import Totals, batches
from worker.evidence.joint_density import (
    MID_EDGES,
    POST_EDGES,
    JointDensityJob,
    joint_counts,
    records,
)


@pytest.fixture(autouse=True)
def _batches_of_eight(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BATCH_TOKENS, "cpu", 8 * 12)


def test_counts_are_numpys() -> None:
    generator = torch.Generator().manual_seed(0)
    mid = torch.randn(300, 3, generator=generator) * 0.1
    post = torch.randn(300, 3, generator=generator)
    mid[0], post[0] = 0.25, -1.5  # on edges
    found = joint_counts(mid, post)
    for neuron in range(3):
        true, _, _ = np.histogram2d(mid[:, neuron], post[:, neuron], [MID_EDGES, POST_EDGES])
        np.testing.assert_array_equal(found[neuron], true)


def test_values_beyond_the_edges_count_in_the_outermost_bins() -> None:
    counts = joint_counts(torch.tensor([[99.0], [-99.0]]), torch.tensor([[-99.0], [99.0]]))
    assert counts[0, -1, 0] == counts[0, 0, -1] == 1


def test_every_token_counts_once_for_every_version_with_a_layer_norm() -> None:
    models = {"left": random_model("solu_ln"), "right": random_model("gelu")}
    windows = random_windows(20)
    job = JointDensityJob(layout_of(models))
    engine = DirectEngine(models, workers=2)
    results = list(engine.run(job, batches(windows, len(windows), "cpu")))
    found = list(records([one for one in results if isinstance(one, Totals)]))
    assert [(one.side, one.layer, one.neuron) for one in found] == [
        ("left", layer, neuron) for layer in (0, 1) for neuron in range(24)
    ]
    for one in found:
        assert one.counts.shape == (len(MID_EDGES) - 1, len(POST_EDGES) - 1)
        assert one.counts.dtype == np.int64
        assert one.counts.sum() == windows.n_tokens
