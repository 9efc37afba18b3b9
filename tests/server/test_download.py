"""The downloaded page: one file that asks nobody for anything, in a browser without a network."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from server.self_contained import detached, inlined_script, policy_hash
from tests.server.conftest import Served


@pytest.fixture
def offline(browser: Browser) -> Iterator[Page]:
    """A page without a network, whose console stays silent and which asks for its file alone."""
    context = browser.new_context(offline=True)
    page = context.new_page()
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: said.append(dialog.message))
    page.on("request", lambda request: asked.append(request.url))
    yield page
    assert said == []
    assert len(asked) == 1
    assert asked[0].startswith("file://")
    context.close()


def saved(served: Served, address: str, directory: Path) -> Path:
    """The download as a mail would carry it, under the name that the server gives it."""
    answer = served.client.get(address)
    assert answer.status_code == 200
    disposition = answer.headers["content-disposition"]
    match = re.fullmatch(r'attachment; filename="([\w.-]+\.html)"', disposition)
    assert match is not None
    path = directory / match[1]
    path.write_bytes(answer.content)
    return path


@pytest.mark.browser
def test_it_works_from_a_file_without_a_network(
    served: Served, offline: Page, tmp_path: Path
) -> None:
    path = saved(served, "/tiny-pair/0/3/download.html", tmp_path)
    assert path.name == f"twinscope-tiny-pair-L0N3-{served.newest.id}.html"
    offline.goto(path.as_uri())
    expect(offline.get_by_role("heading", level=1)).to_contain_text("L0N3")
    body = offline.locator("body").inner_text()
    for model in (served.newest.pair.left, served.newest.pair.right):
        assert model is not None
        assert model.weights_sha256 in body
    assert f"/tiny-pair/0/3?run={served.newest.id}" in body
    for words in (
        served.newest.id,
        "twinscope serve",
        "@misc{twinscope-tiny-pair-L0N3",
        "saved on",
    ):
        assert words in body
    # styled, drawn and alive: colours, figures, a definition, a token's values
    ground = "getComputedStyle(document.querySelector('.tokens .f')).backgroundColor"
    assert offline.evaluate(ground) != "rgba(0, 0, 0, 0)"
    assert offline.locator("svg.histogram").first.bounding_box()["height"] > 100  # type: ignore[index]
    assert offline.evaluate(
        "getComputedStyle(document.querySelector('.left')).getPropertyValue('--side')"
    )
    offline.locator("main .term").first.click()
    expect(offline.locator("[popover]:popover-open")).to_be_visible()
    offline.keyboard.press("Escape")
    offline.locator("p.tokens span").nth(2).hover()
    expect(offline.locator("#token-values")).to_contain_text("post")
    links = offline.eval_on_selector_all(
        "[href]", "all => all.map(one => one.getAttribute('href'))"
    )
    assert links
    assert all(link.startswith("#") for link in links)
    offline.set_viewport_size({"width": 390, "height": 844})
    assert offline.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.mark.browser
def test_hostile_text_stays_text(served: Served, offline: Page, tmp_path: Path) -> None:
    html = saved(served, "/tiny-pair/0/3/download.html", tmp_path)
    offline.goto(html.as_uri())
    assert offline.locator("script").count() == 1  # the one that shows values
    assert offline.locator("[onmouseover]").count() == 0
    shown = offline.locator("main").inner_text()
    assert "<script>" in shown
    assert "<b onmouseover=alert(1)>" in re.sub("·", " ", shown)


@pytest.mark.parametrize(
    "address",
    [
        "/tiny-pair/0/3/download.html",
        "/tiny-pair/0/2/download.html?pairing=match&anchor=right&site=pre",
        "/tiny-pair/0/0/download.html?run={older}",
        "/tiny-pair/1/3/download.html?sense=left:0",
        "/solo/0/3/download.html",
    ],
)
def test_nothing_in_it_leads_out(served: Served, address: str) -> None:
    html = served.client.get(address.format(older=served.older.id)).text
    body = html.partition("</style>")[2]
    assert not re.findall(r'\s(?:src|action|srcset|style|on\w+)="', re.sub(r">[^<]*<", "><", body))
    assert not re.findall(r'\shref="[^#]', body)
    assert "<form" not in body
    assert "<link" not in html
    assert "url(" not in html
    assert "@import" not in html
    assert body.count("<svg") > 2
    policy = re.findall(r'Content-Security-Policy" content="([^"]+)"', html)[0]
    style = re.findall(r"<style>(.*?)</style>", html, re.S)[0]
    script = re.findall(r'<script type="module">(.*?)</script>', html, re.S)[0]
    assert policy.startswith("default-src 'none'; ")
    assert f"style-src {policy_hash(style)};" in policy
    assert f"script-src {policy_hash(script)};" in policy


def test_the_state_of_the_page_is_kept(served: Served) -> None:
    """The examples, numbers and neurons of the file are those of the page."""
    query = "?pairing=match&anchor=right&site=pre&examples=all"
    page = served.client.get(f"/tiny-pair/0/2{query}").text
    answer = served.client.get(f"/tiny-pair/0/2/download.html{query}")
    assert "-match-right-" in answer.headers["content-disposition"]
    for pattern in (
        r'<p class="tokens" data-focus="(\d+)"[^>]*>(.*?)</p>',
        r'<svg class="figure histogram.*?</svg>',
    ):
        assert re.findall(pattern, page, re.S) == re.findall(pattern, answer.text, re.S) != []
    assert "best match of the right version, site pre" in unescape(answer.text)
    assert "examples=all" in answer.text
    assert "examples=all" not in served.client.get("/tiny-pair/0/2/download.html").text


def test_the_file_has_the_values_that_the_page_asks_for(served: Served) -> None:
    page = served.client.get("/tiny-pair/0/2?pairing=match").text
    address = unescape(re.findall(r'data-values="([^"]+)"', page)[0])
    assert f"run={served.newest.id}" in address, "of the run that the page shows, whatever comes"
    values = served.client.get(address).json()
    file = served.client.get("/tiny-pair/0/2/download.html?pairing=match").text
    assert "data-values" not in file
    lines = re.findall(
        r'<li class="example" id="([\w-]+)">.*?<p class="tokens"([^>]*)>', file, re.S
    )
    read = {
        name: dict(re.findall(r' data-((?:other-)?(?:pre|mid|post))="([^"]*)"', attributes))
        for name, attributes in lines
    }
    assert len(values) > 20
    assert {name: read[name] for name in values} == values
    assert any("other-post" in rows for rows in values.values())
    assert any("-unlike-" in name for name in values), "of counterexamples, too"
    assert 'data-post="' not in page


def test_a_run_without_evidence_and_a_single_side_say_so(served: Served) -> None:
    older = served.client.get(f"/tiny-pair/0/3/download.html?run={served.older.id}").text
    assert f"twinscope evidence {served.older.id}" in older
    assert "none: a run of a single model" in served.client.get("/solo/0/3/download.html").text


def test_the_script_needs_no_other(served: Served) -> None:
    script = inlined_script("tokens.js")
    assert not re.search(r"^\s*(import|export)\b|\bimport\(|\bfetch\(", script, re.M)
    assert "</script" not in script


def test_what_is_left_out_and_what_is_kept() -> None:
    html = (
        '<body><main id="main"><h1>&lt;b&gt; &amp; &#39;</h1><nav><a href="/a">a<nav>b</nav></a>'
        '</nav><div data-live>x<div>y</div>z</div><a href="/p?a=1&amp;b=2" title="&quot;">out</a>'
        '<a href="#in">in</a><a href="//evil.example/">evil</a><a href="javascript:x">js</a>'
        '<svg viewBox="0 0 1 1"><a href="#x"><path d="M0 0"/></a><image href="/x.png"/></svg>'
        '<img src="/x"><br><p style="color:red" onclick="x()">p</p><form><input></form>end</main>'
    )
    assert detached(html) == (
        '<h1>&lt;b&gt; &amp; &#39;</h1><a title="&quot;">out</a><a href="#in">in</a><a>evil</a>'
        '<a>js</a><svg viewBox="0 0 1 1"><a href="#x"><path d="M0 0"/></a></svg><br><p>p</p>end'
    )
