"""What leaves the site: the share disclosure, the link preview's tags, the frame, the settings."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest

from server.app import create_app
from server.compose.sharing import citation, latex, project_citation
from server.errors import SettingsError
from server.guard import policy
from server.settings import LOCAL_FRAMES, Settings
from tests.server.conftest import Served, client_of
from tests.server.serving import serving
from tests.server.test_pages import get_json

API = Path(__file__).resolve().parents[2] / "docs" / "api.md"
KINDS = ("download.html", "card.png", "embed")


class _Tags(HTMLParser):
    """Contents of a page's <meta> by their name or property, and of its <textarea> by id."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.meta: dict[str, str] = {}
        self.texts: dict[str, str] = {}
        self._open = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "meta" and "content" in given:
            self.meta[given.get("property") or given.get("name", "")] = given["content"]
        if tag == "textarea":
            self._open = given.get("id", "")
            self.texts[self._open] = ""

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea":
            self._open = ""

    def handle_data(self, data: str) -> None:
        if self._open:
            self.texts[self._open] += data


def test_the_disclosure_has_everything_to_paste(served: Served) -> None:
    html = served.client.get("/tiny-pair/0/3?site=pre").text
    shared = get_json(served, "/tiny-pair/0/3.json?site=pre")["sharing"]
    texts = _Tags(html).texts
    base, state = "http://localhost:8000", f"site=pre&run={served.newest.id}"
    assert shared["permalink"] == f"{base}/tiny-pair/0/3?{state}"
    assert texts["share-permalink"] == shared["permalink"]
    assert texts["share-embed"] == shared["embed_code"]
    assert unescape(re.findall(r'src="([^"]+)"', shared["embed_code"])[0]) == shared["embed_href"]
    assert texts["share-citation"] == shared["citation"]
    assert texts["share-project"] == shared["project_citation"] == project_citation()
    assert not shared["public"]
    assert "twinscope serve" in html
    for name in ("download_href", "card_href", "embed_href", "json_href"):
        assert shared[name].startswith(base)
        assert shared[name].endswith(state)
        assert served.client.get(shared[name].removeprefix(base)).status_code == 200


def test_citations_name_run_and_weights(served: Served) -> None:
    run = served.newest
    text = citation(run, "L0N3", f"/tiny-pair/0/3?run={run.id}", "https://scope.example.org")
    assert text.startswith(f"@misc{{twinscope-tiny-pair-L0N3-{run.id},\n")
    assert run.pair.left.weights_sha256 in text
    assert run.pair.right is not None
    assert run.pair.right.weights_sha256 in text
    assert f"url = {{https://scope.example.org/tiny-pair/0/3?run={run.id}}}" in text
    assert text.count("{") == text.count("}")
    local = citation(served.solo, "L0N3", "/solo/0/3?run=x", "")
    assert "twinscope serve, then /solo/0/3?run=x" in local
    assert "right" not in local
    hostile = dataclasses.replace(run, pair=dataclasses.replace(run.pair, name="a_b}\n@misc{x"))
    assert r"a\_b\} @misc\{x" in citation(hostile, "L0N3", "/x", "")


def test_latex_is_escaped() -> None:
    assert latex("NeelNanda/SoLU_1L 100% #1 ~^\\") == (
        r"NeelNanda/SoLU\_1L 100\% \#1 \textasciitilde{}\textasciicircum{}\textbackslash{}"
    )


@pytest.mark.parametrize("address", ["/tiny-pair/0/3", "/tiny-pair/0/0", "/solo/0/3"])
def test_a_link_preview_speaks_in_sentences(served: Served, address: str) -> None:
    meta = _Tags(served.client.get(address).text).meta
    assert meta["og:image"].startswith("http://localhost:8000/")
    assert served.client.get(meta["og:image"].removeprefix("http://localhost:8000")).is_success
    assert meta["og:url"].startswith(f"http://localhost:8000{address}?run=")
    assert meta["twitter:card"] == "summary_large_image"
    assert 40 < len(meta["og:description"]) <= 300
    assert meta["og:description"].endswith(".")
    assert meta["description"] == meta["og:description"]
    assert "SoLU" in meta["og:title"]


def test_addresses_begin_with_the_public_one(served: Served) -> None:
    told = Settings.from_environment({"TWINSCOPE_PUBLIC_URL": "https://Scope.example.org/"})
    assert "scope.example.org" in told.allowed_hosts
    app = create_app(told, served.engine)
    with client_of(app, "scope.example.org") as client:
        page = client.get("/tiny-pair/0/3").text
    meta = _Tags(page).meta
    assert meta["og:url"].startswith("https://Scope.example.org/tiny-pair/0/3?run=")
    assert meta["og:image"].startswith("https://Scope.example.org/")
    assert "works on this machine alone" not in page


@pytest.mark.parametrize("host", ["localhost:8000/x<b>", "localhost:99999", 'localhost:1"onload='])
def test_nothing_of_a_crooked_host_gets_into_a_page(served: Served, host: str) -> None:
    answer = served.client.get("/tiny-pair/0/3", headers={"Host": host})
    if answer.status_code == 200:
        assert re.fullmatch(
            r"http://localhost(:\d+)?/tiny-pair/0/3\?run=\w+", _Tags(answer.text).meta["og:url"]
        )


@pytest.mark.parametrize(
    "url",
    ["scope.example.org", "ftp://x", "https://x/path", "https://u@x", "https://x?y", "https://x:y"],
)
def test_a_public_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match="TWINSCOPE_PUBLIC_URL"):
        Settings.from_environment({"TWINSCOPE_PUBLIC_URL": url})


@pytest.mark.parametrize(
    ("told", "meant"),
    [
        ("", LOCAL_FRAMES),
        ("none", "'none'"),
        ("'none'", "'none'"),
        ("*", "*"),
        ("self, https://blog.example.org", "'self' https://blog.example.org"),
        ("https://*.example.org:* http://localhost:8888", None),
    ],
)
def test_sites_that_may_show_a_frame(told: str, meant: str | None) -> None:
    settings = Settings.from_environment({"TWINSCOPE_FRAME_ANCESTORS": told})
    assert settings.frame_ancestors == (told if meant is None else meant)


@pytest.mark.parametrize("told", ["x; script-src *", "none self", "'unsafe-inline'", "https://x/y"])
def test_frames_cannot_loosen_the_rest_of_the_policy(told: str) -> None:
    with pytest.raises(SettingsError, match="TWINSCOPE_FRAME_ANCESTORS"):
        Settings.from_environment({"TWINSCOPE_FRAME_ANCESTORS": told})


def test_only_the_embed_may_be_framed(served: Served) -> None:
    shown = served.client.get("/tiny-pair/0/3/embed")
    assert shown.headers["content-security-policy"] == policy(LOCAL_FRAMES)
    missing = served.client.get("/tiny-pair/9/3/embed")  # else the frame would be empty
    assert missing.status_code == 404
    assert missing.headers["content-security-policy"] == policy(LOCAL_FRAMES)
    for address in ("/tiny-pair/0/3", "/tiny-pair/0/3/download.html", "/tiny-pair/0/3/labels"):
        assert (
            "frame-ancestors 'none'"
            in (served.client.get(address).headers["content-security-policy"])
        )


@pytest.mark.parametrize("theme", ["", "light", "dark"])
def test_the_embed_is_small_and_has_no_script(served: Served, theme: str) -> None:
    answer = served.client.get(f"/tiny-pair/0/3/embed{f'?theme={theme}' if theme else ''}")
    html = answer.text
    assert "<script" not in html
    assert (f'data-theme="{theme}"' in html) == bool(theme)
    assert html.count('class="figure histogram') == 2
    assert len(html) < 60_000
    assert all('target="_blank"' in link for link in re.findall(r"<a [^>]+>", html))
    assert "outside its strongest 0.1 % of tokens" in html
    assert len(re.findall(r'class="f[ "]', html)) == 6  # no focus is cut off
    assert f"/tiny-pair/0/3?run={served.newest.id}" in html
    assert served.client.get("/tiny-pair/0/3/embed?theme=pink").status_code == 422


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "place", ["tiny-pair/0/3", "tiny-pair/0/0", "tiny-pair/1/1", "solo/0/3", "older"]
)
def test_every_kind_of_run_and_neuron_can_be_shared(served: Served, kind: str, place: str) -> None:
    """A dead neuron, one without positive values, a single side, a run without evidence."""
    path, query = (place, "") if place != "older" else ("tiny-pair/0/3", f"?run={served.older.id}")
    address = f"/{path}/{kind}{query}"
    whole, head = served.client.get(address), served.client.head(address)
    assert whole.status_code == head.status_code == 200, whole.text
    assert head.content == b""
    assert head.headers["content-type"] == whole.headers["content-type"]
    if kind == "embed":
        assert ("of its effect" in whole.text) == (place != "older" and place != "tiny-pair/0/0")


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_there_is_said(served: Served, kind: str) -> None:
    for address, code in (
        (f"/nothing/0/3/{kind}", "pair_not_found"),
        (f"/tiny-pair/0/99/{kind}", "neuron_not_found"),
        (f"/tiny-pair/0/3/{kind}?run=ffffffffff", "run_not_found"),
    ):
        answer = served.client.get(address, headers={"Accept": "application/json"})
        assert answer.status_code == 404
        assert answer.json()["error"]["code"] == code


@pytest.mark.parametrize("kind", KINDS)
def test_shared_pages_are_kept_as_the_page_is(served: Served, kind: str) -> None:
    address = f"/solo/0/3/{kind}?run={served.solo.id}"
    answer = served.client.get(address)
    assert answer.headers["cache-control"] == "public, max-age=86400"
    again = served.client.get(address, headers={"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304
    newest = served.client.get(f"/solo/0/3/{kind}")
    assert newest.headers["cache-control"] == "no-cache"


def test_the_client_of_the_documents_runs(served: Served) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", API.read_text("utf-8"), re.S)
    with serving(served.app) as address:

        def of(pair: str) -> subprocess.CompletedProcess[str]:
            code = block.replace("http://localhost:8000", address).replace("pystd-2l", pair)
            command = [sys.executable, "-W", "error", "-c", code]
            return subprocess.run(command, capture_output=True, text=True, check=False)

        done = of("tiny-pair")
        assert done.returncode == 0, done.stderr
        assert "of the left version's effect is hidden" in done.stdout
        assert "left (solu_ln): " in done.stdout
        assert "right (gelu): " in done.stdout
        assert "@misc{twinscope-tiny-pair-" in done.stdout
        for pair, words in (
            ("solo", "solo has a single model"),
            ("nothing", "There is no pair named “nothing”."),
        ):
            refused = of(pair)
            assert refused.returncode == 1
            assert refused.stderr.startswith(words)
