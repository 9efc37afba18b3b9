"""What is closed to a rater until the study is: each page of a neuron on the cards, and labels."""

from __future__ import annotations

import re

import pytest

from store import neurons, studies
from tests.server.blind.conftest import OTHER, Team


def _shown(team: Team, slug: str) -> set[int]:
    found = studies.items(team.engine, slug)
    return {item.neuron for item in found} | {i.merged_with for i in found if i.merged_with}


def _routes_of_a_neuron(team: Team) -> list[tuple[str, str]]:
    """(method, address template) of all routes, whoever adds them, that name a neuron."""
    found: list[tuple[str, str]] = []
    paths = team.app.openapi()["paths"] | {
        path: {"get": {}}
        for path in (
            *("/{pair}/{layer}/{neuron}", "/{pair}/{layer}/{neuron}/labels"),
            *("/{pair}/{layer}/{neuron}/embed", "/{pair}/{layer}/{neuron}/card.png"),
            "/{pair}/{layer}/{neuron}/download.html",
        )
    }
    for path, methods in paths.items():
        if "{layer}" in path and "{neuron}" in path:
            found += [(method.upper(), path) for method in methods]
    return found


def test_every_page_of_a_neuron_on_the_cards_is_closed_to_its_rater_alone(team: Team) -> None:
    name = team.rater()
    slug = team.begun(name)
    shown = min(_shown(team, slug))
    rater, other = team.browser(name), team.browser(team.rater())
    routes = _routes_of_a_neuron(team)
    assert len(routes) >= 7
    for method, template in routes:
        path = re.sub(r"{pair}", "solo-match", template).replace("{layer}", "0")
        address = path.replace("{neuron}", str(shown))
        body = {"side": "left", "verdict": "unclear"} if method == "POST" else None
        refused = rater.request(method, address, json=body)
        assert refused.status_code == 403, (method, template, refused.status_code)
        assert "until" in refused.text or "opens when" in refused.text
        assert other.request(method, address, json=body).status_code in (200, 201), template


def test_a_neuron_on_no_card_stays_open(team: Team) -> None:
    name = team.rater()
    slug = team.begun(name)
    free = min(set(range(1, 20)) - _shown(team, slug))
    assert team.browser(name).get(f"/solo-match/0/{free}").status_code == 200


def test_a_page_by_best_match_shows_nothing_of_a_card(team: Team) -> None:
    name = team.rater()
    slug = team.begun(name, seed=12)  # draws neuron 3, and not neuron 2, whose best match it is
    shown, rater = _shown(team, slug), team.browser(name)
    checked = 0
    for neuron in set(range(1, 20)) - shown:
        record = neurons.get(team.engine, team.run.id, "left", 0, neuron)
        assert record is not None
        closed = record.correspondence.best_neuron in shown
        address = f"/solo-match/0/{neuron}?pairing=match"
        assert rater.get(address).status_code == (403 if closed else 200)
        checked += closed
        # However the page reads the name of a run, this reads it alike.
        run = team.run
        names = ("LATEST", f" {run.id}", f"{run.id} ", " latest", run.identity_sha256, run.id[:4])
        for name_of_run in (*names, run.id.upper(), f"%20{run.id}%09"):
            for ending in ("", ".json", "/embed", "/values.json", "/card.png", "/download.html"):
                path, _, query = address.partition("?")
                answer = rater.get(f"{path}{ending}?{query}&run={name_of_run}")
                assert answer.status_code == (403 if closed else 200), (ending, name_of_run)
            if not closed:
                break
    assert checked == 1
    assert rater.get("/solo-match/0/2?pairing=match&run=nothing").status_code == 404


@pytest.mark.parametrize(
    "address",
    [
        "/solo-match?sort=-labels",
        "/solo-match?labels__gte=1",
        "/solo-match.json?labels_unclear__gte=1",
        "/solo-match/scatter.json?x=labels&y=kurtosis",
        "/solo-match/explorer.csv",
        "/solo-match/search?q=self",
        "/solo-match/search.json?q=self",
        "/solo-match/live?text=self",
        "/search?q=self",
    ],
)
def test_what_finds_or_lists_is_closed_to_a_rater(team: Team, address: str) -> None:
    name = team.rater()
    team.begun(name)
    assert team.browser(name).get(address).status_code == 403, address
    assert team.browser(team.rater()).get(address).status_code != 403, address


def test_every_list_of_labels_is_closed_to_a_rater(team: Team) -> None:
    name = team.rater()
    team.begun(name)
    paths = {*team.app.openapi()["paths"], "/labels", "/labels/queue"}
    lists = {path for path in paths if path.startswith("/labels") and "{label_id}" not in path}
    lists -= {"/labels/skip", "/labels.{ending}"}
    lists |= {f"/labels.{ending}" for ending in ("csv", "jsonl", "parquet")}
    assert {"/labels.json", "/labels/queue.json"} <= lists
    for path in lists:
        for asked in ("", "?pair=solo-match"):
            assert team.browser(name).get(path + asked).status_code == 403, path
        assert team.browser(team.rater()).get(f"{path}?pair=solo-match").status_code == 200, path


def test_candidates_which_name_neurons_by_their_contexts_are_closed_to_a_rater(team: Team) -> None:
    name = team.rater()
    team.begun(name)
    for address in ("invisible", "invisible.json", "invisible/0", "invisible/0/labels.json"):
        assert team.browser(name).get(f"/solo-match/0/{address}").status_code == 403, address
        assert team.browser("rae").get(f"/solo-match/0/{address}").status_code != 403, address


def test_labels_of_another_pair_stay_open_and_ones_own_can_be_taken_back(team: Team) -> None:
    with_labels = team.browser(team.rater())
    for pair in ("solo-match", OTHER):
        label = {"side": "left", "verdict": "dead", "description": f"of {pair}"}
        assert with_labels.post(f"/{pair}/0/1/labels", json=label).status_code == 201
    name = team.rater()
    own = team.browser(name).post(
        f"/{OTHER}/0/1/labels", json={"side": "left", "verdict": "unclear"}
    )
    team.begun(name)
    rater = team.browser(name)
    for ending in (".json", "", ".csv"):
        answer = rater.get(f"/labels{ending}?pair={OTHER}")
        assert answer.status_code == 200
        assert f"of {OTHER}" in answer.text
        assert "of solo-match" not in answer.text
        for pair in ("", "solo-match"):
            assert rater.get(f"/labels{ending}?pair={pair}").status_code == 403
        unknown = rater.get(f"/labels{ending}?pair=unknown")
        assert "of solo-match" not in unknown.text
    assert rater.get(f"/labels/queue?pair={OTHER}").status_code == 200
    assert rater.get("/labels/queue?pair=solo-match").status_code == 403
    assert rater.get(f"/search?q=self&pair={OTHER}").status_code == 403
    taken = rater.post(f"/labels/{own.json()['label']['id']}/withdraw", json={})
    assert taken.status_code == 200


def test_the_form_of_a_study_says_what_public_reading_means(team: Team) -> None:
    owner = team.browser("otto")
    assert "a rater who logs out reads" in owner.get("/studies/new").text
    assert owner.get("/studies/new.json").json()["strangers_read"] is True


def test_the_explorer_hides_labels_of_closed_rows(team: Team) -> None:
    name = team.rater()
    slug = team.begun(name)
    shown = min(_shown(team, slug) - {0})
    labelled = team.browser(team.rater()).post(
        f"/solo-match/0/{shown}/labels", json={"side": "left", "verdict": "monosemantic"}
    )
    assert labelled.status_code == 201
    address = f"/solo-match.json?neuron__eq={shown}&side=left"
    (seen,) = team.browser(team.rater()).get(address).json()["rows"]
    (hidden,) = team.browser(name).get(address).json()["rows"]
    assert seen["labels"]["total"] >= 1
    assert hidden["labels"]["total"] == 0
    assert hidden["values"]["labels"] is None
    assert "labels" not in {f["key"] for f in team.browser(name).get(address).json()["facets"]}


def test_it_opens_when_the_study_is_closed(team: Team) -> None:
    name = team.rater()
    slug = team.begun(name)
    shown = min(_shown(team, slug))
    rater = team.browser(name)
    assert rater.get(f"/solo-match/0/{shown}").status_code == 403
    assert rater.get(f"/studies/{slug}/results").status_code == 403
    assert rater.get(f"/studies/{slug}/frozen.json").status_code == 403
    assert team.browser("otto").post(f"/studies/{slug}/close", json={}).status_code == 200
    assert rater.get(f"/solo-match/0/{shown}").status_code == 200
    assert rater.get(f"/studies/{slug}/results").status_code == 200
