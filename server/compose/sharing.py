"""Addresses and texts with which a neuron page is passed on.

    sharing_view(run, "L0N17", "/pystd-2l/0/17?run=9f3a61c04e", "http://localhost:8000")

A permalink to a loopback address helps nobody: what is meant for others then names the command
that shows the page, beside the run, whose id is the same in every database.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import cache
from html import escape
from urllib.parse import urlsplit

from server import urls
from server.activation_names import activation_name
from server.pages.sharing import SharingView
from server.settings import LOOPBACK_HOSTS
from server.version import version
from store.records import RunRecord

EMBED_HEIGHT = 560
COMMAND = "twinscope serve"

_LATEX = str.maketrans(
    {character: f"\\{character}" for character in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
)


def sharing_view(run: RunRecord, name: str, permalink: str, base: str) -> SharingView:
    """`name` is the neuron's, `permalink` its pinned page, `base` where this server is reached."""
    public = is_public(base)
    embed = base + urls.beneath(permalink, "embed")
    return SharingView(
        public=public,
        permalink=base + permalink,
        place=permalink,
        command=COMMAND,
        json_href=base + urls.json_twin(permalink),
        download_href=base + urls.beneath(permalink, "download.html"),
        card_href=base + urls.beneath(permalink, "card.png"),
        embed_href=embed,
        embed_code=(
            f'<iframe src="{escape(embed)}" title="{escape(f"{name} of {run.pair.slug}")}" '
            f'width="100%" height="{EMBED_HEIGHT}" loading="lazy"></iframe>'
        ),
        citation=citation(run, name, permalink, base if public else ""),
        project_citation=project_citation(),
    )


def is_public(base: str) -> bool:
    """Whether an address may lead here from another machine: it is none of loopback's."""
    host = urlsplit(base).hostname or ""
    return host not in ("", *LOOPBACK_HOSTS) and not host.endswith(".localhost")


def citation(run: RunRecord, name: str, permalink: str, base: str) -> str:
    """BibTeX of a neuron's page: it names the run and the weights, so it can be made again."""
    made = published(run)
    models = ", ".join(
        f"{side} {model.name} ({activation_name(model.act_fn)}, SHA-256 {model.weights_sha256})"
        for side, model in (("left", run.pair.left), ("right", run.pair.right))
        if model is not None
    )
    where = f"{base}{permalink}" if base else f"{COMMAND}, then {permalink}"
    fields = {
        "title": f"{{{latex(f'{name} of {run.pair.name}')}}}",
        "author": "{The Twinscope authors}",
        "year": f"{made:%Y}",
        "month": f"{made:%b}".lower(),
        "howpublished": f"Twinscope {latex(version())}, run {run.id}",
        "note": f"{latex(models)}; {latex(str(run.n_tokens))} tokens of {latex(run.corpus.spec)}",
        **({"url": where} if base else {"addendum": latex(where)}),
    }
    return _entry(f"twinscope-{run.pair.slug}-{name}-{run.id}", fields)


@cache
def project_citation() -> str:
    """BibTeX of Twinscope itself."""
    fields = {
        "title": "{Twinscope}: each neuron's SoLU and GeLU versions side by side, and what a page "
        "of top activations hides",
        "author": "{The Twinscope authors}",
        "version": latex(version()),
        "year": "2026",
    }
    return _entry("twinscope", fields)


def _entry(key: str, fields: dict[str, str]) -> str:
    """A BibTeX entry; the name of a month is a word of BibTeX's own and stands without braces."""
    lines = (
        f"  {name} = {text if name == 'month' else f'{{{text}}}'}," for name, text in fields.items()
    )
    return "\n".join((f"@misc{{{key},", *lines, "}"))


def latex(text: str) -> str:
    """Text as LaTeX sets it, on one line."""
    return re.sub(r"\s+", " ", text).translate(_LATEX)


def published(run: RunRecord) -> datetime:
    """When the run was published, in UTC; what a database without time zones gives is UTC."""
    when = run.published_at or run.created_at or datetime.now(UTC)
    return when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)


def download_name(slug: str, name: str, run_id: str, pairing: str, anchor: str) -> str:
    """`twinscope-pystd-2l-L0N17-9f3a61c04e.html`; a best match beside it is part of the name."""
    state = "" if pairing == "index" else f"-match-{anchor}"
    return f"twinscope-{slug}-{name}{state}-{run_id}.html"
