"""Rows that are made when they are asked for are those that were made at once."""

from __future__ import annotations

import json

import numpy as np
import pytest
from pydantic import TypeAdapter

from server.pages.lazy import Numbers, Singles, Texts, TokenTexts, ValueRows, Values

HALVES = np.array([0.1, -2.5, 0.0, 65504, np.inf, np.nan], np.float16)


def test_values_are_the_shortest_decimals() -> None:
    rows = ValueRows({"post": HALVES, "pre": HALVES[::-1]})
    assert list(rows) == ["pre", "post"], "in the order of the sites"
    assert rows["post"] == (0.1, -2.5, 0.0, 65500.0, 65500.0, 0.0)
    assert rows["pre"] == rows["post"][::-1]
    for site, row in rows.items():
        assert [rows.at(site, n) for n in range(len(row))] == list(row)
    assert rows.all_at(1) == [("pre", 65500.0), ("post", -2.5)]
    assert "mid" not in rows
    with pytest.raises(KeyError):
        rows["mid"]


def test_json_is_that_of_tuples() -> None:
    rows = ValueRows({"pre": HALVES[:2]})
    assert json.loads(TypeAdapter(Values).dump_json(rows)) == {"pre": [0.1, -2.5]}
    texts = TokenTexts([b" self", b"\xc3", "é".encode()])
    assert json.loads(TypeAdapter(Texts).dump_json(texts)) == [" self", "\\xc3", "é"]
    singles = Singles(np.array([0.1, 1e-7, 3.0], np.float32))
    assert TypeAdapter(Numbers).dump_json(singles) == b"[0.1,1e-7,3.0]"
    schema = TypeAdapter(Values).json_schema(mode="serialization")
    assert schema["additionalProperties"]["items"] == {"type": "number"}


def test_parts_are_as_of_tuples() -> None:
    texts = TokenTexts([b" a", b"b", b"c"])
    assert (texts[1], texts[-1], texts[:2], len(texts)) == ("b", "c", (" a", "b"), 3)
    singles = Singles(np.array([0.1, 0.2, 0.3], np.float32))
    assert (singles[0], singles[1:], len(singles)) == (0.1, (0.2, 0.3), 3)
    assert np.asarray(singles).dtype == np.float32
