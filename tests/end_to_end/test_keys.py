"""A neuron's page and the explorer's scatter by keyboard alone, in a browser."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.end_to_end.conftest import ON_SQLITE

pytestmark = [pytest.mark.browser, ON_SQLITE]


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


def test_from_neuron_to_neuron(reader: Page, address: str) -> None:
    reader.goto(f"{address}/tiny-pair/0/3")
    for key, name in (("j", "L0N4"), ("ArrowRight", "L0N5"), ("k", "L0N4"), ("ArrowLeft", "L0N3")):
        reader.wait_for_load_state()  # keys are listened to once the page's modules have run
        reader.keyboard.press(key)
        expect(reader.get_by_role("heading", level=1)).to_have_text(name)
    reader.wait_for_load_state()
    reader.keyboard.press("m")
    expect(reader).to_have_url(re.compile(r"pairing=match"))
    reader.wait_for_load_state()
    reader.keyboard.press("g")
    reader.keyboard.type("L1N2")
    reader.keyboard.press("Enter")
    expect(reader.get_by_role("heading", level=1)).to_have_text("L1N2")
    reader.wait_for_load_state()
    reader.keyboard.press("x")
    expect(reader).to_have_url(re.compile(r"/tiny-pair/\d+/\d+$"))


def test_a_label(reader: Page, address: str) -> None:
    reader.goto(f"{address}/tiny-pair/1/5")
    left, right = reader.locator("#label-left"), reader.locator("#label-right")
    reader.keyboard.press("2")
    expect(left.get_by_role("radio", name="polysemantic")).to_be_checked()
    expect(left.get_by_role("radio", name="polysemantic")).to_be_focused()
    reader.keyboard.press("3")
    expect(left.get_by_role("radio", name="unclear")).to_be_checked()
    reader.keyboard.press("Enter")
    expect(left.get_by_role("status")).to_have_text("Kept: unclear.")
    reader.keyboard.press("3")  # the same again: the other version
    expect(right.get_by_role("radio", name="unclear")).to_be_focused()
    reader.keyboard.press("4")
    reader.keyboard.press("Enter")
    expect(right.get_by_role("status")).to_have_text("Kept: dead.")
    left.get_by_role("textbox").focus()
    reader.keyboard.type("1 of 4")
    expect(left.get_by_role("textbox")).to_have_value("1 of 4")


def test_help_names_every_key(reader: Page, address: str) -> None:
    reader.goto(f"{address}/tiny-pair/0/3")
    reader.keyboard.press("?")
    keys = reader.get_by_role("dialog", name="Keys")
    for key in ("j", "k", "x", "g", "m", "1", "4", "?"):
        expect(keys.locator("kbd", has_text=re.compile(f"^{re.escape(key)}$"))).to_have_count(1)
    reader.keyboard.press("Escape")
    expect(keys).to_be_hidden()


def test_to_a_neuron_through_the_scatter(reader: Page, address: str) -> None:
    asked: list[str] = []
    reader.on("request", lambda request: asked.append(request.url))
    reader.goto(f"{address}/tiny-pair?x=kurtosis&y=max&log_x=1")
    assert not any("plotly.min" in url or "scatter.json" in url for url in asked)
    explore = reader.get_by_role("button", name="explore")
    explore.focus()
    reader.keyboard.press("Enter")
    plot = reader.get_by_role("application", name=re.compile("Scatter"))
    expect(plot).to_be_focused()
    said = reader.get_by_role("status")
    reader.keyboard.press("ArrowRight")
    expect(said).to_have_text(re.compile(r"L\d+N\d+ (SoLU|GeLU): kurtosis .*, maximum "))
    first = said.inner_text()
    reader.keyboard.press("ArrowRight")
    expect(said).not_to_have_text(first)
    name = said.inner_text().split(" ")[0]
    reader.keyboard.press("Enter")
    expect(reader.get_by_role("heading", level=1)).to_have_text(name)


def test_other_axes_need_no_other_page(reader: Page, address: str) -> None:
    reader.goto(f"{address}/tiny-pair?x=kurtosis&y=max")
    reader.get_by_role("button", name="explore").click()
    plot = reader.get_by_role("application", name=re.compile("Scatter"))
    expect(plot).to_be_focused()
    reader.get_by_label("y", exact=True).select_option("std")
    expect(reader).to_have_url(re.compile(r"x=kurtosis&y=std"))
    expect(plot.locator(".ytitle")).to_have_text("standard deviation")
    reader.reload()
    expect(reader.get_by_label("y", exact=True)).to_have_value("std")


def test_the_scatter_without_scripts(browser, address: str) -> None:  # type: ignore[no-untyped-def]
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{address}/tiny-pair?layer=0")
    page.get_by_text("Scatter of two columns").click()
    page.get_by_label("x", exact=True).select_option("kurtosis")
    page.get_by_label("y", exact=True).select_option("max")
    page.get_by_role("button", name="Draw").click()
    expect(page.locator("svg.scatter")).to_have_count(2)
    page.locator("svg.scatter a").first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text(re.compile(r"L0N\d+"))
    context.close()
