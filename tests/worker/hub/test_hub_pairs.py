"""Pairs of the hub: fetched by the real libraries from a stand-in on loopback, converted, kept."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from tests.worker.hub.conftest import Hub
from tests.worker.hub.repositories import (
    GELU,
    LARGER,
    SOLU,
    TOKENIZER,
    model_files,
    saved,
    state,
    tokenizer_files,
)
from worker.errors import UsageError
from worker.hub.names import HubModel, HubPair, parse_pair
from worker.pairs import check_slug, load_pair

# One process asks the hub for all tests here.
pytestmark = pytest.mark.xdist_group("hub")

PAIR = "solu-1l--gelu-1l"


@pytest.mark.parametrize(
    ("spec", "slug", "models"),
    [
        (PAIR, PAIR, [SOLU, GELU]),
        (f"{SOLU}--{GELU}", PAIR, [SOLU, GELU]),
        ("solu-1l-new--gelu-1l-c4-code", PAIR, [SOLU, GELU]),
        ("solu-6l", "solu-6l", [LARGER]),
        ("a/B_c.D", "a-b-c-d", ["a/B_c.D"]),
        (
            "solu-1l--gelu-1l@checkpoint=21",
            "solu-1l-at-21--gelu-1l-at-21",
            [f"{SOLU}@checkpoint=21", f"{GELU}@checkpoint=21"],
        ),
        (
            "solu-1l@checkpoint=21--solu-1l@checkpoint=final",
            "solu-1l-at-21--solu-1l",
            [f"{SOLU}@checkpoint=21", SOLU],
        ),
    ],
)
def test_names_of_one_pair_give_one_slug(spec: str, slug: str, models: list[str]) -> None:
    pair = parse_pair(spec)
    assert pair is not None
    assert check_slug(pair.slug) == slug
    assert [model.name for model in pair.models.values()] == models


@pytest.mark.parametrize("spec", ["pystd-2l", "/no/where", "./a/b", "texts", "a--b", "~/x"])
def test_what_is_no_name_of_the_hub_is_left_to_others(spec: str) -> None:
    assert parse_pair(spec) is None


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("solu-1l--gelu-1", "no model 'gelu-1'; did you mean gelu-1l"),
        ("solu-1l--gelu-1l--solu-2l", "a pair has two models"),
        ("solu-1l--solu-1l", "one model twice"),
        ("solu-1l@checkpoint=5--gelu-1l", "only its first model a checkpoint"),
        ("solu-1l@step=5", "@step=5 is not understood"),
        ("solu-1l@checkpoint=last", "@checkpoint=last is not understood"),
        (f"{'a' * 60}/b--{'c' * 60}/d", "a name of 126 characters"),
    ],
)
def test_what_cannot_be_meant_is_named(spec: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_pair(spec)
    assert words in str(caught.value)
    assert caught.value.exit_code == 2


def test_a_pair_is_fetched_once_and_kept(served: Hub, tmp_path: Path) -> None:
    answer = served.fetch(f"{SOLU}--{GELU}", tmp_path)
    assert answer.code == 0, answer.err
    directory = tmp_path / "pairs" / PAIR
    pair = load_pair(directory)
    assert pair.right is not None
    assert (pair.left.name, pair.right.name) == (SOLU, GELU)
    assert (pair.left.act_fn, pair.right.act_fn) == ("solu_ln", "gelu")
    assert pair.bos_token == "<|endoftext|>"
    assert pair.left.origin["revision"] == served.stand_in.repositories["model", SOLU].commit
    assert pair.left.origin["file"] == "final.pth"
    assert "no compatibility mode" in pair.left.origin["format"]
    toml = tomllib.loads((directory / "pair.toml").read_text())
    assert toml["tokenizer"]["repository"] == TOKENIZER
    assert sorted(path.name for path in (tmp_path / "pairs").iterdir()) == [PAIR]
    before = len(served.stand_in.requests)
    again = served.fetch(PAIR, tmp_path)
    assert again.code == 0
    assert str(directory) in again.out
    assert len(served.stand_in.requests) == before


def test_activations_are_those_of_transformer_lens(served: Hub, tmp_path: Path) -> None:
    assert served.fetch("solu-6l", tmp_path).code == 0
    directory = str(tmp_path / "pairs" / "solu-6l")
    found = served.check("differences", LARGER, "left", directory)
    sites = ("hook_pre", "ln.hook_in", "hook_post")
    assert found.keys() == {
        "logits",
        *(f"blocks.{layer}.mlp.{site}" for layer in (0, 1) for site in sites),
    }
    assert max(found.values()) < 1e-5
    assert served.fetch(PAIR, tmp_path).code == 0
    directory = str(tmp_path / "pairs" / PAIR)
    found = served.check("differences", GELU, "right", directory)
    assert len(found) == 3
    assert max(found.values()) < 1e-5
    # Another repository's weights are seen to differ.
    found = served.check("differences", SOLU, "right", directory)
    assert found["blocks.0.mlp.hook_pre"] > 0.01


def test_a_checkpoint_is_the_one_asked_for(served: Hub, tmp_path: Path) -> None:
    answer = served.fetch("solu-1l--gelu-1l@checkpoint=2100", tmp_path)
    assert answer.code == 0, answer.err
    directory = tmp_path / "pairs" / "solu-1l-at-2100--gelu-1l-at-2100"
    assert load_pair(directory).left.origin["checkpoint"] == 2100
    for side, repository in (("left", SOLU), ("right", GELU)):
        found = served.check("differences", repository, side, str(directory), 2100)
        assert max(found.values()) < 1e-5
    unknown = served.fetch("solu-1l--gelu-1l@checkpoint=2000", tmp_path)
    assert unknown.code == 1
    assert "no checkpoint 2000; it has 2, from 21 to 2100; the nearest are 21, 2100" in unknown.err


def test_the_oldest_layout_is_turned(served: Hub, tmp_path: Path) -> None:
    name = "NeelNanda/SoLU_1L_v9_old"
    served.stand_in.add("model", name, model_files("solu_ln", 7, old=True))
    assert served.fetch(name, tmp_path).code == 0
    directory = str(tmp_path / "pairs" / "neelnanda-solu-1l-v9-old")
    found = served.check("differences", name, "left", directory)
    assert max(found.values()) < 1e-5


def test_an_interrupted_download_goes_on(served: Hub, tmp_path: Path) -> None:
    name = "NeelNanda/Cut"
    files = model_files("gelu", 8)
    served.stand_in.add("model", name, files)
    served.stand_in.cuts["final.pth"] = 1000
    assert served.fetch(name, tmp_path).code == 0
    assert not served.stand_in.cuts
    gets = [line for line in served.stand_in.requests if line.startswith("GET /NeelNanda/Cut/")]
    assert sum("final.pth" in line for line in gets) == 2


FAULTS = {
    "Typo": (None, "the hub has no model NeelNanda/Typo, or keeps it private"),
    "Gated": ({}, "model NeelNanda/Gated is gated"),
    "NoWeights": ({"final.pth": None}, "has no *final.pth"),
    "NoConfig": ({"config.json": None}, "the hub has no config.json of model NeelNanda/NoConfig"),
    "BrokenConfig": ({"config.json": b"{"}, "config.json of NeelNanda/BrokenConfig cannot be read"),
    "Transformers": (
        {"config.json": b'{"model_type": "gpt2"}'},
        "not in TransformerLens's own format (its config.json has model_type 'gpt2')",
    ),
    "NotTensors": ({"final.pth": saved({"a": "b"})}, "are no state dict"),
    "BrokenWeights": ({"final.pth": b"nothing"}, "weights of NeelNanda/BrokenWeights cannot be"),
    "OtherShape": (
        {"final.pth": saved(state("gelu", 1, {"n_layers": 1, "d_model": 16, "n_ctx": 24,
         "d_head": 4, "n_heads": 4, "d_mlp": 12, "d_vocab": 300}))},
        "do not fit its config",
    ),
    "OtherMlp": (
        {"final.pth": saved(state("gelu", 1, {"n_layers": 1, "d_model": 16, "n_ctx": 24,
         "d_head": 8, "n_heads": 2, "d_mlp": 13, "d_vocab": 300}))},
        "fc_in.bias is [13], not [12]",
    ),
}  # fmt: skip
CONFIGS = {
    "Short": ({"shortformer_pos": True}, "shortformer_pos"),
    "Attention": ({"attn_only": True}, "has no MLP"),
    "Activation": ({"act_fn": "glue"}, "act_fn 'glue'"),
    "NoTokenizer": ({"tokenizer_name": None}, "names no tokenizer"),
    "LostTokenizer": ({"tokenizer_name": "no/where"}, "the hub has no model no/where"),
    "SmallVocabulary": ({"d_vocab": 200}, "token ids up to 299, but d_vocab is 200"),
}


@pytest.mark.parametrize("name", [*FAULTS, *CONFIGS])
def test_each_fault_is_one_line(served: Hub, tmp_path: Path, name: str) -> None:
    change, words = FAULTS[name] if name in FAULTS else CONFIGS[name]
    if change is not None:
        if name in FAULTS:
            files = {k: v for k, v in (model_files("gelu", 9) | change).items() if v is not None}
        else:
            files = model_files(**{"act_fn": "gelu", "seed": 9} | change)
        served.stand_in.add("model", f"NeelNanda/{name}", files, gated=name == "Gated")
    answer = served.fetch(f"NeelNanda/{name}", tmp_path)
    assert answer.code == 1, answer.err
    assert words in answer.err
    assert len(answer.err.splitlines()) == 1
    assert not list((tmp_path / "pairs").glob("*")) if (tmp_path / "pairs").exists() else True


def test_two_models_that_make_no_pair_are_named(served: Hub, tmp_path: Path) -> None:
    answer = served.fetch(f"{SOLU}--{LARGER}", tmp_path)
    assert answer.code == 1
    assert "different shapes: n_layers is 1 and 2" in answer.err
    served.stand_in.add("model", "o/tokenizer", tokenizer_files(290))
    served.stand_in.add("model", "o/m", model_files("gelu", 1, tokenizer_name="o/tokenizer"))
    answer = served.fetch(f"{SOLU}--o/m", tmp_path)
    assert f"different tokenizers ({TOKENIZER} and o/tokenizer)" in answer.err


def test_a_directory_of_the_same_name_is_not_taken_for_it(served: Hub, tmp_path: Path) -> None:
    assert served.fetch(PAIR, tmp_path).code == 0
    (tmp_path / "pairs" / PAIR).rename(tmp_path / "pairs" / "solu-6l")
    answer = served.fetch(LARGER, tmp_path)
    assert answer.code == 1
    assert f"is another pair: its left is not {LARGER}" in answer.err


def test_a_missing_directory_is_said_too(served: Hub, tmp_path: Path) -> None:
    answer = served.fetch("pairs/mine", tmp_path)
    assert answer.code == 1
    assert "there is no directory pairs/mine, and the hub has no model pairs/mine" in answer.err


def test_without_a_hub_what_is_in_the_cache_is_used(served: Hub, tmp_path: Path) -> None:
    assert served.fetch(PAIR, tmp_path / "one").code == 0
    served.process.set("huggingface_hub.constants", "HF_HUB_OFFLINE", True)
    try:
        offline = served.fetch(PAIR, tmp_path / "two")
        assert offline.code == 0, offline.err
        missing = served.fetch("solu-2l", tmp_path)
    finally:
        served.process.set("huggingface_hub.constants", "HF_HUB_OFFLINE", False)
    assert missing.code == 1
    assert "NeelNanda/SoLU_2L512W_C4_Code is not in the cache of this machine" in missing.err
    assert "twinscope fetch" in missing.err
    first, second = (load_pair(tmp_path / n / "pairs" / PAIR) for n in ("one", "two"))
    assert [v.sha256 for v in first.versions] == [v.sha256 for v in second.versions]


def test_a_hub_that_says_nothing_is_given_up_soon(served: Hub, tmp_path: Path) -> None:
    served.process.set("worker.hub.repository", "FIRST_WORD", 0.3)
    served.stand_in.silent = True
    try:
        answer = served.fetch("solu-3l--gelu-3l", tmp_path)
    finally:
        served.stand_in.silent = False
        served.process.set("worker.hub.repository", "FIRST_WORD", 10)
    assert answer.code == 1
    assert "cannot be reached (ReadTimeout); connect this machine" in answer.err


def test_origins_are_plain(served: Hub, tmp_path: Path) -> None:
    assert served.fetch("solu-6l", tmp_path).code == 0
    origin = load_pair(tmp_path / "pairs" / "solu-6l").left.origin
    assert json.loads(json.dumps(origin)) == origin
    assert HubPair(HubModel(LARGER), None).slug == "solu-6l"
