"""The pages that only a team and its studies have: valid HTML, accessible in light and dark."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.accessibility import SCHEME_RULES, serious
from tests.server.blind.conftest import Team
from tests.server.serving import serving
from tests.server.team import begin_session
from tests.server.test_html import faults

pytestmark = [
    pytest.mark.browser,
    pytest.mark.parametrize("team", ["sqlite"], indirect=True, scope="session"),
]

PAIR = "solo-match"


@pytest.fixture
def pages(team: Team) -> dict[str, tuple[str | None, str]]:
    """What a page is → who reads it (None: whoever is not logged in), and its address."""
    rates, pauses, has_rated, begins = (team.rater() for _ in range(4))
    draft, running = team.drafted(), team.begun(rates)
    paused = team.begun(pauses)
    assert team.browser(pauses).post(f"/studies/{paused}/pause", json={}).status_code == 204
    done, card = team.begun(has_rated), team.browser(has_rated)
    while (shown := card.get(f"/studies/{done}/rate.json").json()["card"]) is not None:
        sent = {"card": shown["name"], "verdict": "unclear"}
        assert card.post(f"/studies/{done}/rate", json=sent).status_code == 201
    closed = team.begun(team.rater())
    assert team.browser("otto").post(f"/studies/{closed}/close", json={}).status_code == 200
    label = {"side": "left", "verdict": "dead", "description": "a <b> & two", "confidence": 2}
    labels = team.browser(team.rater()).post(f"/{PAIR}/0/1/labels", json=label)
    assert labels.status_code == 201
    return {
        "studies": ("otto", "/studies"),
        "a new study": ("otto", "/studies/new"),
        "a draft": ("otto", f"/studies/{draft}"),
        "a running study": ("otto", f"/studies/{running}"),
        "a closed study": ("otto", f"/studies/{closed}"),
        "results": ("otto", f"/studies/{closed}/results"),
        "a study, to its rater": (rates, f"/studies/{running}"),
        "before the cards": (begins, f"/studies/{running}/rate"),
        "a card": (rates, f"/studies/{running}/rate"),
        "paused": (pauses, f"/studies/{paused}/rate"),
        "all cards rated": (has_rated, f"/studies/{done}/rate"),
        "what is closed to a rater": (rates, f"/{PAIR}/search?q=self"),
        "labels": ("otto", "/labels?history=1"),
        "the queue": ("otto", f"/labels/queue?pair={PAIR}"),
        "an account": ("otto", "/account"),
        "login": (None, "/login"),
        "a run": ("otto", f"/runs/{team.run.id}"),
        "a neuron's labels": ("otto", f"/{PAIR}/0/1/labels"),
    }


def _confirmation(team: Team) -> str:
    """The page that asks once more, since a form came without the session's token."""
    labels = team.browser(team.rater())
    del labels.headers["X-CSRF-Token"]
    asked = labels.post(
        f"/{PAIR}/0/2/labels", data={"side": "left", "verdict": "dead", "back": "/"}
    )
    assert asked.status_code == 403
    assert "<form" in asked.text
    return asked.text


def test_no_page_of_a_team_has_an_error(
    team: Team, pages: dict[str, tuple[str | None, str]], tmp_path: Path
) -> None:
    found = {name: team.browser(who).get(address).text for name, (who, address) in pages.items()}
    found["confirm"] = _confirmation(team)
    names = list(found)
    for number, name in enumerate(names):
        (tmp_path / f"{number:02}.html").write_text(found[name], encoding="utf-8")
    told = [f"{names[int(line[:2])]} {line[8:]}" for line in faults(tmp_path)]
    assert not told, "\n".join(told)


def test_every_page_of_a_team_is_accessible(
    team: Team, pages: dict[str, tuple[str | None, str]], browser: Browser
) -> None:
    with serving(team.app) as address:
        for name, (who, path) in pages.items():
            context = browser.new_context()
            if who is not None:
                cookie, value, _ = begin_session(team.engine, who)
                context.add_cookies([{"name": cookie, "value": value, "url": address}])
            page = context.new_page()
            page.set_default_timeout(120_000)
            page.goto(address + path)
            page.wait_for_load_state("networkidle")
            _is_accessible(page, name)
            context.close()
        page = browser.new_page()
        asked = _confirmation(team)
        page.route("**/confirm", lambda route: route.fulfill(body=asked, content_type="text/html"))
        page.goto(f"{address}/confirm")
        _is_accessible(page, "confirm")
        page.close()


def _is_accessible(page: Page, name: str) -> None:
    page.emulate_media(color_scheme="light")
    assert serious(page) == [], name
    page.emulate_media(color_scheme="dark")
    assert serious(page, SCHEME_RULES) == [], name
