"""Versions of a layer that fire on tokens, packed: what a row of the inverted index holds.

    packed = pack_firing([Firing(neurons, mean, mean_sd, highest, highest_sd), ...], spread)
    neurons, mean, mean_sd, highest, highest_sd = unpack_firing(packed[0], spread)

firing      a byte, whether means and maxima follow; the code of the first mean in SD "<i2"
            (`store.log_codes`), then frames (`store.bit_frames`) of neuron ids, of the codes of
            means in SD, each less the one before, and of maxima in SD, less those of the means;
            where they do not follow also of means and maxima
spread      means, then standard deviations, "<f4"
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from store import bit_frames, log_codes
from store.packing import LARGEST_HALF, pack_singles, unpack_singles
from store.records import FloatArray, HalfArray, TokenArray

Longs = npt.NDArray[np.int64]

_FIRST = np.dtype("<i2")


class Firing(NamedTuple):
    """Versions that fire on a token, [length] each: their numbers, and their means and maxima on
    it, as they are and in standard deviations."""

    neurons: npt.ArrayLike
    mean: npt.ArrayLike
    mean_sd: npt.ArrayLike
    highest: npt.ArrayLike
    highest_sd: npt.ArrayLike


def pack_firing(of_tokens: Sequence[Firing], spread: FloatArray | None = None) -> list[bytes]:
    """What fires on each of some tokens, of one layer. ValueError if lengths or signs are wrong.

    `spread`: means and standard deviations of the layer's versions, [2, n]; with it, what is not in
    standard deviations is left out wherever it follows.
    """
    if not of_tokens:
        return []
    ids, mean, mean_sd, highest, highest_sd = (
        [np.asarray(values) for values in column] for column in zip(*of_tokens, strict=True)
    )
    lengths = [len(of_token) for of_token in ids]
    for each in (mean, mean_sd, highest, highest_sd):
        if [values.shape for values in each] != [(length,) for length in lengths]:
            raise ValueError("versions on a token and their values differ in number")
    neurons = np.concatenate(ids).astype(np.int64)
    if neurons.min(initial=0) < 0:
        raise ValueError(f"{neurons.min()} is no neuron")
    both = np.array([np.concatenate(mean), np.concatenate(highest)], np.float32)
    both_sd = np.array([np.concatenate(mean_sd), np.concatenate(highest_sd)], np.float32)
    if not (np.isfinite(both).all() and np.isfinite(both_sd).all()):
        raise ValueError("a version on a token has a value that is not finite")
    codes = log_codes.encode(both_sd)
    follow = np.zeros(len(neurons), bool)
    if spread is not None:
        follow = _follow(codes, both, neurons, spread)
    edges = [0, *np.cumsum(lengths).tolist()]
    # By descending mean in SD: small steps. A token that is there once has one activation.
    steps = np.diff(codes[0], prepend=0)
    starts = np.array(edges[:-1])[np.array(lengths) > 0]
    steps[starts] = 0
    columns = np.array([neurons, steps, codes[1] - codes[0]])
    packed = bit_frames.pack_all(columns, lengths)
    made = []
    for (start, end), frames in zip(pairwise(edges), packed, strict=True):
        here = slice(start, end)
        follows = spread is not None and bool(follow[here].all())
        if not follows:
            frames = bit_frames.pack([*columns[:, here], *log_codes.encode(both[:, here])])
        first = codes[0, start : start + 1] if end > start else 0
        made.append(bytes([follows]) + np.array(first, _FIRST).tobytes() + frames)
    return made


def unpack_firing(
    packed: bytes, spread: FloatArray | None = None
) -> tuple[TokenArray, FloatArray, FloatArray, HalfArray, FloatArray]:
    """Neurons, means, means in SD, maxima and maxima in SD of `pack_firing`, with its spread."""
    follows = bool(packed[0])
    first = int.from_bytes(packed[1:3], "little", signed=True)
    neurons, steps, *columns = bit_frames.unpack(packed[3:], 3 if follows else 5)
    codes = np.cumsum(steps) + first
    mean_sd, highest_sd = log_codes.decode(codes), log_codes.decode(columns[0] + codes)
    if not follows:
        mean, highest = log_codes.decode(columns[1]), log_codes.decode(columns[2])
    elif spread is not None:
        mean, highest = (_from_sd(each, neurons, spread) for each in (mean_sd, highest_sd))
    else:
        raise ValueError("the spread of a layer's versions is missing")
    halves = np.clip(highest, -LARGEST_HALF, LARGEST_HALF).astype(np.float16)
    return neurons.astype(np.int32), mean, mean_sd, halves, highest_sd


def _from_sd(in_sd: FloatArray, ids: Longs, spread: FloatArray) -> FloatArray:
    found: FloatArray = in_sd * spread[1][ids] + spread[0][ids]
    return found


def _follow(
    codes: Longs, exact: FloatArray, ids: Longs, spread: FloatArray
) -> npt.NDArray[np.bool_]:
    """[length]: whether a version's values [2, length] follow from those in SD, each to a part of
    its distance from the mean."""
    known = ids < spread.shape[1]
    ids = np.where(known, ids, 0)
    in_sd = log_codes.decode(codes)
    off = np.abs(_from_sd(in_sd, ids, spread) - exact)
    distance = np.abs(in_sd * spread[1][ids])
    allowed = log_codes.PRECISION * distance + 2.0**-11 * np.abs(exact) + 2.0**-24
    found: npt.NDArray[np.bool_] = (off <= allowed).all(axis=0) & known
    return found


def pack_spread(mean: npt.ArrayLike, std: npt.ArrayLike) -> bytes:
    """Means and standard deviations of the versions of a layer."""
    return pack_singles(np.stack([np.asarray(mean), np.asarray(std)]))


def unpack_spread(packed: bytes) -> FloatArray:
    """The numbers of `pack_spread`, [2, n]."""
    return unpack_singles(packed).reshape(2, -1)
