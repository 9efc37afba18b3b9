"""Scales of tokens come back as the codes that the examples on them were tried with."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from store.scale_packing import pack_scales
from store.token_scales import Snippets, scale_codes, scales_of


def made(seed: int, length: int = 128) -> np.ndarray:
    rng = np.random.default_rng(seed)
    log_z = 6 + 0.3 * rng.standard_normal(length)
    inverse = 2.0 ** (5 + rng.standard_normal(length) - log_z)
    mean = 0.2 * 2.0 ** (0.5 * (log_z - 6) + 0.1 * rng.standard_normal(length))
    scales = np.stack([log_z, mean, inverse]).astype(np.float32)
    scales[:, 0] = 40.0, -0.004, 900.0  # BOS is like no other token
    return scales


@pytest.mark.parametrize("length", [1, 2, 60, 128, 1024])
def test_every_span_comes_back(length: int) -> None:
    rng = np.random.default_rng(length)
    windows, spans, expected = [], [], []
    for seed in range(12):
        scales = made(seed, length)
        shown = np.zeros(length, bool)
        here = []
        for _ in range(3):
            start = int(rng.integers(0, length))
            end = min(length, start + int(rng.integers(1, 21)))
            shown[start:end] = True
            here.append((start, end))
        left = np.where(shown, scales, np.nan)
        (packed,) = pack_scales([{("left", 3): left, ("right", 3): scales}])
        windows.append(packed)
        spans += [(packed, start, end - start) for start, end in here]
        expected += [scale_codes(scales[:, start:end])[0] for start, end in here]
    for side in ("left", "right"):
        found = Snippets(spans).codes(side, 3)
        np.testing.assert_array_equal(found, np.concatenate(expected, axis=1))


@pytest.mark.parametrize("log_z", [8.0, 30.0, 120.0])
def test_outliers_and_means_of_both_signs_come_back(log_z: float) -> None:
    """The codes of a mean's size and sign go with nothing: a slope would leave its field."""
    rng = np.random.default_rng(int(log_z))
    for _ in range(100):
        n = int(rng.integers(2, 60))
        scales = np.stack(
            [
                log_z * rng.random(n),
                rng.choice([-1, 1], n) * 2.0 ** rng.uniform(-12, 12, n),
                2.0 ** rng.uniform(-20, 20, n),
            ]
        )
        packed = pack_scales([{("left", 0): scales}])[0]
        found = Snippets([(packed, 0, n)]).codes("left", 0)
        np.testing.assert_array_equal(found, scale_codes(scales)[0])


def test_a_window_in_many_pieces_comes_back() -> None:
    scales = made(5, 1024)
    scales[:, 1::3] = np.nan
    packed = pack_scales([{("left", 0): scales}])[0]
    found = Snippets([(packed, 2, 2), (packed, 1022, 1)]).codes("left", 0)
    np.testing.assert_array_equal(found, scale_codes(scales[:, [2, 3, 1022]])[0])


def test_scales_are_near() -> None:
    exact = made(1).astype(np.float64)
    found = scales_of(scale_codes(exact)[0]).astype(np.float64)
    assert np.abs(found[0] - exact[0]).max() <= 1 / 256 + 1e-6
    assert (np.abs(found[1:] / exact[1:] - 1).max(axis=1) <= [0.0071, 0.0036]).all()


def test_what_is_not_there_is_told() -> None:
    scales = made(2)
    scales[:, 10:20] = np.nan
    packed = pack_scales([{("left", 0): scales}])[0]
    for start, length in ((5, 6), (12, 2), (18, 5), (120, 20)):
        with pytest.raises(ValueError, match="scales of a window's tokens are missing"):
            Snippets([(packed, start, length)]).codes("left", 0)
    for wrong in (None, b"", packed):
        with pytest.raises(ValueError, match="missing"):
            Snippets([(wrong, 0, 5)]).codes("right", 0)
    assert pack_scales([{("left", 0): np.full((3, 4), np.nan)}, None, {}]) == [None] * 3


def test_odd_scales_are_left_out() -> None:
    scales = made(3, 8)
    scales[2, 4] = 0.0
    scales[0, 5] = 1e4
    _, there = scale_codes(scales)
    assert there.tolist() == [True] * 4 + [False, False] + [True] * 2
    with pytest.raises(ValueError, match="shape"):
        scale_codes(scales[:2])


def test_windows_packed_together_are_what_each_is_alone() -> None:
    windows: list[Any] = [None]
    for length in (1, 2, 9, 40):
        scales = made(length, length)
        only_first, hole = scales.copy(), scales.copy()
        only_first[:, 1:] = np.nan
        hole[:, length // 2] = np.nan
        windows += [{("left", 0): scales}, {("right", 2): only_first, ("left", 0): hole}]
    windows.append({("left", 1): np.full((3, 3), np.nan), ("left", 0): made(7, 3)})
    together = pack_scales(windows)
    assert together == [pack_scales([one])[0] for one in windows]
    assert [packed is None for packed in together] == [one is None for one in windows]
