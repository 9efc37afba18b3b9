"""What takes longer than a blink says so: pages that come, forms, labels; files do not."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Page, Route, expect

from tests.end_to_end.conftest import ON_SQLITE

pytestmark = [pytest.mark.browser, ON_SQLITE]

WORDS = "One moment …"

#: A page that is left answers no question any more, so it tells by itself.
TELL = """
const line = document.querySelector(".waiting");
new MutationObserver(() => heard(line.textContent)).observe(line, { childList: true });
"""


@contextmanager
def held(page: Page, address: str) -> Iterator[None]:
    """Requests to what this pattern names wait until the block has ended."""
    routes: list[Route] = []
    page.route(re.compile(address), lambda route: routes.append(route))
    yield
    for route in routes:
        route.continue_()
    page.unroute(re.compile(address))


@pytest.mark.parametrize(
    ("start", "waits_for", "act"),
    [
        pytest.param(
            "/tiny-pair",
            r"/tiny-pair/tax",
            lambda page: page.locator('main a[href*="/tax"]').first.click(no_wait_after=True),
            id="a page",
        ),
        pytest.param(
            "/tiny-pair",
            r"/search\?",
            lambda page: (
                page.locator("header [name=q]").fill("self"),
                page.keyboard.press("Enter"),
            ),
            id="a form",
        ),
        pytest.param(
            "/tiny-pair/0/1",
            r"/0/1/labels$",
            lambda page: (
                page.keyboard.press("4"),
                page.locator("#label-left button[type=submit]").click(),
            ),
            id="a label",
        ),
        pytest.param(
            "/tiny-pair?x=kurtosis&y=max",
            r"/tiny-pair/\d+/\d+",
            lambda page: page.locator("svg a[href]").first.click(no_wait_after=True, force=True),
            id="a point of a figure",
        ),
        pytest.param(
            "/tiny-pair/0/1",
            r"examples=all",
            lambda page: page.locator(".more > a").first.click(),
            id="the rest of a band",
        ),
    ],
)
def test_what_takes_long_says_so(
    page: Page, address: str, start: str, waits_for: str, act: Callable[[Page], object]
) -> None:
    said: list[str] = []
    page.expose_function("heard", lambda words: said.append(words))
    page.goto(address + start)
    page.wait_for_load_state("networkidle")
    expect(page.locator(".waiting")).to_be_empty()
    page.evaluate(TELL)
    with held(page, waits_for):
        act(page)
        end = time.monotonic() + 60
        while WORDS not in said and time.monotonic() < end:
            page.wait_for_timeout(50)
    assert said[:1] == [WORDS]
    expect(page.locator(".waiting")).to_be_empty()


def test_a_file_does_not(page: Page, address: str) -> None:
    page.goto(f"{address}/tiny-pair")
    page.wait_for_load_state("networkidle")
    with page.expect_download():
        page.locator(".downloads a").first.click()
    page.wait_for_timeout(400)
    expect(page.locator(".waiting")).to_be_empty()
