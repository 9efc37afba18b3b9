"""Packed arrays: every dtype that the database holds is named here, all little-endian.

counts      Zlib of byte planes of "<i8": 0.4 KiB for 387 bins, where plain zlib takes 0.7
token ids   "<u2" where the vocabulary has up to 65,536 tokens, else "<u4"
values      a byte that says which sites (bit i: SITES[i]), then "<f2" [site, length]; not
            compressed, since half-precision activations are noise to zlib
effects     token ids, then "<f4" of the same length
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from store.records import SITES, CountArray, HalfArray, Site, TokenArray

COUNT_DTYPE = np.dtype("<i8")
VALUE_DTYPE = np.dtype("<f2")
EFFECT_DTYPE = np.dtype("<f4")


def token_dtype(n_tokens: int) -> np.dtype[np.unsignedinteger]:
    """The dtype of token ids in a vocabulary of `n_tokens`."""
    return np.dtype("<u2") if n_tokens <= 1 << 16 else np.dtype("<u4")


def pack_counts(counts: CountArray) -> bytes:
    """Histogram counts [bins] → zlib of their eight byte planes, lowest first."""
    planes = np.ascontiguousarray(counts, dtype=COUNT_DTYPE).view(np.uint8)
    return zlib.compress(planes.reshape(-1, COUNT_DTYPE.itemsize).T.tobytes())


def unpack_counts(packed: bytes) -> CountArray:
    """The counts of `pack_counts`, [bins] int64."""
    planes = np.frombuffer(zlib.decompress(packed), np.uint8).reshape(COUNT_DTYPE.itemsize, -1)
    return np.ascontiguousarray(planes.T).view(COUNT_DTYPE).ravel().astype(np.int64, copy=False)


def pack_tokens(tokens: npt.ArrayLike, n_tokens: int) -> bytes:
    """Token ids [length] of a vocabulary of `n_tokens`; ValueError for an id outside it."""
    ids = np.asarray(tokens)
    if ids.size and (ids.min() < 0 or ids.max() >= n_tokens):
        raise ValueError(f"token ids {ids.min()}–{ids.max()} outside a vocabulary of {n_tokens}")
    return ids.astype(token_dtype(n_tokens)).tobytes()


def unpack_tokens(packed: bytes, n_tokens: int) -> TokenArray:
    """The ids of `pack_tokens`, [length] int32."""
    return np.frombuffer(packed, token_dtype(n_tokens)).astype(np.int32)


def pack_values(values: Mapping[Site, HalfArray]) -> bytes:
    """Values [length] per site; ValueError if the sites' lengths differ."""
    sites = [site for site in SITES if site in values]
    arrays = [np.asarray(values[site], dtype=VALUE_DTYPE) for site in sites]
    if len({array.shape for array in arrays}) > 1:
        raise ValueError("values of one snippet differ in length between sites")
    mask = sum(1 << SITES.index(site) for site in sites)
    return bytes([mask]) + b"".join(array.tobytes() for array in arrays)


def unpack_values(packed: bytes) -> dict[Site, HalfArray]:
    """The values of `pack_values`; arrays are read-only."""
    sites = [site for bit, site in enumerate(SITES) if packed[0] >> bit & 1]
    rows = np.frombuffer(packed, VALUE_DTYPE, offset=1).reshape(max(len(sites), 1), -1)
    return {site: rows[i].astype(np.float16, copy=False) for i, site in enumerate(sites)}


def pack_effects(effects: Sequence[tuple[int, float]], n_tokens: int) -> bytes:
    """(token id, effect) pairs in their order; ids first, then effects in single precision."""
    ids = pack_tokens([token for token, _ in effects], n_tokens)
    return ids + np.array([effect for _, effect in effects], EFFECT_DTYPE).tobytes()


def unpack_effects(packed: bytes, n_tokens: int) -> tuple[tuple[int, float], ...]:
    """The pairs of `pack_effects`."""
    width = token_dtype(n_tokens).itemsize
    length = len(packed) // (width + EFFECT_DTYPE.itemsize)
    ids = unpack_tokens(packed[: length * width], n_tokens)
    effects = np.frombuffer(packed, EFFECT_DTYPE, offset=length * width)
    return tuple(zip(ids.tolist(), effects.tolist(), strict=True))
