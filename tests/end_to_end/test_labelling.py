"""Labelling in a browser: log in, the queue by keyboard alone, undo, and nothing typed is lost."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Page, Route, expect
from sqlalchemy import delete, func, select

from store.engine import Engine, open_engine, reading, writing
from store.tables import label
from store.tables_access import session
from tests import databases
from tests.accessibility import serious
from tests.server.serving import serving
from tests.server.team import PASSWORD, team_app
from tests.synthetic_run import publish_synthetic

pytestmark = pytest.mark.browser


#: What a neuron's page asks for after it has come: labels, and who is asking.
FRAGMENTS = re.compile(r"/labels\?.*fragment=1")


@dataclass(frozen=True)
class Team:
    """A server in team mode over one run."""

    address: str
    engine: Engine

    def labels(self) -> int:
        """How many labels there are in the history."""
        with reading(self.engine) as connection:
            return connection.scalar(select(func.count()).select_from(label)) or 0

    def descriptions(self) -> list[str]:
        """What all labels in the history say."""
        with reading(self.engine) as connection:
            return list(connection.scalars(select(label.c.description)))

    def log_everybody_out(self) -> None:
        """As though all sessions had expired."""
        with writing(self.engine) as connection:
            connection.execute(delete(session))


@pytest.fixture
def team() -> Iterator[Team]:
    with databases.fresh("sqlite") as url:
        engine = open_engine(url)
        publish_synthetic(engine)
        with serving(team_app(engine, url)) as address:
            yield Team(address, engine)
        engine.dispose()


def log_in(page: Page, name: str = "ann") -> None:
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(lambda url: "/login" not in url)


def queue(page: Page, team: Team) -> None:
    page.goto(f"{team.address}/labels/queue?pair=tiny-pair&layer=0&side=left")
    log_in(page)
    expect(page.get_by_role("heading", level=1)).to_contain_text("L0N0")
    page.wait_for_load_state("networkidle")


def test_the_queue_by_keyboard_alone(page: Page, team: Team) -> None:
    queue(page, team)
    heading, said = page.get_by_role("heading", level=1), page.locator(".queue-form .said")
    page.keyboard.press("2")
    page.keyboard.type("brackets, 1 of 2")
    page.keyboard.press("Escape")
    page.keyboard.press("c")
    page.keyboard.press("4")
    page.keyboard.press("Enter")
    expect(heading).to_contain_text("L0N1")
    expect(said).to_have_text("Kept: polysemantic.")
    expect(page.locator("[data-progress]")).to_have_text("1 of 8 labelled")
    page.keyboard.press("1")
    page.keyboard.press("Enter")  # right after the verdict, from the description
    expect(heading).to_contain_text("L0N2")
    expect(page.locator("[data-undo] p")).to_contain_text("L0N1, monosemantic")
    page.keyboard.press("u")
    expect(heading).to_contain_text("L0N1")
    expect(page.locator("[data-progress]")).to_have_text("1 of 8 labelled")
    page.keyboard.press("s")
    expect(heading).to_contain_text(re.compile("L0N[2-7]"))
    assert team.labels() == 2, "what was taken back is in the history"
    page.goto(f"{team.address}/labels?history=1")
    expect(page.locator("tbody tr")).to_have_count(2)
    expect(page.locator("tbody")).to_contain_text("brackets, 1 of 2")


def test_the_queue_shows_the_values_of_a_token(page: Page, team: Team) -> None:
    queue(page, team)
    page.locator("p.tokens > span").nth(3).hover()
    expect(page.locator("#token-values")).to_contain_text("post")
    expect(page.locator("#token-values td").first).to_have_text(re.compile(r"^−?\d"))


def test_a_draft_outlives_a_dropped_connection(page: Page, team: Team) -> None:
    queue(page, team)
    page.keyboard.press("3")
    page.keyboard.type("written in a tunnel")
    page.context.set_offline(True)
    page.keyboard.press("Enter")
    expect(page.locator(".queue-form .said")).to_contain_text("The server does not answer.")
    assert team.labels() == 0
    page.context.set_offline(False)
    expect(page.get_by_role("heading", level=1)).to_contain_text("L0N1")
    assert team.labels() == 1
    page.keyboard.press("1")
    page.keyboard.type("half a thou")
    page.reload()
    expect(page.locator("textarea")).to_have_value("half a thou")


def test_a_draft_outlives_an_expired_login(page: Page, team: Team) -> None:
    queue(page, team)
    page.keyboard.press("4")
    page.keyboard.type("too late")
    team.log_everybody_out()
    page.keyboard.press("Enter")
    page.get_by_role("link", name="Log in again").click()
    log_in(page)
    expect(page.get_by_role("heading", level=1)).to_contain_text("L0N1")
    assert team.labels() == 1
    page.goto(f"{team.address}/labels")
    expect(page.locator("tbody")).to_contain_text("too late")


def test_a_draft_on_a_neurons_page_outlives_it_too(page: Page, team: Team) -> None:
    page.goto(f"{team.address}/login?next=/tiny-pair/1/3")
    log_in(page)
    left = page.locator("#label-left")
    page.wait_for_load_state("networkidle")
    page.keyboard.press("2")
    left.get_by_role("textbox").fill("from before")
    team.log_everybody_out()
    left.get_by_role("button", name="Label L1N3").click()
    left.get_by_role("link", name="Log in again").click()
    log_in(page)
    expect(page.locator("#label-left .said")).to_have_text("Kept: polysemantic.")
    page.keyboard.press("u")
    expect(page.locator("#label-left .said")).to_contain_text("Taken back")
    assert team.labels() == 1


def on_a_neurons_page(page: Page, team: Team) -> None:
    page.goto(f"{team.address}/login?next=/tiny-pair/1/3")
    log_in(page)
    page.wait_for_load_state("networkidle")


def label_unanswered(page: Page, words: str) -> None:
    """Send a label that does not arrive."""
    page.route("**/tiny-pair/1/3/labels", lambda route: route.abort())
    page.keyboard.press("2")
    page.locator("#label-left").get_by_role("textbox").fill(words)
    page.locator("#label-left").get_by_role("button", name="Label L1N3").click()
    expect(page.locator("#label-left .said")).to_contain_text("The server does not answer")


def test_a_verdict_that_a_key_chose_is_a_draft(page: Page, team: Team) -> None:
    on_a_neurons_page(page, team)
    page.keyboard.press("2")
    page.reload()
    left = page.locator("#label-left")
    expect(left.locator(".said")).to_have_text("What you wrote before is back.")
    expect(left.get_by_role("radio", name="polysemantic")).to_be_checked()


def test_what_is_typed_early_and_what_was_sent_before_are_both_kept(page: Page, team: Team) -> None:
    on_a_neurons_page(page, team)
    label_unanswered(page, "the first thought")
    held: list[Route] = []
    hold = True
    page.route(FRAGMENTS, lambda route: held.append(route) if hold else route.continue_())
    page.reload()
    text = page.locator("#label-left").get_by_role("textbox")
    text.press_sequentially("the second one")
    assert team.labels() == 0
    page.unroute("**/tiny-pair/1/3/labels")
    hold = False
    for route in held:
        route.continue_()
    expect(page.locator("#label-left .said")).to_have_text("Kept: polysemantic.")
    expect(text).to_have_value("the second one")
    assert team.descriptions() == ["the first thought"]
    page.reload()
    expect(text).to_have_value("the second one")


def test_nobody_sends_what_another_wrote(page: Page, team: Team) -> None:
    on_a_neurons_page(page, team)
    label_unanswered(page, "written by ann")
    page.unroute("**/tiny-pair/1/3/labels")
    team.log_everybody_out()
    page.goto(f"{team.address}/login?next=/tiny-pair/1/3")
    log_in(page, "otto")
    page.wait_for_load_state("networkidle")
    left = page.locator("#label-left")
    expect(left.get_by_role("textbox")).to_have_value("")
    assert team.labels() == 0
    page.keyboard.press("3")
    left.get_by_role("textbox").fill("written by otto")
    left.get_by_role("button", name="Label L1N3").click()
    expect(left.locator(".said")).to_have_text("Kept: unclear.")
    team.log_everybody_out()
    page.goto(f"{team.address}/login?next=/tiny-pair/1/3")
    log_in(page)
    expect(left.locator(".said")).to_have_text("Kept: polysemantic.")
    assert sorted(team.descriptions()) == ["written by ann", "written by otto"]


def test_what_was_sent_is_sent_though_the_labels_came_late(page: Page, team: Team) -> None:
    on_a_neurons_page(page, team)
    label_unanswered(page, "the first thought")
    there = False
    page.route(FRAGMENTS, lambda route: route.continue_() if there else route.abort())
    page.reload()
    text = page.locator("#label-left").get_by_role("textbox")
    text.press_sequentially("the second one")
    page.unroute("**/tiny-pair/1/3/labels")
    there = True
    expect(page.locator("#label-left .said")).to_have_text("Kept: polysemantic.")
    assert team.descriptions() == ["the first thought"]
    expect(text).to_have_value("the second one")


def test_team_pages_are_accessible(page: Page, team: Team) -> None:
    page.goto(f"{team.address}/login")
    assert serious(page) == []
    log_in(page, "otto")
    for address in (
        "/account",
        "/labels",
        "/labels?history=1",
        "/labels/queue?pair=tiny-pair",
        "/labels/queue?pair=tiny-pair&layer=0&neuron=1&side=left&kurtosis__gte=1e9",
    ):
        page.goto(team.address + address)
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            assert serious(page) == [], (address, scheme)
