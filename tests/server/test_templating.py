"""What templates call is called as Jinja calls it, and what they print is escaped."""

from __future__ import annotations

from typing import Any

from jinja2 import DictLoader, pass_context
from jinja2.runtime import Context

from server.templating import PageEnvironment

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
