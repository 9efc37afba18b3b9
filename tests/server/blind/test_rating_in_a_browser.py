"""Ten cards by keyboard alone, in a real browser; and one without scripts."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page, expect

from server.app import create_app
from server.settings import Settings
from store import studies
from tests.accessibility import serious
from tests.server.blind.conftest import Team
from tests.server.serving import serving

pytestmark = pytest.mark.browser


def _arrived(page: Page, place: str, words: str) -> None:
    """The next page is there and its modules have run: keys are listened to only then."""
    expect(page.locator(place)).to_contain_text(words)
    page.wait_for_load_state()


def _at_the_cards(team: Team, page: Page, address: str, slug: str) -> None:
    page.goto(f"{address}/studies/{slug}/rate")
    expect(page.locator("h1")).to_have_text("What is it?")


def test_ten_cards_by_keyboard_alone(team: Team, browser: Browser) -> None:
    slug = team.begun()
    local = create_app(Settings(database_url=team.url, annotator="kim"), team.engine)
    page = browser.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    with serving(local) as address:
        _at_the_cards(team, page, address, slug)
        page.keyboard.press("b")
        for number in range(1, 11):
            _arrived(page, ".place", f"Card {number} of")
            if number == 1:
                for scheme in ("light", "dark"):
                    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
                    assert serious(page) == [], scheme
            if number == 2:
                page.keyboard.press("Enter")  # nothing is chosen yet
                expect(page.locator("[data-said]")).to_have_text(
                    "Choose a verdict first: 1, 2 or 3."
                )
            page.keyboard.press("123"[number % 3])
            if number == 3:
                page.keyboard.press("Tab")
                page.keyboard.type("1 2 3: under way, up")  # letters of keys are letters here
            page.keyboard.press("Enter")
        _arrived(page, ".place", "Card 11 of")
        page.keyboard.press("u")
        _arrived(page, ".place", "Card 10 of")
        assert page.locator("[name=verdict]:checked").get_attribute("value") == "polysemantic"
        page.keyboard.press("3")
        page.keyboard.press("Enter")
        _arrived(page, ".place", "Card 11 of")
        page.keyboard.press("p")
        _arrived(page, "h1", "Paused")
        assert page.locator(".tokens").count() == 0
        page.keyboard.press("p")
        _arrived(page, ".place", "Card 11 of")
    page.close()
    kept = studies.ratings(team.engine, slug)
    assert len(kept) == 10
    assert len(studies.rating_history(team.engine, slug)) == 11
    assert [rating.rule for rating in kept if rating.rule] == ["1 2 3: under way, up"]
    assert said == []


def test_an_answer_that_does_not_arrive_is_not_lost(team: Team, browser: Browser) -> None:
    slug = team.begun()
    local = create_app(Settings(database_url=team.url, annotator="max"), team.engine)
    page = browser.new_page()
    with serving(local) as address:
        _at_the_cards(team, page, address, slug)
        page.keyboard.press("b")
        _arrived(page, ".place", "Card 1 of")
        page.keyboard.press("2")
        page.keyboard.press("Tab")
        page.keyboard.type("names of colours")
        page.locator("[name=confidence]").select_option("4")
        page.route("**/rate", lambda route: route.abort(), times=1)
        page.keyboard.press("Enter")
        expect(page.locator(".place")).to_have_count(0)  # the browser's own page of the fault
        page.goto(f"{address}/studies/{slug}/rate")
        _arrived(page, ".place", "Card 1 of")
        expect(page.locator("[data-said]")).to_have_text(
            "Your answer did not arrive. It is here; Enter sends it."
        )
        assert page.locator("[name=verdict]:checked").get_attribute("value") == "polysemantic"
        expect(page.locator("[name=rule]")).to_have_value("names of colours")
        expect(page.locator("[name=confidence]")).to_have_value("4")
        page.reload()
        expect(page.locator("[data-said]")).to_have_text("What you wrote before is back.")
        page.keyboard.press("Enter")
        _arrived(page, ".place", "Card 2 of")
        expect(page.locator("[name=rule]")).to_have_value("")
        page.keyboard.press("u")
        _arrived(page, ".place", "Card 1 of")
        expect(page.locator("[name=rule]")).to_have_value("names of colours")
        expect(page.locator("[data-said]")).to_have_text("")
    page.close()
    (kept,) = studies.ratings(team.engine, slug)
    assert (kept.verdict, kept.rule, kept.confidence) == ("polysemantic", "names of colours", 4)


def test_a_card_without_scripts(team: Team, browser: Browser) -> None:
    slug = team.begun()
    local = create_app(Settings(database_url=team.url, annotator="lou"), team.engine)
    context = browser.new_context(java_script_enabled=False, viewport={"width": 390, "height": 844})
    page = context.new_page()
    with serving(local) as address:
        _at_the_cards(team, page, address, slug)
        page.get_by_role("button", name="Begin").click()
        page.get_by_text("polysemantic", exact=True).click()
        page.get_by_role("button", name="Next card").click()
        expect(page.locator(".place")).to_contain_text("Card 2 of")
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= 390
    context.close()
    (kept,) = studies.ratings(team.engine, slug)
    assert kept.verdict == "polysemantic"
