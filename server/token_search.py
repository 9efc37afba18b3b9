"""Which tokens of a vocabulary a text means: exactly, and as a part.

    matches([b"self", b" self", b"itself"], "self") → exact (0, 1), containing (2,)

Whitespace can be written as pages show it (`↵`, `→`) or escaped (`\\n`, `\\t`, `\\xe2`), since a
search box takes neither newlines nor tabs.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from server.token_text import NEWLINE, TAB, token_string

LONGEST_QUERY = 200

_ESCAPED = re.compile(r"\\(?:n|t|r|\\|x[0-9a-fA-F]{2})|[" + NEWLINE + TAB + "]")
_MEANT = {"\\n": b"\n", "\\t": b"\t", "\\r": b"\r", "\\\\": b"\\", NEWLINE: b"\n", TAB: b"\t"}


@dataclass(frozen=True)
class TokenMatches:
    """Token ids: `exact` as typed first, then with and without a space in front; `containing` by
    ascending id, whatever their case."""

    exact: tuple[int, ...]
    containing: tuple[int, ...]


def spellings(text: str) -> tuple[bytes, ...]:
    """The bytes that a text may mean: as it stands, and with its escapes read."""
    plain = text.encode("utf-8", "replace")
    pieces, end = [], 0
    for found in _ESCAPED.finditer(text):
        pieces.append(text[end : found.start()].encode("utf-8", "replace"))
        escape = found[0]
        pieces.append(_MEANT[escape] if escape in _MEANT else bytes([int(escape[2:], 16)]))
        end = found.end()
    pieces.append(text[end:].encode("utf-8", "replace"))
    return tuple(dict.fromkeys((plain, b"".join(pieces))))


def matches(vocabulary: Sequence[bytes], text: str) -> TokenMatches:
    """Tokens that `text` names; none for an empty one."""
    if not text:
        return TokenMatches((), ())
    means = spellings(text)
    wanted: dict[bytes, None] = dict.fromkeys(means)
    for one in means:
        bare = one.lstrip(b" ")
        if bare:
            wanted.update(dict.fromkeys((b" " + bare, bare)))
    order = {token: rank for rank, token in enumerate(wanted)}
    exact = [i for i, token in enumerate(vocabulary) if token in order]
    exact.sort(key=lambda i: (order[vocabulary[i]], i))
    parts = [folded for one in means if (folded := token_string(one).casefold())]
    known = set(exact)
    containing = [
        i
        for i, token in enumerate(vocabulary)
        if i not in known and _holds(token_string(token).casefold(), parts)
    ]
    return TokenMatches(tuple(exact), tuple(containing))


def _holds(text: str, parts: Sequence[str]) -> bool:
    return any(part in text for part in parts)
