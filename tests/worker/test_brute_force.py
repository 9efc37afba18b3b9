"""A published run against plain loops over recorded activations of the same models."""

from __future__ import annotations

import bisect
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from store import runs
from store.engine import Engine, open_engine
from store.histogram_edges import inner_edges
from store.records import BANDS, NeuronRecord, RunRecord, ShownExample
from store.section_ways import stated_bounds
from tests import databases
from tests.worker.published import versions
from tests.worker.test_hashing import plain_hash
from tests.worker.tiny_pair import DEAD, SHAPE, make_corpus, make_pair
from worker.corpus import is_held_out
from worker.lean import LeanModel
from worker.models import load_native
from worker.pairs import load_pair
from worker.precompute import precompute
from worker.settings import StatisticsSettings
from worker.tokenizer import load_tokenizer, token_bytes

SETTINGS = StatisticsSettings(
    sample_size=600, top=4, bottom=3, drawn=3, before=6, after=4, partners=2, loss_tokens=10**6
)
SEED = 11
N_CTX, N = SHAPE["n_ctx"], SHAPE["d_mlp"]
SITES = {"left": ("pre", "mid", "post"), "right": ("pre", "post")}
DISPLAY = {"left": "mid", "right": "post"}

Key = tuple[int, int, int]


@dataclass
class Recorded:
    """The corpus in windows and what every neuron did, by plain loops.

    rows[document, window]: token ids, BOS first. values[side, layer, site][key][neuron].
    """

    rows: dict[tuple[int, int], list[int]]
    values: dict[tuple[str, int, str], dict[Key, list[float]]]
    names: list[str]

    @cached_property
    def keys(self) -> list[Key]:
        return [(d, w, p) for (d, w), row in self.rows.items() for p in range(1, len(row))]

    @cached_property
    def sample(self) -> list[Key]:
        return sorted(self.keys, key=lambda key: plain_hash(SEED, *key))[: SETTINGS.sample_size]

    def half(self, side: str, layer: int, site: str, key: Key, neuron: int) -> float:
        return float(np.float16(self.values[side, layer, site][key][neuron]))

    def terms(self, side: str, layer: int, neuron: int, keys: list[Key]) -> Any:
        """What LayerNorm's output is made of, in size: (|mid| + |mean|) / deviation · |weight|."""
        if (side, layer, "mid") not in self.values:
            return None
        found = self.values[side, layer, "mid"]
        mid = np.array([found[key] for key in keys])
        after = np.array([self.values[side, layer, "post"][key][neuron] for key in keys])
        mean, deviation = mid.mean(axis=1), mid.std(axis=1)
        weight = (
            np.polyfit((mid[:, neuron] - mean) / deviation, after, 1)[0] if len(keys) > 2 else 1
        )
        return (np.abs(mid[:, neuron]) + np.abs(mean)) / deviation * abs(weight)


def record(pair_directory: Path, corpus: Path) -> Recorded:
    pair = load_pair(pair_directory)
    tokenizer = load_tokenizer(pair.tokenizer_path, pair.bos_token, SHAPE["d_vocab"])
    rows: dict[tuple[int, int], list[int]] = {}
    paths = sorted(corpus.iterdir())
    for document, path in enumerate(paths):
        ids = tokenizer.encode([path.read_text()])[0]
        for window, start in enumerate(range(0, len(ids), N_CTX - 1)):
            rows[document, window] = [tokenizer.bos, *ids[start : start + N_CTX - 1]]
    values: dict[tuple[str, int, str], dict[Key, list[float]]] = {}
    places = list(rows)
    for side in SITES:
        lean = LeanModel(load_native(getattr(pair, side)))
        for start in range(0, len(places), 8):
            chosen = places[start : start + 8]
            tokens = torch.full((8, N_CTX), tokenizer.bos)
            for i, place in enumerate(chosen):
                tokens[i, : len(rows[place])] = torch.tensor(rows[place])

            def keep(
                layer: int, sites: dict, _: object, side: str = side, chosen: list = chosen
            ) -> None:
                for site, activations in sites.items():
                    found = values.setdefault((side, layer, site), {})
                    for i, place in enumerate(chosen):
                        for position in range(1, len(rows[place])):
                            found[(*place, position)] = activations[i, position].tolist()

            lean.forward(tokens, sink=keep, want="none")
    return Recorded(rows, values, [path.name for path in paths])


@dataclass
class Case:
    engine: Engine
    run: RunRecord
    recorded: Recorded
    versions: list[tuple[NeuronRecord, list[ShownExample]]]
    pair: Path
    corpus: Path


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Case]:
    root = tmp_path_factory.mktemp("brute")
    pair, corpus = make_pair(root / "tiny-pair"), make_corpus(root / "texts")
    with databases.fresh("sqlite") as url:
        run = precompute(
            pair, str(corpus), device="cpu", workers=1, work_dir=root / "work", seed=SEED,
            database_url=url, settings=SETTINGS, batch_windows=8,
        )  # fmt: skip
        engine = open_engine(url)
        yield Case(engine, run, record(pair, corpus), versions(engine, run), pair, corpus)
        engine.dispose()


def test_tokens_windows_and_documents_are_counted(case: Case) -> None:
    rows = case.recorded.rows
    assert case.run.n_tokens == len(case.recorded.keys)
    assert case.run.n_windows == len(rows)
    assert case.run.n_documents == len({document for document, _ in rows})
    assert len(case.recorded.keys) > 2 * SETTINGS.sample_size
    assert len(case.versions) == 2 * 2 * N


def test_histograms_and_extrema_are_exact(case: Case) -> None:
    edges = inner_edges().tolist()
    for record, _ in case.versions:
        for site, of in record.sites.items():
            recorded = case.recorded.values[record.side, record.layer, site].values()
            column = [row[record.neuron] for row in recorded]
            counts = [0] * 387
            for value in column:
                above = value >= 0
                find = bisect.bisect_right if above else bisect.bisect_left
                counts[find(edges, value)] += 1
            assert of.counts.tolist() == counts
            assert (of.n, of.min, of.max) == (len(column), min(column), max(column))
            assert of.hook_point.startswith(f"blocks.{record.layer}.mlp.")


def test_moments_are_right_to_1e_5(case: Case) -> None:
    for record, _ in case.versions:
        for site, of in record.sites.items():
            rows = case.recorded.values[record.side, record.layer, site].values()
            column = [row[record.neuron] for row in rows]
            n = len(column)
            mean = math.fsum(column) / n
            second, third, fourth = (
                math.fsum((value - mean) ** power for value in column) / n for power in (2, 3, 4)
            )
            assert of.mean == pytest.approx(mean, rel=1e-5, abs=1e-9)
            if min(column) == max(column):
                assert (of.std, of.skewness, of.kurtosis) == (0, None, None)
                continue
            assert of.std == pytest.approx(math.sqrt(second), rel=1e-5)
            assert of.skewness == pytest.approx(third / second**1.5, rel=1e-5, abs=1e-5)
            assert of.kurtosis == pytest.approx(fourth / second**2, rel=1e-5)


def test_density_is_right_to_within_a_bin(case: Case) -> None:
    for record, _ in case.versions:
        of = record.sites[record.display_site]
        assert of.mean is not None
        assert of.max is not None
        threshold = of.mean + 0.1 * (of.max - of.mean)
        assert record.density_threshold == pytest.approx(threshold)
        rows = case.recorded.values[record.side, record.layer, record.display_site].values()
        column = [row[record.neuron] for row in rows]
        expected = sum(value > threshold for value in column) / len(column)
        assert record.density == pytest.approx(expected, abs=of.counts.max() / of.n)


def expected_examples(recorded: Recorded, side: str, layer: int, neuron: int) -> dict[str, list]:
    """Focus keys of each band in order, by sorting all tokens."""
    display = recorded.values[side, layer, DISPLAY[side]]
    pre = recorded.values[side, layer, "pre"]
    tie = display if side == "left" else pre
    found: dict[str, list] = {}
    for band, sign, k in (("top", -1, SETTINGS.top), ("bottom", 1, SETTINGS.bottom)):
        ranked = sorted(
            recorded.keys, key=lambda t: (sign * display[t][neuron], sign * tie[t][neuron], t)
        )
        first: dict[int, Key] = {}
        for key in ranked:
            first.setdefault(key[0], key)
        found[band] = list(first.values())[:k]
    half = {t: recorded.half(side, layer, DISPLAY[side], t, neuron) for t in recorded.sample}
    hashes = {t: plain_hash(SEED, *t) for t in recorded.sample}
    ranked = sorted(recorded.sample, key=lambda t: (half[t], hashes[t]))
    size = len(ranked)
    starts = [0, *(math.ceil(size * q / 1000) for q in (500, 900, 990, 999)), size]
    names = ("q0-50", "q50-90", "q90-99", "q99-99.9", "q99.9-100")
    for name, start, end in zip(names, starts, starts[1:], strict=False):
        found[name] = sorted(ranked[start:end], key=hashes.__getitem__)[: SETTINGS.drawn]
    if side == "left":
        median = half[ranked[starts[1]]]
        below = [t for t in recorded.sample if half[t] < median]
        found["lifted"] = sorted(
            below,
            key=lambda t: (
                -recorded.half(side, layer, "post", t, neuron),
                -recorded.half(side, layer, "pre", t, neuron),
                t,
            ),
        )[: SETTINGS.drawn]
    return {name: keys for name, keys in found.items() if keys}


def test_examples_of_all_bands_are_exact(case: Case) -> None:
    for record, shown in case.versions:
        expected = expected_examples(case.recorded, record.side, record.layer, record.neuron)
        found: dict[str, list[Key]] = {}
        for one in shown:
            example = one.example
            assert example.rank == len(found.setdefault(example.band, []))
            found[example.band].append((example.document, example.window, example.position))
            display = case.recorded.values[record.side, record.layer, record.display_site]
            focus = (example.document, example.window, example.position)
            exact = display[focus][record.neuron]
            if example.band in ("top", "bottom"):
                assert example.activation == exact
            else:
                # Computed anew from what the MLP read: a last bit of what enters the activation.
                assert example.activation == pytest.approx(exact, rel=1e-5, abs=1e-6)
        assert found == expected
        assert list(found) == [band for band in BANDS if band in expected]


def test_band_edges_are_the_sample_s_quantiles(case: Case) -> None:
    for record, _ in case.versions:
        half = sorted(
            case.recorded.half(record.side, record.layer, record.display_site, t, record.neuron)
            for t in case.recorded.sample
        )
        places = [math.ceil(len(half) * q / 1000) for q in (500, 900, 990, 999)]
        assert record.band_edges == tuple(half[min(p, len(half) - 1)] for p in places)


def test_snippets_have_the_values_of_both_versions(case: Case) -> None:
    other_side = {"left": "right", "right": "left"}
    matches = {(r.side, r.layer, r.neuron): r.correspondence.best_neuron for r, _ in case.versions}
    seen_match = 0
    for record, shown in case.versions:
        other = other_side[record.side]
        best = matches[record.side, record.layer, record.neuron]
        for one in shown:
            example = one.example
            row = case.recorded.rows[example.document, example.window]
            start = max(0, example.position - SETTINGS.before)
            end = min(len(row), example.position + SETTINGS.after + 1)
            assert (example.start, one.tokens.tolist()) == (start, row[start:end])
            assert (one.document_name, one.source) == (
                case.recorded.names[example.document], "texts",
            )  # fmt: skip
            own = (record.side, record.neuron, example.values)
            wanted = [own]
            assert example.same_index is not None
            wanted.append((other, record.neuron, example.same_index.values))
            if best in (None, record.neuron):
                assert example.match is None
            else:
                assert example.match is not None
                assert example.match.neuron == best
                wanted.append((other, best, example.match.values))
                seen_match += 1
            for side, neuron, values in wanted:
                assert tuple(values) == SITES[side]
                keys = [
                    (example.document, example.window, position)
                    for position in range(max(start, 1), end)
                ]
                exact = {
                    site: np.array(
                        [case.recorded.half(side, record.layer, site, key, neuron) for key in keys]
                    )
                    for site in values
                }
                terms = case.recorded.terms(side, record.layer, neuron, keys)
                bounds = stated_bounds(exact, terms)
                for site, array in values.items():
                    off = np.abs(array[max(start, 1) - start :] - exact[site])
                    assert (off <= bounds[site]).all(), site
            at_focus = example.values[record.display_site][example.position - start]
            assert at_focus == np.float16(example.activation)
    assert seen_match > 100


def test_quantiles_of_the_other_version_are_right_to_within_a_bin(case: Case) -> None:
    other_side = {"left": "right", "right": "left"}
    histograms = {
        (r.side, r.layer, r.neuron): r.sites[r.display_site].counts for r, _ in case.versions
    }
    for record, shown in case.versions:
        other = other_side[record.side]
        display = case.recorded.values[other, record.layer, DISPLAY[other]]
        for one in shown:
            example = one.example
            for values in (example.same_index, example.match):
                if values is None:
                    continue
                column = [row[values.neuron] for row in display.values()]
                focus = display[example.document, example.window, example.position][values.neuron]
                share = sum(value < focus for value in column) / len(column)
                bin_ = histograms[other, record.layer, values.neuron].max() / len(column)
                assert values.quantile == pytest.approx(share, abs=bin_)


def test_correlations_are_those_of_the_sample(case: Case) -> None:
    for layer, of in enumerate(runs.layers(case.engine, case.run.id)):
        columns = {
            side: np.array(
                [
                    [case.recorded.half(side, layer, DISPLAY[side], t, j) for j in range(N)]
                    for t in case.recorded.sample
                ]
            )
            for side in SITES
        }
        centred = {side: c - c.mean(0) for side, c in columns.items()}
        for record, _ in case.versions:
            if record.layer != layer:
                continue
            x = centred[record.side][:, record.neuron]
            y = centred["right" if record.side == "left" else "left"]
            found = record.correspondence
            if layer == 0 and record.neuron == DEAD:
                assert found.best_neuron is None
                assert found.same_index_correlation is None
                continue
            rho = [
                sum(x * y[:, j]) / math.sqrt(sum(x * x) * sum(y[:, j] ** 2))
                if y[:, j].any()
                else -2
                for j in range(N)
            ]
            assert found.same_index_correlation == pytest.approx(rho[record.neuron], abs=1e-4)
            assert found.best_neuron == rho.index(max(rho))
            assert found.best_correlation == pytest.approx(max(rho), abs=1e-4)
        left, right = centred["left"], centred["right"]
        cka = (left.T @ right) ** 2
        scale = np.linalg.norm(left.T @ left) * np.linalg.norm(right.T @ right)
        assert of.cka == pytest.approx(cka.sum() / scale, abs=1e-4)


def test_logit_effects_are_the_change_of_the_logits(case: Case) -> None:
    pair = load_pair(case.pair)
    for side in SITES:
        model = load_native(getattr(pair, side))
        unembed, norm = model.head.weight.double(), model.ln_out.weight.double()
        for record, _ in case.versions:
            if record.side != side:
                continue
            w_out = model.layers[record.layer].mlp.fc_out.weight[:, record.neuron].double()
            effects = ((w_out - w_out.mean()) * norm) @ unembed.T
            effects = (effects - effects.mean()).numpy()
            of = record.logit_effects
            assert of is not None
            order = np.argsort(-effects)
            assert [token for token, _ in of.promoted] == order[:10].tolist()
            assert [token for token, _ in of.suppressed] == order[::-1][:10].tolist()
            assert [v for _, v in of.promoted] == pytest.approx(effects[order[:10]], rel=1e-4)
            second = (effects**2).mean()
            assert of.kurtosis == pytest.approx((effects**4).mean() / second**2, rel=1e-4)
            assert of.skewness == pytest.approx((effects**3).mean() / second**1.5, abs=1e-4)


def test_losses_are_those_of_the_held_out_documents(case: Case) -> None:
    pair = load_pair(case.pair)
    tokenizer = load_tokenizer(pair.tokenizer_path, pair.bos_token, SHAPE["d_vocab"])
    lengths = [len(b) for b in token_bytes(tokenizer.tokenizer)]
    held_out = [
        number
        for number, path in enumerate(sorted(case.corpus.iterdir()))
        if is_held_out(path.read_text())
    ]
    assert held_out
    assert len(held_out) < 10
    found = {loss.side: loss for loss in runs.losses(case.engine, case.run.id)}
    assert set(found) == {"left", "right", "control"}
    for side, loss in found.items():
        model = load_native(getattr(pair, side))
        nats, n_bytes, count = 0.0, 0, 0
        for (document, _), row in case.recorded.rows.items():
            if document not in held_out:
                continue
            logits = LeanModel(model).forward(torch.tensor([row]))
            assert logits is not None
            surprise = -torch.log_softmax(logits[0].double(), dim=-1)
            for position in range(1, len(row)):
                nats += float(surprise[position - 1, row[position]])
                n_bytes += lengths[row[position]]
                count += 1
        assert (loss.n_documents, loss.n_tokens, loss.n_bytes) == (len(held_out), count, n_bytes)
        assert loss.nats == pytest.approx(nats, rel=1e-5)
        assert loss.source == "texts"


def test_the_run_says_what_it_is(case: Case) -> None:
    assert case.run.id == case.run.identity_sha256[:10]
    assert case.run.parameters["sample_size"] == SETTINGS.sample_size
    assert case.run.provenance["sample"]["tokens"] == SETTINGS.sample_size
    json.dumps(case.run.provenance)
