"""The explorer's rows as files: all of them, in order, with every column and their definitions."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
from pyarrow import parquet

from store import neurons
from store.columns import PAIR_COLUMNS, VERSION_COLUMNS
from tests.server.conftest import Served

QUERY = "max__gte=-100&sort=-hidden_share"


def wanted(served: Served, kind: str = "version") -> list[dict[str, Any]]:
    read = neurons.pair_page if kind == "pair" else neurons.page
    run = served.newest.id
    filters = {"max__gte": "-100"} if kind == "version" else {}
    sort = "-hidden_share" if kind == "version" else "-left_max"
    return [row.values for row in read(served.engine, run, filters, sort, size=1000)[0]]


def test_csv(served: Served) -> None:
    answer = served.client.get(f"/tiny-pair/explorer.csv?{QUERY}&size=5&page=2")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == (
        f'attachment; filename="tiny-pair-{served.newest.id}-versions.csv"'
    )
    assert answer.headers["link"] == '</definitions>; rel="describedby"'
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert len(rows) == 32, "all pages"
    for row, values in zip(rows, wanted(served), strict=True):
        assert list(row) == list(VERSION_COLUMNS)
        for key, text in row.items():
            value = values[key]
            if value is None:
                assert text == ""
            elif isinstance(value, bool):
                assert text == str(value).lower()
            elif isinstance(value, str):
                assert text == value
            else:
                assert float(text) == value


def test_jsonl(served: Served) -> None:
    answer = served.client.get(f"/tiny-pair/explorer.jsonl?{QUERY}")
    rows = [json.loads(line) for line in answer.text.splitlines()]
    assert rows == [{key: row[key] for key in VERSION_COLUMNS} for row in wanted(served)]


def test_parquet(served: Served) -> None:
    answer = served.client.get("/tiny-pair/explorer.parquet?rows=pair&sort=-left_max")
    table = parquet.read_table(io.BytesIO(answer.content))
    assert table.column_names == list(PAIR_COLUMNS)
    assert table.to_pylist() == [
        {key: row[key] for key in PAIR_COLUMNS} for row in wanted(served, "pair")
    ]
    about = table.schema.metadata
    assert about[b"twinscope.run"] == served.newest.id.encode()
    assert about[b"twinscope.address"].decode() == (
        f"/tiny-pair?rows=pair&sort=-left_max&run={served.newest.id}"
    )
    assert table.schema.field("left_effect").metadata == {
        b"name": b"effect, left",
        b"unit": b"nats a token",
        b"definition": b"docs/evidence.md#effect",
    }


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_nothing_is_a_file_too(served: Served, ending: str) -> None:
    answer = served.client.get(f"/tiny-pair/explorer.{ending}?max__gte=1e9")
    assert answer.status_code == 200
    if ending == "parquet":
        assert parquet.read_table(io.BytesIO(answer.content)).num_rows == 0
    else:
        assert len(answer.text.splitlines()) == (1 if ending == "csv" else 0)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/tiny-pair/explorer.csv?nonsense__gte=1", 422),
        ("/tiny-pair/explorer.csv?max__gte=many", 422),
        ("/solo/explorer.csv?rows=pair", 422),
        ("/nowhere/explorer.csv", 404),
        ("/tiny-pair/explorer.xlsx", 422),
    ],
)
def test_faults_are_said_before_anything_is_sent(served: Served, path: str, status: int) -> None:
    answer = served.client.get(path, headers={"Accept": "application/json"})
    assert answer.status_code == status
    assert answer.json()["error"]["message"]


def test_the_page_links_to_them(served: Served) -> None:
    html = served.client.get("/tiny-pair?layer=1&sort=-max&page=2&size=5").text
    assert 'href="/tiny-pair/explorer.parquet?layer=1&amp;sort=-max"' in html
