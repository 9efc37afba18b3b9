"""What a template says with constants alone is made once, when the template is compiled."""

from __future__ import annotations

from jinja2 import DictLoader
from markupsafe import Markup, escape

from server.templating import PageEnvironment


def test_a_constant_is_made_once_and_stands_as_markup() -> None:
    asked: list[tuple[str, str]] = []

    def term(key: str, text: str = "") -> Markup:
        asked.append((key, text))
        return Markup(f"<b>{escape(text or key)}</b>")

    templates = PageEnvironment(
        {"term": term},
        loader=DictLoader(
            {
                "page": '{% set term = called %}{{ term("a", "x < y") }}, {{ term(name) }}, '
                '{{ term("c", text="d") }}, {{ name }}',
            }
        ),
        autoescape=True,
    )
    templates.globals["called"] = term
    page = templates.get_template("page")
    assert asked == [("a", "x < y")]
    for _ in range(2):
        assert page.render(name="<i>") == ("<b>x &lt; y</b>, <b>&lt;i&gt;</b>, <b>d</b>, &lt;i&gt;")
    assert asked == [("a", "x < y"), *[("<i>", ""), ("c", "d")] * 2]
