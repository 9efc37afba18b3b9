"""Which tokens of a vocabulary a text means: exactly, and as a part.

    vocabulary = [b"self", b" self", b"itself"]
    matches(vocabulary, folded(vocabulary), "self") → exact (0, 1), containing (2,)

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


def folded(vocabulary: Sequence[bytes]) -> tuple[str, ...]:
    """Each token's text as parts of it are compared, whatever their case."""
    return tuple(token_string(token).casefold() for token in vocabulary)


def matches(vocabulary: Sequence[bytes], texts: Sequence[str], text: str) -> TokenMatches:
    """Tokens that `text` names, none for an empty one; `texts` are the vocabulary `folded`."""
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
    containing: set[int] = set()
    for part in dict.fromkeys(folded(means)):
        containing.update(i for i, whole in enumerate(texts) if part in whole)
    return TokenMatches(tuple(exact), tuple(sorted(containing.difference(exact))))
