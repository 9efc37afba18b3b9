"""A rater's browser walks a whole study; nothing that it receives tells what a card is of."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from httpx2 import Response

from server.blind import card_markup, names
from server.compose import rating
from store import examples, raters, studies
from store.study_records import StudyItem
from tests.server.blind.conftest import Team

#: Keys that would name a fact, wherever in a JSON answer they stood.
FORBIDDEN_KEYS = {
    *("side", "layer", "neuron", "number", "item", "kind", "condition", "truth", "repeat_of"),
    *("merged_with", "activation", "values", "model", "act_fn", "document", "seed"),
}

#: How far the longest body of a card may be from the shortest: digits of the card's place.
SIZE_BOUND = 4

NAME = re.compile(r"[a-z2-7]{16}")

#: What is drawn by lot, and may by chance have any short word in it: names of cards, and the token
#: of a session's forms.
RANDOM = re.compile(
    rf'name="card" value="{NAME.pattern}"|"name":"{NAME.pattern}"|card={NAME.pattern}\b'
    r'|name="csrf" value="[\w-]+"|name="csrf-token" content="[\w-]+"'
)


@dataclass(frozen=True)
class Received:
    """One answer, as the browser has it."""

    address: str
    headers: dict[str, str]
    body: str
    item: StudyItem | None = None


def walk(team: Team, slug: str, name: str) -> list[Received]:
    """All that a rater's browser receives while it rates every card, by the form and by JSON."""
    browser = team.browser(name)
    by_number = {item.number: item for item in studies.items(team.engine, slug)}
    received: list[Received] = []

    def keep(answer: Response, item: StudyItem | None = None) -> Response:
        assert answer.status_code < 400, answer.text
        received.append(Received(str(answer.url), dict(answer.headers), answer.text, item))
        return answer

    keep(browser.get("/studies"))
    keep(browser.get("/studies.json"))
    for ending in ("", ".json", "/protocol.json", "/protocol.txt", "/rate", "/rate.json"):
        keep(browser.get(f"/studies/{slug}{ending}"))
    order = _order(team, slug, name)
    for number in order:
        item = by_number[number]
        keep(browser.get(f"/studies/{slug}/rate"), item)
        shown = keep(browser.get(f"/studies/{slug}/rate.json"), item).json()
        sent = {"card": shown["card"]["name"], "verdict": "unclear", "rule": f"said by {name}"}
        keep(browser.post(f"/studies/{slug}/rate", data=sent))
        keep(browser.get(f"/studies/{slug}/rate?card={sent['card']}"))
    keep(browser.post(f"/studies/{slug}/rate", json=sent))
    keep(browser.get(f"/studies/{slug}/rate"))
    addresses = {
        address for one in received for address in re.findall(r'"(/static/[^"]+)"', one.body)
    }
    received += [
        Received(address, dict(answer.headers), "")
        for address in sorted(addresses)
        for answer in [browser.get(address)]
    ]
    return received


def _order(team: Team, slug: str, name: str) -> tuple[int, ...]:
    place = raters.place(team.engine, slug, name)
    assert place is not None
    return place.cards


def leaks(team: Team, slug: str, received: list[Received]) -> list[str]:
    """What the answers tell that they must not, a line each."""
    return [*_told(team, slug, received), *_sizes(received)]


def _told(team: Team, slug: str, received: list[Received]) -> Iterator[str]:
    pair, words = team.run.pair, [team.run.id, team.run.identity_sha256]
    assert pair.right is not None
    for model in (pair.left, pair.right):
        words += [model.name, model.act_fn, model.act_fn.partition("_")[0], model.weights_sha256]
        words.append(model.weights_sha256[:10])
    words += [pair.slug, pair.name, "said by otto", "said by bo"]
    for item in studies.items(team.engine, slug):
        words.append(f"L{item.layer}N{item.neuron}")
        words.append(f"/{item.layer}/{item.neuron}")
    numbers = _activations(team, slug)
    for one in received:
        heads = " ".join(f"{name}: {value}" for name, value in one.headers.items())
        # What every page's search box says, whoever asks.
        body = (
            re.sub(r"[^\"]{0,40}L0N17", "", one.body)
            if one.address.endswith("/studies")
            else one.body
        )
        everywhere = RANDOM.sub("", f"{one.address} {heads} {body}").casefold()
        for word in words:
            if word.casefold() in everywhere:
                yield f"{one.address} names {word}"
        if one.body.startswith("{"):
            for key in _keys(json.loads(one.body)) & FORBIDDEN_KEYS:
                yield f"{one.address} has the key {key}"
        if "etag" in one.headers and "/static/" not in one.address:
            yield f"{one.address} has an ETag"
        if "/rate" not in one.address:
            continue
        for word in ("left", "right", "planted", "merged", "repeat", "condition", "range", "truth"):
            if re.search(rf"\b{word}\b", one.body.casefold()):
                yield f"{one.address} says {word}"
        for number in numbers:
            if number in one.body:
                yield f"{one.address} shows the activation {number}"
        for name in re.findall(r'name="card" value="([^"]*)"', one.body):
            if not NAME.fullmatch(name):
                yield f"{one.address} calls a card {name}"


def _activations(team: Team, slug: str) -> set[str]:
    found = set()
    for item in studies.items(team.engine, slug)[:12]:
        place = (team.run.id, item.side, item.layer, item.neuron)
        for shown in examples.of_neuron(team.engine, *place)[:8]:
            found |= {f"{shown.example.activation:.{digits}f}" for digits in (2, 3, 4)}
    return {number for number in found if not re.fullmatch(r"-?0\.0*", number)}


def _keys(value: Any) -> set[str]:
    if isinstance(value, dict):
        return set(value).union(*(_keys(one) for one in value.values()))
    if isinstance(value, list):
        return set().union(*(_keys(one) for one in value))
    return set()


def _sizes(received: list[Received]) -> Iterator[str]:
    """The same length for every card, whatever its version, kind and condition."""
    for kind in ("rate", "rate.json"):
        lengths = {
            (one.item.side, one.item.kind, one.item.condition): len(one.body.encode())
            for one in received
            if one.item is not None and one.address.endswith(f"/{kind}")
        }
        if max(lengths.values()) - min(lengths.values()) > SIZE_BOUND:
            yield f"{kind} is of different lengths: {lengths}"
    for one in received:
        if one.item is not None and one.headers.get("content-encoding") != "identity":
            yield f"{one.address} is compressed"


def test_a_rater_learns_nothing_of_a_card(team: Team) -> None:
    slug = team.begun("ann", "bo")
    other = team.browser("bo")
    for _ in range(4):
        card = other.get(f"/studies/{slug}/rate.json").json()["card"]["name"]
        sent = {"card": card, "verdict": "polysemantic", "rule": "said by bo"}
        assert other.post(f"/studies/{slug}/rate", json=sent).status_code == 201
    received = walk(team, slug, "ann")
    assert len([one for one in received if one.item]) > 20
    kinds = {one.item.kind for one in received if one.item}
    assert kinds == {"neuron", "repeat", "planted"}
    assert leaks(team, slug, received) == []


def test_two_raters_know_a_card_by_other_names(team: Team) -> None:
    slug = team.begun("ann", "bo", planted_share=0, repeat_share=0)
    secret = raters.secret(team.engine, slug)
    orders = {name: _order(team, slug, name) for name in ("ann", "bo")}
    assert orders["ann"] != orders["bo"]
    named = {}
    for name in orders:
        place = raters.place(team.engine, slug, name)
        assert place is not None
        named[name] = {names.name(secret, place.number, number) for number in range(1, 60)}
        assert len(named[name]) == 59
        shown = team.browser(name).get(f"/studies/{slug}/rate.json").json()["card"]["name"]
        assert shown == names.name(secret, place.number, orders[name][0])
    assert not named["ann"] & named["bo"]
    foreign = names.name(secret, place.number, orders["ann"][0])
    sent = {"card": foreign, "verdict": "unclear"}
    answer = team.browser("ann").post(f"/studies/{slug}/rate", json=sent)
    assert answer.status_code == 409


def test_what_is_random_is_no_leak_and_what_is_not_is_one(team: Team) -> None:
    slug = team.begun()
    said = {
        'name="card" value="abcdgelu234567ab"': False,
        '"name":"abcdsolu234567ab"': False,
        'name="csrf" value="x-GeLU_y"': False,
        'name="csrf" value="x"><b>GeLU</b>': True,
        'name="card" value="gelu"': True,
        "abcdgelu234567ab": True,
    }
    for body, is_leak in said.items():
        found = list(_told(team, slug, [Received("/card", {}, body)]))
        assert bool(found) == is_leak, body


def _in_a_header(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(card_markup.HEADERS, "X-Version", "gelu")


def _in_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "name", lambda secret, rater, item: f"card-{item:04}")


def _in_the_length(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(card_markup, "filled_up", lambda body, fill: body)


def _in_the_body(monkeypatch: pytest.MonkeyPatch) -> None:
    made = rating._with_card

    def told(site: Any, record: Any, rater: Any, secret: bytes, item: int) -> Any:
        shown = made(site, record, rater, secret, item)
        found = studies.item(site.engine, record.slug, item)
        assert found is not None
        object.__setattr__(shown.page, "rule", f"{shown.page.rule} ({found.side})")
        return shown

    monkeypatch.setattr(rating, "_with_card", told)


@pytest.mark.parametrize("team", ["sqlite"], indirect=True, scope="session")  # of the walk itself
@pytest.mark.parametrize("plant", [_in_a_header, _in_a_name, _in_the_length, _in_the_body])
def test_a_planted_leak_is_found(
    team: Team, plant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    slug = team.begun("ann")
    plant(monkeypatch)
    assert leaks(team, slug, walk(team, slug, "ann")) != []
