"""Accumulators against plain loops, the laws of merging, and torch against the compiled sweep."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from store.histogram_edges import inner_edges
from store.records import Site
from worker.accumulators import (
    ACCUMULATORS,
    Accumulator,
    Distribution,
    Extremes,
    LayerBatch,
    distribution,
)
from worker.accumulators.accumulator import Rows
from worker.accumulators.distribution import SiteDistribution, torch_bins
from worker.accumulators.moments import Moments
from worker.errors import PairError
from worker.layout import SideLayout
from worker.settings import StatisticsSettings
from worker.windows import TokenWindows

N = 5
N_CTX = 7
LAYER_NORM = SideLayout("left", 1, N, True)
PLAIN = SideLayout("right", 1, N, False)
SETTINGS = StatisticsSettings(top=3, bottom=2)
SPECIAL = (0.0, -0.0, 1.0, -1.0, 2.0**-16, -(2.0**-16), 2.0**8, -(2.0**8), 300.0, -1e9, 1e-30)


class OffCpu(LayerBatch):
    """Takes the path of other devices, on tensors of the CPU."""

    on_cpu = False  # type: ignore[assignment]


def batch(
    seed: int,
    windows: int = 4,
    draw: Callable[[np.random.Generator, tuple[int, ...]], np.ndarray] | None = None,
    kind: type[LayerBatch] = LayerBatch,
    n: int = N,
) -> LayerBatch:
    """Windows of a few documents, each cut at random, with activations drawn on a coarse grid so
    that ties abound (or by `draw`)."""
    rng = np.random.default_rng(seed)
    mask = np.zeros((windows, N_CTX), bool)
    for b in range(windows):
        mask[b, 1 : 1 + rng.integers(0, N_CTX)] = True
    document = rng.integers(0, 3, windows)
    rows = Rows.of(
        TokenWindows(
            np.zeros((windows, N_CTX), np.int32),
            mask,
            document.astype(np.int64),
            (seed * windows + np.arange(windows)).astype(np.int32),
        )
    )
    shape = (windows, N_CTX, n)
    sites: dict[Site, torch.Tensor] = {}
    for site in ("pre", "mid", "post"):
        values = draw(rng, shape) if draw else rng.integers(-3, 4, shape) / 2
        values = values.astype(np.float32)
        if draw is None:
            values.reshape(-1)[rng.integers(0, values.size, 6)] = rng.choice(SPECIAL, 6)
        sites[site] = torch.from_numpy(values)
    return kind(sites, rows)


def tokens_of(batches: list[LayerBatch]) -> list[tuple[tuple[int, int, int], dict[Site, list]]]:
    """(key, values by site) of every unmasked token, by plain loops."""
    found = []
    for one in batches:
        windows = one.rows.windows
        for b in range(len(windows)):
            for position in range(N_CTX):
                if windows.mask[b, position]:
                    key = (int(windows.document[b]), int(windows.window[b]), position)
                    values = {site: v[b, position].tolist() for site, v in one.sites.items()}
                    found.append((key, values))
    return found


def plain_bin(value: float) -> int:
    """By the edges alone: a bin holds its edge nearer to zero."""
    edges = inner_edges().tolist()
    bin_ = sum(edge <= value for edge in edges)
    return bin_ - (value < 0 and value in edges)


def accumulated(
    kind: type[Accumulator], layout: SideLayout, batches: list[LayerBatch]
) -> Accumulator:
    accumulator = kind.empty(layout, SETTINGS)
    for one in batches:
        accumulator.update(one)
    return accumulator


@pytest.mark.parametrize("n", [N, 8, 19, 300])
def test_histograms_equal_plain_loops(n: int) -> None:
    """Of fewer neurons than go side by side, of whole groups, of a rest; of more than a block."""
    batches = [batch(seed, n=n) for seed in range(5)]
    found = accumulated(Distribution, SideLayout("left", 1, n, True), batches).compute()
    tokens = tokens_of(batches)
    for site in LAYER_NORM.sites:
        for neuron in {*range(0, n, 1 + n // 20), *range(n - n % 8, n)}:
            counts = [0] * 387
            for _, values in tokens:
                counts[plain_bin(values[site][neuron])] += 1
            assert found[site].counts[neuron].tolist() == counts
            assert found[site].n == len(tokens)
            column = [values[site][neuron] for _, values in tokens]
            assert (found[site].min[neuron], found[site].max[neuron]) == (min(column), max(column))


HARD = {
    "heavy tails": lambda rng, shape: rng.standard_t(2.5, shape),
    "a large offset": lambda rng, shape: 10_000 + rng.standard_normal(shape),
    "a huge first value": lambda rng, shape: np.where(
        np.arange(np.prod(shape)).reshape(shape) < 3 * N, 1e6, rng.standard_normal(shape)
    ),
    "tiny values": lambda rng, shape: 1e-12 * rng.exponential(1, shape),
}


@pytest.mark.parametrize("kind", [LayerBatch, OffCpu])
@pytest.mark.parametrize("name", HARD)
def test_moments_equal_two_passes_in_float64(name: str, kind: type[LayerBatch]) -> None:
    batches = [batch(seed, 40, HARD[name], kind) for seed in range(6)]
    half = [accumulated(Distribution, PLAIN, part) for part in (batches[:2], batches[2:])]
    found: SiteDistribution = half[0].merge(half[1]).compute()["post"]
    tokens = tokens_of(batches)
    for neuron in range(N):
        z = np.array([values["post"][neuron] for _, values in tokens], dtype=np.float64)
        mean = z.mean()
        std = np.sqrt(((z - mean) ** 2).mean())
        expected = [mean, std, ((z - mean) ** 3).mean() / std**3, ((z - mean) ** 4).mean() / std**4]
        measured = [getattr(found, k)[neuron] for k in ("mean", "std", "skewness", "kurtosis")]
        np.testing.assert_allclose(measured, expected, rtol=1e-5, atol=1e-5 * min(1, std))


@pytest.mark.parametrize("name", HARD)
@pytest.mark.parametrize("at_once", [1, 300])
def test_moments_do_not_depend_on_when_sums_become_moments(
    monkeypatch: pytest.MonkeyPatch, name: str, at_once: int
) -> None:
    """After so many tokens, and whenever they are read."""
    batches = [batch(seed, 40, HARD[name]) for seed in range(6)]
    expected = accumulated(Distribution, PLAIN, batches).compute()["post"]
    monkeypatch.setattr(distribution, "_SUMMED_TOKENS", at_once)
    read = Distribution.empty(PLAIN, SETTINGS)
    for number, one in enumerate(batches):
        read.update(one)
        if number == 3:
            read.compute()
    found = read.compute()["post"]
    assert found.n == expected.n
    for key in ("mean", "std", "skewness", "kurtosis"):
        np.testing.assert_allclose(getattr(found, key), getattr(expected, key), rtol=1e-7)
    assert (found.counts == expected.counts).all()


def test_a_constant_has_no_skewness() -> None:
    batches = [batch(seed, draw=lambda rng, shape: np.full(shape, 0.1)) for seed in range(4)]
    found = accumulated(Distribution, PLAIN, batches).compute()["pre"]
    assert (found.std == 0).all()
    assert np.isnan(found.skewness).all()
    assert np.isnan(found.kurtosis).all()
    np.testing.assert_allclose(found.mean, np.float32(0.1), rtol=1e-12)


@pytest.mark.parametrize("broken", [np.nan, np.inf])
@pytest.mark.parametrize("before", [0, 3])
@pytest.mark.parametrize("kind", [LayerBatch, OffCpu])
def test_activations_that_are_not_finite_are_named(
    broken: float, before: int, kind: type[LayerBatch]
) -> None:
    """In the first batch, or when what came after others is written down."""
    last = batch(9)
    sites = last.sites | {"post": torch.full_like(last.sites["post"], broken)}
    batches = [*(batch(seed, kind=kind) for seed in range(before)), kind(sites, last.rows)]
    with pytest.raises(PairError, match="post are not finite"):
        accumulated(Distribution, PLAIN, batches).arrays()


@pytest.mark.parametrize("layout", [LAYER_NORM, PLAIN], ids=["mid", "post"])
@pytest.mark.parametrize("kind", [LayerBatch, OffCpu])
def test_extremes_equal_a_sort_of_all_tokens(layout: SideLayout, kind: type[LayerBatch]) -> None:
    batches = [batch(seed, kind=kind) for seed in range(8)]
    found = accumulated(Extremes, layout, batches).compute()
    display, tie = layout.display_site, "pre" if layout is PLAIN else layout.display_site
    for band, sign, k in (("top", 1, 3), ("bottom", -1, 2)):
        for neuron in range(N):
            ranked = sorted(
                (-sign * values[display][neuron], -sign * values[tie][neuron], key)
                for key, values in tokens_of(batches)
            )
            expected, documents = [], set()
            for value, _, key in ranked:
                if key[0] not in documents and len(expected) < k:
                    documents.add(key[0])
                    expected.append((-sign * value, key))
            ranks = range(len(expected))
            of = found[band]
            keys = [
                (of.document[neuron, r], of.window[neuron, r], of.position[neuron, r])
                for r in ranks
            ]
            assert keys == [key for _, key in expected]
            assert [sign * of.key[neuron, r] for r in ranks] == [value for value, _ in expected]
            assert (of.document[neuron, len(expected) :] == -1).all()


@pytest.mark.parametrize("name", ACCUMULATORS)
@given(cuts=st.lists(st.integers(0, 6), min_size=2, max_size=2).map(sorted))
@settings(max_examples=15)
def test_merging_is_associative_with_empty_as_identity(name: str, cuts: list[int]) -> None:
    kind = ACCUMULATORS[name]
    batches = [batch(seed) for seed in range(6)]
    a, b, c = (
        accumulated(kind, PLAIN, part)
        for part in (batches[: cuts[0]], batches[cuts[0] : cuts[1]], batches[cuts[1] :])
    )
    whole = accumulated(kind, PLAIN, batches)
    empty = kind.empty(PLAIN, SETTINGS)
    for other in (
        a.merge(b).merge(c),
        a.merge(b.merge(c)),
        empty.merge(a).merge(b.merge(c)).merge(empty),
        kind.of_arrays(PLAIN, SETTINGS, a.merge(b).merge(c).arrays()),
    ):
        assert_same(other, whole)


def assert_same(one: Accumulator, other: Accumulator) -> None:
    """Exactly equal but for float sums."""
    for name, array in one.arrays().items():
        expected = other.arrays()[name]
        if array.dtype == np.float64:
            np.testing.assert_allclose(array, expected, rtol=1e-9, atol=1e-9 * abs(expected).max())
        else:
            np.testing.assert_array_equal(array, expected)


@pytest.mark.parametrize("name", ACCUMULATORS)
def test_other_devices_give_the_same(name: str) -> None:
    kind = ACCUMULATORS[name]
    compiled = accumulated(kind, LAYER_NORM, [batch(seed) for seed in range(6)])
    in_torch = accumulated(kind, LAYER_NORM, [batch(seed, kind=OffCpu) for seed in range(6)])
    assert_same(in_torch, compiled)


def test_torch_bins_are_the_bins() -> None:
    values = [*SPECIAL, *inner_edges().tolist(), 3e38, -3e38]
    found = torch_bins(torch.tensor(values, dtype=torch.float32)).tolist()
    assert found == [plain_bin(value) for value in values]


def test_moments_of_nothing_change_nothing() -> None:
    some = Moments(3, np.ones(2), np.ones(2), np.ones(2), np.ones(2))
    assert some.merge(Moments.empty((2,))) is some
    assert Moments.empty((2,)).merge(some) is some
