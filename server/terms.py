"""Terms that can be asked about, as templates write them.

    term("density")                       <button …>density</button>, which opens its definition
    glossary(("density", "kurtosis"))     the definitions themselves, once at the page's end

A page has a hundred terms, the same on every page, so each is made once.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from markupsafe import Markup, escape

from server.definitions import DEFINITIONS


@lru_cache(maxsize=4096)
def term(key: str, text: str = "") -> Markup:
    """A term where it stands; without `text` it is called as its definition is."""
    said = escape(text or DEFINITIONS[key].name)
    return Markup(f'<button type="button" class="term" popovertarget="def-{key}">{said}</button>')


def glossary(keys: Iterable[str]) -> Markup:
    """The definitions that the terms of a page open."""
    return Markup("".join(map(_definition, keys)))


@lru_cache(maxsize=1024)
def _definition(key: str) -> str:
    found = DEFINITIONS[key]
    formula = f'<span class="formula">{escape(found.formula)}</span>' if found.formula else ""
    unit = f"Unit: {escape(found.unit)}. " if found.unit else ""
    return (
        f'<div popover id="def-{key}" class="definition"><b>{escape(found.name)}</b>'
        f"{escape(found.text)}\n{formula}"
        f'<span class="more">{unit}<a data-live href="/definitions#{key}">All definitions</a>'
        "</span></div>\n"
    )
