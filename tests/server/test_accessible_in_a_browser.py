"""Pages that a small run of real models has not: accessible in light and dark, and silent."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page

from tests.accessibility import SCHEME_RULES, serious
from tests.server.conftest import Served
from tests.server.serving import serving

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("served", ["sqlite"], indirect=True, scope="session")
def test_a_candidate_and_the_list_of_candidates(served: Served, page: Page) -> None:
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    with serving(served.app) as address:
        for path in ("/tiny-pair/0/invisible", "/tiny-pair/0/invisible/0", "/tiny-pair/tax"):
            page.emulate_media(color_scheme="light")
            answer = page.goto(address + path)
            assert answer is not None
            assert answer.status == 200
            assert serious(page) == [], path
            page.emulate_media(color_scheme="dark")
            assert serious(page, SCHEME_RULES) == [], path
    assert said == []


def test_an_axe_that_finds_nothing_would_be_noticed(page: Page) -> None:
    page.set_content("<!doctype html><html><title>x</title><img src='x.png'></html>")
    assert any("image-alt" in fault for fault in serious(page))
