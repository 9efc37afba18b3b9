"""The hash is fixed for ever, spreads evenly, and depends on the key alone."""

from __future__ import annotations

import numpy as np

from worker.hashing import key_hashes, token_hashes

MASK = 2**64 - 1


def splitmix(z: int) -> int:
    z = (z + 0x9E3779B97F4A7C15) & MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def plain_hash(seed: int, *key: int) -> int:
    state = splitmix(seed)
    for part in key:
        state = splitmix(state ^ part)
    return state


def test_it_is_what_it_was_and_stays_so() -> None:
    assert token_hashes(0, [0], [0], 2).tolist() == [[2391539541053276776, 3048674281419798293]]
    assert splitmix(0) == 0xE220A8397B1DCDAF  # published first output of SplitMix64, seed 0


def test_it_equals_plain_integers() -> None:
    document, window = np.array([0, 7, 2**31 + 5]), np.array([0, 3, 100], dtype=np.int32)
    found = token_hashes(42, document, window, 5)
    for b in range(3):
        for position in range(5):
            expected = plain_hash(42, int(document[b]), int(window[b]), position)
            assert int(found[b, position]) == expected


def test_it_spreads_evenly_and_differs_by_seed() -> None:
    one = key_hashes(0, np.arange(20_000))
    other = key_hashes(1, np.arange(20_000))
    counts = np.histogram(one.astype(np.float64), 20, (0, 2.0**64))[0]
    assert abs(counts - 1000).max() < 150  # about five standard deviations
    assert not np.isin(one, other).any()
