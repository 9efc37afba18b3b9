"""What SoLU and its LayerNorm divide a token's activations by: shared by all neurons of a layer.

SoLU's `mid` is pre · exp(pre − log Z), with log Z = log Σ exp(pre) over the layer; LayerNorm's
`post` is (mid − mean) / deviation · weight + bias. With these three numbers of a token a
neuron's `mid` and `post` follow from its `pre`, so examples need hardly store them
(`store.example_packing`).

packed      the window's length "<u2"; a bit for each position, whether it has scales; then frames
            (`store.bit_frames`) of their codes
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from store import bit_frames
from store.bulk import Row
from store.records import FloatArray, Side

#: Codes of log Z a unit, and of the other two an octave: what costs least in all. Coarser, and more
#: values miss their prediction; finer, and the scales take more than that saves.
_OF_LOG_Z = 128
_OF_OCTAVE = np.array([[200], [100]])
_LOWEST = -40


@dataclass(frozen=True)
class TokenScalesRecord:
    """Scales of one window's tokens at one layer of one side.

    `scales` is [3, length] by position in the window: log Z; mean / deviation of `mid` over the
    layer's neurons; 1 / deviation, as LayerNorm takes it. NaN where no example needs them.
    """

    side: Side
    layer: int
    document: int
    window: int
    scales: FloatArray


def of_token_scales(run_key: int, record: TokenScalesRecord) -> Row:
    """A row of `token_scale`."""
    place = record.side, int(record.layer), int(record.document), int(record.window)
    return run_key, *place, pack_scales(record.scales)


def pack_scales(scales: npt.ArrayLike) -> bytes:
    """Scales [3, length]; a position where one of them is not finite or out of range has none."""
    exact = np.asarray(scales, np.float64)
    if exact.ndim != 2 or len(exact) != 3 or exact.shape[1] >= 1 << 16:
        raise ValueError(f"scales of tokens have the shape {exact.shape}, not [3, length]")
    finite = np.isfinite(exact).all(axis=0) & (np.abs(exact) < 2.0**20).all(axis=0)
    kept = exact[:, finite]
    size = np.maximum(np.abs(kept[1:]), 2.0**_LOWEST)
    on_octaves = np.rint((np.log2(size) - _LOWEST) * _OF_OCTAVE) + 1
    signed = np.where(kept[1:] < 0, -on_octaves, on_octaves)
    codes = [np.rint(kept[0] * _OF_LOG_Z), *signed]
    head = int(exact.shape[1]).to_bytes(2, "little") + np.packbits(finite).tobytes()
    return head + bit_frames.pack([column.astype(np.int64) for column in codes])


def unpack_scales(packed: bytes) -> FloatArray:
    """The scales of `pack_scales`, [3, length] single precision; NaN where there are none."""
    length = int.from_bytes(packed[:2], "little")
    at = 2 + -(-length // 8)
    finite = np.unpackbits(np.frombuffer(packed, np.uint8, at - 2, 2))[:length].astype(bool)
    codes = np.stack(bit_frames.unpack(packed[at:], 3))
    scales = np.full((3, length), np.nan, np.float32)
    scales[0, finite] = codes[0] / _OF_LOG_Z
    size = np.exp2((np.abs(codes[1:]) - 1) / _OF_OCTAVE + _LOWEST)
    scales[1:, finite] = np.where(codes[1:] < 0, -size, size)
    return scales
