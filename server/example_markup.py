"""An example of a neuron page as markup: its place, its tokens, the other version's on them.

It stands here and not in a template because a page has tens of them: as a template it took a
sixth of the page's time, most of it to look names up and to escape what is escaped already.
"""

from __future__ import annotations

from functools import lru_cache

from markupsafe import escape

from server.number_text import number, share
from server.pages.examples import ExampleView, OtherView
from server.token_text import visible_text


def example_item(
    e: ExampleView, anchor: str, tokens: str, attributes: str, beside: tuple[str, str], act: str
) -> str:
    """`<li class="example">`, markup: `anchor` is its name on the page, `tokens`, `attributes` and
    `beside` as `snippets` draws them, `act` what the other version's activation is called
    (escaped)."""
    name, source = _escaped(visible_text(e.document)), _escaped(e.source)
    lifted = ""
    if e.band == "lifted" and "post" in e.values:
        lifted = f" → {number(e.values.at('post', e.focus))}"
    return (
        f'<li class="example" id="{anchor}">\n'
        f'<div class="meta"><a class="rank" href="#{anchor}" title="Link to this example">'
        f'{e.rank + 1}</a><span class="value">{number(e.activation)}{lifted}</span>'
        f'<span class="document" title="{name}, window {e.window}, position {e.position} '
        f'({source})"><bdi>{name}</bdi> <span>{e.window}:{e.position}</span></span></div>'
        f'\n<p class="tokens" data-focus="{e.focus}"{attributes}>{beside[0]}{tokens}'
        f"{beside[1]}</p>\n"
        f"{_other(e, e.other, act) if e.other else ''}</li>\n"
    )


@lru_cache(maxsize=16384)
def _escaped(text: str) -> str:
    return str(escape(text))


def _other(e: ExampleView, other: OtherView, act: str) -> str:
    """The other version on the same context: in short at the right, in full when it is opened."""
    quantile, silent = "", ""
    if other.quantile is not None:
        quantile = (
            '<svg class="quantile-bar" width="36" height="7" aria-hidden="true">'
            '<rect width="36" height="7" />'
            f'<rect width="{round(36 * other.quantile, 1)}" height="7" /></svg>'
            '<span class="quantile"><span class="visually-hidden">quantile </span>'
            f"{share(other.quantile)}</span>"
        )
        silent = " silent" if e.band == "top" and other.quantile < 0.9 else ""
    values = ",".join([f" {site} {number(value)}" for site, value in other.values.all_at(e.focus)])
    return (
        f'<details class="other{silent}">'
        f'<summary title="{act} {other.name} on this context"><span class="act">{act}'
        f"{'' if other.shown else f' {other.name}'}</span> <span>{number(other.activation)}</span>"
        f"{quantile}</summary>\n"
        f'<p class="body">Beneath the tokens: {act} {other.name} on the same context. At the focus'
        f"{values}.</p></details>\n"
    )
