"""Search in a browser: by keyboard alone, without JavaScript, and within a phone's width."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

pytestmark = pytest.mark.browser


@pytest.fixture
def reader(page: Page) -> Iterator[Page]:
    """A page whose console must stay silent: no error, no policy violation."""
    said: list[str] = []
    page.on(
        "console",
        lambda message: said.append(message.text) if message.type in ("error", "warning") else None,
    )
    page.on("pageerror", lambda error: said.append(str(error)))
    yield page
    assert said == []


def test_by_keyboard_alone(reader: Page, address: str) -> None:
    reader.goto(f"{address}/tiny-pair/0/1")
    reader.wait_for_load_state()  # keys are listened to once the page's modules have run
    reader.keyboard.press("/")
    expect(reader.get_by_role("searchbox", name="Search tiny-pair")).to_be_focused()
    reader.keyboard.type("self")
    reader.keyboard.press("Enter")
    expect(reader.get_by_role("heading", name="High on")).to_be_visible()
    for act in ("SoLU", "GeLU"):
        rows = reader.get_by_role("table", name=f"{act}: the versions").get_by_role("row")
        expect(rows).not_to_have_count(1)
    reader.wait_for_load_state()
    reader.keyboard.press("/")
    box = reader.get_by_role("searchbox")
    expect(box).to_be_focused()
    expect(box).to_have_value("self")
    reader.keyboard.type("l1n3")  # the old text was selected
    reader.keyboard.press("Enter")
    reader.wait_for_url(f"{address}/tiny-pair/1/3")


def test_from_the_home_page(reader: Page, address: str) -> None:
    """There is one pair, so its search is where the box leads."""
    reader.goto(address)
    reader.keyboard.press("g")
    reader.keyboard.type("retu")
    reader.keyboard.press("Enter")
    reader.wait_for_url(f"{address}/tiny-pair/search?q=retu")
    expect(reader.get_by_role("link", name="return").first).to_be_visible()


def test_without_javascript(browser: Browser, address: str) -> None:
    context = browser.new_context(java_script_enabled=False, viewport={"width": 390, "height": 844})
    page = context.new_page()
    page.goto(f"{address}/tiny-pair/search")
    expect(page.get_by_role("heading", name="Three things to search for")).to_be_visible()
    page.get_by_role("searchbox").fill("self")
    page.get_by_role("button", name="Search").click()
    page.get_by_role("link", name="maximum").click()
    assert "by=max" in page.url
    page.get_by_role("link", name="GeLU (").click()
    expect(page.get_by_role("heading", name="GeLU", exact=True)).to_be_visible()
    expect(page.get_by_role("heading", name="SoLU", exact=True)).to_have_count(0)
    width: Any = page.evaluate("document.documentElement.scrollWidth")
    assert width <= 390
    context.close()
