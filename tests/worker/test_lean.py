"""The lean forward computes what TransformerLens's own model computes."""

from __future__ import annotations

import pytest
import torch
from transformer_lens.model_bridge.sources.native import initialize_native_model

from worker.errors import PairError
from worker.lean import LeanModel, Source
from worker.models import build_native

SHAPE = {
    "n_layers": 2,
    "d_model": 16,
    "n_ctx": 12,
    "d_head": 8,
    "n_heads": 2,
    "d_mlp": 24,
    "d_vocab": 50,
}


def tiny(act_fn: str, normalization_type: str | None, **more: object) -> LeanModel:
    config = SHAPE | {"act_fn": act_fn, "normalization_type": normalization_type} | more
    model = build_native(config)
    initialize_native_model(model, model.cfg, seed=1)
    generator = torch.Generator().manual_seed(2)
    for parameter in model.parameters():  # biases and norms too, which start at 0 and 1
        parameter.data += 0.3 * torch.randn(parameter.shape, generator=generator)
    return LeanModel(model.requires_grad_(False))


@pytest.mark.parametrize("normalization_type", ["LN", "LNPre", None])
@pytest.mark.parametrize("act_fn", ["solu_ln", "solu", "gelu", "gelu_new", "relu", "silu"])
def test_it_equals_the_native_model_at_every_site(
    act_fn: str, normalization_type: str | None
) -> None:
    lean = tiny(act_fn, normalization_type)
    lean.model.double()  # so that a difference is one of the function, not of rounding
    tokens = torch.randint(0, 50, (3, 12), generator=torch.Generator().manual_seed(3))
    expected: list[dict[str, torch.Tensor]] = [{}, {}]
    for layer, block in enumerate(lean.model.layers):
        sites = expected[layer]
        block.mlp.fc_in.register_forward_hook(
            lambda _, inputs, out, sites=sites: sites.update(pre=out)
        )
        block.mlp.fc_out.register_forward_hook(
            lambda _, inputs, out, sites=sites: sites.update(post=inputs[0])
        )
        if act_fn == "solu_ln":
            block.mlp.ln.register_forward_hook(
                lambda _, inputs, out, sites=sites: sites.update(mid=inputs[0])
            )
    logits = lean.model(tokens)
    native = [dict(sites) for sites in expected]
    found: dict[int, dict[str, torch.Tensor]] = {}

    def take(layer: int, sites: dict[str, torch.Tensor], source: Source) -> None:
        found[layer] = sites
        mlp = lean.model.layers[layer].mlp
        torch.testing.assert_close(mlp.fc_in(source.mlp_in), sites["pre"], atol=1e-9, rtol=1e-9)
        assert (source.mean is None) == (source.inverse is None) == (act_fn != "solu_ln")
        if source.mean is not None and source.inverse is not None:
            normalized = (sites["mid"] - source.mean) * source.inverse
            again = normalized * mlp.ln.weight + mlp.ln.bias
            torch.testing.assert_close(again, sites["post"], atol=1e-9, rtol=1e-9)

    torch.testing.assert_close(lean.forward(tokens, sink=take), logits, atol=1e-9, rtol=1e-9)
    assert list(found) == [0, 1]
    for layer in (0, 1):
        assert found[layer].keys() == native[layer].keys()
        for site, values in native[layer].items():
            torch.testing.assert_close(found[layer][site], values, atol=1e-9, rtol=1e-9)


def test_it_is_the_same_function_with_gradients() -> None:
    lean = tiny("gelu", "LN")
    tokens = torch.randint(0, 50, (3, 12), generator=torch.Generator().manual_seed(3))
    plain = lean.forward(tokens)
    lean.model.double().requires_grad_(True)
    native = lean.model(tokens)
    trained = lean.forward(tokens)
    assert plain is not None
    assert trained is not None
    torch.testing.assert_close(trained, native, atol=1e-9, rtol=1e-9)
    torch.testing.assert_close(plain, native.float(), atol=1e-4, rtol=1e-4)
    weights = list(lean.model.parameters())
    expected = torch.autograd.grad(native.square().mean(), weights)
    found = torch.autograd.grad(trained.square().mean(), weights)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-9, rtol=1e-9)


def test_what_is_not_wanted_is_left_out() -> None:
    lean = tiny("gelu", "LN")
    tokens = torch.arange(10)[None]
    seen: list[int] = []
    assert lean.forward(tokens, sink=lambda layer, *_: seen.append(layer), want="none") is None
    assert seen == [0, 1]
    hidden = lean.forward(tokens, want="hidden")
    assert hidden is not None
    torch.testing.assert_close(lean.model.head(hidden), lean.forward(tokens))


def test_another_architecture_is_refused_by_name() -> None:
    with pytest.raises(PairError, match="rotary positions"):
        tiny("gelu", "LN", positional_embedding_type="rotary")
