"""Sections of values packed, of many versions at once: an array operation on some thousand numbers
costs little more than one on a few.

    sections = pack_sections([Numbers({"pre": ..., "mid": ...}, scales), ...])

What a section holds is said in `store.example_packing`. Each is what it would be alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from store import code_streams, value_codes
from store.records import SITES, FloatArray, HalfArray, Site
from store.section_ways import AFFINE, FUNCTION, PLAIN, SOLU, Doubles, Singles, bound, derived
from store.token_scales import scale_codes, scales_of
from store.value_codes import FUNCTIONS

#: Of a site's values, how many may be stored themselves before all of them are.
_FEW = 0.1


@dataclass(frozen=True)
class Numbers:
    """What a section is made of: a role's values by site, [tokens] each, none where no example has
    the role; and these tokens' scales, [3, tokens], None where some are unknown."""

    values: Mapping[Site, HalfArray]
    scales: FloatArray | None


def pack_sections(asked: Sequence[Numbers]) -> list[bytes]:
    """A section each, in their order."""
    made = [b"\0"] * len(asked)
    scales = _as_read([one.scales for one in asked])
    alike: dict[tuple[tuple[Site, ...], bool], list[int]] = {}
    for i, one in enumerate(asked):
        sites = tuple(site for site in SITES if site in one.values)
        if sites:
            alike.setdefault((sites, scales[i] is not None), []).append(i)
    for (sites, _), places in alike.items():
        group = _Group(sites, [asked[i].values for i in places], [scales[i] for i in places])
        for i, section in zip(places, group.sections(), strict=True):
            made[i] = section
    return made


def _as_read(scales: Sequence[FloatArray | None]) -> list[Singles | None]:
    """Scales as they will be read; None where one of them is not stored."""
    given = [one for one in scales if one is not None]
    if not given:
        return [None] * len(scales)
    codes, there = scale_codes(np.concatenate(given, axis=1))
    read = scales_of(codes)
    made: list[Singles | None] = []
    end = 0
    for one in scales:
        start, end = end, end + (0 if one is None else one.shape[1])
        known = one is not None and bool(there[start:end].all())
        made.append(read[:, start:end] if known else None)
    return made


class _Group:
    """Sections of the same sites, all with scales or none, one after the other."""

    def __init__(
        self,
        sites: tuple[Site, ...],
        values: Sequence[Mapping[Site, HalfArray]],
        scales: Sequence[Singles | None],
    ) -> None:
        self._exact: dict[Site, Doubles] = {
            site: np.concatenate([one[site] for one in values]).astype(np.float64) for site in sites
        }
        known = [one for one in scales if one is not None]
        self._scales = np.concatenate(known, axis=1) if known else None
        self._lengths = np.array([len(one[sites[0]]) for one in values])
        self._edges = [0, *np.cumsum(self._lengths).tolist()]
        self._read: dict[Site, Singles] = {}  # values as they will be read

    def sections(self) -> list[bytes]:
        made = [[bytes([sum(1 << SITES.index(site) for site in self._exact)])] for _ in self]
        for site in self._exact:
            for parts, (way, further) in zip(made, self._site(site), strict=True):
                parts.append(further if site == next(iter(self._exact)) else bytes([way]) + further)
        return [b"".join(parts) for parts in made]

    def __iter__(self) -> Iterator[slice]:
        """Where each section stands."""
        return (slice(start, end) for start, end in pairwise(self._edges))

    def _site(self, site: Site) -> list[tuple[int, bytes]]:
        """Of each section the way that its site is made, and what is packed for that."""
        exact = self._exact[site]
        ways, parameters, made, stored = self._ways_of(site)
        codes = value_codes.encode(exact[stored])
        made[stored] = value_codes.decode(codes)
        self._read[site] = made
        places = np.flatnonzero(stored)
        ends = np.searchsorted(places, self._edges)
        found = []
        for i, (here, start, end) in enumerate(zip(self, ends, ends[1:], strict=False)):
            mine, n = codes[start:end], here.stop - here.start
            if ways[i] == PLAIN:
                packed = code_streams.pack(mine)
            else:
                packed = parameters[i].tobytes() if ways[i] == AFFINE else b""
                packed += code_streams.pack_some(places[start:end] - here.start, mine, n)
            found.append((int(ways[i]), packed))
        return found

    def _ways_of(
        self, site: Site
    ) -> tuple[npt.NDArray[np.int64], Singles, Singles, npt.NDArray[np.bool_]]:
        """How each section's site is made best from those before it: ways, parameters [sections,
        2], what they give [n], and which values are stored themselves [n]."""
        exact = self._exact[site]
        ways = np.full(len(self._lengths), PLAIN)
        parameters = np.zeros((len(ways), 2), "<f4")
        made, stored = np.zeros(len(exact), np.float32), np.ones(len(exact), bool)
        for way in self._candidates(site):
            if way == AFFINE:
                parameters[:] = [self._fit(here) for here in self]
            of_all = list(np.repeat(parameters, self._lengths, axis=0).T)
            given = derived(way, of_all, self._read, self._scales)
            off = np.abs(given.astype(np.float16).astype(np.float64) - exact)
            misses = ~(off <= bound(way, of_all, self._exact, self._read, self._scales, site))
            before = np.concatenate([[0], np.cumsum(misses)])[self._edges]
            taken = (ways == PLAIN) & (np.diff(before) <= _FEW * self._lengths)
            ways[taken] = way
            here = np.repeat(taken, self._lengths)
            made[here], stored[here] = given[here], misses[here]
            if (ways != PLAIN).all():
                break
        return ways, parameters, made, stored

    def _candidates(self, site: Site) -> Iterator[int]:
        """Ways that may do."""
        if site == "pre" or "pre" not in self._exact:
            return
        before_norm = site == "post" and "mid" in self._exact
        if site == "post" and not before_norm:
            yield from range(FUNCTION, FUNCTION + len(FUNCTIONS))
        elif self._scales is not None:
            yield AFFINE if before_norm else SOLU

    def _fit(self, here: slice) -> tuple[float, float]:
        """Weight and bias of the LayerNorm at a neuron: least squares of relative errors, the
        second time without what lies far off."""
        assert self._scales is not None
        scales = self._scales[:, here]
        normal = self._exact["mid"][here] * scales[2] - scales[1].astype(np.float64)
        post = self._exact["post"][here]
        care = 1 / (np.abs(normal) + 0.05)
        weight, bias = _line(normal, post, care**2)
        off = np.abs(post - (weight * normal + bias)) * care
        near = off <= 8 * np.median(off) + 1e-4
        return _line(normal[near], post[near], care[near] ** 2)


def _line(x: Doubles, y: Doubles, care: Doubles) -> tuple[float, float]:
    """Slope and intercept in single precision."""
    total = care.sum()
    x_mean, y_mean = (care * x).sum() / total, (care * y).sum() / total
    spread = (care * (x - x_mean) ** 2).sum()
    slope = (care * (x - x_mean) * (y - y_mean)).sum() / spread if spread > 0 else 0.0
    return float(np.float32(slope)), float(np.float32(y_mean - slope * x_mean))
