"""What computing in half precision does to a run's numbers, and the lean pass beside the bridge.

    python -m bench.numerics --json FILE      # pystd-2l, 65,536 tokens: some minutes on one core

Both versions read the same windows in float32 and in bfloat16 and float16, and each site is held
against the float32 one, over all neurons:

- `bins`: share of (token, neuron) whose histogram bin is another
- `top20`: mean share of a version's top 20 (one a document) that are among float32's, and the share
  of versions whose twenty are the same
- `mean`, `std`, `kurtosis`: median and largest change over versions; of the mean in standard
  deviations, of the others as a share of themselves
- `rho`: median and largest change of a neuron's correlation with its same index in the other
  version; `match`: share of versions whose best match is another

`bridge`: the same activations by hooks on TransformerLens's `TransformerBridge` (what a notebook
would use) against the lean pass, in float32: share of other bins, largest difference in standard
deviations, and tokens a second of both, hooks taking the sites and nothing else.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformer_lens.config import TransformerBridgeConfig
from transformer_lens.model_bridge.sources import build_bridge_from_module

from bench.worker import machine, some_shards
from store.records import Side, Site
from worker.accumulators import LayerBatch
from worker.accumulators.accumulator import Rows
from worker.accumulators.distribution import torch_bins
from worker.activations import load_models, stream
from worker.correspondence import correlate, covariances
from worker.halves import to_half
from worker.layout import hook_point
from worker.models import load_native
from worker.plan import Plan, make_plan
from worker.settings import StatisticsSettings
from worker.statistics import Statistics
from worker.statistics_job import batches
from worker.windows import TokenWindows

Place = tuple[Side, int, Site]
Bins = dict[Place, torch.Tensor]


@dataclass
class Seen:
    """What one dtype gave."""

    statistics: Statistics
    display: dict[tuple[Side, int], list[np.ndarray]]
    changed: dict[Place, int]
    seconds: float = 0.0


def run(plan: Plan, windows: list[TokenWindows], dtypes: list[str]) -> dict[str, Seen]:
    """Every dtype on every batch, float32 first."""
    models = {
        dtype: load_models({s: replace(v, dtype=dtype) for s, v in plan.versions.items()}, "cpu")
        for dtype in dtypes
    }
    seen = {dtype: Seen(Statistics.empty(plan.layout, plan.settings), {}, {}) for dtype in dtypes}
    sides = tuple(one.side for one in plan.layout.sides)
    for part in windows:
        rows = Rows.of(part)
        bins: Bins = {}
        for dtype in dtypes:
            began = time.process_time()
            one = seen[dtype]

            def take(
                side: Side, layer: int, batch: LayerBatch, one: Seen = one, bins: Bins = bins
            ) -> None:
                one.statistics.update(side, layer, batch)
                shown = plan.layout[side].display_site
                kept = to_half(batch.flat(shown)[batch.rows.index])
                one.display.setdefault((side, layer), []).append(kept)
                for site in batch.sites:
                    found = torch_bins(torch.from_numpy(batch.flat(site)[batch.rows.index]))
                    place = side, layer, site
                    differ = int((bins.setdefault(place, found) != found).sum())
                    one.changed[place] = one.changed.get(place, 0) + differ

            stream(models[dtype], sides, rows, take)
            one.seconds += time.process_time() - began
    return seen


def compared(plan: Plan, of: Seen, reference: Seen, n_tokens: int) -> list[dict[str, Any]]:
    """A row a side and layer."""
    rows = []
    rho = {layer: rhos(plan, of, layer) for layer in range(plan.layout.sides[0].n_layers)}
    known = {layer: rhos(plan, reference, layer) for layer in rho}
    for one, layer in plan.layout.layers():
        row: dict[str, Any] = {"side": one.side, "layer": layer}
        values = n_tokens * one.n_neurons
        row["bins"] = {s: of.changed[one.side, layer, s] / values for s in one.sites}
        row |= top20(plan, of, reference, one.side, layer)
        site = one.display_site
        a = of.statistics.distribution(one.side, layer).compute()[site]
        b = reference.statistics.distribution(one.side, layer).compute()[site]
        with np.errstate(divide="ignore", invalid="ignore"):
            row["mean"] = both(np.abs(a.mean - b.mean) / b.std)
            row["std"] = both(np.abs(a.std / b.std - 1))
            row["kurtosis"] = both(np.abs(a.kurtosis / b.kurtosis - 1))
        x, y = (r[layer] if one.side == "left" else r[layer].T for r in (rho, known))
        row["rho"] = both(np.abs(np.diagonal(x) - np.diagonal(y)))
        row["match"] = float(
            (np.nan_to_num(x, nan=-2).argmax(1) != np.nan_to_num(y, nan=-2).argmax(1)).mean()
        )
        rows.append(row)
    return rows


def rhos(plan: Plan, of: Seen, layer: int) -> np.ndarray:
    """Correlations of all left with all right neurons of a layer, [n, n]."""
    left, right = (np.concatenate(of.display[one.side, layer]) for one in plan.layout.sides)
    cov = covariances(left, right)
    return correlate(cov.across, np.diagonal(cov.left), np.diagonal(cov.right))


def top20(plan: Plan, of: Seen, reference: Seen, side: Side, layer: int) -> dict[str, float]:
    """Mean overlap of the top lists, and the share of versions that have the same one."""
    one, other = (s.statistics.extremes(side, layer).compute()["top"] for s in (of, reference))
    shares = []
    for j in range(len(one.key)):
        a, b = (
            {t for t in zip(r.document[j], r.window[j], r.position[j], strict=True) if t[0] >= 0}
            for r in (one, other)
        )
        shares.append(len(a & b) / max(1, len(b)))
    return {"top20": float(np.mean(shares)), "top20_same": float(np.mean(np.array(shares) == 1))}


def both(values: np.ndarray) -> dict[str, float]:
    """Median and maximum of what is defined."""
    found = values[np.isfinite(values)]
    return {"median": float(np.median(found)), "max": float(found.max())}


def bridge(plan: Plan, windows: list[TokenWindows]) -> dict[str, Any]:
    """Hook capture through the bridge against the lean pass."""
    models = load_models({one.side: plan.versions[one.side] for one in plan.layout.sides}, "cpu")
    found: dict[str, Any] = {"sites": {}}
    lean_seconds = bridge_seconds = 0.0
    for one in plan.layout.sides:
        version = plan.versions[one.side]
        config = TransformerBridgeConfig(**version.config)
        hooked: Any = build_bridge_from_module(
            load_native(version),
            architecture="TransformerLensNative",
            tl_config=config,
            tokenizer=None,
        )
        names = {
            hook_point(layer, s): (layer, s) for layer in range(one.n_layers) for s in one.sites
        }
        for part in windows:
            rows = Rows.of(part)
            mine: dict[tuple[int, Site], torch.Tensor] = {}

            def keep(side: Side, layer: int, batch: LayerBatch, mine: dict = mine) -> None:
                mine.update({(layer, site): values for site, values in batch.sites.items()})

            theirs: dict[tuple[int, Site], torch.Tensor] = {}

            def hook(
                value: torch.Tensor,
                hook: Any,
                place: tuple[int, Site],
                theirs: dict[tuple[int, Site], torch.Tensor] = theirs,
            ) -> None:
                theirs[place] = value.detach()

            # By place, since the bridge calls a hook point by another of its names.
            hooks = [(name, partial(hook, place=place)) for name, place in names.items()]
            lean_seconds += clocked(partial(stream, models, (one.side,), rows, keep))
            with torch.inference_mode():
                tokens = torch.from_numpy(part.tokens).long()
                bridge_seconds += clocked(
                    partial(hooked.run_with_hooks, tokens, fwd_hooks=hooks, return_type=None)
                )
            for place, values in mine.items():
                key = f"{one.side}/{place[0]}/{place[1]}"
                a = values.flatten(0, 1)[torch.from_numpy(rows.index)]
                b = theirs[place].flatten(0, 1)[torch.from_numpy(rows.index)]
                entry = found["sites"].setdefault(
                    key, {"other_bins": 0, "values": 0, "largest": 0.0}
                )
                entry["other_bins"] += int((torch_bins(a) != torch_bins(b)).sum())
                entry["values"] += a.numel()
                entry["largest"] = max(entry["largest"], float((a - b).abs().max() / a.std()))
    n_tokens = sum(part.unmasked for part in windows)
    found["lean_tokens_per_second"] = n_tokens / lean_seconds
    found["bridge_tokens_per_second"] = n_tokens / bridge_seconds
    return found


def clocked(work: Callable[[], object]) -> float:
    """Processor seconds of a call."""
    began = time.process_time()
    work()
    return time.process_time() - began


def report(figures: dict[str, Any]) -> None:
    """Print all as tables."""
    for dtype, rows in figures["dtypes"].items():
        print(f"\n{dtype} against float32; median/largest over versions, at the display site")
        print("side  layer   top20   same   match   rho, mean (sd), std, kurtosis")
        for row in rows:
            pairs = "  ".join(
                f"{row[name]['median']:.1e}/{row[name]['max']:.1e}"
                for name in ("rho", "mean", "std", "kurtosis")
            )
            print(
                f"{row['side']:<6}{row['layer']:>4}{row['top20']:9.4f}{row['top20_same']:7.3f}"
                f"{row['match']:8.4f}   {pairs}"
            )
            other = ", ".join(f"{site} {100 * share:.3f} %" for site, share in row["bins"].items())
            print(f"      other bins: {other}")
    hooks = figures["bridge"]
    print(
        f"\ntokens a second of a core: bridge with hooks {hooks['bridge_tokens_per_second']:,.0f}, "
        f"lean {hooks['lean_tokens_per_second']:,.0f}"
    )
    for key, entry in hooks["sites"].items():
        share = 100 * entry["other_bins"] / entry["values"]
        print(f"  {key:<16} other bins {share:.4f} %, largest difference {entry['largest']:.1e} sd")


def main() -> None:
    """Measure, print, and write the figures where `--json` says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pair", default="pystd-2l")
    parser.add_argument("--corpus", default="stdlib")
    parser.add_argument("--tokens", type=int, default=65_536)
    parser.add_argument("--dtypes", nargs="*", default=["bfloat16", "float16"])
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    plan = make_plan(
        given.pair, given.corpus, tokens=given.tokens, device="cpu", workers=1, seed=0,
        settings=StatisticsSettings(),
    )  # fmt: skip
    shards = some_shards(plan, given.tokens)
    windows = [part for shard in shards for part in batches(shard.windows, plan.batch_windows)]
    n_tokens = sum(part.unmasked for part in windows)
    seen = run(plan, windows, ["float32", *given.dtypes])
    figures = {
        "machine": machine(),
        "pair": plan.pair.slug,
        "tokens": n_tokens,
        "dtypes": {d: compared(plan, seen[d], seen["float32"], n_tokens) for d in given.dtypes},
        "cpu_seconds": {dtype: one.seconds for dtype, one in seen.items()},
        "bridge": bridge(plan, windows[:32]),
    }
    report(figures)
    if given.json:
        given.json.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
