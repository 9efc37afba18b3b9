"""Every way through the site with Tab, Enter and the arrows alone: no pointer is used here."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.end_to_end.conftest import ON_SQLITE
from tests.end_to_end.test_live import TEXT

pytestmark = [pytest.mark.browser, ON_SQLITE]

#: More stops than any page has before what is looked for here.
STOPS = 250


@pytest.fixture
def reader(page: Page) -> Iterator[Page]:
    """A page whose console must stay silent."""
    said: list[str] = []
    page.on(
        "console",
        lambda message: said.append(message.text) if message.type in ("error", "warning") else None,
    )
    page.on("pageerror", lambda error: said.append(str(error)))
    yield page
    assert said == []


def tab_to(page: Page, selector: str) -> None:
    """Press Tab until the focus is on what the selector names; its outline must be seen."""
    page.wait_for_load_state()
    for _ in range(STOPS):
        page.keyboard.press("Tab")
        if page.evaluate("s => document.activeElement.matches(s)", selector):
            outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert outline != "none", f"nobody sees that {selector} has the focus"
            return
    pytest.fail(f"Tab never reaches {selector}")


def test_the_explorer(reader: Page, address: str) -> None:
    reader.goto(f"{address}/tiny-pair")
    rows = reader.locator(".grid-table tbody tr")
    all_rows = rows.count()
    tab_to(reader, "#add-column")
    reader.keyboard.type("kurtosis")
    tab_to(reader, "#add-value")
    reader.keyboard.type("3")
    reader.keyboard.press("Enter")
    expect(reader).to_have_url(re.compile(r"kurtosis__gte=3"))
    reader.wait_for_load_state()
    assert 0 < rows.count() < all_rows
    before = reader.url
    tab_to(reader, ".facet a")
    reader.keyboard.press("Enter")
    expect(reader).not_to_have_url(before)
    tab_to(reader, ".grid-table th a")
    reader.keyboard.press("Enter")
    expect(reader).to_have_url(re.compile(r"sort="))
    expect(reader.locator(".grid-table th[aria-sort]")).to_have_count(1)
    tab_to(reader, ".grid-table tbody a")
    name = reader.evaluate("document.activeElement.textContent")
    reader.keyboard.press("Enter")
    expect(reader.get_by_role("heading", level=1)).to_contain_text(name.split()[-1])


def test_a_download_of_what_is_shown(reader: Page, address: str) -> None:
    reader.goto(f"{address}/tiny-pair?layer__eq=1")
    tab_to(reader, ".downloads a")
    with reader.expect_download() as downloading:
        reader.keyboard.press("Enter")
    lines = downloading.value.path().read_text("utf-8").splitlines()
    assert len(lines) == 1 + 24, "a line for the heading, and one for each version of layer 1"


def test_sharing(reader: Page, address: str) -> None:
    reader.goto(f"{address}/tiny-pair/1/3")
    tab_to(reader, "details.share > summary, summary")
    while not reader.evaluate("document.activeElement.textContent.includes('share')"):
        tab_to(reader, "summary")
    reader.keyboard.press("Enter")
    permalink = reader.locator("#share-permalink")
    expect(permalink).to_be_visible()
    assert "?run=" in permalink.input_value()
    tab_to(reader, ".share-links a")
    with reader.expect_download() as downloading:
        reader.keyboard.press("Enter")
    assert "L1N3" in downloading.value.path().read_text("utf-8")
    reader.keyboard.press("c")  # copies the pinned link, and says so
    expect(reader.locator("[data-copy]")).to_contain_text(re.compile("copied", re.IGNORECASE))


def test_values_of_a_token(reader: Page, address: str) -> None:
    reader.goto(f"{address}/tiny-pair/1/3")
    reader.wait_for_load_state("networkidle")
    tab_to(reader, "p.tokens [tabindex='0']")
    values = reader.locator("#token-values")
    expect(values).to_be_visible()
    expect(values).to_contain_text("post")
    first = values.inner_text()
    reader.keyboard.press("ArrowLeft")
    expect(values).not_to_have_text(first)
    for word in ("pre", "post", "SoLU", "GeLU"):
        expect(values).to_contain_text(word)
    reader.keyboard.press("Escape")
    expect(values).to_be_hidden()


def test_a_definition(reader: Page, address: str) -> None:
    reader.goto(f"{address}/tiny-pair/1/3")
    tab_to(reader, "button.term")
    target = reader.evaluate("document.activeElement.getAttribute('popovertarget')")
    reader.keyboard.press("Enter")
    expect(reader.locator(f"#{target}")).to_be_visible()
    reader.keyboard.press("Escape")
    expect(reader.locator(f"#{target}")).to_be_hidden()


def test_a_text_of_ones_own(reader: Page, live: str) -> None:
    reader.goto(f"{live}/tiny-pair/live?layer=1&neuron=3")
    tab_to(reader, "textarea")
    reader.keyboard.press("Control+A")
    reader.keyboard.type(TEXT.replace("\n", " ").replace("\t", " "))
    tab_to(reader, "main form button[type=submit]")
    reader.keyboard.press("Enter")
    expect(reader.locator(".live-cell .tokens")).to_have_count(2)
    tab_to(reader, ".live-cell .tokens, .live-cell .tokens *")
    reader.keyboard.press("ArrowRight")
    reader.keyboard.press("Enter")
    expect(reader.get_by_role("heading", name=re.compile("^Most active on token"))).to_be_visible()


def test_the_tax_and_the_candidates(reader: Page, address: str) -> None:
    reader.goto(f"{address}/tiny-pair")
    tab_to(reader, "a[href$='/tax']")
    reader.keyboard.press("Enter")
    expect(reader.get_by_role("heading", level=1)).to_have_text("The interpretability tax")
    tab_to(reader, "a[href*='/invisible']")
    reader.keyboard.press("Enter")
    expect(reader).to_have_url(re.compile(r"/0/invisible"))
