"""Examples: which tokens, in which order, with which values of both versions."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from store.histogram_edges import N_BINS, inner_edges
from store.records import OtherValues, ShownExample, Site
from store.section_ways import MID_PRECISION, POST_PRECISION, stated_bounds
from store.value_codes import PRECISION
from worker.halves import to_half
from worker.settings import StatisticsSettings
from worker.verify.checks import Check
from worker.verify.chosen import Place, Stored, StoredVersion
from worker.verify.corpus_pass import Wanted
from worker.verify.found import Found, Ranked
from worker.verify.rounding import Rounding

Doubles = npt.NDArray[np.float64]
Key = tuple[int, int, int]

_ROUNDING = "measured rounding of a forward pass in single precision, single against double"
_QUANTILE_ALLOWED = 1e-3
_HALF_STEP = 2.0**-10  # rounding may move a half-precision value to its neighbour

#: Bands drawn from the sample by lowest hash, from the lowest quantiles up, and where they begin.
_DRAWN = ("q0-50", "q50-90", "q90-99", "q99-99.9", "q99.9-100")
_EDGES = (500, 900, 990, 999)


def wanted_of(stored: Stored, layout: Any) -> tuple[dict[tuple[int, int], list[Wanted]], int]:
    """Snippets that the examples show, by window: the version's own, the same index, the match.

    They are numbered in the order in which `values` asks for them.
    """
    found: dict[tuple[int, int], list[Wanted]] = defaultdict(list)
    number = 0
    for (side, layer), of_layer in stored.items():
        other = layout.other(side)
        for version in of_layer:
            for shown in version.examples:
                one = shown.example
                for whose in _whose(shown):
                    which, neuron = (
                        (side, one.neuron) if whose is None else (other.side, whose.neuron)
                    )
                    snippet = Wanted(number, -1, which, layer, neuron, one.start, len(shown.tokens))
                    found[one.document, one.window].append(snippet)
                    number += 1
    return dict(found), number


def _whose(shown: ShownExample) -> list[OtherValues | None]:
    """None for the version itself, then the other versions that are there."""
    one = shown.example
    return [None, *(other for other in (one.same_index, one.match) if other is not None)]


def values(
    stored: Stored,
    found: Found,
    layout: Any,
    rounding: dict[Any, Rounding],
    others: dict[Place, Any],
) -> list[Check]:
    """Activations, snippets, tokens and the other version's quantile."""
    tokens = Check("example tokens", "none: token ids")
    activation = Check("example activations", _ROUNDING)
    own = Check(
        "example snippet values",
        f"as it is stored, pre {PRECISION:g} and mid {MID_PRECISION:g} of it, post "
        f"{POST_PRECISION:g} of what it is made of, and {_ROUNDING}",
    )
    theirs = Check("other version's snippet values", own.tolerance)
    quantile = Check(
        "other version's quantile",
        f"{_QUANTILE_ALLOWED:g}: within a histogram's bin, and how far it is moved by the "
        f"{_ROUNDING}",
    )
    number = 0
    for (side, layer), of_layer in stored.items():
        other = layout.other(side)
        for j, version in enumerate(of_layer):
            for shown in version.examples:
                one = shown.example
                where = f"{version.name} {one.band} {one.rank}"
                window = found.windows.get((one.document, one.window))
                part = slice(one.start, one.start + len(shown.tokens))
                same = window is not None and np.array_equal(window[part], shown.tokens)
                tokens.exact(where, bool(same))
                for whose in _whose(shown):
                    computed, terms = found.snippets.get(number), found.terms.get(number)
                    number += 1
                    if computed is None:
                        own.exact(where, False)
                        continue
                    if whose is None:
                        r = {site: rounding[side, layer, site] for site in layout[side].sites}
                        _snippet(own, where, one.values, computed, terms, shown.focus, r, j)
                        display = rounding[side, layer, version.record.display_site]
                        z = float(computed[version.record.display_site][shown.focus])
                        allowed = float(display.part[j] * (abs(z) + display.scale[j])) + 1e-12
                        activation.compare(where, one.activation, z, allowed)
                    else:
                        name = "match" if whose is one.match else "same index"
                        r = {site: rounding[other.side, layer, site] for site in other.sites}
                        _snippet(
                            *(theirs, f"{where} {name}", whose.values, computed, terms),
                            *(shown.focus, r, None),
                        )
                        z = float(computed[other.display_site][shown.focus])
                        of_one, scale = _widest(r[other.display_site])
                        share, moved = _share_and_rounding(
                            others[other.side, layer], whose.neuron, z, of_one * (abs(z) + scale)
                        )
                        quantile.compare(
                            *(f"{where} {name}", whose.quantile, share),
                            _QUANTILE_ALLOWED + moved,
                        )
    return [tokens, activation, own, theirs, quantile]


def _snippet(
    check: Check,
    where: str,
    stored: Any,
    computed: dict[Site, npt.NDArray[np.float32]],
    terms: npt.NDArray[np.float32] | None,
    focus: int,
    rounding: dict[Site, Rounding],
    j: int | None,
) -> None:
    """Values at all sites, the first token's (BOS) too. `j` is the neuron's place among the chosen
    ones; another model's neuron is judged by the widest of its layer."""
    if set(stored) != set(computed):
        check.exact(f"{where} sites", False)
        return
    bounds = stated_bounds(computed, terms)
    for site, found in computed.items():
        z = found.astype(np.float64)
        if len(stored[site]) != len(z):
            check.exact(f"{where} {site} length", False)
            continue
        r = rounding[site]
        part, scale = _widest(r) if j is None else (float(r.part[j]), float(r.scale[j]))
        allowed = bounds[site] * (1 + 1e-6) + part * (np.abs(z) + scale)
        check.many(
            lambda i, site=site: f"{where} {site} {i - focus:+d}",  # type: ignore[misc]
            np.asarray(stored[site], np.float64) - to_half_range(z),
            allowed,
        )


def _widest(rounding: Rounding) -> tuple[float, float]:
    """`part` and `scale` of the neuron whose activations may lie farthest apart."""
    return float(rounding.part.max(initial=2.0**-21)), float(rounding.scale.max(initial=0.0))


def to_half_range(values: Doubles) -> Doubles:
    """Values beyond half precision's range stand at its ends."""
    limit = float(np.finfo(np.float16).max)
    return np.clip(values, -limit, limit)


@dataclass(frozen=True)
class Shares:
    """Histograms of some neurons of a layer: [m, 387] counts, minima and maxima."""

    neurons: npt.NDArray[np.int64]
    counts: npt.NDArray[np.int64]
    least: Doubles
    most: Doubles


def _share_and_rounding(
    of: Shares, neuron: int, value: float, rounding: float
) -> tuple[float | None, float]:
    """The share below a value, and how far a value that is off by `rounding` moves it.

    Mostly by nothing that counts; but where many tokens lie in a narrow bin (GeLU's lowest
    activations), or at the highest value, below which all tokens but itself are.
    """
    share = _share_below(of, neuron, value)
    if share is None:
        return None, 0.0
    ends = (_share_below(of, neuron, value - rounding), _share_below(of, neuron, value + rounding))
    return share, max(abs(end - share) for end in ends if end is not None)


def _share_below(of: Shares, neuron: int, value: float) -> float | None:
    """Share of tokens below a value: whole bins, and within its own as if spread evenly."""
    at = np.flatnonzero(of.neurons == neuron)
    if not len(at):
        return None
    j = int(at[0])
    counts, n = of.counts[j], int(of.counts[j].sum())
    edges = inner_edges().astype(np.float64)
    side = "right" if value >= 0 else "left"
    bin_ = int(np.searchsorted(edges, value, side=cast(Any, side)))
    low = max(edges[bin_ - 1] if bin_ else -np.inf, of.least[j])
    high = min(edges[bin_] if bin_ < N_BINS - 1 else np.inf, of.most[j])
    within = min(max((value - low) / (high - low), 0.0), 1.0) if high > low else 0.0
    below = float(counts[:bin_].sum() + within * counts[bin_])
    if value <= of.most[j]:
        below = min(below, n - 1.0)
    return below / max(1, n)


def ranks(
    stored: Stored,
    found: Found,
    layout: Any,
    rounding: dict[Any, Rounding],
    settings: StatisticsSettings,
) -> list[Check]:
    """Which tokens each band shows, in their order.

    Where the brute force finds the very same tokens, nothing is left to say. Where it does not,
    rounding may have moved a token past another: then each rank's value must still be right.
    """
    top = Check("example ranks: top and bottom", f"tokens that lie within {_ROUNDING}")
    drawn = Check(
        "example ranks: drawn bands",
        "tokens whose half-precision value lies within a step of a band's edge",
    )
    edges = Check("bands' edges", "a step of half precision")
    sample = _Sample.of(found)
    for place, of_layer in stored.items():
        one = layout[place[0]]
        for j, version in enumerate(of_layer):
            bands: dict[str, list[ShownExample]] = defaultdict(list)
            for shown in version.examples:
                bands[shown.example.band].append(shown)
            r = rounding[(*place, one.display_site)]
            part, scale = float(r.part[j]), float(r.scale[j])
            for name, sign, lists in (("top", -1.0, found.top), ("bottom", 1.0, found.bottom)):
                _extremes(
                    top, version, name, bands[name], sign, lists[place][j], part, scale, found
                )
            display = sample.halves((*place, one.display_site), j)
            step = _HALF_STEP * np.abs(display) + part * (np.abs(display) + scale) + 2.0**-24
            _drawn(drawn, edges, version, bands, sample, display, step, settings.drawn)
            if one.has_layer_norm:
                post = sample.halves((*place, "post"), j)
                pre = sample.halves((*place, "pre"), j)
                _lifted(drawn, version, bands["lifted"], sample, display, step, post, pre, settings)
    return [top, drawn, edges]


def _key(shown: ShownExample) -> Key:
    one = shown.example
    return one.document, one.window, one.position


def _extremes(
    check: Check,
    version: StoredVersion,
    band: str,
    shown: list[ShownExample],
    sign: float,
    expected: Ranked,
    part: float,
    scale: float,
    found: Found,
) -> None:
    check.exact(f"{version.name} {band} count", len(shown) == len(expected))
    if [_key(one) for one in shown] == [token[2:] for token in expected]:
        check.n += len(shown)
        return
    documents = [one.example.document for one in shown]
    check.exact(f"{version.name} {band}: one a document", len(set(documents)) == len(documents))
    for rank, (one, token) in enumerate(zip(shown, expected, strict=False)):
        value = sign * token[0]
        # What stands there is compared with what was computed at its place elsewhere.
        check.compare(
            f"{version.name} {band} {rank}",
            one.example.activation,
            value,
            2 * part * (abs(value) + scale) + 1e-12,
        )


@dataclass(frozen=True)
class _Sample:
    """The token sample's rows, by ascending hash."""

    hashes: npt.NDArray[np.uint64]
    keys: list[Key]
    values: dict[Any, npt.NDArray[np.float32]]

    @classmethod
    def of(cls, found: Found) -> _Sample:
        hashes = np.concatenate([part.hashes for part in found.rows])
        order = np.argsort(hashes, kind="stable")
        keys = np.concatenate([part.keys for part in found.rows])[order]
        spots = found.rows[0].values if found.rows else {}
        values = {
            spot: np.concatenate([part.values[spot] for part in found.rows])[order]
            for spot in spots
        }
        return cls(hashes[order], [cast(Key, tuple(key)) for key in keys.tolist()], values)

    def halves(self, spot: Any, j: int) -> Doubles:
        """A neuron's values as the run has them: half precision."""
        found: Doubles = to_half(self.values[spot][:, j]).astype(np.float64)
        return found


def _drawn(
    check: Check,
    edges: Check,
    version: StoredVersion,
    bands: dict[str, list[ShownExample]],
    sample: _Sample,
    display: Doubles,
    step: Doubles,
    m: int,
) -> None:
    size = len(display)
    if not size:
        return
    starts = [0, *(-(-edge * size // 1000) for edge in _EDGES), size]
    ranked = np.lexsort([np.arange(size), display])  # ties by hash: rows stand in its order
    place = np.empty(size, np.int64)
    place[ranked] = np.arange(size)
    ascending = display[ranked]
    for i, (name, start) in enumerate(
        zip(("q50", "q90", "q99", "q99.9"), starts[1:5], strict=True)
    ):
        value = float(ascending[min(start, size - 1)])
        stored = None if version.record.band_edges is None else version.record.band_edges[i]
        at = ranked[min(start, size - 1)]
        edges.compare(f"{version.name} {name}", stored, value, float(step[at]))
    for name, start, end in zip(_DRAWN, starts, starts[1:], strict=False):
        shown = [_key(one) for one in bands[name]]
        inside = np.flatnonzero((place >= start) & (place < end))[:m]
        if shown == [sample.keys[row] for row in inside.tolist()]:
            check.n += len(shown)
            continue
        low = -np.inf if start == 0 else ascending[start]
        high = np.inf if end == size else ascending[end]
        certain = (display - step > low) & (display + step < high)
        possible = (display + step >= low) & (display - step <= high)
        _consistent(check, f"{version.name} {name}", shown, sample, certain, possible, m)


def _consistent(
    check: Check,
    where: str,
    shown: list[Key],
    sample: _Sample,
    certain: npt.NDArray[np.bool_],
    possible: npt.NDArray[np.bool_],
    m: int,
) -> None:
    """The m lowest hashes of a band whose members are not all certain: every certain one up to the
    last shown is shown, and every shown one is possible."""
    rows = {key: row for row, key in enumerate(sample.keys)}
    places = [rows.get(key, -1) for key in shown]
    check.exact(f"{where} order", places == sorted(places) and -1 not in places)
    last = max(places, default=-1) if len(shown) == m else len(certain) - 1
    for rank, row in enumerate(places):
        check.exact(f"{where} {rank}", row >= 0 and bool(possible[row]))
    left = set(np.flatnonzero(certain[: last + 1]).tolist()) - set(places)
    check.exact(f"{where} whole", not left)


def _lifted(
    check: Check,
    version: StoredVersion,
    bands: list[ShownExample],
    sample: _Sample,
    display: Doubles,
    step: Doubles,
    post: Doubles,
    pre: Doubles,
    settings: StatisticsSettings,
) -> None:
    size = len(display)
    if not size:
        return
    median = np.sort(display)[min(-(-500 * size // 1000), size - 1)]
    keys = np.array(sample.keys, np.int64).reshape(-1, 3)
    below = np.flatnonzero(display < median)
    order = np.lexsort([keys[below, 2], keys[below, 1], keys[below, 0], -pre[below], -post[below]])
    expected = below[order][: settings.drawn]
    shown = [_key(one) for one in bands]
    if shown == [sample.keys[row] for row in expected.tolist()]:
        check.n += len(shown)
        return
    check.exact(f"{version.name} lifted count", len(shown) == len(expected))
    rows = {key: row for row, key in enumerate(sample.keys)}
    for rank, (key, right) in enumerate(zip(shown, expected.tolist(), strict=False)):
        where, row = f"{version.name} lifted {rank}", rows.get(key)
        if row is None:
            check.exact(where, False)
            continue
        check.exact(f"{where} below the median", bool(display[row] - step[row] < median))
        allowed = 4 * _HALF_STEP * abs(float(post[right])) + 2.0**-20
        check.compare(where, float(post[row]), float(post[right]), allowed)
