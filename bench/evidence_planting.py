"""A direction planted in a trained model's SoLU layers: its mark on the layer panel, and whether
the search for candidates finds it.

    python -m bench.evidence_planting                       # pystd-2l on the standard library

The planted feature is present on 10 % of the tokens, of those ids on which the layer is quietest;
no neuron stands out on them. A trained model has no twins, so the unplanted controls are the same
model on other windows of the same number.
"""

from __future__ import annotations

import argparse

import numpy as np
import numpy.typing as npt
import torch

from bench.evidence_effects import CPU, Setting, prepare
from store.evidence_records import CandidateRecord, CandidateSearchRecord
from store.records import Side
from tests.worker.evidence.planting import DirectEngine, baselines_of, layout_of, plant
from worker.evidence.batches import batches
from worker.evidence.candidate_description import CandidateSettings
from worker.evidence.candidate_records import candidates
from worker.evidence.layer_panel import PanelOfBatch, measure_layer, records
from worker.evidence.passes import run
from worker.evidence.windows import EvidenceWindows, draw_windows
from worker.lean import LeanModel
from worker.reporter import Silent

STRENGTHS = (1.0, 2.0, 4.0)
N_CONTROLS = 20
TOKEN_SHARE = 0.1
#: The finder: directions planted of each strength, and draws of windows without any.
PLANTINGS = (7, 8, 9)
UNPLANTED = 5
#: Half the tokens that the evidence stage takes.
SEARCH = CandidateSettings(find_tokens=24_576, test_tokens=1_536)


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


def finding(setting: Setting) -> None:
    """Best cosine of a kept candidate of the layer to what was planted there, and in controls."""
    print("\nfinder: cosine of the best candidate kept (rank; kept of tried) by planting")
    for one in setting.layout.sides:
        if not one.has_layer_norm:
            continue
        lean = setting.lean[one.side]
        controls = [searched(lean, setting, seed) for seed in range(200, 200 + UNPLANTED)]
        seen = torch.from_numpy(setting.windows.windows.tokens[:160]).long()
        for layer in range(one.n_layers):
            kept = sum(one.layer == layer for found, _ in controls for one in found)
            print(f"{one.side} L{layer} unplanted     {kept} candidates in {UNPLANTED} draws")
            for strength in STRENGTHS:
                texts, alike = [], []
                for seed in PLANTINGS:
                    planted = plant(lean, layer, strength, seed, tokens=seen, share=TOKEN_SHARE)
                    direction = planted.direction.numpy()
                    found, searches = searched(planted.lean, setting, 99)
                    mine = [c for c in found if c.layer == layer]
                    cosines = [abs(float(c.direction @ direction)) for c in mine]
                    rank = int(np.argmax(cosines)) if cosines else -1
                    texts.append(
                        f"{max(cosines, default=0):.2f} (#{rank}; {len(mine)} of "
                        f"{searches[layer].n_tried})"
                    )
                    alike += [best(c, layer, direction) for c, _ in controls]
                print(
                    f"{one.side} L{layer} strength {strength:3.1f}  {'  '.join(texts)}  "
                    f"largest in controls {max(alike):.2f}",
                    flush=True,
                )


def best(found: list[CandidateRecord], layer: int, direction: npt.NDArray[np.float32]) -> float:
    """Largest cosine of a layer's candidate to a direction; 0 without any."""
    own = [abs(float(one.direction @ direction)) for one in found if one.layer == layer]
    return max(own, default=0.0)


def searched(
    lean: LeanModel, setting: Setting, seed: int
) -> tuple[list[CandidateRecord], list[CandidateSearchRecord]]:
    """Candidates of a model alone, on windows drawn by the seed."""
    models: dict[Side, LeanModel] = {"left": lean}
    every = [setting.every_window.windows]
    windows = draw_windows(every, seed, 40_000)
    others = draw_windows(every, seed + 1000, 32_768)
    assert windows is not None
    assert others is not None
    levels = baselines_of(models, others)
    found = list(
        candidates(
            DirectEngine(models), "cpu", layout_of(models), models, windows, levels,
            SEARCH, 0, Silent(),
        )
    )  # fmt: skip
    return (
        [one for one in found if isinstance(one, CandidateRecord)],
        [one for one in found if isinstance(one, CandidateSearchRecord)],
    )


def main() -> None:
    """Print a table for each SoLU layer."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pair", default="pystd-2l")
    parser.add_argument("--corpus", default="stdlib")
    parser.add_argument("--tokens", type=int, default=4096)
    parser.add_argument("--corpus-tokens", type=int, default=1_000_000)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    setting = prepare(
        arguments.pair, arguments.corpus, 4 * arguments.tokens, arguments.corpus_tokens
    )
    planting(setting, arguments.tokens)
    finding(setting)


if __name__ == "__main__":
    main()
