"""A direction planted in a trained model's SoLU layers, and its mark on the layer panel.

    python -m bench.evidence_planting                       # pystd-2l on the standard library

The planted feature is present on 10 % of the tokens, of those ids on which the layer is quietest;
no neuron stands out on them. A trained model has no twins, so the unplanted controls are the same
model on other windows of the same number.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch

from bench.evidence_effects import CPU, Setting, prepare
from store.records import Side
from tests.worker.evidence.planting import baselines_of, plant
from worker.evidence.batches import batches
from worker.evidence.layer_panel import PanelOfBatch, measure_layer, records
from worker.evidence.passes import run
from worker.evidence.windows import EvidenceWindows, draw_windows
from worker.lean import LeanModel

STRENGTHS = (1.0, 2.0, 4.0)
N_CONTROLS = 20
TOKEN_SHARE = 0.1


def planting(setting: Setting, tokens: int) -> None:
    """The SoLU layers' panel with a direction planted, against unplanted windows."""
    print("\nplanted direction: orphan effect, LN rescue (share of the lowest half)")
    for one in setting.layout.sides:
        if not one.has_layer_norm:
            continue
        lean = setting.lean[one.side]
        controls = [
            draw_windows([setting.every_window.windows], seed, tokens)
            for seed in range(100, 100 + N_CONTROLS)
        ]
        for layer in range(one.n_layers):
            found = np.array([panel(one.side, lean, w, layer) for w in controls if w])
            low, high = np.quantile(found, (0.025, 0.975), axis=0)
            print(f"{one.side} L{layer} unplanted  {low.round(3)} … {high.round(3)}")
            seen = torch.from_numpy(setting.windows.windows.tokens[:160]).long()
            for strength in STRENGTHS:
                planted = plant(lean, layer, strength, seed=7, tokens=seen, share=TOKEN_SHARE)
                windows = draw_windows([setting.every_window.windows], 99, tokens)
                assert windows is not None
                marks = panel(one.side, planted.lean, windows, layer)
                print(f"{one.side} L{layer} strength {strength:3.1f}  {np.round(marks, 3)}")


def panel(side: Side, lean: LeanModel, windows: EvidenceWindows, layer: int) -> tuple[float, float]:
    """Orphan effect and LN rescue of one layer."""
    baseline = baselines_of({side: lean}, windows)[side, layer]
    parts = []
    with torch.inference_mode():
        for batch in batches(windows, len(windows), "cpu"):
            one = measure_layer(lean, run(lean, batch.tokens(CPU)), batch, layer, baseline)
            parts.append(PanelOfBatch(batch.start, batch.count, {(side, layer): one}))
    (found,) = records(parts, 10, 0)
    assert found.orphan_effect is not None
    assert found.rescue is not None
    return found.orphan_effect, sum(found.rescue[:5])


def main() -> None:
    """Print a table for each SoLU layer."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pair", default="pystd-2l")
    parser.add_argument("--corpus", default="stdlib")
    parser.add_argument("--tokens", type=int, default=4096)
    parser.add_argument("--corpus-tokens", type=int, default=1_000_000)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    planting(
        prepare(arguments.pair, arguments.corpus, 4 * arguments.tokens, arguments.corpus_tokens),
        arguments.tokens,
    )


if __name__ == "__main__":
    main()
