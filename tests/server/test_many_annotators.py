"""Fifty annotators at once write two thousand labels over HTTP: none lost, none doubled."""

from __future__ import annotations

import http.client
import json
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest
from sqlalchemy import func, select

from server.app import create_app
from server.settings import Settings
from store.engine import open_engine, reading
from store.tables import label
from tests import databases
from tests.server.serving import serving
from tests.server.team import add_account, begin_session
from tests.synthetic_run import publish_synthetic

ANNOTATORS, EACH = 50, 40


@pytest.mark.slow
@pytest.mark.parametrize("kind", databases.KINDS)
def test_fifty_annotators_at_once(kind: str) -> None:
    with databases.fresh(kind) as url:
        engine = open_engine(url)
        publish_synthetic(engine)
        from server import passwords

        passwords.make_cheaper()
        names = [f"annotator{number:02}" for number in range(ANNOTATORS)]
        sessions = []
        for name in names:
            add_account(engine, name)
            sessions.append(begin_session(engine, name))
        app = create_app(Settings(database_url=url, mode="team"), engine)
        with serving(app) as address, ThreadPoolExecutor(ANNOTATORS) as pool:
            statuses = list(pool.map(lambda one: write(address, *one), enumerate(sessions)))
        assert [status for each in statuses for status in each if status != 201] == []
        with reading(engine) as connection:
            total = connection.scalar(select(func.count()).select_from(label))
            by_annotator = connection.execute(
                select(
                    label.c.annotator_id, func.count(), func.count(label.c.key.distinct())
                ).group_by(label.c.annotator_id)
            ).all()
        assert total == ANNOTATORS * EACH
        assert [(n, keys) for _, n, keys in by_annotator] == [(EACH, EACH)] * ANNOTATORS
        engine.dispose()


def write(address: str, number: int, session: tuple[str, str, str]) -> list[int]:
    """Forty labels by one annotator, every fifth sent twice as after a lost answer: statuses."""
    cookie, value, csrf = session
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=60)
    headers = {
        "Cookie": f"{cookie}={value}",
        "X-CSRF-Token": csrf,
        "Content-Type": "application/json",
    }
    statuses = []
    for index in range(EACH):
        body = {
            "side": ("left", "right")[index % 2],
            "verdict": ("monosemantic", "polysemantic", "unclear", "dead")[index % 4],
            "description": f"label {index} of {number}",
            "confidence": 1 + index % 5,
            "key": f"{number}-{index}",
        }
        for _ in range(2 if index % 5 == 0 else 1):
            path = f"/tiny-pair/{index % 2}/{(number + index) % 8}/labels"
            connection.request("POST", path, json.dumps(body), headers)
            answer = connection.getresponse()
            answer.read()
            statuses.append(answer.status)
    connection.close()
    return statuses
