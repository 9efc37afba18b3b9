"""Candidate invisible features: a planted direction is found, and none where none is."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from store.evidence_records import CandidateRecord, CandidateSearchRecord
from store.records import Side
from tests.worker.evidence.planting import (
    DirectEngine,
    baselines_of,
    firing_model,
    layout_of,
    plant,
    random_model,
    random_windows,
)
from worker.evidence.batches import batches
from worker.evidence.candidate_description import CandidateSettings
from worker.evidence.candidate_jobs import DirectionJob, DirectionTask
from worker.evidence.candidate_records import candidates, split
from worker.evidence.candidates import LayerOutputs, find, participation, random_directions
from worker.evidence.passes import finish, mlp_of, run
from worker.evidence.windows import EvidenceWindows
from worker.lean import LeanModel
from worker.reporter import Silent

SHAPE = {"d_model": 24, "d_mlp": 64, "d_vocab": 80, "n_ctx": 16}
SETTINGS = CandidateSettings(find_tokens=4000, test_tokens=500)


def windows(seed: int = 5) -> EvidenceWindows:
    return random_windows(340, seed, n_ctx=16, d_vocab=80)


def searched(
    left: LeanModel, right: LeanModel, workers: int = 1, settings: CandidateSettings = SETTINGS
) -> list[CandidateRecord | CandidateSearchRecord]:
    models: dict[Side, LeanModel] = {"left": left, "right": right}
    return list(
        candidates(
            DirectEngine(models, workers), "cpu", layout_of(models), models, windows(),
            baselines_of(models, windows()), settings, 0, Silent(),
        )
    )  # fmt: skip


def found_in(
    left: LeanModel, right: LeanModel, workers: int = 1, settings: CandidateSettings = SETTINGS
) -> list[CandidateRecord]:
    found = searched(left, right, workers, settings)
    return [one for one in found if isinstance(one, CandidateRecord)]


def cosine(record: CandidateRecord, direction: torch.Tensor) -> float:
    return abs(float(np.dot(record.direction, direction.numpy())))


@pytest.fixture(scope="module")
def models() -> tuple[LeanModel, LeanModel]:
    return firing_model("solu_ln", 1, **SHAPE), firing_model("gelu", 1, **SHAPE)


def test_a_planted_direction_is_found_with_its_tokens_and_carriers(
    models: tuple[LeanModel, LeanModel],
) -> None:
    planted = plant(models[0], layer=0, strength=3.0, seed=3)
    records = found_in(planted.lean, models[1])
    of_layer = [one for one in records if (one.side, one.layer) == ("left", 0)]
    best = max(of_layer, key=lambda one: cosine(one, planted.direction))
    assert cosine(best, planted.direction) >= 0.8
    assert best.random_quantile >= 0.95
    assert best.effect > best.random_median
    assert best.participation > 5  # no few neurons carry it
    ids = windows().windows
    token = {
        (int(d), p): int(ids.tokens[i, p]) for i, d in enumerate(ids.document) for p in range(16)
    }
    focus = [token[one.document, one.position] for one in best.contexts["top"]]
    assert np.isin(focus, planted.token_ids.numpy()).mean() >= 0.75
    control = [one for one in found_in(*models) if (one.side, one.layer) == ("left", 0)]
    assert all(cosine(one, planted.direction) < 0.6 for one in control)


def test_records_are_whole_and_do_not_depend_on_the_workers(
    models: tuple[LeanModel, LeanModel],
) -> None:
    planted = plant(models[0], layer=1, strength=3.0, seed=4)
    records = found_in(planted.lean, models[1])
    assert records
    for one in records:
        assert np.linalg.norm(one.direction) == pytest.approx(1.0, abs=1e-5)
        assert 0 < one.token_share < 1
        assert len(one.carriers) == SETTINGS.carriers == len(one.other_carriers)
        assert len(one.promoted) == len(one.suppressed) == SETTINGS.logit_tokens
        assert one.promoted[0][1] > 0 > one.suppressed[0][1]
        top = [context.value for context in one.contexts["top"]]
        assert top == sorted(top, reverse=True)
        assert min(top) >= max(c.value for c in one.contexts["q50-90"])
        for contexts in one.contexts.values():
            for context in contexts:
                at = context.position - context.start
                assert context.values[at] == pytest.approx(context.value, rel=2e-3, abs=2e-3)
    again = found_in(planted.lean, models[1], workers=2)
    assert [(one.side, one.layer, one.rank) for one in again] == [
        (one.side, one.layer, one.rank) for one in records
    ]
    for one, other in zip(records, again, strict=True):
        assert one.effect == pytest.approx(other.effect, rel=1e-9)
        np.testing.assert_array_equal(one.direction, other.direction)


def test_carriers_parts_add_up_to_the_projection(models: tuple[LeanModel, LeanModel]) -> None:
    """All parts together are the output's mean projection: shares of all neurons sum to 1."""
    everyone = CandidateSettings(find_tokens=4000, test_tokens=500, carriers=64)
    planted = plant(models[0], layer=0, strength=3.0, seed=3)
    found = found_in(planted.lean, models[1], settings=everyone)
    assert found
    for one in found:
        assert sum(share for _, share in one.carriers) == pytest.approx(1.0, rel=1e-4)
        assert sum(share for _, share in one.other_carriers) == pytest.approx(1.0, rel=1e-4)


def test_every_layer_says_how_its_search_went(models: tuple[LeanModel, LeanModel]) -> None:
    found = searched(*models)
    place: tuple[str, int] | None = None
    kept: dict[tuple[str, int], int] = {}
    for one in found:
        if isinstance(one, CandidateSearchRecord):
            place = one.side, one.layer
            assert place not in kept
            kept[place] = one.n_kept
            finding, _ = split(windows(), 0, SETTINGS)
            assert one.n_tokens == finding.n_tokens
            assert one.orphan_share is not None
            assert 0 <= one.orphan_share <= 1
            assert one.n_kept <= one.n_tried
        else:
            assert (one.side, one.layer) == place  # a layer's search comes before its candidates
            kept[one.side, one.layer] -= 1
    assert kept == {(side, layer): 0 for side in ("left", "right") for layer in (0, 1)}
    none = searched(*models, settings=CandidateSettings(find_tokens=0, test_tokens=0))
    assert [(one.side, one.layer) for one in none] == list(kept)


def test_no_document_is_on_both_sides_of_the_split() -> None:
    finding, testing = split(windows(), 0, SETTINGS)
    assert len(finding)
    assert len(testing)
    assert not set(finding.windows.document.tolist()) & set(testing.windows.document.tolist())


def test_random_directions_have_the_wanted_variance_at_right_angles() -> None:
    generator = np.random.default_rng(0)
    x = generator.standard_normal((500, 12)) * np.geomspace(10, 0.1, 12)
    covariance = x.T @ x / len(x)
    for i in (2, 5, 11):
        direction = np.linalg.eigh(covariance)[1][:, ::-1][:, i] + 0.3
        direction = (direction / np.linalg.norm(direction)).astype(np.float32)
        variance = direction @ covariance @ direction
        found, factor = random_directions(covariance, direction, 20, seed=1)
        np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
        np.testing.assert_allclose(found @ direction, 0, atol=1e-5)
        reached = np.einsum("ij,jk,ik->i", found, covariance, found)
        np.testing.assert_allclose(reached, variance, rtol=1e-3)
        assert (factor == 1).all()
        assert np.linalg.matrix_rank(found) == 11  # they differ
    largest = np.linalg.eigh(covariance)[1][:, -1].astype(np.float32)
    found, factor = random_directions(covariance, largest, 20, seed=1)
    reached = np.einsum("ij,jk,ik->i", found, covariance, found)
    assert (factor > 1.5).all()  # none varies as much as the first principal component
    np.testing.assert_allclose(reached * factor, largest @ covariance @ largest, rtol=1e-2)


def test_tokens_with_a_firing_neuron_or_little_effect_make_no_candidate() -> None:
    generator = np.random.default_rng(0)
    hidden = np.zeros(10, np.float32)
    hidden[3] = 1.0
    output = generator.standard_normal((2000, 10)).astype(np.float16) * np.float16(0.1)
    output[:200] += hidden.astype(np.float16)
    kl = np.where(np.arange(2000) < 200, 1.0, 0.01).astype(np.float32)
    document = np.arange(2000) % 50
    mean = np.zeros(10, np.float32)

    def best(orphan: np.ndarray, kl: np.ndarray = kl) -> float:
        found = find(LayerOutputs(output, kl, orphan, document), mean, seed=0)
        return max((abs(float(one.direction @ hidden)) for one in found), default=0.0)

    everywhere = np.ones(2000, bool)
    assert best(everywhere) > 0.95
    assert best(np.arange(2000) >= 200) < 0.9
    assert best(everywhere, kl[::-1].copy()) < 0.9
    assert best(~everywhere) == 0.0
    few = LayerOutputs(output, kl, everywhere, np.zeros(2000, np.int64))
    assert find(few, mean, seed=0) == []  # one document does not make a feature


def test_ablating_a_direction_is_a_true_forward_pass() -> None:
    lean = random_model("solu_ln")
    models = {"left": lean}
    batch = next(batches(random_windows(4), 4, "cpu"))
    mean = np.linspace(-1, 1, 16).astype(np.float32)
    direction = np.eye(16, dtype=np.float32)[2]
    for layer in (0, 1):
        task = DirectionTask(batch, ("left", layer), direction[None])
        (result,) = DirectEngine(models).run(DirectionJob({("left", layer): mean}), [task])
        tokens = torch.from_numpy(batch.windows.tokens).long()
        trace = run(lean, tokens)
        output = mlp_of(lean, layer).fc_out(trace.post[layer]).clone()
        mask = torch.from_numpy(batch.windows.mask)
        output[..., 2] = torch.where(mask, torch.tensor(mean[2]), output[..., 2])
        logits = lean.model.head(finish(lean, trace.residual[layer] + output, layer))
        own = torch.log_softmax(lean.model.head(trace.hidden).double(), -1)
        other = torch.log_softmax(logits.double(), -1)
        kl = (own.exp() * (own - other)).sum(-1)[mask].sum()
        assert result.kl[0] == pytest.approx(float(kl), rel=1e-4)
        assert result.n_tokens == int(mask.sum())


def test_participation_counts_the_carriers() -> None:
    assert participation(np.array([1.0, 0, 0])) == 1.0
    assert participation(np.ones(7)) == pytest.approx(7.0)
    assert participation(np.zeros(3)) == 0.0
