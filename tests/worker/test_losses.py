"""Losses of rows of logits, whatever their size."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from worker.losses import _nats
from worker.settings import StatisticsSettings


@pytest.mark.parametrize("shift", [0.0, -70.0, 95.0, -200.0, 3e4])
def test_they_are_cross_entropies(shift: float) -> None:
    """Beyond about ±80 exp of a logit is not a number of float32's any more."""
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(12, 5, generator=generator)
    weight = 3 * torch.randn(5, 40, generator=generator)
    targets = torch.randint(0, 40, (12,), generator=generator)

    def head(given: torch.Tensor) -> torch.Tensor:
        return given @ weight + shift

    exact = F.cross_entropy(head(rows).double(), targets, reduction="none")
    torch.testing.assert_close(_nats(head, rows, targets).double(), exact, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize(
    ("tokens", "least"),
    [(None, 100_000), (3_000_000, 100_000), (524_288, 52_428), (1_000, 10_000)],
)
def test_they_take_a_tenth_of_what_a_run_reads(tokens: int | None, least: int) -> None:
    assert StatisticsSettings.of_run(tokens).loss_tokens == least
