"""What templates call is called as Jinja calls it, and what they print is escaped."""

from __future__ import annotations

import gc
import weakref
from types import SimpleNamespace
from typing import Any

import pytest
from jinja2 import DictLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup

from server.respond import environment
from server.templating import OF_OBJECTS, PageEnvironment

OBJECTS = """
{% macro pair(a, b) %}{{ a.text }}+{{ b }}{% endmacro %}
{% macro some(a, b="none") %}{{ a.text }}+{{ b }}{% endmacro %}
{% if page.absent is defined %}there{% else %}absent{% endif %}
{{ page.text }} {{ pair(page, "<2>") }} {{ some(page) }} {{ some(page, b="3") }} {{ "a"|doubled }}
"""

PAGE = """
{% macro framed(word) %}[{{ word }}{{ caller() }}]{% endmacro %}
{% block main %}{% for n in (1, 2) %}{% set word = "a" ~ n %}{{ plain(n, by=10) }}
{{ told("title") }} {{ word.upper() }} {% call framed(n) %}<{{ n }}>{% endcall %}
{% endfor %}{{ "<b>" }} {{ plain }}{% endblock %}
"""


@pass_context
def told(context: Context, name: str) -> Any:
    return context[name]


def test_a_template_calls_what_there_is() -> None:
    environment = PageEnvironment(loader=DictLoader({"page": PAGE}), autoescape=True)
    environment.globals |= {"plain": lambda n, by: n * by, "told": told}
    page = environment.get_template("page").render(title="T & U")
    words = page.split()
    assert words[:5] == ["10", "T", "&amp;", "U", "A1"]
    assert "[1<1>]" in page
    assert "[2<2>]" in page
    assert "20" in words
    assert "&lt;b&gt;" in page
    assert "&lt;function" in page


def test_what_was_drawn_is_let_go_at_once() -> None:
    """And not when Python next looks for rings of objects, of which each has a macro in it."""

    class Page(SimpleNamespace):
        """As it is, nothing refers to one weakly."""

    macro = "{% macro name() %}{{ page.name }}{% endmacro %}"
    main = "{% block main %}{{ name() }}{% endblock %}"
    templates = {"base": "{% block main %}{% endblock %}"}
    templates["page"] = f"{{% extends 'base' %}}{macro}{main}"
    template = PageEnvironment(loader=DictLoader(templates)).get_template("page")
    page = Page(name="L0N1")
    shown = weakref.ref(page)
    gc.disable()
    try:
        assert template.render(page=page) == "L0N1"
        del page
        assert shown() is None
    finally:
        gc.enable()


def test_a_template_of_objects_reads_their_attributes_alone() -> None:
    """Where no mapping is shown, `page.text` is Python's own; elsewhere a key does as well."""
    folded = []

    def doubled(text: str) -> Markup:
        folded.append(text)
        return Markup(f"<b>{text}{text}</b>")

    environment = PageEnvironment(
        loader=DictLoader({"neuron.html": OBJECTS, "other.html": "{{ page.text }}"}),
        autoescape=True,
        undefined=StrictUndefined,
    )
    environment.filters["doubled"] = doubled
    template = environment.get_template("neuron.html")
    for _ in range(2):
        said = template.render(page=SimpleNamespace(text="a & b")).split("\n")
    assert said[-2:] == [
        "absent",
        "a &amp; b a &amp; b+&lt;2&gt; a &amp; b+none a &amp; b+3 <b>aa</b>",
    ]
    assert len(folded) == 1, "a filter of fixed words is called as the template is compiled"
    with pytest.raises(AttributeError):
        template.render(page={"text": "a"})
    assert environment.get_template("other.html").render(page={"text": "a"}) == "a"


def test_the_templates_of_objects_are_there() -> None:
    assert set(OF_OBJECTS) <= set(environment().list_templates())
