"""The plain one-pass method, written as it is usually described [Neuroscope, Nanda 2022].

    python -m bench.peer_plain SHARED --side left --neurons 64

One pass over all windows keeps, for every neuron, the 20 windows with the highest maximum. Then a
page is drawn for each neuron: the model runs once more on its 20 windows, and the neuron's
activations at every token go into the page's file. One thread; the plain `NativeModel` with a hook
on each layer, without the unembedding, which is kind to it. Prints one line of JSON.

SHARED holds what `bench.peers` wrote: weights, configs, `tokens.npy` [W, n_ctx], `mask.npy`.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file

from worker.models import build_native

TOP = 20
BATCH = 8


class Recorder:
    """The model with the neurons' activations at the display site of the last call."""

    def __init__(self, shared: Path, side: str) -> None:
        config = json.loads((shared / f"{side}.json").read_text("utf-8"))
        self.model = build_native(config)
        self.model.load_state_dict(load_file(shared / f"{side}.safetensors"))
        self.model.eval().requires_grad_(False)
        self.model.head = torch.nn.Identity()  # type: ignore[assignment]
        self.found: dict[int, torch.Tensor] = {}
        for layer, block in enumerate(self.model.layers):
            mlp: Any = block.mlp
            read = mlp.fc_out if mlp.ln is None else mlp.ln  # Neuroscope: `mid` for SoLU
            read.register_forward_pre_hook(
                lambda _, inputs, layer=layer: self.found.__setitem__(layer, inputs[0])
            )

    def __call__(self, tokens: torch.Tensor) -> dict[int, torch.Tensor]:
        self.model(tokens)
        return self.found


def measure(shared: Path, side: str, neurons: int, windows: int | None) -> dict[str, Any]:
    """Seconds of the pass and of `neurons` pages a layer; bytes of the pages."""
    torch.set_num_threads(1)
    record = Recorder(shared, side)
    tokens = torch.from_numpy(np.load(shared / "tokens.npy")[:windows].astype(np.int64))
    mask = torch.from_numpy(np.load(shared / "mask.npy")[:windows])
    n_layers, n = len(record.model.layers), int(record.model.cfg.d_mlp or 0)
    best = torch.full((n_layers, TOP, n), -torch.inf)
    window = torch.zeros((n_layers, TOP, n), dtype=torch.int64)
    pages = shared / f"pages-{side}"
    pages.mkdir(exist_ok=True)
    with torch.inference_mode():
        record(tokens[:BATCH])
        began, began_cpu = time.monotonic(), time.process_time()
        for a in range(0, len(tokens), BATCH):
            found = record(tokens[a : a + BATCH])
            outside = ~mask[a : a + BATCH, :, None]
            for layer, values in found.items():
                highest = values.masked_fill(outside, -torch.inf).amax(1)  # [B, n]
                here = torch.arange(a, a + len(highest))[:, None].expand(-1, n)
                values = torch.cat([best[layer], highest])
                best[layer], at = values.topk(TOP, dim=0)
                window[layer] = torch.cat([window[layer], here]).gather(0, at)
        passed, passed_cpu = time.monotonic() - began, time.process_time() - began_cpu
        began, began_cpu = time.monotonic(), time.process_time()
        n_bytes = 0
        for layer in range(n_layers):
            for j in range(min(neurons, n)):
                chosen = tokens[window[layer, :, j]]
                values = record(chosen)[layer][:, :, j]
                page = {"tokens": chosen.tolist(), "activations": values.tolist()}
                n_bytes += (pages / f"{layer}-{j}.json").write_text(json.dumps(page))
        drawn, drawn_cpu = time.monotonic() - began, time.process_time() - began_cpu
    return {
        "tokens": int(mask.sum()),
        "pass_seconds": passed,
        "pass_cpu_seconds": passed_cpu,
        "page_seconds": drawn / (n_layers * min(neurons, n)),
        "page_cpu_seconds": drawn_cpu / (n_layers * min(neurons, n)),
        "neurons": n_layers * n,
        "pages_drawn": n_layers * min(neurons, n),
        "bytes_a_neuron": n_bytes / (n_layers * min(neurons, n)),
    }


def main() -> None:
    """One line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shared", type=Path)
    parser.add_argument("--side", default="left")
    parser.add_argument("--neurons", type=int, default=64, help="pages drawn of each layer")
    parser.add_argument("--windows", type=int)
    given = parser.parse_args()
    print(json.dumps(measure(given.shared, given.side, given.neurons, given.windows)))


if __name__ == "__main__":
    main()
