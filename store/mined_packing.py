"""The mined counterexamples of a version as one packed array: few, and nothing is sought in them.

    packed = pack(records)                      by kind, then rank
    records = unpack("left", 0, 17, packed)

packed      FORMAT, a byte; of each counterexample: FLAGS with its kind, a byte; rank, document,
            window, position and how many tokens of the snippet stand before it (`store.sevens`);
            the activation and, if there is one, the distance, "<f4" where that holds them, else
            "<f8"; the rule's length and UTF-8, but where it is that of the one before; the length
            of the values and these (`packing.pack_values`)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from store import packing, sevens
from store.evidence_records import CounterexampleRecord
from store.records import Side
from store.rows import number
from store.types import clean_text

FORMAT = 1

#: Kinds by the lowest bit of the flags.
KINDS: tuple[Literal["unlike", "silent"], ...] = ("unlike", "silent")

#: Flags: the activation in double precision, a distance, that in double precision, the rule of the
#: one before.
_EXACT, _HAS_DISTANCE, _EXACT_DISTANCE, _SAME_RULE = 2, 4, 8, 16


def pack(records: Sequence[CounterexampleRecord]) -> bytes:
    """Mined counterexamples of one version. ValueError for ones that cannot be."""
    made = [bytes([FORMAT])]
    rule, seen = "", set()
    for one in sorted(records, key=lambda one: (KINDS.index(one.kind), one.rank)):
        length = len(next(iter(one.values.values()), ()))
        name = f"{one.side} L{one.layer}N{one.neuron}, {one.kind} {one.rank}"
        if not 0 <= one.start <= one.position < one.start + length:
            raise ValueError(f"{name}: focus outside the snippet")
        if (one.kind, one.rank) in seen:
            raise ValueError(f"{name}: there are two")
        if one.tokens is not None:
            raise ValueError(f"{name}: a mined one has no changed tokens")
        seen.add((one.kind, one.rank))
        flags = KINDS.index(one.kind)
        activation, is_exact = _real(float(one.activation))
        flags |= _EXACT * is_exact
        distance, text = b"", clean_text(one.rule)
        if (given := number(one.distance)) is not None:
            distance, is_exact = _real(given)
            flags |= _HAS_DISTANCE | _EXACT_DISTANCE * is_exact
        flags |= _SAME_RULE * (text == rule)
        places = one.rank, one.document, one.window, one.position, one.position - one.start
        values, words = packing.pack_values(one.values), text.encode()
        made += [bytes([flags]), *(sevens.write(int(place)) for place in places)]
        made += [activation, distance]
        made += [] if text == rule else [sevens.write(len(words)), words]
        made += [sevens.write(len(values)), values]
        rule = text
    return b"".join(made)


def unpack(side: Side, layer: int, neuron: int, packed: bytes) -> list[CounterexampleRecord]:
    """The records of `pack`, by kind and rank; values are unpacked when they are asked for."""
    if packed[0] != FORMAT:
        raise ValueError(f"counterexamples of format {packed[0]} are newer than this program")
    made, at, rule = [], 1, ""
    while at < len(packed):
        flags, at = packed[at], at + 1
        rank, at = sevens.read(packed, at)
        document, at = sevens.read(packed, at)
        window, at = sevens.read(packed, at)
        position, at = sevens.read(packed, at)
        before, at = sevens.read(packed, at)
        activation, at = _read_real(packed, at, bool(flags & _EXACT))
        distance = None
        if flags & _HAS_DISTANCE:
            distance, at = _read_real(packed, at, bool(flags & _EXACT_DISTANCE))
        if not flags & _SAME_RULE:
            length, at = sevens.read(packed, at)
            rule, at = packed[at : at + length].decode(), at + length
        length, at = sevens.read(packed, at)
        values, at = packing.unpack_values(packed[at : at + length]), at + length
        made.append(
            CounterexampleRecord(
                side=side,
                layer=layer,
                neuron=neuron,
                kind=KINDS[flags & 1],
                rank=rank,
                document=document,
                window=window,
                position=position,
                start=position - before,
                activation=activation,
                values=values,
                distance=distance,
                rule=rule,
            )
        )
    return made


def _real(value: float) -> tuple[bytes, bool]:
    """A number in single precision, if that is the number, else in double; whether in double."""
    is_exact = float(np.float32(value)) != value
    return np.array(value, "<f8" if is_exact else "<f4").tobytes(), is_exact


def _read_real(packed: bytes, at: int, is_exact: bool) -> tuple[float, int]:
    dtype = np.dtype("<f8" if is_exact else "<f4")
    return float(np.frombuffer(packed, dtype, 1, at)[0]), at + dtype.itemsize
