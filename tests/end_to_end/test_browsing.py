"""A reader's way through the site, in a real browser, on both databases."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

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


def test_from_home_to_a_label_and_a_permalink(reader: Page, address: str) -> None:
    reader.goto(address)
    reader.get_by_role("link", name="All neurons").click()
    expect(reader.locator("table.grid-table")).to_contain_text("L0N0")
    reader.get_by_role("link", name="L1N3", exact=True).first.click()
    expect(reader.get_by_role("heading", level=1)).to_have_text("L1N3")

    pairing = reader.get_by_role("navigation", name="Pairing")
    before = pairing.locator("[aria-current=page]").inner_text()
    pairing.locator("a:not([aria-current])").first.click()
    expect(reader).to_have_url(re.compile(r"pairing=match"))
    reader.wait_for_load_state()  # forms are the scripts' once the page's modules have run
    assert pairing.locator("[aria-current=page]").inner_text() != before

    left = reader.locator("#label-left")
    left.get_by_role("radio", name="polysemantic").check()
    left.get_by_role("textbox").fill("<b>two</b> things")
    left.get_by_role("button", name=re.compile("Label")).click()
    expect(reader.locator(".heads .left")).to_contain_text("polysemantic")

    permalink = reader.get_by_role("link", name="permalink").get_attribute("href")
    assert permalink is not None
    assert "run=" in permalink
    examples = reader.locator("section.band").all_inner_texts()
    other = reader.context.new_page()
    other.goto(address + permalink)
    expect(other.get_by_role("heading", level=1)).to_have_text("L1N3")
    assert other.locator("section.band").all_inner_texts() == examples
    expect(other.locator(".heads .left")).to_contain_text("polysemantic")
    other.goto(address + permalink.split("?")[0] + "/labels")
    expect(other.get_by_text("<b>two</b> things").first).to_be_visible()


def test_the_site_works_without_scripts(browser, address: str) -> None:  # type: ignore[no-untyped-def]
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{address}/tiny-pair/0/2")
    expect(page.get_by_role("img").first).to_be_visible()
    right = page.locator("#label-right")
    right.get_by_role("radio", name="unclear").check()
    right.get_by_role("button", name=re.compile("Label")).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Labels of L0N2")
    expect(page.locator(".right").first).to_contain_text("unclear")
    context.close()


def test_a_sense_shows_alone_without_scripts(browser, address: str) -> None:  # type: ignore[no-untyped-def]
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{address}/tiny-pair/1/3")
    expect(page.locator("#unshown")).to_contain_text("of its effect")
    link = page.locator("#senses .left .sense-name").first
    link.click()
    expect(page).to_have_url(re.compile(r"sense=left:0"))
    expect(page.locator("#senses .left li.shown")).to_have_count(1)
    page.get_by_role("link", name="Show all").click()
    expect(page).not_to_have_url(re.compile(r"sense="))
    context.close()


def test_values_show_on_hover_and_on_focus(reader: Page, address: str) -> None:
    reader.goto(f"{address}/tiny-pair/0/1")
    example = reader.locator("p.tokens").first
    example.locator("span").nth(1).hover()
    values = reader.locator("#token-values")
    expect(values).to_be_visible()
    expect(values).to_contain_text("post")
    reader.mouse.move(0, 0)
    expect(values).to_be_hidden()
    reader.locator("p.tokens [tabindex='0']").first.focus()
    expect(values).to_be_visible()
    expect(values).to_contain_text("post")
    first = values.inner_text()
    reader.keyboard.press("ArrowLeft")
    expect(values).not_to_have_text(first)


def test_the_rest_of_a_band_comes_in_its_place(reader: Page, address: str) -> None:
    reader.goto(f"{address}/tiny-pair/0/3")
    reader.get_by_role("button", name="The other version beneath each").click()
    cell = reader.locator("#top .left")
    few, after = cell.locator("li.example").count(), reader.locator("#q50-90 .right .more").count()
    link = cell.locator(".more a")
    n_all = int(link.inner_text().removeprefix("all "))
    assert few < n_all
    link.focus()
    reader.keyboard.press("Enter")
    expect(cell.locator("li.example")).to_have_count(n_all)
    expect(reader).to_have_url(f"{address}/tiny-pair/0/3")
    expect(cell.locator(".more")).to_have_count(0)
    assert reader.locator("#q50-90 .right .more").count() == after  # its own band alone
    names = cell.locator("li.example").evaluate_all("all => all.map((one) => one.id)")
    assert names == [f"left-top-{rank}" for rank in range(n_all)]
    assert reader.locator("[id]").evaluate_all(
        "all => new Set(all.map((one) => one.id)).size === all.length"
    )
    new = cell.locator("li.example").nth(few)
    expect(new.locator(".rank")).to_be_focused()
    expect(new.locator(".other .body")).to_be_visible()
    new.locator(".tokens span").nth(1).hover()
    expect(reader.locator("#token-values")).to_contain_text("post")
    assert reader.locator(f"a[href*='examples=all#{names[few]}']").count() == 0


def test_without_an_answer_the_link_to_the_rest_is_followed(page: Page, address: str) -> None:
    page.goto(f"{address}/tiny-pair/0/3")
    page.evaluate("() => { window.fetch = () => Promise.reject(new Error('no answer')); }")
    link = page.locator("#top .left .more a")
    last = page.locator("#top .left .more [id]").last.get_attribute("id")
    link.click()
    expect(page).to_have_url(re.compile(r"/tiny-pair/0/3\?examples=all#left-top-"))
    expect(page.locator(f"li#{last}")).to_be_visible()


def test_hostile_text_is_text(reader: Page, address: str) -> None:
    shown = documents = ""
    reader.on("dialog", lambda dialog: pytest.fail(f"a script ran: {dialog.message}"))
    for layer, neuron in ((0, 0), (0, 5), (1, 1), (1, 4), (1, 7), (1, 9)):
        reader.goto(f"{address}/tiny-pair/{layer}/{neuron}?examples=all")
        assert reader.locator("main script").count() == 0
        shown += "".join(reader.locator("p.tokens").all_inner_texts())
        documents += "".join(reader.locator(".document").all_inner_texts())
        assert reader.locator("p.tokens > :not(span), p.tokens span :not(i, b)").count() == 0
        assert reader.locator(".document b, .document script").count() == 0
    assert "<script>alert(1)</script>" in shown.replace("\n", "")
    assert "<b>bold" in documents


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/tiny-pair",
        "/tiny-pair?rows=pair&sort=-diff_hidden_share",
        "/tiny-pair/1/0",
        "/runs",
        "/docs",
    ],
)
@pytest.mark.parametrize("width", [390, 1280, 1366, 1440])
def test_no_page_is_wider_than_the_screen(
    reader: Page, address: str, path: str, width: int
) -> None:
    reader.set_viewport_size({"width": width, "height": 900})
    reader.goto(address + path)
    assert reader.evaluate("document.documentElement.scrollWidth") <= width


def test_the_run_page_says_what_was_done(reader: Page, address: str) -> None:
    reader.set_viewport_size({"width": 390, "height": 844})
    reader.goto(f"{address}/runs")
    reader.locator("table a").first.click()
    assert reader.evaluate("document.documentElement.scrollWidth") <= 390
    expect(reader.get_by_role("main")).to_contain_text("tiny-pair")
    expect(reader.get_by_role("main")).to_contain_text("seed")
