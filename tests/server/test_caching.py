"""A pinned page is revalidated until all is published, then kept; static files by hash."""

from __future__ import annotations

import gzip
import re

import pytest

from tests.server.conftest import Served

KEPT, REVALIDATED = "public, max-age=86400", "no-cache"


@pytest.mark.parametrize("suffix", ["", ".json"])
@pytest.mark.parametrize(
    ("run", "place", "control"),
    [
        ("solo", "/solo/0/3", KEPT),  # evidence is published and substitutions were searched for
        ("solo", "/solo/0/5", REVALIDATED),  # a search may come
        ("newest", "/tiny-pair/0/3", REVALIDATED),  # on the right it may
        ("older", "/tiny-pair/0/3", REVALIDATED),  # its evidence may
    ],
)
def test_a_pinned_neuron_is_kept_once_nothing_more_can_come(
    served: Served, run: str, place: str, control: str, suffix: str
) -> None:
    address = f"{place}{suffix}?run={getattr(served, run).id}"
    answer = served.client.get(address)
    assert answer.headers["cache-control"] == control
    etag = answer.headers["etag"]
    assert re.fullmatch(r'W/"[0-9a-f]{20}"', etag)
    for sent in (etag, etag.removeprefix("W/"), f'"other", {etag}', "*"):
        again = served.client.get(address, headers={"If-None-Match": sent})
        assert again.status_code == 304
        assert again.content == b""
        assert again.headers["etag"] == etag
        assert "content-security-policy" in again.headers
    assert served.client.get(address, headers={"If-None-Match": '"other"'}).status_code == 200


def test_each_state_has_its_own_etag(served: Served) -> None:
    run = served.newest.id
    addresses = [
        f"/tiny-pair/0/3?run={run}",
        f"/tiny-pair/0/3.json?run={run}",
        f"/tiny-pair/0/4?run={run}",
        f"/tiny-pair/0/3?site=pre&run={run}",
        f"/tiny-pair/0/3?run={served.older.id}",
    ]
    etags = [served.client.get(address).headers["etag"] for address in addresses]
    assert len(set(etags)) == len(addresses)


@pytest.mark.parametrize("query", ["", "?run=latest", "?run={prefix}"])
def test_what_may_mean_another_run_tomorrow_is_not_kept(served: Served, query: str) -> None:
    answer = served.client.get("/tiny-pair/0/3" + query.format(prefix=served.newest.id[:8]))
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-cache"
    assert "etag" not in answer.headers
    assert f"run={served.newest.id}" in answer.text  # the pinned link is offered


def test_a_pinned_neuron_stays_as_it_was(served: Served) -> None:
    """The older run's page is not the newest run's, and shows its own."""
    older = served.client.get(f"/tiny-pair/0/3.json?run={served.older.id}").json()
    newest = served.client.get("/tiny-pair/0/3.json").json()
    assert older["run"] == served.older.id
    assert newest["run"] == served.newest.id
    assert older["versions"] != newest["versions"]


def test_pages_are_compressed(served: Served) -> None:
    plain = served.client.get("/tiny-pair/0/3", headers={"Accept-Encoding": "identity"})
    packed = served.client.get("/tiny-pair/0/3", headers={"Accept-Encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert packed.text == plain.text
    assert int(packed.headers["content-length"]) < len(plain.content) / 4


@pytest.mark.parametrize(
    "address", ["/tiny-pair/0/3", "/runs.json", "/static/base.css", "/nothing"]
)
def test_head_is_get_without_its_body(served: Served, address: str) -> None:
    whole, head = served.client.get(address), served.client.head(address)
    assert head.status_code == whole.status_code
    assert head.content == b""
    assert head.headers["content-type"] == whole.headers["content-type"]
    assert head.headers["content-security-policy"] == whole.headers["content-security-policy"]


def test_static_files_are_addressed_by_their_content(served: Served) -> None:
    page = served.client.get("/").text
    (address,) = re.findall(r'href="(/static/base\.css\?v=[0-9a-f]{12})"', page)
    answer = served.client.get(address)
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["content-type"].startswith("text/css")
    unhashed = served.client.get("/static/base.css")
    assert unhashed.headers["cache-control"] == "no-cache"
    again = served.client.get(
        "/static/base.css", headers={"If-None-Match": unhashed.headers["etag"]}
    )
    assert again.status_code == 304


def test_every_static_file_of_a_page_is_there(served: Served) -> None:
    for page in ("/", "/tiny-pair", "/tiny-pair/0/3", "/tiny-pair/0/3/labels", "/runs", "/nothing"):
        addresses = re.findall(r'(?:href|src)="(/static/[^"]+)"', served.client.get(page).text)
        assert addresses
        for address in addresses:
            assert served.client.get(address).status_code == 200, address


def test_plotly_comes_from_the_installed_package(served: Served) -> None:
    answer = served.client.get("/static/plotly.min.js", headers={"Accept-Encoding": "gzip"})
    assert answer.status_code == 200
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["content-type"].startswith("text/javascript")
    assert "plotly.js" in answer.text[:300]
    etag = answer.headers["etag"]
    again = served.client.get("/static/plotly.min.js", headers={"If-None-Match": etag})
    assert again.status_code == 304
    plain = served.client.get("/static/plotly.min.js", headers={"Accept-Encoding": "identity"})
    assert plain.text == answer.text
    assert len(gzip.compress(plain.content, 1)) < len(plain.content)
