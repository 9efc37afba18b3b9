"""The pages as they are drawn: whole for odd neurons, without anything that the CSP forbids."""

from __future__ import annotations

import gzip
import re
from html.parser import HTMLParser

import pytest

from tests.server.conftest import Served
from tests.synthetic_run import DEAD, MATCHED_ELSEWHERE

PAGES = (
    "/",
    "/runs",
    "/definitions",
    "/docs",
    "/tiny-pair",
    "/tiny-pair/0/4",
    f"/tiny-pair/0/{DEAD}",
    f"/tiny-pair/1/{MATCHED_ELSEWHERE}?pairing=match",
    "/tiny-pair/0/4?site=pre",
    "/tiny-pair/0/4?site=mid",
    "/tiny-pair/0/4/labels",
    "/solo",
    "/solo/0/4",
    f"/solo/0/{DEAD}",
    "/nowhere",
    "/tiny-pair/9/0",
)
VOID = {"area", "base", "br", "col", "hr", "img", "input", "link", "meta", "source", "wbr"}


class Structure(HTMLParser):
    """Elements with attributes; faults are elements that are not closed where they should be."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.faults: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"</{tag}> at {self.getpos()}")

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def structure(served: Served, address: str) -> Structure:
    return Structure(served.client.get(address).text)


@pytest.mark.parametrize("address", PAGES)
def test_a_page_is_sound(served: Served, address: str) -> None:
    page = structure(served, address)
    assert not page.faults
    assert not page.open
    text = " ".join(page.text)
    assert not re.search(r"\bnan\b|\bNone\b(?=\s*[),;]| %)|Undefined|inf\b", text)
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    for tag, attributes in page.elements:
        assert tag != "style"
        assert "style" not in attributes
        assert not any(name.startswith("on") for name in attributes)
        assert tag != "script" or attributes.get("src", "").startswith("/static/")
        if tag in ("button", "a"):
            target = attributes.get("popovertarget")
            assert target is None or target in ids
            href = attributes.get("href") or ""
            assert not href.startswith("#") or href[1:] in ids, href
    headings = [tag for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert headings.count("h1") == 1
    assert [tag for tag, _ in page.elements].count("main") == 1


def test_hostile_text_is_only_text(served: Served) -> None:
    page = structure(served, "/tiny-pair/0/4")
    text = "".join(page.text)
    assert "<script>alert(1)</script>.py" in text
    assert "</script>" in text
    assert "<b" in text
    assert "{{" in text
    assert "\x00" not in text
    assert "\u202e" not in text


def test_a_constant_neuron_is_called_one_and_has_no_colours(served: Served) -> None:
    page = structure(served, f"/tiny-pair/0/{DEAD}")
    text = " ".join(page.text)
    assert "Cannot be said." in text
    assert "Constant: 0 on every token" in text
    classes = {attributes.get("class") for tag, attributes in page.elements if tag == "span"}
    assert not any(re.fullmatch(r"(f )?[pn]\d.*", one or "") for one in classes)


def test_a_single_sided_run_has_one_column(served: Served) -> None:
    page = structure(served, "/solo/0/4")
    assert "One version only." in " ".join(page.text)
    assert not any("right" in (a.get("class") or "").split() for _, a in page.elements)
    forms = [a for tag, a in page.elements if tag == "form" and a.get("method") == "post"]
    assert len(forms) == 1  # to label the one version


def test_columns_share_axes_and_bands_stand_beside_each_other(served: Served) -> None:
    page = structure(served, "/tiny-pair/0/4")
    bands = [a["id"] for tag, a in page.elements if tag == "section" and a.get("class") == "band"]
    assert bands == [
        "top", "q99_9-100", "q99-99_9", "q90-99", "q50-90", "q0-50", "bottom", "lifted",
    ]  # fmt: skip
    cells = [a["class"] for tag, a in page.elements if (a.get("class") or "").startswith("cell ")]
    assert cells == ["cell left", "cell right"] * (len(cells) // 2)
    plots = [a["viewbox"] for tag, a in page.elements if a.get("preserveaspectratio") == "none"]
    histograms = [one for one in plots if one.endswith(" 100")]  # of tokens and of effect
    assert len(histograms) == 4
    assert len(set(histograms)) == 1
    assert not [a for tag, a in page.elements if tag == "span" and "tabindex" in a]


def test_a_neuron_page_is_light(served: Served) -> None:
    page = served.client.get("/tiny-pair/0/4")
    weight = len(gzip.compress(page.content, 5))
    for address in re.findall(r'(?:href|src)="(/static/[^"]+)"', page.text):
        weight += len(gzip.compress(served.client.get(address).content, 5))
    assert weight <= 120_000
