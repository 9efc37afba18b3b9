"""What a database holds is read as it was written: these bytes are of the formats at schema 0007.

A change that fails here would misread every run that is there: it needs a format of its own and a
migration, not other bytes in this file. Migration 0007, which writes these by today's functions,
then needs a copy of them.
"""

from __future__ import annotations

import numpy as np
import pytest

from store import (
    bit_frames,
    bit_lengths,
    code_streams,
    log_codes,
    mined_packing,
    packing,
    value_codes,
)
from store.example_packing import unpack, unpack_places
from store.firing_packing import Firing, pack_firing, unpack_firing, unpack_spread
from store.token_scales import Snippets, scales_of


def test_windows_and_histograms() -> None:
    window = bytes.fromhex("04000150002c0100")
    assert packing.unpack_window(window, 4096).tolist() == [1, 5, 300, 0]
    (part,) = packing.unpack_snippets([(window, 1, 2)], 4096)
    assert part.tolist() == [5, 300]
    counts = packing.unpack_histograms(bytes.fromhex("0508000a0063606661616060650500f29a"))
    assert {site: row.tolist() for site, row in counts.items()} == {
        "pre": [0, 3, 9, 1],
        "post": [0, 0, 13, 0],
    }
    joint = packing.unpack_counts(bytes.fromhex("040006006360666502000a"))
    assert joint.tolist() == [0, 3, 9, 1]
    assert packing.unpack_mass(
        bytes.fromhex("00000000000000400400060063e0e1e4000052c75800")
    ) == pytest.approx([0, 0.5, 2, 1], rel=0.005)


def test_what_fires_on_a_token_and_partners() -> None:
    firing = unpack_firing(
        bytes.fromhex("00b408030403a38069062d20003a069a5000d21e084b3100de1f084b3100")
    )
    wanted = ([7, 2, 9], [2, 1, 0.25], [3.5, 2.5, 1.5], [4, 2, 0.5], [6, 5, 2])
    for found, exact in zip(firing, wanted, strict=True):
        assert found.tolist() == pytest.approx(exact, rel=0.005)
    spread = unpack_spread(bytes.fromhex("0000003f000080bf000000400000803e"))
    assert spread.tolist() == [[0.5, -1], [2, 0.25]]
    partners = bytes.fromhex("0200014000000001800604700000003f000080be")
    assert list(packing.unpack_partners(partners)) == [(0, 0, 1, 17, 0.5), (1, 0, 0, 3, -0.25)]


def test_scales_of_tokens() -> None:
    packed = bytes.fromhex("021e0500039f07691000010101800ea3559a43ad19651a7f000000000083140a")
    found = scales_of(Snippets([(packed, 0, 2), (packed, 3, 1)]).codes("left", 1))
    assert found.tolist() == [
        pytest.approx([6, 7, 8], abs=1 / 256),
        pytest.approx([0.5, -0.25, 0.125], rel=0.008),
        pytest.approx([4, 8, 16], rel=0.004),
    ]


#: Codes of scales of eight tokens, [3, 8]: of log Z, of the mean and of the deviation.
SCALES = np.array(
    [
        [256, 320, 384, 192, 256, 448, 256, 320],
        [1951, 1901, 1951, 2001, 1951, 1901, 1951, 1901],
        [4201, 4301, 4201, 4101, 4201, 4301, 4201, 4101],
    ]
)


def test_examples() -> None:
    """`mid` by SoLU, `post` by its LayerNorm, and of GeLU by its function of `pre`."""
    places = unpack_places(
        bytes.fromhex(
            "01020000603c3f00e0e83f003400b41994007e02d804014004014014024063606380006608c5f4"
            "8fe13f08b24269f63f109af92f840600"
        )
    )
    packed = bytes.fromhex(
        "01022600000705a5ff00000a000033ac6dab37e96cd20700939aab55d30100000236d14c3ff39399be0000"
        "1b00000505a5ff00000a0000d36fea34a96fab350400ba297d0d9d0300001700000505a3ff00000700"
        "0033aeef68340300939aab01030000"
    )
    top, bottom = unpack("left", 1, 7, places, packed, lambda side: SCALES)
    assert (top.band, top.rank, top.document, top.window) == ("top", 0, 300, 2)
    assert (top.position, top.start, top.activation) == (12, 10, pytest.approx(0.73583984375))
    assert (bottom.band, bottom.rank, bottom.position) == ("bottom", 3, 10)
    for found, exact in (
        (top.values["pre"], [-1.497, 0.2498, 2.004, 0.4978, -0.7485]),
        (top.values["mid"], [-0.04535, 0.02632, 0.7358, 0.1827, -0.04791]),
        (top.values["post"], [-0.8452, -0.3315, 1.667, -0.8076, -0.8535]),
        (bottom.values["post"], [11.15, 0.4827, -0.5356]),
    ):
        assert found.tolist() == pytest.approx(exact, rel=1e-3)
    assert top.same_index is not None
    assert top.same_index.quantile == 0.25
    assert top.same_index.values["post"].tolist() == pytest.approx(
        [-0.0452, 0.8438, 2.996, -0.1699, 0.344], rel=1e-3
    )
    assert top.match is not None
    assert (top.match.neuron, top.match.quantile) == (3, pytest.approx(0.999, abs=1e-5))
    assert top.match.values["pre"].tolist() == pytest.approx(
        [-1.497, 0.2498, 2.004, 0.4978, -0.7485], rel=1e-3
    )
    assert bottom.same_index is not None
    assert bottom.same_index.quantile == 0.75
    assert bottom.match is None


def test_mined_counterexamples() -> None:
    packed = bytes.fromhex(
        "011400ab046b71010000003f0000403f0504003c00400303020000009a9999999999b93f0a73616d6520746f6b656e030100bc"
    )
    unlike, silent = mined_packing.unpack("left", 1, 17, packed)
    assert (unlike.kind, unlike.rank, unlike.document, unlike.window) == ("unlike", 0, 555, 107)
    assert (unlike.position, unlike.start, unlike.activation) == (113, 112, 0.5)
    assert (unlike.distance, unlike.rule) == (0.75, "")
    assert unlike.values["post"].tolist() == [1.0, 2.0]
    assert (silent.kind, silent.rank, silent.activation, silent.distance) == (
        "silent",
        3,
        0.1,
        None,
    )
    assert (silent.rule, silent.values["pre"].tolist()) == ("same token", [-1.0])


def test_codes_and_frames() -> None:
    codes, end = code_streams.unpack(bytes.fromhex("0681ff0000060000ab2fa8df0b00030f80"), 4, 0)
    assert (codes.tolist(), end) == ([3, -900, 0, 4000], 17)
    frames = bit_frames.unpack(bytes.fromhex("030a0306000707e60140"), 2)
    assert [column.tolist() for column in frames] == [[5, 9, 6], [100, -3, 7]]
    assert bit_lengths.unpack(bytes.fromhex("040006006360e46006000c01")).tolist() == [0, -1, 70, 3]
    values = [0, 1e-6, -0.5, 1, 20, -300]
    assert value_codes.encode(values).tolist() == [0, 202, -1175, 1261, 2801, -6089]
    assert log_codes.encode([0, 1e-3, -1, 2]).tolist() == [0, 1403, -2101, 2171]


@pytest.mark.parametrize("n", [0, 1, 65_535])
def test_numbers_of_any_length_come_back(n: int) -> None:
    rng = np.random.default_rng(n)
    numbers = rng.integers(-(1 << 50), 1 << 50, n) >> rng.integers(0, 50, n)
    np.testing.assert_array_equal(bit_lengths.unpack(bit_lengths.pack(numbers)), numbers)


def test_frames_know_their_limits() -> None:
    wide = [[0, (1 << 31) - 1], [-(1 << 31), -1]]
    found = bit_frames.unpack(bit_frames.pack(wide), 2)
    assert [column.tolist() for column in found] == wide
    with pytest.raises(ValueError, match="too large"):
        bit_frames.pack([[0, 1 << 31]])


def test_frames_packed_together_are_what_each_is_alone() -> None:
    rng = np.random.default_rng(3)
    lengths = [0, 1, 40, 0, 3, 7]
    columns = np.array([rng.integers(-5, 1 << bits, sum(lengths)) for bits in (1, 9, 30)])
    columns[0] = 4  # of no width
    pieces = np.split(columns, np.cumsum(lengths)[:-1], axis=1)
    assert bit_frames.pack_all(columns, lengths) == [bit_frames.pack(list(one)) for one in pieces]


def test_what_fires_on_tokens_packed_together_is_what_each_is_alone() -> None:
    rng = np.random.default_rng(4)
    spread = np.array([rng.standard_normal(50), rng.uniform(0.5, 2, 50)], np.float32)
    firing = []
    for length, follows in ((0, True), (5, True), (1, False), (0, False), (40, True), (40, False)):
        ids = rng.permutation(50)[:length]
        mean_sd = np.sort(rng.uniform(1, 9, length))[::-1].astype(np.float32)
        highest_sd = (mean_sd + rng.uniform(0, 3, length)).astype(np.float32)
        mean, highest = (
            each * spread[1][ids] + spread[0][ids] + (0 if follows else 9)
            for each in (mean_sd, highest_sd)
        )
        firing.append(Firing(ids, mean, mean_sd, highest, highest_sd))
    together = pack_firing(firing, spread)
    assert together == [pack_firing([one], spread)[0] for one in firing]
    assert [packed[0] for packed in together] == [1, 1, 0, 1, 1, 0]
    for one, packed in zip(firing, together, strict=True):
        for found, exact in zip(unpack_firing(packed, spread), one, strict=True):
            np.testing.assert_allclose(found, exact, rtol=0.03)
