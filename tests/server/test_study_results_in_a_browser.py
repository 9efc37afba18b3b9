"""The results page in a browser: nothing on the console, Plotly when asked for, words to copy."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect

from server.app import create_app
from server.settings import Settings
from store.engine import open_engine
from tests import databases
from tests.accessibility import serious
from tests.server.serving import serving
from tests.simulated_study import put_in, simulate
from tests.synthetic_run import publish_synthetic

pytestmark = pytest.mark.browser


def test_the_figures_can_be_explored(browser: Browser) -> None:
    context = browser.new_context(
        permissions=["clipboard-read", "clipboard-write"], viewport={"width": 390, "height": 844}
    )
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    with databases.fresh("sqlite") as url:
        engine = open_engine(url)
        run = publish_synthetic(engine, seed=1)
        put_in(engine, simulate(8, run_id=run.id))
        app = create_app(Settings(database_url=url, annotator="ada"), engine)
        with serving(app) as address:
            page.goto(f"{address}/studies/simulated/results")
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
            expect(page.locator("svg.shares-by-condition .point")).to_have_count(6)
            assert serious(page) == []
            for name, traces in (("shares", 6), ("seconds", 3)):
                head = page.locator(f".results-head:has([data-plot-said={name}])")
                head.get_by_role("button", name="explore").click()
                plot = page.locator(f"[data-plot={name}] .results-plot")
                expect(plot.locator(".main-svg").first).to_be_visible()
                assert plot.evaluate("one => one.data.length") == traces
                expect(head.get_by_role("button")).to_have_count(0)
            expect(page.locator("svg.shares-by-condition")).to_have_count(0)
            for scheme in ("light", "dark"):
                page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
                assert serious(page) == [], scheme
            page.get_by_role("button", name="copy", exact=True).click()
            expect(page.get_by_role("button", name="copied")).to_be_visible()
            copied = page.evaluate("navigator.clipboard.readText()")
            assert copied.startswith("From SoLU (left version) and GeLU (right version)")
            page.locator("[popovertarget=def-study_fall]").first.click()
            expect(page.locator("#def-study_fall")).to_contain_text("Newcombe's for pairs")
        engine.dispose()
    assert said == []
    context.close()
