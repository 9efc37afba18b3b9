"""How far two right ways of computing an activation may lie apart, measured on the run's models."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from store.records import Site
from worker.plan import Plan
from worker.verify.chosen import Chosen, Longs
from worker.verify.found import Doubles, Spot
from worker.verify.plain import PlainModels, activations
from worker.verify.survey import windows_of


@dataclass(frozen=True)
class Rounding:
    """How far two ways of computing the same activation may lie apart, for the chosen neurons of
    one site [m]: `part` · (|z| + `scale`). `pivot` is near the mean, for the sums of powers."""

    part: Doubles
    scale: Doubles
    pivot: Doubles

    def allowed(self, values: npt.ArrayLike) -> Doubles:
        """For values [..., m]."""
        found: Doubles = self.part * (np.abs(np.asarray(values, np.float64)) + self.scale)
        return found


def measure_rounding(
    plan: Plan, chosen: Chosen, models: PlainModels, tokens: int = 4096
) -> dict[Spot, Rounding]:
    """From single against double precision on the first windows of the corpus.

    Eight times the largest difference seen, and at least 2⁻²¹ of (|z| + its root mean square): the
    run's own pass has another batch, other kernels, another order of sums.
    """
    size = max(1, tokens // plan.n_ctx)
    windows = next(windows_of(plan, size))
    rows = np.flatnonzero(windows.mask)
    ids = models.tokens(windows.tokens)
    found: dict[Spot, Rounding] = {}
    for one in plan.layout.sides:
        model = models[one.side]
        single = {
            key: values.flatten(0, 1).double().cpu().numpy()[rows]
            for key, values in activations(model, ids).items()
        }
        exact = (
            single if models.device.type == "mps" else _in_double(models, one.side, ids, rows)
        )  # MPS has no float64
        for (layer, site), values in single.items():
            neurons = chosen[one.side, layer]
            z = values[:, neurons]
            scale = np.sqrt((z * z).mean(0))
            with np.errstate(divide="ignore", invalid="ignore"):
                off = np.abs(z - exact[layer, site][:, neurons]) / (np.abs(z) + scale)
            part = np.maximum(8 * np.nan_to_num(off).max(0, initial=0.0), 2.0**-21)
            found[one.side, layer, site] = Rounding(part, scale, z.mean(0))
    return found


def _in_double(
    models: PlainModels, side: str, ids: torch.Tensor, rows: Longs
) -> dict[tuple[int, Site], Doubles]:
    model = models[side].double()
    try:
        return {
            key: values.flatten(0, 1).cpu().numpy()[rows]
            for key, values in activations(model, ids).items()
        }
    finally:
        model.float()
