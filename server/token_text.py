"""Token bytes as text: one token alone, and a whole snippet as a heat map.

    token_string(b" self")            → " self"
    token_string(b"\\xc3")             → "\\\\xc3", a byte that is no whole character
    heat_map([b" a", b"b"], focus=1, own=[0.1, 2.5], scale=2.5)
        → '<span class="p2"><i> </i>a</span><span class="f p8">b</span>'

Corpus text is untrusted: everything that leaves this module is escaped, control and bidirectional
formatting characters are spelled out, and each token is its own element, which the style sheet
isolates, so that a right-to-left token cannot reorder its neighbours.

Colours are classes, since the pages' Content-Security-Policy forbids inline style: `n8 … n1` below
zero, none around zero, `p1 … p8` above. The level is the rounded 8·√(|activation| / scale): the
root keeps weak activations visible, and a scale shared by both versions keeps columns comparable.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from typing import TypeVar, cast

import numpy as np
import numpy.typing as npt
from markupsafe import Markup, escape

Name = TypeVar("Name", bound=str)

LEVELS = 8
NEWLINE = "↵"
TAB = "→"
CONTINUED = "‥"

_CLASSED = '<span class="'


def _opening(*classes: str) -> str:
    named = " ".join(name for name in classes if name)
    return f'{_CLASSED}{named}">' if named else "<span>"


def _class(prefix: str, level: int) -> str:
    return f"{prefix}{'p' if level > 0 else 'n'}{abs(level)}" if level else ""


#: Own level → other level → how a token's span begins: [0 … 8, −8 … −1], so that a level is its own
#: index.
_ORDER = (*range(LEVELS + 1), *range(-LEVELS, 0))
OPENINGS = tuple(
    tuple(_opening(_class("", mine), _class("o", theirs)) for theirs in _ORDER) for mine in _ORDER
)
BOS = '<span class="bos">'
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def levels(values: npt.ArrayLike, scale: float | None) -> list[int]:
    """The colour level of each activation, −8 … 8; all 0 where `scale` is None or not positive."""
    array = _finite(values)
    if not scale or scale <= 0:
        return [0] * array.size
    magnitude = np.rint(np.sqrt(np.minimum(np.abs(array) / scale, 1.0)) * LEVELS)
    found: list[int] = np.copysign(magnitude, array).astype(np.int64).tolist()
    return found


def _finite(values: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """As float64; a value that is none becomes 0, an infinite one the largest."""
    array = np.asarray(values, dtype=np.float64)
    return array if np.isfinite(array).all() else np.nan_to_num(array)


@lru_cache(maxsize=65536)
def token_string(token: bytes) -> str:
    r"""One token as plain text for JSON: bytes that are no whole character become `\xNN`."""
    return token.decode("utf-8", errors="backslashreplace")


def visible_string(token: bytes) -> str:
    r"""One token as plain text for people: `token_string` with ↵, → and controls spelled out."""
    return visible_text(token_string(token))


@lru_cache(maxsize=4096)
def visible_text(text: str) -> str:
    """A name or label on one line, newlines, tabs and invisible characters spelled out."""
    return visible_passage(text)


def visible_passage(text: str) -> str:
    """`visible_text` of a text that no other page shows."""
    text = text.replace("\n", NEWLINE).replace("\t", TAB)
    if text.isprintable():
        return text
    return "".join(_visible(character) for character in text)


def passage_markup(text: bytes) -> str:
    """`visible_passage` of bytes, as markup; what is no character becomes the sign for that."""
    return str(escape(visible_passage(text.decode("utf-8", errors="replace"))))


def _visible(character: str) -> str:
    if character == "\n":
        return NEWLINE
    if character == "\t":
        return TAB
    if unicodedata.category(character) in _INVISIBLE:
        code = ord(character)
        if code < 0x100:
            return f"\\x{code:02x}"
        return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
    return character


def _markup_of_text(text: str) -> str:
    """Escaped text with runs of spaces in `<i>` (dotted by the style sheet), `<b>` for the rest."""
    if text.isalnum() and text.isascii():
        return text
    pieces: list[str] = []
    spaces = 0
    if text and unicodedata.combining(text[0]):
        text = "◌" + text
    for character in text:
        if character == " ":
            spaces += 1
            continue
        if spaces:
            pieces.append(_spaces(spaces))
            spaces = 0
        shown = _visible(character)
        pieces.append(f"<b>{escape(shown)}</b>" if shown != character else str(escape(character)))
    if spaces:
        pieces.append(_spaces(spaces))
    return "".join(pieces).replace("</b><b>", "")


def _spaces(number: int) -> str:
    """Spaces, dotted by the style sheet; indentation (three and more) is set narrow."""
    return f"<i{' class=w' if number > 2 else ''}>{' ' * number}</i>"


@cache  # as many as the vocabularies have
def closed_markup(token: bytes) -> str | None:
    """Markup of a token that decodes on its own, with the end of its span; else None."""
    try:
        return f"{_markup_of_text(token.decode('utf-8'))}</span>"
    except UnicodeDecodeError:
        return None


def _whole_token(token: bytes) -> str | None:
    """Markup of a token that decodes on its own, else None."""
    closed = closed_markup(token)
    return None if closed is None else closed.removesuffix("</span>")


def token_markup(token: bytes) -> Markup:
    """One token alone as markup, spaces and controls made visible."""
    whole = _whole_token(token)
    return Markup(whole if whole is not None else _markup_of_text(_spelled(token)))


@lru_cache(maxsize=16384)
def text_markup(text: str) -> Markup:
    """A display string as markup, spaces and controls made visible."""
    return Markup(_markup_of_text(text))


def _spelled(token: bytes) -> str:
    return token.decode("utf-8", errors="backslashreplace")


def _joined_markup(tokens: Sequence[bytes]) -> list[str]:
    """Markup of each token, characters split between tokens shown once, where they begin.

    Bytes are decoded over the whole snippet; a token that only continues a character shows ‥.
    """
    found: list[str] = []
    owner: list[int] = [n for n, token in enumerate(tokens) for _ in token]
    stream = b"".join(tokens)
    texts: list[list[str]] = [[] for _ in tokens]
    place = 0
    while place < len(stream):
        width = _character_width(stream, place)
        if width:
            texts[owner[place]].append(_markup_of_text(stream[place : place + width].decode()))
            for continued in sorted(set(owner[place + 1 : place + width]) - {owner[place]}):
                texts[continued].append(f"<b>{CONTINUED}</b>")
            place += width
        else:
            texts[owner[place]].append(f"<b>\\x{stream[place]:02x}</b>")
            place += 1
    for parts in texts:
        found.append("".join(parts).replace("</b><b>", "").replace("</i><i>", ""))
    return found


def _character_width(stream: bytes, place: int) -> int:
    """Bytes of the whole UTF-8 character that begins at `place`; 0 if none does."""
    first = stream[place]
    width = 1 if first < 0x80 else 2 if first < 0xE0 else 3 if first < 0xF0 else 4
    try:
        stream[place : place + width].decode("utf-8")
    except UnicodeDecodeError:
        return 0
    return width


def snippet_markup(tokens: Sequence[bytes]) -> list[str]:
    """Escaped markup of each token of a snippet, one entry a token, characters joined."""
    whole = list(map(_whole_token, tokens))
    return _joined_markup(tokens) if None in whole else cast(list[str], whole)


def heat_map(
    tokens: Sequence[bytes],
    *,
    focus: int | None,
    own: npt.ArrayLike,
    scale: float | None,
    masked: int = 0,
    other: npt.ArrayLike | None = None,
    other_scale: float | None = None,
    changed: int | None = None,
) -> Markup:
    """The spans of a snippet: own activation as ground, the other version's as a bar beneath.

    One span a token, classes only. `own` and `other` are [len(tokens)], each with its own scale
    (None: no colour). The first `masked` tokens (BOS) are part of
    no statistic and stay without colour. `changed` is a token that the corpus does not have there.
    """
    theirs = None if other is None else levels(other, other_scale)
    return spans_of(tokens, levels(own, scale), theirs, focus=focus, masked=masked, changed=changed)


def spans_of(
    tokens: Sequence[bytes],
    own: Sequence[int],
    other: Sequence[int] | None,
    *,
    focus: int | None,
    masked: int = 0,
    changed: int | None = None,
) -> Markup:
    """As `heat_map`, from levels of the colours."""
    texts = snippet_markup(tokens)
    beneath = [0] * len(texts) if other is None else other
    both = zip(texts, own, beneath, strict=True)
    spans = [f"{OPENINGS[mine][theirs]}{text}</span>" for text, mine, theirs in both]
    for n, name in ((changed, "changed"), (focus, "f")):
        if n is not None and masked <= n < len(spans):
            spans[n] = with_class(spans[n], name)
    for n in range(min(masked, len(spans))):
        spans[n] = f"{BOS}{texts[n]}</span>"
    return Markup("".join(spans))


def with_class(span: str, name: str) -> str:
    """The span of a token with one class more, the first."""
    if span.startswith("<span>"):
        return f'<span class="{name}">{span.removeprefix("<span>")}'
    return f'<span class="{name} {span.removeprefix(_CLASSED)}'


def value_attributes(
    own: Mapping[Name, Sequence[float]], other: Mapping[Name, Sequence[float]] | None = None
) -> Markup:
    """` data-pre="0.01 37 -4 …" … data-other-post="…"`: what a token's popover reads.

    Rows are named by their sites (or what takes the place of one), all of one length. The first
    number is a step, a power of ten between 1/100 and 1/1000 of the largest magnitude of the row;
    the others are the values in steps. It halves what a page weighs.
    """
    names = [f"data-{escape(site)}" for site in own]
    names += [f"data-other-{escape(site)}" for site in other or ()]
    rows = _finite([*own.values(), *(other or {}).values()])
    if not rows.size:
        return Markup("".join(f' {name}="1 "' for name in names))
    sizes = [
        10.0 ** math.floor(math.log10(largest / 100)) if largest > 0 else 1.0
        for largest in np.abs(rows).max(axis=1).tolist()
    ]
    steps = np.rint(rows / np.array(sizes)[:, None]).astype(np.int64).tolist()
    return Markup(
        "".join(
            f' {name}="{size:g} {" ".join(map(str, row))}"'
            for name, size, row in zip(names, sizes, steps, strict=True)
        )
    )
