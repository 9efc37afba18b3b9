"""A neuron page draws the first examples of each band, and all of them where it is asked to."""

from __future__ import annotations

import re
from html import unescape
from itertools import chain
from typing import Any
from urllib.parse import urldefrag

import pytest

from server.example_drawing import FIRST_OF_OTHERS, FIRST_OF_TOP, anchor
from tests.server.conftest import Served

PAGE = "/tiny-pair/0/3"


def drawn(html: str) -> list[str]:
    """The anchors of the examples that a page draws, without its counterexamples."""
    found = re.findall(r'<li class="example" id="([^"]+)">', html)
    return [name for name in found if name.split("-")[1][0] in "tbql"]


def by_band(served: Served, address: str) -> dict[tuple[str, str], list[str]]:
    """The anchors of all examples that the JSON has, by side and band."""
    found: dict[tuple[str, str], list[str]] = {}
    versions: dict[str, Any] = served.client.get(address).json()["versions"]
    for side, version in versions.items():
        for one in version["examples"]:
            name = anchor(side, one["band"], one["rank"])
            found.setdefault((side, one["band"]), []).append(name)
    return found


def test_the_first_of_each_band_are_drawn_and_how_many_there_are_is_said(served: Served) -> None:
    html = served.client.get(PAGE).text
    bands = by_band(served, f"{PAGE}.json")
    here = drawn(html)
    shortened = 0
    for (_, band), names in bands.items():
        first = FIRST_OF_TOP if band == "top" else FIRST_OF_OTHERS
        assert [name for name in names if name in here] == names[:first]
        if len(names) > first:
            shortened += 1
            assert (
                f'{first} of {len(names)} shown <a href="{PAGE}?examples=all#{names[first]}">'
                in (html)
            )
    assert shortened > 5
    assert html.count('class="small dim more"') == shortened


def test_all_are_drawn_where_the_address_asks_for_them(served: Served) -> None:
    html = served.client.get(f"{PAGE}?examples=all").text
    assert sorted(drawn(html)) == sorted(chain(*by_band(served, f"{PAGE}.json").values()))
    assert 'class="small dim more"' not in html


@pytest.mark.parametrize("query", ["", "?site=pre", "?pairing=match", "?sense=left:0"])
def test_every_link_to_an_example_leads_to_one_that_is_drawn(served: Served, query: str) -> None:
    html = served.client.get(PAGE + query).text
    links = [urldefrag(unescape(href)) for href in re.findall(r'href="([^"]*#[^"]+)"', html)]
    links = [link for link in links if re.match(r"(left|right)-\S+-\d+$", link.fragment)]
    assert {bool(link.url) for link in links} == {True, False}
    elsewhere = {
        url: drawn(served.client.get(url).text) for url in {link.url for link in links if link.url}
    }
    for link in links:
        names = elsewhere[link.url] if link.url else re.findall(r'id="([^"]+)"', html)
        assert link.fragment in names


def test_an_address_of_an_example_that_is_not_drawn_leads_to_its_band(served: Served) -> None:
    html = served.client.get(PAGE).text
    names = re.findall(r'id="([^"]+)"', html)
    assert len(names) == len(set(names))
    assert {name for band in by_band(served, f"{PAGE}.json").values() for name in band} <= set(
        names
    )


def test_it_is_part_of_the_state(served: Served) -> None:
    page = served.client.get(f"{PAGE}.json?examples=all&site=pre").json()
    assert page["examples"] == "all"
    assert page["permalink"] == f"{PAGE}?site=pre&examples=all&run={served.newest.id}"
    links = page["links"]
    several = [link["href"] for kind in ("pairings", "sites", "layers") for link in links[kind]]
    for href in (links["next"], links["previous"], *several):
        assert "examples=all" in href
    assert [link["current"] for link in links["examples"]] == [False, True]
    assert links["examples"][0]["href"] == f"{PAGE}?site=pre"
    plain = served.client.get(f"{PAGE}.json?site=pre").json()
    assert plain["examples"] is None
    assert plain["versions"]["left"]["examples"] == page["versions"]["left"]["examples"]


def test_a_sense_alone_has_all_of_its_examples(served: Served) -> None:
    page = served.client.get(f"{PAGE}.json").json()["versions"]["left"]
    sense = max(page["senses"], key=lambda one: len(one["examples"]))
    html = served.client.get(f"{PAGE}?sense=left:{sense['rank']}").text
    own = [page["examples"][n] for n in sense["examples"]]
    assert [name for name in drawn(html) if name.startswith("left-")] == [
        anchor("left", one["band"], one["rank"]) for one in own
    ]


def test_the_file_has_all(served: Served) -> None:
    answer = served.client.get(f"{PAGE}/download.html")
    assert len(drawn(answer.text)) == len(drawn(served.client.get(f"{PAGE}?examples=all").text))
    assert "examples=all" not in answer.text


def test_another_value_is_named(served: Served) -> None:
    answer = served.client.get(f"{PAGE}.json?examples=some")
    assert answer.status_code == 422
    assert "examples" in answer.json()["error"]["message"]
