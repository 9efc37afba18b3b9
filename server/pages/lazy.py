"""Long rows of a page object that are numbers and strings only for who asks: JSON does.

    rows = ValueRows({"pre": halves, "post": halves})
    rows["post"]                → (0.1, -2.5, …), the shortest decimals of half precision
    rows.at("post", 3)          → one of them       rows.halves["post"] → the array as it is stored

A neuron has a hundred snippets with five rows of twenty values each, and its page reads two rows of
a third of them: as tuples of floats, made for nothing, they took a third of the page's time. The
JSON of these types is that of the tuples which they stand for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Annotated, Any, Literal, overload

import numpy as np
import numpy.typing as npt
from pydantic import InstanceOf, PlainSerializer

from server.token_text import token_string
from store.packing import SnippetValues
from store.records import SITES, CountArray, FloatArray, HalfArray, Site, TokenArray

SiteName = Literal["pre", "mid", "post"]


@lru_cache(maxsize=1)
def half_decimals() -> npt.NDArray[np.float64]:
    """For each of the 65,536 half-precision numbers the shortest decimal that reads back as it.

    JSON knows no infinity: the two stand at the largest finite value, and the codes that are no
    number, which no run holds, at 0.
    """
    numbers = np.arange(65536, dtype=np.uint16).view(np.float16)
    limited = np.nan_to_num(numbers, nan=0.0)
    return np.array([float(str(number)) for number in limited])


@lru_cache(maxsize=1)
def _decimal_list() -> list[float]:
    found: list[float] = half_decimals().tolist()
    return found


def decimals(halves: HalfArray) -> list[float]:
    """Half-precision values as their shortest decimals."""
    found: list[float] = half_decimals()[codes(halves)].tolist()
    return found


def codes(halves: HalfArray) -> npt.NDArray[np.uint16]:
    """The bits of half-precision values, places in `half_decimals`."""
    return np.ascontiguousarray(halves, np.float16).view(np.uint16)


class ValueRows(Mapping[SiteName, tuple[float, ...]]):
    """Values by site in the order pre, mid, post; a row is made when it is asked for."""

    __slots__ = ("halves", "packed", "sites")

    def __init__(self, halves: Mapping[Site, HalfArray]) -> None:
        self.halves = halves
        self.packed = halves if isinstance(halves, SnippetValues) else None
        self.sites: Sequence[Site] = (
            tuple(site for site in SITES if site in halves)
            if self.packed is None
            else self.packed.sites
        )

    def __getitem__(self, site: str) -> tuple[float, ...]:
        return tuple(decimals(self.halves[site]))  # type: ignore[index]

    def __iter__(self) -> Iterator[SiteName]:
        return iter(self.sites)

    def __len__(self) -> int:
        return len(self.sites)

    def __contains__(self, site: object) -> bool:
        return site in self.sites

    def at(self, site: Site, place: int) -> float:
        """One value of a row."""
        if self.packed is not None:
            return _decimal_list()[self.packed.code(site, place)]
        return _decimal_list()[int(self.halves[site].view(np.uint16)[place])]

    def all_at(self, place: int) -> list[tuple[Site, float]]:
        """(site, value) of every row."""
        return [(site, self.at(site, place)) for site in self.sites]


class Pieces(Sequence[bytes]):
    """A snippet's tokens as bytes, looked up in the vocabulary when they are asked for."""

    __slots__ = ("ids", "vocabulary")

    def __init__(self, ids: TokenArray, vocabulary: Sequence[bytes]) -> None:
        self.ids = ids
        self.vocabulary = vocabulary

    @overload
    def __getitem__(self, place: int) -> bytes: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[bytes, ...]: ...
    def __getitem__(self, place: int | slice) -> bytes | tuple[bytes, ...]:
        if isinstance(place, slice):
            return tuple(map(self.vocabulary.__getitem__, self.ids[place].tolist()))
        return self.vocabulary[int(self.ids[place])]

    def __iter__(self) -> Iterator[bytes]:
        return map(self.vocabulary.__getitem__, self.ids.tolist())

    def __len__(self) -> int:
        return len(self.ids)


class TokenTexts(Sequence[str]):
    """The display strings of tokens given as bytes; each is made when it is asked for."""

    __slots__ = ("pieces",)

    def __init__(self, pieces: Sequence[bytes]) -> None:
        self.pieces = pieces

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[str, ...]: ...
    def __getitem__(self, place: int | slice) -> str | tuple[str, ...]:
        if isinstance(place, slice):
            return tuple(map(token_string, self.pieces[place]))
        return token_string(self.pieces[place])

    def __len__(self) -> int:
        return len(self.pieces)


class Wholes(Sequence[int]):
    """Whole numbers of an array [n] int64; figures read the array."""

    __slots__ = ("array",)

    def __init__(self, array: CountArray) -> None:
        self.array = array

    @overload
    def __getitem__(self, place: int) -> int: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[int, ...]: ...
    def __getitem__(self, place: int | slice) -> int | tuple[int, ...]:
        if isinstance(place, slice):
            return tuple(self.array[place].tolist())
        return int(self.array[place])

    def __len__(self) -> int:
        return len(self.array)

    def __array__(self, dtype: Any = None, copy: Any = None) -> npt.NDArray[Any]:
        return self.array.astype(dtype or self.array.dtype, copy=bool(copy))


class Table:
    """Whole numbers of an array [rows, columns]; figures read the array, JSON lists of rows."""

    __slots__ = ("array",)

    def __init__(self, array: CountArray) -> None:
        self.array = array


def _rows(table: Table) -> tuple[tuple[int, ...], ...]:
    return tuple(map(tuple, table.array.tolist()))


class Singles(Sequence[float]):
    """Single-precision numbers; those that are asked for come as their shortest decimals."""

    __slots__ = ("array",)

    def __init__(self, array: FloatArray) -> None:
        self.array = array

    @overload
    def __getitem__(self, place: int) -> float: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[float, ...]: ...
    def __getitem__(self, place: int | slice) -> float | tuple[float, ...]:
        if isinstance(place, slice):
            return tuple(float(str(number)) for number in self.array[place])
        return float(str(self.array[place]))

    def __len__(self) -> int:
        return len(self.array)

    def __array__(self, dtype: Any = None, copy: Any = None) -> npt.NDArray[Any]:
        return self.array.astype(dtype or self.array.dtype, copy=bool(copy))


def _all(row: Sequence[Any]) -> tuple[Any, ...]:
    return tuple(row[:])


#: As fields of page objects: what they are in Python, and what they are in JSON.
Values = Annotated[
    InstanceOf[ValueRows],
    PlainSerializer(dict, return_type=dict[SiteName, tuple[float, ...]]),
]
Texts = Annotated[InstanceOf[TokenTexts], PlainSerializer(_all, return_type=tuple[str, ...])]
Tally = Annotated[InstanceOf[Wholes], PlainSerializer(_all, return_type=tuple[int, ...])]
Tallies = Annotated[
    InstanceOf[Table], PlainSerializer(_rows, return_type=tuple[tuple[int, ...], ...])
]
Numbers = Annotated[InstanceOf[Singles], PlainSerializer(_all, return_type=tuple[float, ...])]
