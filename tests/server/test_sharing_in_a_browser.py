"""The share disclosure by keyboard and without scripts, and the embed in another site's frame."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect
from starlette.responses import HTMLResponse
from starlette.types import Receive, Scope, Send

from tests.server.conftest import Served
from tests.server.serving import serving

pytestmark = pytest.mark.browser


def test_a_page_of_this_machine_may_frame_the_embed_alone(served: Served, browser: Browser) -> None:
    page = browser.new_page()
    frames = ""

    async def notebook(scope: Scope, receive: Receive, send: Send) -> None:
        await HTMLResponse(frames)(scope, receive, send)

    with serving(served.app) as address, serving(notebook) as another:
        frames = "".join(
            f'<iframe name="{name}" src="{address}/tiny-pair/0/3{path}"></iframe>'
            for name, path in (("embed", "/embed?theme=dark"), ("missing", "9/embed"), ("page", ""))
        )
        page.goto(another.replace("127.0.0.1", "localhost"))
        embed = page.frame_locator("[name=embed]")
        expect(embed.get_by_role("heading", level=1)).to_contain_text("L0N3")
        assert embed.locator("html").evaluate("one => getComputedStyle(one).colorScheme") == "dark"
        expect(page.frame_locator("[name=missing]").locator("main")).to_contain_text("neuron 39")
        assert page.frame_locator("[name=page]").locator("main.neuron").count() == 0
    page.close()


def test_the_disclosure_copies_by_keyboard(served: Served, browser: Browser) -> None:
    context = browser.new_context(permissions=["clipboard-read", "clipboard-write"])
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    with serving(served.app) as address:
        page.goto(f"{address}/tiny-pair/0/3")
        summary = page.locator(".share summary")
        box = page.locator(".share-box")
        expect(box).to_be_hidden()
        summary.focus()
        page.keyboard.press("Enter")
        expect(box).to_be_visible()
        copy = page.get_by_role("button", name="Copy: Embed")
        copy.focus()
        page.keyboard.press("Enter")
        expect(page.get_by_role("button", name="Copied: Embed")).to_have_text("copied")
        copied = page.evaluate("navigator.clipboard.readText()")
        assert copied == page.get_by_label("Embed", exact=True).input_value()
        assert copied.startswith(f'<iframe src="{address}/tiny-pair/0/3/embed?run=')
        page.keyboard.press("Escape")
        expect(box).to_be_hidden()
        expect(summary).to_be_focused()
        page.set_viewport_size({"width": 390, "height": 844})
        summary.click()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        with page.expect_download() as started:
            page.get_by_role("link", name="Download this page").click()
        assert started.value.suggested_filename == (
            f"twinscope-tiny-pair-L0N3-{served.newest.id}.html"
        )
    assert said == []
    context.close()


def test_the_disclosure_works_without_scripts(served: Served, browser: Browser) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    with serving(served.app) as address:
        page.goto(f"{address}/tiny-pair/0/3")
        page.locator(".share summary").click()
        expect(page.get_by_label("Permalink", exact=True)).to_be_visible()
        assert "L0N3" in page.get_by_label("Cite this page", exact=True).input_value()
        expect(page.get_by_role("button", name="copy")).to_have_count(0)
    context.close()
