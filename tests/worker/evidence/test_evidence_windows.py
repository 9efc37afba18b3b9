"""Evidence windows: the same draw whatever the batches, smaller draws within larger ones."""

from __future__ import annotations

import numpy as np

from tests.worker.evidence.planting import random_windows
from worker.evidence.windows import draw_windows, take_windows


def keys(drawn: object) -> list[int]:
    return drawn.windows.document.tolist()  # type: ignore[attr-defined]


def test_the_draw_depends_on_keys_alone() -> None:
    windows = random_windows(6000).windows
    order = np.random.default_rng(1).permutation(6000)
    in_one = draw_windows([windows], 0, 2000)
    parts = [take_windows(windows, order[a : a + 100]) for a in range(0, 6000, 100)]
    in_parts = draw_windows(parts, 0, 2000)
    assert keys(in_one) == keys(in_parts)
    np.testing.assert_array_equal(in_one.windows.tokens, in_parts.windows.tokens)
    assert keys(draw_windows([windows], 1, 2000)) != keys(in_one)


def test_it_stops_at_the_first_window_that_reaches_the_number() -> None:
    windows = random_windows(50).windows
    drawn = draw_windows([windows], 0, 100)
    assert 100 <= drawn.n_tokens < 111
    smaller = draw_windows([windows], 0, 40)
    assert keys(smaller) == keys(drawn)[: len(smaller)]
    assert drawn.first(40) == len(smaller)
    assert drawn.first(10**6) == len(drawn)
    assert drawn.first(0) == 0
    assert len(draw_windows([windows], 0, 10**6)) == 50
    assert draw_windows([], 0, 100) is None


def test_no_window_is_preferred() -> None:
    windows = random_windows(4000).windows
    drawn = np.array(keys(draw_windows([windows], 0, 20_000)))
    assert abs(drawn.mean() - 2000) < 5 * 4000 / np.sqrt(12 * len(drawn))
