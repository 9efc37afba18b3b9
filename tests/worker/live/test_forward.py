"""A text through a tiny pair, against the models' own forward pass with hooks."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from store.records import Side
from tests.worker.tiny_pair import DEAD, SHAPE, make_pair
from worker.live.errors import BadQuestion, OtherWeights, PairNotHere, TooSlow
from worker.live.forward import answer_text
from worker.live.loaded import LoadedPair, LoadedPairs
from worker.live.question import Answer, Question
from worker.live.turns import Deadline
from worker.models import load_native
from worker.pairs import load_pair
from worker.tokenizer import load_tokenizer

NEVER = Deadline.after(float("inf"))
TEXTS = ("def count(self):\n    return x", "x", "\tשלום \x00<b>", "self " * 60)
LAYERS, NEURONS, N_CTX = (SHAPE[name] for name in ("n_layers", "d_mlp", "n_ctx"))


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pair(tmp_path_factory.mktemp("live") / "tiny-pair")


@pytest.fixture(scope="module")
def weights(directory: Path) -> dict[Side, str]:
    pair = load_pair(directory)
    return {"left": pair.left.sha256, "right": pair.right.sha256}


@pytest.fixture(scope="module")
def pair(directory: Path, weights: dict[Side, str]) -> LoadedPair:
    return LoadedPairs({"tiny-pair": directory}, "cpu").get(Question("tiny-pair", weights, "x"))


def brute_force(directory: Path, side: str, text: str) -> tuple[list[int], list[dict[str, Any]]]:
    """Token ids, and for each layer {site: [T, d_mlp]}, by the native model and plain hooks."""
    found = load_pair(directory)
    model = load_native(getattr(found, side)).double()
    tokenizer = load_tokenizer(found.tokenizer_path, found.bos_token, SHAPE["d_vocab"])
    ids = [tokenizer.bos, *tokenizer.tokenizer.encode(text, add_special_tokens=False).ids][:N_CTX]
    sites: list[dict[str, Any]] = [{} for _ in range(LAYERS)]
    for here, block in zip(sites, model.layers, strict=True):
        block.mlp.fc_in.register_forward_hook(
            lambda _, inputs, out, here=here: here.update(pre=out[0].numpy())
        )
        block.mlp.fc_out.register_forward_hook(
            lambda _, inputs, out, here=here: here.update(post=inputs[0][0].numpy())
        )
        if block.mlp.ln is not None:
            block.mlp.ln.register_forward_hook(
                lambda _, inputs, out, here=here: here.update(mid=inputs[0][0].numpy())
            )
    with torch.no_grad():
        model(torch.tensor([ids]))
    return ids, sites


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize(("layer", "neuron"), [(0, 0), (1, 7), (0, DEAD)])
def test_it_is_the_models_own_forward_pass(
    directory: Path,
    pair: LoadedPair,
    weights: dict[Side, str],
    text: str,
    layer: int,
    neuron: int,
) -> None:
    question = Question("tiny-pair", weights, text, layer=layer, neuron=neuron, most_active=24)
    answer = answer_text(pair, question, NEVER)
    assert (answer.layer, answer.neuron) == (layer, neuron)
    rows = {}
    for side, display in (("left", "mid"), ("right", "post")):
        ids, sites = brute_force(directory, side, text)
        assert answer.tokens == ids
        version = answer.versions[side]
        assert version.display_site == display
        assert version.values.keys() == sites[layer].keys()
        for site, values in version.values.items():
            expected = sites[layer][site][:, neuron]
            np.testing.assert_allclose(values, expected, rtol=1e-4, atol=1e-5)
        rows[side] = np.stack([sites[n][display][answer.token] for n in range(LAYERS)])
    assert answer.token == 1 + int(np.argmax(answer.versions["left"].values["mid"][1:]))
    for side, other in (("left", "right"), ("right", "left")):
        listed = answer.versions[side].most_active
        assert answer.versions[side].n_neurons == len(listed) == LAYERS * NEURONS
        assert sorted((one.layer, one.neuron) for one in listed) == [
            (n, m) for n in range(LAYERS) for m in range(NEURONS)
        ]
        activations = [one.activation for one in listed]
        assert activations == sorted(activations, reverse=True)
        for one in listed:
            place = (one.layer, one.neuron)
            assert one.activation == pytest.approx(rows[side][place], rel=1e-4, abs=1e-5)
            assert one.other_activation == pytest.approx(rows[other][place], rel=1e-4, abs=1e-5)
            assert one.other_rank is not None
            theirs = answer.versions[other].most_active[one.other_rank - 1]
            assert theirs.activation == one.other_activation


def test_without_a_neuron_the_most_active_one_is_shown(
    pair: LoadedPair, weights: dict[Side, str]
) -> None:
    answer = answer_text(pair, Question("tiny-pair", weights, "def x", most_active=1), NEVER)
    assert answer.token == len(answer.tokens) - 1
    (best,) = answer.versions["left"].most_active
    assert (best.layer, best.neuron) == (answer.layer, answer.neuron)
    assert best.activation == answer.versions["left"].values["mid"][answer.token]


def test_a_side_alone_has_no_other(pair: LoadedPair, weights: dict[Side, str]) -> None:
    alone: dict[Side, str] = {"left": weights["left"]}
    answer = answer_text(pair, Question("tiny-pair", alone, "def", most_active=2), NEVER)
    assert set(answer.versions) == {"left"}
    assert {one.other_rank for one in answer.versions["left"].most_active} == {None}


def test_a_long_text_is_cut_at_the_window(pair: LoadedPair, weights: dict[Side, str]) -> None:
    text = "count " * 80

    def ask(text: str) -> Answer:
        return answer_text(pair, Question("tiny-pair", weights, text, layer=0, neuron=1), NEVER)

    answer = ask(text)
    assert len(answer.tokens) == N_CTX
    (ids,) = pair.tokenizer.encode([text])
    assert answer.n_dropped == len(ids) - (N_CTX - 1)
    assert answer.tokens[1:] == ids[: N_CTX - 1]
    assert ask("count").n_dropped == 0


@pytest.mark.parametrize("token", [0, -1, 2, 10_000])
def test_a_token_that_is_not_there_is_refused(
    pair: LoadedPair, weights: dict[Side, str], token: int
) -> None:
    with pytest.raises(BadQuestion, match="tokens 1 to 1; token"):
        answer_text(pair, Question("tiny-pair", weights, "x", token=token), NEVER)


@pytest.mark.parametrize("place", [(LAYERS, 0), (0, NEURONS), (-1, 0), (0, -1)])
def test_a_neuron_that_is_not_there_is_refused(
    pair: LoadedPair, weights: dict[Side, str], place: tuple[int, int]
) -> None:
    question = Question("tiny-pair", weights, "x", layer=place[0], neuron=place[1])
    with pytest.raises(BadQuestion, match="does not exist"):
        answer_text(pair, question, NEVER)


def test_a_forward_pass_ends_at_its_deadline(pair: LoadedPair, weights: dict[Side, str]) -> None:
    with pytest.raises(TooSlow):
        answer_text(pair, Question("tiny-pair", weights, "x"), Deadline.after(-1.0))


def test_other_weights_are_never_run(
    directory: Path, weights: dict[Side, str], tmp_path: Path
) -> None:
    own = shutil.copytree(directory, tmp_path / "tiny-pair")
    pairs = LoadedPairs({"tiny-pair": own}, "cpu")
    question = Question("tiny-pair", weights, "x")
    first = pairs.get(question)
    assert pairs.get(question) is first, "a pair is loaded once"
    for asked, named in (
        (Question("tiny-pair", {**weights, "right": "0" * 64}, "x"), "its right weights differ"),
        (Question("tiny-pair", weights, "x", tokenizer="0" * 64), "its tokenizer differ"),
    ):
        with pytest.raises(OtherWeights, match=named):
            pairs.get(asked)
    assert pairs.get(question) is first

    state = load_file(own / "right.safetensors")
    state["tok_embed.weight"] += 1
    save_file(state, own / "right.safetensors")
    changed: dict[Side, str] = {"left": weights["left"], "right": load_pair(own).right.sha256}
    assert pairs.get(Question("tiny-pair", changed, "x")).weights == changed
    with pytest.raises(OtherWeights):
        pairs.get(question)


def test_a_pair_that_is_not_here_or_does_not_load_is_said(
    directory: Path, weights: dict[Side, str], tmp_path: Path
) -> None:
    with pytest.raises(PairNotHere, match="has no pair no-such-pair"):
        LoadedPairs({}, "cpu").get(Question("no-such-pair", weights, "x"))
    own = shutil.copytree(directory, tmp_path / "tiny-pair")
    (own / "tokenizer.json").write_text("{")
    with pytest.raises(PairNotHere, match="cannot load tiny-pair") as raised:
        LoadedPairs({"tiny-pair": own}, "cpu").get(Question("tiny-pair", weights, "x"))
    assert str(tmp_path) not in str(raised.value)
