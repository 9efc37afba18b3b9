"""The KL divergence of many changes: exact at every size, on both ways of computing it."""

from __future__ import annotations

import pytest
import torch

from worker.evidence import divergence
from worker.evidence.divergence import Changes, dense_divergences


def cases(scale: float) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Probabilities [4, V], changes y [64, V] of a size, and the token of each."""
    generator = torch.Generator().manual_seed(0)
    p = torch.softmax(3 * torch.randn(4, 500, generator=generator, dtype=torch.float64), 1)
    y = scale * torch.randn(64, 500, generator=generator, dtype=torch.float64)
    return p, y.float().double(), torch.arange(64) % 4


def expected(p: torch.Tensor, y: torch.Tensor, row: torch.Tensor) -> torch.Tensor:
    centred = y - (p[row] * y).sum(1, keepdim=True)
    return torch.log1p((p[row] * (torch.expm1(centred) - centred)).sum(1))


@pytest.mark.parametrize("scale", [1e-4, 1e-2, 0.3, 3.0])
def test_it_is_exact_however_small_the_divergence(scale: float) -> None:
    p, y, row = cases(scale)
    true = expected(p, y, row)
    found = dense_divergences(p.float(), row, y.float(), (p[row] * y).sum(1).float())
    torch.testing.assert_close(found.double(), true, rtol=1e-5, atol=0)


@pytest.mark.parametrize("scale", [1e-3, 0.3, 3.0])
def test_a_device_computes_the_same(scale: float) -> None:
    p, y, row = cases(scale)
    places, ones = torch.arange(64), torch.ones(64)
    centre = (p[row] * y).sum(1).float()
    changes = Changes(row, places, places, ones, 0 * ones, centre)
    found = divergence._on_device(p.float(), changes, y.float(), y.float())
    torch.testing.assert_close(found.double(), expected(p, y, row), rtol=1e-4, atol=0)


def test_a_wrong_centre_costs_its_square_only() -> None:
    p, y, row = cases(0.3)
    found = dense_divergences(p.float(), row, y.float(), (p[row] * y).sum(1).float() + 1e-4)
    torch.testing.assert_close(found.double(), expected(p, y, row), rtol=1e-4, atol=1e-7)


def test_no_change_and_a_shift_of_all_logits_are_no_divergence() -> None:
    p, _, row = cases(1.0)
    constant = torch.full((64, 500), 7.0)
    assert (dense_divergences(p.float(), row, 0 * constant, torch.zeros(64)) == 0).all()
    shifted = dense_divergences(p.float(), row, constant, torch.full((64,), 7.0))
    assert shifted.abs().max() < 1e-12
