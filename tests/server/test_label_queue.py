"""The queue gives each annotator the next version; the list and its files give all labels."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from fastapi import FastAPI
from sqlalchemy import update
from starlette.testclient import TestClient

from store import label_queue
from store.engine import Engine, open_engine, writing
from store.tables_access import label_claim
from store.types import now
from tests import databases
from tests.server.team import add_account, logged_in, team_app
from tests.synthetic_run import publish_synthetic
from twinscope import label_files


@dataclass(frozen=True)
class Team:
    """A server in team mode over one run: 2 layers of 8 neurons, both versions."""

    app: FastAPI
    engine: Engine
    url: str
    run: str


@pytest.fixture(scope="module", params=databases.KINDS)
def team(request: pytest.FixtureRequest) -> Iterator[Team]:
    with databases.fresh(request.param) as url:
        engine = open_engine(url)
        run = publish_synthetic(engine)
        yield Team(team_app(engine, url), engine, url, run.id)
        engine.dispose()


def client(team: Team, name: str) -> TestClient:
    add_account(team.engine, name)
    return logged_in(team.app, name)


def queued(who: TestClient, query: str) -> dict:  # type: ignore[type-arg]
    answer = who.get(f"/labels/queue.json?pair=tiny-pair&{query}")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def place(found: dict) -> tuple:  # type: ignore[type-arg]
    return found["side"], found["layer"], found["neuron"]


def label(who: TestClient, found: dict, verdict: str = "unclear", **more: object):  # type: ignore[type-arg, no-untyped-def]
    body = {"side": found["side"], "verdict": verdict, "key": found["key"], **more}
    answer = who.post(found["action"], json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()["label"]


def test_one_after_another_in_the_explorers_order(team: Team) -> None:
    with client(team, "abe") as who:
        rows = who.get("/tiny-pair.json?layer=0&side=left&sort=-kurtosis").json()["rows"]
        seen = []
        while (found := queued(who, "layer=0&side=left&sort=-kurtosis"))["name"]:
            assert (found["labelled"], found["total"]) == (len(seen), len(rows))
            seen.append(found["neuron"])
            label(who, found)
        assert seen == [row["neuron"] for row in rows]
        assert found["labelled"] == found["total"] == 8


def test_two_do_not_get_the_same_one(team: Team) -> None:
    names = [f"at-once-{number}" for number in range(8)]
    clients = [client(team, name) for name in names]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda who: queued(who, "layer=1&side=right"), clients))
    assert len({place(one) for one in found}) == 8
    assert not any(one["shared"] for one in found)
    with client(team, "ninth") as ninth:  # nothing is left that nobody has before them
        assert queued(ninth, "layer=1&side=right")["shared"]
    with client(team, "again") as who, writing(team.engine) as connection:
        connection.execute(update(label_claim).values(expires_at=now() - timedelta(seconds=1)))
    with client(team, "again") as who:
        assert not queued(who, "layer=1&side=right")["shared"], "claims end by themselves"


def test_the_next_one_is_another(team: Team) -> None:
    with client(team, "bea") as who:
        first = queued(who, "layer=1&side=left")
        but = f"{first['side']}:{first['name']}"
        assert place(queued(who, f"layer=1&side=left&but={but}")) != place(first)
        assert place(queued(who, "layer=1&side=left")) == place(first), "it stays where it was"


def test_a_skip_comes_again_at_the_end(team: Team) -> None:
    with client(team, "cid") as who:
        query = "layer=0&side=right&neuron__lte=2"
        order = []
        first = queued(who, query)
        keys = ("pair", "side", "layer", "neuron")
        assert who.post("/labels/skip", json={key: first[key] for key in keys}).status_code == 204
        while (found := queued(who, query))["name"]:
            order.append(found["neuron"])
            label(who, found)
        assert order == [1, 2, first["neuron"]]


def test_undo_takes_the_label_back_and_keeps_it_in_the_history(team: Team) -> None:
    with client(team, "dot") as who:
        found = queued(who, "layer=0&neuron=5")
        label(who, found, "monosemantic", description="first")
        again = queued(who, f"at={found['side']}:{found['name']}")
        label(who, again, "polysemantic", description="second")
        last = queued(who, "")["last"]
        assert (last["verdict"], last["name"]) == ("polysemantic", found["name"])
        assert who.post(last["undo_href"], json={}).status_code == 200
        assert who.post(last["undo_href"], json={}).status_code == 200, "once more changes nothing"
        history = who.get(found["action"] + ".json").json()["versions"][found["side"]]["history"]
        mine = [one for one in history if one["annotator"] == "dot"]
        assert [(one["description"], one["latest"]) for one in mine] == [
            ("second", False),
            ("first", True),
        ]
        assert mine[0]["withdrawn_at"] is not None
        assert queued(who, "")["last"]["verdict"] == "monosemantic"


def test_one_takes_back_ones_own_alone(team: Team) -> None:
    with client(team, "eve") as who, client(team, "fay") as other, logged_in(team.app, "otto") as o:
        kept = label(who, queued(who, ""))
        for stranger in (other, o):
            refused = stranger.post(f"/labels/{kept['id']}/withdraw", json={})
            assert refused.status_code == 403
            assert "eve" in refused.json()["error"]["message"]
        assert who.post("/labels/999999/withdraw", json={}).status_code == 404


def test_sent_twice_it_is_kept_once(team: Team) -> None:
    with client(team, "gil") as who, client(team, "hal") as other:
        found = queued(who, "")
        first = label(who, found, "dead")
        assert label(who, found, "dead")["id"] == first["id"]
        assert label(other, found, "dead")["id"] != first["id"], "a key is one's own"
        elsewhere = {**found, "action": "/tiny-pair/1/7/labels"}
        body = {"side": "left", "verdict": "dead", "key": found["key"]}
        assert who.post(elsewhere["action"], json=body).status_code >= 400


def test_the_queue_without_scripts(team: Team) -> None:
    with client(team, "ida") as who:
        del who.headers["X-CSRF-Token"]
        page = who.get("/labels/queue?pair=tiny-pair&layer=1").text
        form = page[page.index("data-label>") : page.index('id="skip"')]
        fields = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', form))
        action = re.search(r'action="([^"]+)" data-label>', page)
        assert action is not None
        back = fields["back"].replace("&amp;", "&")
        kept = who.post(action[1], data={**fields, "back": back, "verdict": "dead"})
        assert kept.status_code == 303
        assert kept.headers["location"] == "/labels/queue?pair=tiny-pair&layer=1"
        undo = who.get(kept.headers["location"]).text
        assert "Your last:" in undo


def test_what_the_queue_refuses(team: Team) -> None:
    with client(team, "jan") as who:
        for query, status in (
            ("pair=tiny-pair&beauty=1", 422),
            ("pair=tiny-pair&rows=pair", 422),
            ("pair=tiny-pair&at=L0N1", 422),
            ("pair=tiny-pair&at=left:L9N1", 404),
            ("pair=nothing", 404),
            ("", 422),
        ):
            assert who.get(f"/labels/queue.json?{query}").status_code == status, query


def test_the_list_is_filtered(team: Team) -> None:
    with client(team, "kit") as who:
        label(who, queued(who, "layer=1&neuron=6"), "polysemantic", description="Café brackets")
        page = who.get("/labels.json?annotator=kit&q=CAFÉ&verdict=polysemantic").json()
        assert [one["description"] for one in page["labels"]] == ["Café brackets"]
        assert page["labels"][0]["href"] == "/tiny-pair/1/6"
        assert who.get("/labels.json?annotator=kit&verdict=dead").json()["total"] == 0
        assert who.get("/labels.json?pair=nothing").json()["total"] == 0
        assert who.get("/labels.json?page=99").status_code == 422
        html = who.get("/labels?annotator=kit").text
        assert "Café brackets" in html
        assert "take back" in html
    with logged_in(team.app, "rae") as reader:
        assert "take back</button>" not in reader.get("/labels").text


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_labels_go_out_and_come_in_again(
    team: Team, ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with client(team, f"lou-{ending}") as who:
        found = queued(who, "layer=0&neuron=7&side=left")
        label(who, found, "dead", description='a "quoted",\nline\n  of two', confidence=2)
        gone = label(who, {**found, "key": f"second-{ending}"}, "unclear")
        who.post(f"/labels/{gone['id']}/withdraw", json={})
        downloaded = who.get(f"/labels.{ending}?history=1").content
        before = who.get("/labels.json?history=1").json()
    monkeypatch.setenv("TWINSCOPE_DATABASE_URL", team.url)
    file = tmp_path / f"labels.{ending}"
    assert label_files.export("latest", file) == before["total"]
    if ending != "parquet":
        assert file.read_bytes() == downloaded
    known = label_files.import_labels(file)
    assert (known.new, known.known) == (0, before["total"])
    with databases.fresh("sqlite") as url:
        other = open_engine(url)
        publish_synthetic(other)
        made = label_files.import_labels(file, other)
        assert (made.new, made.known) == (before["total"], 0)
        assert label_files.import_labels(file, other).new == 0
        with logged_in(team_app(other, url), "otto") as there:
            after = there.get("/labels.json?history=1").json()
        keys = ("name", "side", "annotator", "verdict", "description", "confidence", "created_at",
                "withdrawn_at", "latest")  # fmt: skip
        assert [[one[key] for key in keys] for one in after["labels"]] == [
            [one[key] for key in keys] for one in before["labels"]
        ]
        other.dispose()


def test_a_file_with_a_wrong_line_changes_nothing(team: Team, tmp_path: Path) -> None:
    with client(team, "pia") as who:
        for neuron in range(3):
            label(who, queued(who, f"layer=1&neuron={neuron}&side=right"), "unclear")
    with logged_in(team.app, "otto") as who:
        text = who.get("/labels.csv?history=1").text
        before = who.get("/labels.json?history=1").json()["total"]
    rows = list(csv.DictReader(io.StringIO(text)))[:3]
    assert len(rows) == 3
    for row in rows:
        row["annotator"] = "someone new"
    cases = {
        "verdict": ("lovely", "line 3: verdict is 'lovely'"),
        "created_at": ("yesterday", "line 3: created_at is 'yesterday'"),
        "layer": ("77", "line 3: .* has layers 0–1, not 77"),
        "neuron": ("-1", "line 3: neuron is '-1'"),
        "confidence": ("9", "line 3: A confidence is 1–5"),
        "weights_sha256": ("ab" * 32, "line 3: no run here has a model with weights"),
        "annotator": ("", "line 3: annotator is missing"),
        "candidate": ("0123abcd", "line 3: .*neuron or on a candidate"),
    }
    for column, (value, words) in cases.items():
        file = tmp_path / f"{column}.csv"
        with file.open("w", newline="") as out:
            writer = csv.DictWriter(out, rows[0])
            writer.writeheader()
            # Of one physical line each, so that the second row stands in line 3.
            writer.writerows({**row, "description": ""} for row in rows[:1])
            writer.writerow({**rows[1], "description": "", column: value})
        with pytest.raises(Exception, match=words):
            label_files.import_labels(file, team.engine)
    other = tmp_path / "other.csv"
    other.write_text("a,b\n1,2\n")
    with pytest.raises(Exception, match="no column annotator"):
        label_files.import_labels(other, team.engine)
    with logged_in(team.app, "otto") as who:
        assert who.get("/labels.json?history=1").json()["total"] == before


def test_claims_are_the_stores_too(team: Team) -> None:
    first = label_queue.next_version(team.engine, team.run, "mia", {"layer": "1"}, "-max")
    assert first is not None
    assert not label_queue.claim(team.engine, team.run, "nia", first)
    assert label_queue.claim(team.engine, team.run, "mia", first)
