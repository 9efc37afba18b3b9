"""Text on a picture: the one typeface that Pillow brings, with a mark for what it does not have.

The typeface (Aileron, in the public domain) has the letters of English only. Every other character
is drawn as an empty box of half an em, newlines and tabs as arrows: the same on every machine,
whatever typefaces it has.
"""

from __future__ import annotations

from functools import lru_cache
from typing import cast

from PIL import ImageDraw, ImageFont

_REPLACED = str.maketrans({"−": "-", "–": "-", "‥": "..", "×": "x", "\N{NO-BREAK SPACE}": " "})
_ARROWS = "↵→"


@lru_cache(maxsize=16)
def typeface(size: int) -> ImageFont.FreeTypeFont:
    """The typeface at a size in pixels, laid out the simple way, which every Pillow has."""
    found = cast(ImageFont.FreeTypeFont, ImageFont.load_default(size))
    return found.font_variant(layout_engine=ImageFont.Layout.BASIC)


@lru_cache(maxsize=4096)
def is_covered(character: str) -> bool:
    """Whether the typeface has the character."""
    face = typeface(20)
    return character == " " or bytes(face.getmask(character)) != bytes(face.getmask("\uffff"))


@lru_cache(maxsize=8192)
def _pieces(text: str) -> tuple[tuple[str, bool], ...]:
    """The text in runs of covered characters (…, True) and single other ones (…, False)."""
    found: list[tuple[str, bool]] = []
    for character in text.translate(_REPLACED):
        if not is_covered(character):
            found.append((character, False))
        elif found and found[-1][1]:
            found[-1] = (found[-1][0] + character, True)
        else:
            found.append((character, True))
    return tuple(found)


@lru_cache(maxsize=8192)
def width(text: str, size: int) -> float:
    """Width in pixels, marks included."""
    face = typeface(size)
    return sum(
        face.getlength(piece) if covered else _mark_width(piece, size)
        for piece, covered in _pieces(text)
    )


def _mark_width(character: str, size: int) -> float:
    return size * (0.85 if character in _ARROWS else 0.55)


def fitted(text: str, size: int, most: float) -> str:
    """The text, cut with an ellipsis where it is wider than `most` pixels."""
    if width(text, size) <= most:
        return text
    low, high = 0, len(text)
    while low < high:  # the longest beginning that fits
        middle = (low + high + 1) // 2
        low, high = (
            (middle, high) if width(text[:middle] + "…", size) <= most else (low, middle - 1)
        )
    return text[:low].rstrip() + "…"


def write(
    draw: ImageDraw.ImageDraw, x: float, baseline: float, text: str, size: int, ink: str
) -> float:
    """Draw text from `x` on; where it ends."""
    face = typeface(size)
    for piece, covered in _pieces(text):
        if covered:
            draw.text((x, baseline), piece, fill=ink, font=face, anchor="ls")
            x += face.getlength(piece)
        else:
            _mark(draw, x, baseline, piece, size, ink)
            x += _mark_width(piece, size)
    return x


def _mark(
    draw: ImageDraw.ImageDraw, x: float, baseline: float, character: str, size: int, ink: str
) -> None:
    wide, middle = _mark_width(character, size), baseline - 0.3 * size
    if character not in _ARROWS:
        box = (x + 0.06 * size, baseline - 0.66 * size, x + wide - 0.06 * size, baseline)
        draw.rectangle([round(edge) for edge in box], outline=ink, width=1)
        return
    left, right, barb = x + 0.12 * size, x + wide - 0.12 * size, 0.16 * size
    draw.line([(left, middle), (right, middle)], fill=ink, width=2)
    if character == "↵":
        draw.line([(right, middle), (right, middle - 0.3 * size)], fill=ink, width=2)
        tip, back = left, left + barb
    else:
        tip, back = right, right - barb
    draw.line([(back, middle - barb), (tip, middle), (back, middle + barb)], fill=ink, width=2)
