"""The explorer: sorts, filters, pages, and what it refuses."""

from __future__ import annotations

import pytest

from server.errors import BadFilter, BadPage, BadParameter, BadSort
from server.filters import read
from store.columns import VERSION_COLUMNS
from tests.server.conftest import Served
from tests.server.test_pages import get_json, text_of


@pytest.mark.parametrize(
    "key", ["layer", "side", "kurtosis", "excess", "same_index_rank", "mutual", "mid_max", "labels"]
)
def test_columns_sort_both_ways(served: Served, key: str) -> None:
    for sort in (key, f"-{key}"):
        page = get_json(served, f"/tiny-pair.json?sort={sort}&size=20")
        values = [row["values"][key] for row in page["rows"]]
        defined = [value for value in values if value is not None]
        assert values[: len(defined)] == defined, "undefined values stand last"
        assert defined == sorted(defined, reverse=sort.startswith("-"))
        assert {column["key"] for column in page["columns"]} == set(VERSION_COLUMNS)


def test_columns_say_how_they_are_sorted(served: Served) -> None:
    page = get_json(served, "/tiny-pair.json?sort=-kurtosis&layer=0")
    columns = {column["key"]: column for column in page["columns"]}
    assert columns["kurtosis"]["sorted"] == "descending"
    assert columns["kurtosis"]["sort_href"] == "/tiny-pair?layer=0&sort=kurtosis"
    assert columns["max"]["sorted"] is None
    assert columns["max"]["sort_href"] == "/tiny-pair?layer=0&sort=-max"


def test_every_column_is_defined(served: Served) -> None:
    columns = get_json(served, "/tiny-pair.json")["columns"]
    without = {column["key"] for column in columns if not column["definition"]}
    assert without <= {"layer", "neuron"}


def test_filters_keep_what_they_say(served: Served) -> None:
    page = get_json(
        served, "/tiny-pair.json?layer=1&side=right&kurtosis__gte=2&kurtosis__lte=30&size=20"
    )
    assert page["total"] == len(page["rows"]) > 0
    for row in page["rows"]:
        assert (row["layer"], row["side"]) == (1, "right")
        assert 2 <= row["values"]["kurtosis"] <= 30
    assert (page["layer"], page["side"]) == (1, "right")
    assert [one["sentence"] for one in page["filters"]] == [
        "layer 1",
        "side right",
        "kurtosis at least 2",
        "kurtosis at most 30",
    ]
    assert page["filters"][2]["remove_href"] == (
        "/tiny-pair?layer=1&side=right&kurtosis__lte=30&size=20"
    )
    assert page["summary"].startswith(f"{page['total']} versions with layer 1 and side")


@pytest.mark.parametrize("value", ["true", "1", "yes"])
def test_booleans(served: Served, value: str) -> None:
    page = get_json(served, f"/tiny-pair.json?mutual__eq={value}&size=20")
    assert page["total"] > 0
    assert all(row["values"]["mutual"] is True for row in page["rows"])
    assert page["filters"][0]["sentence"] == "mutual best match: yes"


def test_an_empty_field_of_a_form_is_no_filter(served: Served) -> None:
    page = get_json(served, "/tiny-pair.json?layer=&side=&kurtosis__gte=&sort=&page=&size=")
    assert page["total"] == 32
    assert page["filters"] == []


def test_a_filter_added_by_a_form_becomes_one_of_the_address(served: Served) -> None:
    answer = served.client.get(
        "/tiny-pair?layer=0&page=2&filter=kurtosis&operator=lte&value=7&sort=-max"
    )
    assert answer.status_code == 303
    assert answer.headers["location"] == "/tiny-pair?layer=0&sort=-max&kurtosis__lte=7"
    assert served.client.get(answer.headers["location"]).status_code == 200


def test_pages_cover_every_row_once(served: Served) -> None:
    seen = []
    address = "/tiny-pair.json?sort=-kurtosis&size=7"
    for number in range(1, 6):
        page = get_json(served, f"{address}&page={number}")
        assert page["n_pages"] == 5
        seen += [(row["side"], row["layer"], row["neuron"]) for row in page["rows"]]
    assert len(seen) == len(set(seen)) == 32
    assert page["next_href"] is None
    assert page["previous_href"] == "/tiny-pair?sort=-kurtosis&size=7&page=4"
    assert page["first_href"] == "/tiny-pair?sort=-kurtosis&size=7"


def test_no_row_is_an_answer(served: Served) -> None:
    page = get_json(served, "/tiny-pair.json?kurtosis__gte=1e9")
    assert (page["total"], page["n_pages"], page["rows"]) == (0, 1, [])
    assert served.client.get("/tiny-pair?kurtosis__gte=1e9").status_code == 200


def test_a_pinned_explorer_keeps_its_run_in_its_links(served: Served) -> None:
    page = get_json(served, f"/tiny-pair.json?run={served.older.id}&size=5")
    assert page["run"] == served.older.id
    for href in (
        page["next_href"],
        page["rows"][0]["href"],
        page["columns"][0]["sort_href"],
        page["random_href"],
        page["layer_links"][1]["href"],
    ):
        assert f"run={served.older.id}" in href


def test_rows_carry_labels_and_are_never_cached(served: Served) -> None:
    served.client.post("/tiny-pair/1/6/labels", json={"side": "left", "verdict": "unclear"})
    answer = served.client.get(
        f"/tiny-pair.json?layer=1&side=left&neuron__eq=6&run={served.newest.id}"
    )
    assert answer.json()["rows"][0]["labels"]["unclear"] == 1
    assert answer.headers["cache-control"] == "no-cache"
    assert "etag" not in answer.headers
    assert "L1N6" in text_of(served.client.get("/tiny-pair?layer=1&neuron__eq=6").text)


@pytest.mark.parametrize(
    ("query", "error", "words"),
    [
        ([("kurtosiss__gte", "1")], BadFilter, "no column “kurtosiss”"),
        ([("kurtosis__gt", "1")], BadFilter, "“gt” is no way to filter"),
        ([("colour", "red")], BadParameter, "no parameter “colour”"),
        ([("layer", "0.5")], BadFilter, "layer is a whole number"),
        ([("sort", "-nothing")], BadSort, "no column “nothing”"),
        ([("page", "0")], BadPage, "page is a whole number from 1"),
        ([("page", "-1")], BadPage, "“-1” is none"),
        ([("page", "one")], BadPage, "“one” is none"),
        ([("page", "²")], BadPage, "“²” is none"),
        ([("size", "21")], BadPage, "from 1 to 20"),
        ([("sort", "max"), ("sort", "min")], BadParameter, "given twice"),
        ([("rows", "pair")], BadParameter, "rows=pair"),
        ([("filter", "nothing"), ("value", "1")], BadFilter, "no column “nothing”"),
    ],
)
def test_what_an_address_may_not_say(
    query: list[tuple[str, str]], error: type[BadParameter], words: str
) -> None:
    with pytest.raises(error) as raised:
        read(query, max_size=20)
    assert type(raised.value) is error
    assert words in raised.value.message


def test_a_filter_reads_like_a_sentence() -> None:
    selection = read([("layer", "0"), ("density__lte", "0.01")], max_size=20)
    assert [one.sentence for one in selection.filters] == [
        "layer 0",
        "density at most 0.01 share of tokens",
    ]
    assert selection.for_store() == {"layer__eq": "0", "density__lte": "0.01"}
    assert selection.parameters() == {
        "layer": "0",
        "density__lte": "0.01",
        "sort": None,
        "size": None,
        "page": None,
    }
