"""The run's page and its JSON say when it was last verified, and what came of it."""

from __future__ import annotations

import pytest

from server.app import create_app
from server.compose.runs import verification_view
from server.settings import Settings
from store import verifications
from store.engine import Engine
from store.verifications import CheckRecord, VerificationRecord
from tests.server.conftest import client_of
from tests.synthetic_run import publish_synthetic

FINE = CheckRecord("mean", 1200, 0, 0.25, "left L0N1 pre", "1e-5 of its scale")
WRONG = CheckRecord(
    "histogram counts", 900, 2, 4.0, "left L0N3 mid bin 7", "none",
    ("left L0N3 mid bin 7", "right L1N0 post bin 9"),
)  # fmt: skip


def made(*checks: CheckRecord) -> VerificationRecord:
    ok = not any(check.n_failed for check in checks)
    return VerificationRecord(ok, 200, 32, 0, 12.5, "0.1.0", checks)


def test_the_page_has_the_last_verification(engine: Engine, database_url: str) -> None:
    run = publish_synthetic(engine)
    app = create_app(Settings(database_url=database_url, annotator="ada"), engine)
    with client_of(app) as client:
        assert client.get(f"/runs/{run.id}.json").json()["verification"] is None
        page = client.get(f"/runs/{run.id}").text
        assert f"twinscope verify {run.id}" in page
        assert 'id="def-verification"' in page or "verification" in page
        verifications.add(engine, run.id, made(FINE, WRONG))
        found = client.get(f"/runs/{run.id}.json").json()["verification"]
        assert not found["ok"]
        assert found["checks"][1]["failed"] == list(WRONG.failed)
        page = client.get(f"/runs/{run.id}").text
        assert "does not agree" in page
        assert "right L1N0 post bin 9" in page
        verifications.add(engine, run.id, made(FINE))
        found = client.get(f"/runs/{run.id}.json").json()["verification"]
        assert (found["ok"], found["values"], found["versions"]) == (True, 1200, 32)
        assert found["verified_at"]
        page = client.get(f"/runs/{run.id}").text
        assert "does not agree" not in page
        assert "1e-5 of its scale" in page


def test_the_sentence_says_what_came_of_it() -> None:
    assert verification_view(None) is None
    view = verification_view(made(FINE))
    assert view is not None
    assert view.sentence == (
        "1,200 stored values of 32 versions agree; the largest error is 0.25 of what is allowed."
    )
    view = verification_view(made(FINE, WRONG))
    assert view is not None
    assert view.sentence.endswith("differ in histogram counts (2).")


def test_a_verification_goes_with_its_run(engine: Engine) -> None:
    from store import runs
    from store.errors import RunNotFound

    run = publish_synthetic(engine)
    kept = verifications.add(engine, run.id, made(FINE, WRONG))
    assert kept.checks == (FINE, WRONG)
    assert verifications.last(engine, run.id) == kept
    runs.delete_run(engine, run.id)
    with pytest.raises(RunNotFound):
        verifications.last(engine, run.id)
    with pytest.raises(RunNotFound):
        verifications.add(engine, run.id, made(FINE))
