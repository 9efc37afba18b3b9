"""How a site's values follow from those of sites before it, and how far they may lie from what was
computed: what those who pack sections (`store.section_packing`) and those who read them
(`store.example_packing`) must agree on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from store import value_codes
from store.records import Site
from store.value_codes import HALF_ABSOLUTE, HALF_RELATIVE, STEEPEST, allowed

#: How a site is made: from its own codes, by SoLU, by LayerNorm, by a function (FUNCTION + its
#: number).
PLAIN, SOLU, AFFINE, FUNCTION = 0, 1, 2, 3

#: How far `mid` may lie from what was computed, in parts of it; and `post` after a LayerNorm, in
#: parts of (|mid| + |mean|) / deviation · |weight|, the terms that it is made of.
MID_PRECISION = 0.015
POST_PRECISION = 0.02

Singles = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]


def derived(
    way: int,
    parameters: Sequence[npt.ArrayLike],
    values: Mapping[Site, Singles],
    scales: Singles | None,
) -> Singles:
    """What a way gives from the sites before, [n]. parameters: of AFFINE weight and bias, of all or
    [n] each; scales: [3, n], which SOLU and AFFINE need."""
    if way >= FUNCTION:
        codes = value_codes.encode(values["pre"])
        return value_codes.function_values(way - FUNCTION, codes)
    assert scales is not None
    if way == SOLU:
        pre = values["pre"]
        made: Singles = pre * np.exp(np.minimum(pre - scales[0], 0))
    else:
        weight, bias = (np.asarray(each, np.float32) for each in parameters)
        made = (values["mid"] * scales[2] - scales[1]) * weight + bias
    return np.clip(made, -65_504, 65_504)


def bound(
    way: int,
    parameters: Sequence[npt.ArrayLike],
    exact: Mapping[Site, Doubles],
    values: Mapping[Site, Singles],
    scales: Singles | None,
    site: Site,
) -> Doubles:
    """How far what a way gives may lie from what was computed, [n]: the stated precision."""
    rounding = 2 * (HALF_RELATIVE * np.abs(exact[site]) + HALF_ABSOLUTE)
    found: Doubles
    if way >= FUNCTION:
        found = _function_allowed(exact["pre"]) + rounding
        return found
    if way == SOLU:
        found = MID_PRECISION * np.abs(exact[site]) + rounding
        return found
    assert scales is not None
    terms = np.abs(values["mid"] * scales[2]) + np.abs(scales[1])
    found = POST_PRECISION * terms.astype(np.float64) * np.abs(parameters[0]) + rounding
    return found


def stated_bounds(
    computed: Mapping[Site, npt.ArrayLike], terms: npt.ArrayLike | None = None
) -> dict[Site, Doubles]:
    """How far a snippet's stored values may lie from those that were computed, at each site.

    `terms`: of `post` after a LayerNorm what POST_PRECISION is a part of.
    """
    made: dict[Site, Doubles] = {}
    for site, numbers in computed.items():
        exact = np.abs(np.asarray(numbers, np.float64))
        by_others = 0 * exact
        if site == "mid":
            by_others = MID_PRECISION * exact
        elif site == "post" and "mid" in computed:
            by_others = POST_PRECISION * 1.02 * np.asarray(0 if terms is None else terms, float)
        elif site == "post" and "pre" in computed:
            by_others = _function_allowed(computed["pre"])
        rounding = 3 * (HALF_RELATIVE * exact + HALF_ABSOLUTE)
        made[site] = np.maximum(allowed(numbers), by_others + rounding)
    return made


def _function_allowed(pre: npt.ArrayLike) -> Doubles:
    """How far a function's value may lie from that of these."""
    found: Doubles = STEEPEST * allowed(pre)
    return found
