"""A direction planted in a trained model's SoLU layers: its mark on the layer panel, and whether
the search for candidates finds it.

    python -m bench.evidence_planting                       # pystd-2l on the standard library

The planted feature promotes one token where it is present: on a few frequent token ids on which
the layer is quiet and no neuron stands out. A trained model has no twins, so the unplanted
controls are the same model on other windows of the same number.
"""

from __future__ import annotations

import argparse

import numpy as np
import numpy.typing as npt
import torch

from bench.evidence_effects import CPU, Setting, prepare
from store.evidence_records import CandidateRecord, CandidateSearchRecord
from store.records import Side
from tests.worker.evidence.planting import DirectEngine, Planted, baselines_of, layout_of, plant
from worker.evidence.batches import batches
from worker.evidence.candidate_description import CandidateSettings
from worker.evidence.candidate_jobs import FindingJob
from worker.evidence.candidate_records import candidates
from worker.evidence.layer_panel import rescue
from worker.evidence.passes import run
from worker.evidence.windows import EvidenceWindows, draw_windows
from worker.lean import LeanModel
from worker.reporter import Silent

STRENGTHS = (1.0, 2.0, 4.0)
#: Directions planted of each strength; a seed decides which token is promoted, and the signs.
PLANTINGS = (7, 8, 9)
TOKEN_SHARE = 0.06
#: Tokens by which it is seen where the layer is quiet.
SEEN = 65_536
#: Draws of windows without anything planted: for the panel, and for the search.
CONTROLS, SEARCHED = 20, 3
SEARCH = CandidateSettings(find_tokens=16_384, test_tokens=1_024)
Marks = npt.NDArray[np.float64]


class Bench:
    """One SoLU version and the windows of its runs."""

    def __init__(self, setting: Setting, side: Side, tokens: int) -> None:
        self.lean = setting.lean[side]
        self.tokens = tokens
        self._every = setting.every_window.windows
        self._seen = torch.from_numpy(self.windows(55, SEEN).windows.tokens).long()

    def windows(self, seed: int, tokens: int) -> EvidenceWindows:
        """Windows drawn by a seed."""
        drawn = draw_windows([self._every], seed, tokens)
        assert drawn is not None
        return drawn

    def planted(self, layer: int, strength: float, seed: int) -> Planted:
        return plant(self.lean, layer, strength, seed, tokens=self._seen, share=TOKEN_SHARE)

    def marks(self, lean: LeanModel, seed: int) -> Marks:
        """Orphan effect and LN rescue (share of the quieter half) by layer [L, 2]."""
        windows = self.windows(seed, self.tokens)
        models: dict[Side, LeanModel] = {"left": lean}
        levels = baselines_of(models, windows)
        parts = list(batches(windows, len(windows), "cpu"))
        job = FindingJob(layout_of(models), levels)
        outputs = list(DirectEngine(models).run(job, parts))
        with torch.inference_mode():
            traces = [run(lean, part.tokens(CPU)).activated for part in parts]
        found = []
        for layer in range(len(lean.model.layers)):
            kl = np.concatenate([one.layers["left", layer].kl for one in outputs])
            kl = kl.astype(np.float64)
            orphan = np.concatenate([one.layers["left", layer].orphan for one in outputs])
            spread = [
                trace[layer].flatten(0, 1)[part.places(CPU)].std(dim=1, correction=0)
                for trace, part in zip(traces, parts, strict=True)
            ]
            deciles = rescue(kl, torch.cat(spread).numpy())
            found.append((kl[orphan].sum() / kl.sum(), sum(deciles[:5])))
        return np.array(found)

    def searched(
        self, lean: LeanModel, seed: int
    ) -> tuple[list[CandidateRecord], list[CandidateSearchRecord]]:
        """Candidates of a model alone."""
        models: dict[Side, LeanModel] = {"left": lean}
        windows = self.windows(seed, SEARCH.find_tokens + 8 * SEARCH.test_tokens)
        levels = baselines_of(models, self.windows(seed + 1000, 16_384))
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


def report(setting: Setting, tokens: int) -> None:
    """A table for each SoLU layer."""
    for one in setting.layout.sides:
        if not one.has_layer_norm:
            continue
        bench = Bench(setting, one.side, tokens)
        unplanted = [bench.searched(bench.lean, 200 + i)[0] for i in range(SEARCHED)]
        marks = np.stack([bench.marks(bench.lean, 100 + i) for i in range(CONTROLS)])
        low, high = np.quantile(marks, (0.025, 0.975), axis=0)
        for layer in reversed(range(one.n_layers)):
            kept = [sum(c.layer == layer for c in found) for found in unplanted]
            print(
                f"\n{one.side} L{layer}: orphan effect, LN rescue (quieter half); best cosine of a "
                f"candidate kept, of those kept; largest cosine in {SEARCHED} searches without\n"
                f"unplanted, {CONTROLS} draws: {low[layer].round(3)} … {high[layer].round(3)}; "
                f"candidates {kept}; the windows of the planted: "
                f"{bench.marks(bench.lean, 99)[layer].round(3)}",
                flush=True,
            )
            for seed in PLANTINGS:
                for strength in STRENGTHS:
                    planted = bench.planted(layer, strength, seed)
                    direction = planted.direction.numpy()
                    found, _ = bench.searched(planted.lean, 99)
                    mine = [c for c in found if c.layer == layer]
                    print(
                        f"  seed {seed}, strength {strength:3.1f}: "
                        f"{bench.marks(planted.lean, 99)[layer].round(3)}; "
                        f"{best(mine, layer, direction):.2f} of {len(mine)}; "
                        f"{max(best(some, layer, direction) for some in unplanted):.2f}",
                        flush=True,
                    )


def best(found: list[CandidateRecord], layer: int, direction: npt.NDArray[np.float32]) -> float:
    """Largest cosine of a layer's candidate to a direction; 0 without any."""
    own = [abs(float(one.direction @ direction)) for one in found if one.layer == layer]
    return max(own, default=0.0)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pair", default="pystd-2l")
    parser.add_argument("--corpus", default="stdlib")
    parser.add_argument("--tokens", type=int, default=8192, help="of the layer panel")
    parser.add_argument("--corpus-tokens", type=int, default=1_000_000)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    report(
        prepare(arguments.pair, arguments.corpus, 4096, arguments.corpus_tokens), arguments.tokens
    )


if __name__ == "__main__":
    main()
