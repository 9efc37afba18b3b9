"""The explorer: sorts, filters, pages, and what it refuses."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import pytest

from server.correspondence_words import twins_text
from server.errors import BadFilter, BadPage, BadParameter, BadSort
from server.filters import read
from server.pages.correspondence import LayerTwins, SideTwins
from store import neurons
from store.columns import PAIR_COLUMNS, VERSION_COLUMNS
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
        ([("rows", "neuron")], BadParameter, "rows=neuron is not known"),
        ([("rows", "pair"), ("side", "left")], BadParameter, "each row holds both sides"),
        ([("rows", "pair"), ("sort", "kurtosis")], BadSort, "no column “kurtosis”"),
        ([("diff_kurtosis__gte", "1")], BadFilter, "no column “diff_kurtosis”"),
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
        "density at most 0.01 of tokens",
    ]
    assert selection.for_store() == {"layer__eq": "0", "density__lte": "0.01"}
    assert selection.parameters() == {
        "rows": None,
        "layer": "0",
        "density__lte": "0.01",
        "sort": None,
        "size": None,
        "page": None,
    }


def rows_of_pairs(served: Served, query: str = "") -> Any:
    return get_json(served, f"/tiny-pair.json?rows=pair&size=20{query}")


def test_a_row_of_a_pair_has_left_right_and_difference(served: Served) -> None:
    page = rows_of_pairs(served)
    assert (page["of"], page["total"], len(page["rows"])) == ("pair", 16, 16)
    assert {column["key"] for column in page["columns"]} == set(PAIR_COLUMNS)
    for row in page["rows"]:
        assert list(row["values"]) == list(PAIR_COLUMNS)
        left, right, difference = (
            row["values"][f"{part}_kurtosis"] for part in ("left", "right", "diff")
        )
        assert (difference is None) == (left is None or right is None)
        if difference is not None:
            assert difference == pytest.approx(left - right)
        assert row["href"] == f"/tiny-pair/{row['layer']}/{row['neuron']}"
        assert row["labels"].keys() == {"left", "right"}


def test_estimates_are_never_subtracted(served: Served) -> None:
    seen = set()
    for row in rows_of_pairs(served)["rows"]:
        values = row["values"]
        methods = {values["left_hidden_method"], values["right_hidden_method"]}
        exact = methods == {"exact"} and values["left_hidden_share"] is not None
        assert (values["diff_hidden_share"] is not None) == exact
        seen.add(exact)
    assert seen == {True, False}


@pytest.mark.parametrize("key", ["diff_hidden_share", "left_kurtosis", "right_density", "neuron"])
def test_pairs_sort_both_ways(served: Served, key: str) -> None:
    for sort in (key, f"-{key}"):
        found = [row["values"][key] for row in rows_of_pairs(served, f"&sort={sort}")["rows"]]
        defined = [value for value in found if value is not None]
        assert found[: len(defined)] == defined
        assert defined == sorted(defined, reverse=sort.startswith("-"))


def test_pairs_are_filtered_in_sentences(served: Served) -> None:
    page = rows_of_pairs(served, "&layer=0&left_kurtosis__gte=2&sort=-diff_hidden_share")
    assert [one["sentence"] for one in page["filters"]] == [
        "layer 0",
        "kurtosis of SoLU at least 2",
    ]
    assert page["summary"].endswith("by hidden share, SoLU − GeLU, the highest first.")
    assert all(row["values"]["left_kurtosis"] >= 2 for row in page["rows"])
    html = served.client.get(
        "/tiny-pair?rows=pair&layer=0&left_kurtosis__gte=2&sort=-diff_hidden_share"
    ).text
    assert "kurtosis of SoLU at least 2" in text_of(html)
    assert "difference ▼" in text_of(html)


def test_rows_of_another_kind_keep_the_layer(served: Served) -> None:
    page = get_json(served, "/tiny-pair.json?layer=1&side=left&kurtosis__gte=2&sort=-kurtosis")
    links = {link["text"]: link for link in page["row_links"]}
    assert links["a version"]["current"]
    assert links["both versions"]["href"] == "/tiny-pair?rows=pair&layer=1"
    assert rows_of_pairs(served)["side_links"] == []


def test_a_single_model_has_no_pairs(served: Served) -> None:
    assert get_json(served, "/solo.json")["row_links"] == []
    assert get_json(served, "/solo.json")["correspondence"] is None
    answer = served.client.get("/solo.json?rows=pair")
    assert answer.status_code == 422
    assert "has a single model" in answer.json()["error"]["message"]
    assert served.client.get("/solo/random?rows=pair").status_code == 422


def test_a_random_index_passes_the_filters(served: Served) -> None:
    answer = served.client.get("/tiny-pair/random?rows=pair&layer=1&neuron__eq=3")
    assert answer.status_code == 307
    assert answer.headers["location"] == "/tiny-pair/1/3"
    assert served.client.get("/tiny-pair/random?rows=pair&left_max__gte=1e9").status_code == 404


def test_the_forms_of_the_page_are_understood(served: Served) -> None:
    """What the page's own form sends, field by field, is answered by its filter."""
    for address in ("/tiny-pair?layer=0&sort=-max", "/tiny-pair?rows=pair&layer=0"):
        html = served.client.get(address).text
        form = html[html.index('<form method="get" action="/tiny-pair"') :]
        form = form[: form.index("</form>")]
        names = set(re.findall(r'name="(\w+)"', form))
        sent = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', form))
        (chosen,) = re.findall(r'<option value="(\w+)" selected>', form)
        assert names == {"filter", "operator", "value", *sent}
        answer = served.client.get(
            "/tiny-pair",
            params={**sent, "filter": chosen, "operator": "gte", "value": "3"},
        )
        assert answer.status_code == 303
        assert f"{chosen}__gte=3" in answer.headers["location"]
        assert "layer=0" in answer.headers["location"]
        assert served.client.get(answer.headers["location"]).status_code == 200


def test_ready_made_sorts_lead_to_what_they_say(served: Served) -> None:
    page = get_json(served, "/tiny-pair.json?layer=0&size=5")
    sorts = {link["text"]: link["href"] for link in page["sorts"]}
    assert sorts["most hidden"] == (
        "/tiny-pair?layer=0&hidden_method__eq=exact&sort=-hidden_share&size=5"
    )
    assert sorts["more hidden in SoLU"] == (
        "/tiny-pair?rows=pair&layer=0&sort=-diff_hidden_share&size=5"
    )
    for text, href in sorts.items():
        found = get_json(served, href.replace("/tiny-pair?", "/tiny-pair.json?"))
        assert [link["text"] for link in found["sorts"] if link["current"]] == [text]
        assert served.client.get(href).status_code == 200
    bare = get_json(served, f"/tiny-pair.json?run={served.older.id}")
    texts = {link["text"] for link in bare["sorts"]}
    assert "least corresponding" in texts
    assert not texts & {"most hidden", "most polysemantic", "more hidden in SoLU"}


def test_a_hidden_share_has_its_method_beside_it(served: Served) -> None:
    html = served.client.get("/tiny-pair?layer=0&side=left&size=20").text
    text = text_of(html)
    assert "estimate ± 0.040" in text
    assert "exact" in text
    columns = [one for one in get_json(served, "/tiny-pair.json")["columns"] if one["shown"]]
    assert {"hidden_share", "effect", "polysemanticity"} <= {one["key"] for one in columns}
    bare = get_json(served, f"/tiny-pair.json?run={served.older.id}")
    assert "hidden_share" not in {one["key"] for one in bare["columns"] if one["shown"]}
    page = text_of(served.client.get(f"/tiny-pair?run={served.older.id}").text)
    assert f"twinscope evidence {served.older.id}" in page
    assert "twinscope evidence" not in text


def test_the_pairs_page_says_how_much_has_a_twin(served: Served) -> None:
    page = get_json(served, "/tiny-pair.json")
    layers = page["correspondence"]["layers"]
    assert [layer["layer"] for layer in layers] == [0, 1]
    for layer in layers:
        assert [side["side"] for side in layer["sides"]] == ["left", "right"]
        for side in layer["sides"]:
            # Of 7 that are not dead, one matches another index and is not mutual.
            assert (side["n"], side["n_defined"]) == (8, 7)
            assert side["twins"] == side["same_index"] == pytest.approx(6 / 7)
            assert side["best_quantiles"] == sorted(side["best_quantiles"])
            listed = get_json(served, side["twins_href"].replace("?", ".json?"))
            assert listed["total"] == round(side["twins"] * side["n_defined"])
        assert layer["invisible_href"] == f"/tiny-pair/{layer['layer']}/invisible"
    html = served.client.get("/tiny-pair").text
    assert page["correspondence"]["summary"] in text_of(html)
    assert len(re.findall('class="figure range-line', html)) == 4
    links = page["links"]
    assert [link["href"] for link in (links["tax"], *links["invisible"])] == [
        "/tiny-pair/tax",
        "/tiny-pair/0/invisible",
        "/tiny-pair/1/invisible",
    ]
    for link in (links["tax"], *links["invisible"]):
        assert f'href="{link["href"]}"' in unescape(html)


@pytest.mark.parametrize(
    ("twins", "words"),
    [
        (0.41, "41.0 % of SoLU’s neurons have a twin in GeLU; the same index is the best match of"),
        (0.0, "no neuron of SoLU has a twin in GeLU"),
        (None, "Layer 1: no correlation is defined."),
    ],
)
def test_twins_in_words(twins: float | None, words: str) -> None:
    sides = tuple(
        SideTwins(side, "gelu", name, 8, 7, twins, twins, twins, twins, (0.1,) * 5, 0.2, "")  # type: ignore[arg-type]
        for side, name in (("left", "SoLU"), ("right", "GeLU"))
    )
    assert words in twins_text([LayerTwins(1, 0.5, sides, "", "")])


def test_every_term_of_the_explorer_has_its_definition(served: Served) -> None:
    for address in ("/tiny-pair", "/tiny-pair?rows=pair", "/solo", f"/?run={served.older.id}"):
        page = served.client.get(address).text
        asked = set(re.findall(r'popovertarget="def-([a-z_0-9]+)"', page))
        assert asked <= set(re.findall(r'<div popover id="def-([a-z_0-9]+)"', page)), address


def test_pages_by_a_difference_are_as_the_database_sorts_them(served: Served) -> None:
    run = served.newest
    for sort, filters in (("-diff_kurtosis", {}), ("diff_max", {"layer": "1"})):
        expected, total = neurons.pair_page(served.engine, run.id, filters, sort, size=1000)
        layer = f"&layer={filters['layer']}" if filters else ""
        found: list[tuple[int, int]] = []
        for page in range(1, -(-total // 5) + 1):
            address = f"/tiny-pair.json?rows=pair&sort={sort}&size=5&page={page}{layer}"
            answer = served.client.get(address).json()
            assert answer["total"] == total
            found += [(row["layer"], row["neuron"]) for row in answer["rows"]]
        assert found == [(row.layer, row.neuron) for row in expected]


def test_a_label_shows_at_once_in_pages_by_a_difference(served: Served) -> None:
    address = "/tiny-pair.json?rows=pair&sort=-diff_kurtosis&left_labels__gte=1&size=20"

    def names() -> list[str]:
        return [row["name"] for row in served.client.get(address).json()["rows"]]

    assert "L1N2" not in names()
    sent = served.client.post("/tiny-pair/1/2/labels", json={"side": "left", "verdict": "unclear"})
    assert sent.status_code == 201
    assert "L1N2" in names()
    plain = "/tiny-pair.json?rows=pair&sort=-diff_kurtosis&layer=1&size=20"
    rows = {row["name"]: row for row in served.client.get(plain).json()["rows"]}
    assert rows["L1N2"]["labels"]["left"]["unclear"] == 1
    verdicts = served.client.get("/tiny-pair.json").json()["facets"]
    assert any(one["key"] == "labels" and one["most"] >= 1 for one in verdicts)


@pytest.mark.parametrize(
    ("rows", "columns"), [("version", VERSION_COLUMNS), ("pair", PAIR_COLUMNS)]
)
def test_every_column_can_be_sorted_by_from_the_page(
    served: Served, rows: str, columns: dict[str, Any]
) -> None:
    address = f"/tiny-pair?rows={rows}&layer=0&kurtosis__gte=-1e9&sort=-max"
    address = address if rows == "version" else "/tiny-pair?rows=pair&layer=0&sort=-left_max"
    page = served.client.get(address).text
    form = re.search(r'<form [^>]*>\s*<label[^>]*for="sort-by".*?</form>', page, re.S)
    assert form is not None
    choices = re.findall(r'<option value="([^"]*)"( selected)?>', form[0])
    assert {value.removeprefix("-") for value, _ in choices} == {"", *columns}
    assert [value for value, chosen in choices if chosen] == [address.rsplit("=", 1)[1]]
    kept = dict(re.findall(r'type="hidden" name="([^"]*)" value="([^"]*)"', form[0]))
    assert kept["layer"] == "0"
    assert "sort" not in kept
    for value, _ in choices[:: 7 if rows == "version" else 29]:
        answer = served.client.get("/tiny-pair", params={**kept, "sort": value})
        assert answer.status_code == 200, value
        own = ("layer", "neuron", "side", "labels", "display_site", "hidden_method", "hidden_error")
        if value and not value.endswith(own):
            assert 'aria-sort="' in answer.text, value


def test_a_difference_may_be_a_negative_whole_number(served: Served) -> None:
    for value in ("-2", "0"):
        rows = get_json(served, "/tiny-pair.json?rows=pair&size=20")["rows"]
        found = get_json(served, f"/tiny-pair.json?rows=pair&diff_senses__eq={value}&size=20")
        there = [row for row in rows if row["values"]["diff_senses"] == int(value)]
        assert found["total"] == len(there)
    above = get_json(served, "/tiny-pair.json?rows=pair&diff_senses__gte=-1&size=20")
    assert above["total"] == len([r for r in rows if (r["values"]["diff_senses"] or 0) >= -1]) > 0
    for address in (
        "/tiny-pair.json?layer__eq=-1",
        "/tiny-pair.json?rows=pair&diff_senses__eq=--1",
    ):
        assert served.client.get(address).status_code == 422
