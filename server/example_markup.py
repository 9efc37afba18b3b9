"""An example of a neuron page as markup: its place, its tokens, the other version's on them.

It stands here and not in a template because a page has a hundred of them: as a template it took a
sixth of the page's time, most of it to look names up and to escape what is escaped already.
"""

from __future__ import annotations

from markupsafe import Markup, escape

from server.example_drawing import DrawnExample
from server.number_text import number, share
from server.pages.neuron import OtherView
from server.token_text import visible_text


def example_item(drawn: DrawnExample, other_act: str) -> Markup:
    """`<li class="example">`; `other_act` is what the other version's activation is called."""
    e = drawn.example
    name = escape(visible_text(e.document))
    lifted = ""
    if e.band == "lifted" and e.values.get("post"):
        lifted = f" → {number(e.values['post'][e.focus])}"
    return Markup(
        f'<li class="example" id="{drawn.anchor}">\n'
        f'<div class="meta"><a class="rank" href="#{drawn.anchor}" title="Link to this example">'
        f'{e.rank + 1}</a><span class="value">{number(e.activation)}{lifted}</span>'
        f'<span class="document" title="{name}, window {e.window}, position {e.position} '
        f'({escape(e.source)})"><bdi>{name}</bdi> <span>{e.window}:{e.position}</span></span></div>'
        f'\n<p class="tokens" data-focus="{e.focus}"{drawn.attributes}>{drawn.tokens}</p>\n'
        f"{_other(drawn, e.other, e.focus, escape(other_act)) if e.other else ''}</li>\n"
    )


def _other(drawn: DrawnExample, other: OtherView, focus: int, act: Markup) -> str:
    """The other version on the same context: in short at the right, in full when it is opened."""
    quantile = ""
    if other.quantile is not None:
        quantile = (
            '<svg class="quantile-bar" width="36" height="7" aria-hidden="true">'
            '<rect width="36" height="7" />'
            f'<rect width="{round(36 * other.quantile, 1)}" height="7" /></svg>'
            '<span class="quantile"><span class="visually-hidden">quantile </span>'
            f"{share(other.quantile)}</span>"
        )
    values = ",".join(f" {site} {number(row[focus])}" for site, row in other.values.items())
    return (
        f'<details class="other{" silent" if drawn.silent else ""}">'
        f'<summary title="{act} {other.name} on this context"><span class="act">{act}'
        f"{'' if other.shown else f' {other.name}'}</span> <span>{number(other.activation)}</span>"
        f"{quantile}</summary>\n"
        f'<p class="body">Beneath the tokens: {act} {other.name} on the same context. At the focus'
        f"{values}.</p></details>\n"
    )
