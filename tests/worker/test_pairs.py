"""A pair's parts are read, checked against each other, and faults are named."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

from worker.errors import DeviceError, PairError
from worker.lean import LeanModel
from worker.models import build_native, load_native, resolve_device
from worker.pairs import load_pair
from worker.tokenizer import load_tokenizer, token_bytes, train_tokenizer

CONFIG = {
    "n_layers": 1,
    "d_model": 8,
    "n_ctx": 8,
    "d_head": 4,
    "n_heads": 2,
    "d_mlp": 16,
    "d_vocab": 300,
    "act_fn": "solu_ln",
    "normalization_type": "LN",
}
PAIR_TOML = """
name = "A tiny pair"
description = "for the tests"
bos_token = "<|endoftext|>"
[left]
name = "SoLU"
config = "left.json"
weights = "left.safetensors"
[right]
name = "GeLU"
config = "right.json"
weights = "right.safetensors"
[training]
tokens = 5
"""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    directory = tmp_path / "tiny-pair"
    directory.mkdir()
    (directory / "pair.toml").write_text(PAIR_TOML)
    for side, act_fn in (("left", "solu_ln"), ("right", "gelu")):
        config = CONFIG | {"act_fn": act_fn}
        (directory / f"{side}.json").write_text(json.dumps(config))
        state = {name: t.half() for name, t in build_native(config).state_dict().items()}
        save_file(state, directory / f"{side}.safetensors")
    train_tokenizer(["some text of no use"], 300).save(str(directory / "tokenizer.json"))
    return directory


def change_config(**fields: Any) -> Callable[[Path], None]:
    def change(directory: Path) -> None:
        config = {k: v for k, v in (CONFIG | fields).items() if v != "absent"}
        (directory / "left.json").write_text(json.dumps(config))

    return change


def replace_in_toml(old: str, new: str) -> Callable[[Path], None]:
    def change(directory: Path) -> None:
        assert old in PAIR_TOML
        (directory / "pair.toml").write_text(PAIR_TOML.replace(old, new, 1))

    return change


def test_a_pair_is_read_whole(directory: Path) -> None:
    pair = load_pair(directory)
    assert (pair.slug, pair.name, pair.bos_token) == (
        "tiny-pair",
        "A tiny pair",
        "<|endoftext|>",
    )
    assert [version.side for version in pair.versions] == ["left", "right"]
    assert (pair.left.act_fn, pair.right.act_fn, pair.control) == ("solu_ln", "gelu", None)
    assert pair.training == {"tokens": 5}
    weights = (directory / "left.safetensors").read_bytes()
    assert pair.left.sha256 == hashlib.sha256(weights).hexdigest()
    assert load_pair("tiny-pair", shipped=directory.parent) == pair


@pytest.mark.parametrize(
    "name",
    ["no-such-pair", pytest.param("a" * 5000, id="long"), "~nobody/pair", "nul\0"],
)
def test_a_name_that_no_pair_has_is_refused(name: str) -> None:
    with pytest.raises(PairError, match="there is no pair") as caught:
        load_pair(name)
    assert len(str(caught.value)) < 500


def test_weights_are_loaded_exactly(directory: Path) -> None:
    model = load_native(load_pair(directory).left)
    assert model.layers[0].mlp.ln is not None
    assert model.head.weight.dtype is torch.float32
    assert not any(parameter.requires_grad for parameter in model.parameters())


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (change_config(n_ctx=1), "n_ctx = 1; a window needs a token beside BOS"),
        (lambda d: (d / "left.safetensors").unlink(), "left.safetensors are missing"),
        (lambda d: (d / "tokenizer.json").unlink(), "has no tokenizer.json"),
        (lambda d: (d / "right.json").unlink(), "[right] config cannot be read"),
        (lambda d: (d / "pair.toml").unlink(), "pair.toml does not exist"),
        (lambda d: (d / "pair.toml").write_text("name = "), "cannot be read"),
        (replace_in_toml("[right]", "[middle]"), "has a table [middle]"),
        (replace_in_toml("[left]", "[training]"), "cannot be read"),
        (
            lambda d: (d / "pair.toml").write_text('name = "a"\nbos_token = "b"'),
            "[left] is missing",
        ),
        (replace_in_toml('bos_token = "<|endoftext|>"', ""), "no bos_token"),
        (replace_in_toml('weights = "left.safetensors"', ""), "[left] has no weights"),
        (change_config(d_mlp="absent"), "lacks d_mlp"),
        (change_config(d_mlp=0), "d_mlp = 0"),
        (change_config(d_mlp=32), "d_mlp is 32 in left and 16 in right"),
        (change_config(act_fn="glue"), "act_fn 'glue'"),
        (lambda d: (d / "left.json").write_text("[]"), "[left] config is no object"),
    ],
)
def test_each_fault_is_named(directory: Path, spoil: Callable[[Path], Any], words: str) -> None:
    spoil(directory)
    with pytest.raises(PairError) as caught:
        load_pair(directory)
    assert words in str(caught.value)


@pytest.mark.parametrize("name", ["random", "Upper", "a b", "runs"])
def test_a_slug_that_is_a_route_or_no_url_is_refused(directory: Path, name: str) -> None:
    renamed = directory.rename(directory.parent / name)
    with pytest.raises(PairError, match=name):
        load_pair(renamed)


def test_an_unknown_pair_is_refused(directory: Path) -> None:
    with pytest.raises(PairError, match=r"no pair 'nothing'; use one of tiny-pair"):
        load_pair("nothing", shipped=directory.parent)


def test_a_pair_with_one_version_is_read(directory: Path) -> None:
    whole, _ = PAIR_TOML.split("[right]")
    (directory / "pair.toml").write_text(whole)
    pair = load_pair(directory)
    assert [version.side for version in pair.versions] == ["left"]
    assert pair.right is None


def test_a_kept_pair_is_found_by_its_slug(
    directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TWINSCOPE_DATA_DIR", str(tmp_path / "data"))
    (tmp_path / "data" / "pairs").mkdir(parents=True)
    directory.rename(tmp_path / "data" / "pairs" / "tiny-pair")
    assert load_pair("tiny-pair").slug == "tiny-pair"


def test_an_unembedding_may_have_a_bias(directory: Path) -> None:
    path = directory / "left.safetensors"
    state = load_file(path)
    bias = torch.arange(300.0)
    save_file(state | {"head.bias": bias}, path)
    model = load_native(load_pair(directory).left)
    assert torch.equal(model.head.bias, bias)
    tokens = torch.tensor([[1, 2, 3]])
    plain = F.linear(LeanModel(model).forward(tokens, want="hidden"), model.head.weight)
    assert torch.allclose(LeanModel(model).forward(tokens), plain + bias)


def test_weights_of_another_model_do_not_fit(directory: Path) -> None:
    (directory / "left.safetensors").write_bytes((directory / "right.safetensors").read_bytes())
    with pytest.raises(PairError, match=r"missing layers\.0\.mlp\.ln"):
        load_native(load_pair(directory).left)
    (directory / "right.safetensors").write_bytes(b"nothing")
    with pytest.raises(PairError, match="cannot be read"):
        load_native(load_pair(directory).right)


def test_a_config_that_makes_no_model_is_a_fault(directory: Path) -> None:
    change_config(normalization_type="LN", colour="blue")(directory)
    with pytest.raises(PairError, match="no model can be built"):
        load_native(load_pair(directory).left)


def test_a_tokenizer_that_does_not_fit_is_named_with_the_vocabulary(directory: Path) -> None:
    path = directory / "tokenizer.json"
    largest = load_tokenizer(path, "<|endoftext|>", 300).size - 1
    with pytest.raises(PairError, match=f"token ids up to {largest}, but d_vocab is {largest}"):
        load_tokenizer(path, "<|endoftext|>", largest)
    with pytest.raises(PairError, match="no token '<bos>'"):
        load_tokenizer(path, "<bos>", 300)
    path.write_text("{}")
    with pytest.raises(PairError, match="cannot be read"):
        load_tokenizer(path, "<|endoftext|>", 300)


def test_token_bytes_join_to_the_text() -> None:
    tokenizer = train_tokenizer(["naïve text – of no use\n\n"] * 9, 300)
    known = token_bytes(tokenizer)
    text = "naïve – עברית \0\x01 \u2581 <0x41>"
    ids = tokenizer.encode(text).ids
    assert b"".join(known[id] for id in ids) == text.encode()
    assert known[tokenizer.token_to_id("<|endoftext|>")] == b"<|endoftext|>"


def test_a_device_that_is_not_there_is_named() -> None:
    assert resolve_device("cpu").type == "cpu"
    with pytest.raises(DeviceError, match="'cuda:99' is not on this machine"):
        resolve_device("cuda:99")
    with pytest.raises(DeviceError, match="no kind of device 'warp'"):
        resolve_device("warp")
