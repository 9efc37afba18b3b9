"""Every list, chart and filter on a run of the hub's size: is each answer right, and how soon?

    python -m bench.walk                                       # a run is made first: minutes
    python -m bench.walk --url sqlite:///hub.sqlite3 --json walk.json
    walk(create_app(...), "hub-size")                          # a list of Step

It goes where a reader can go: sorts by every column both ways, filters by every column, follows
every facet, asks for a scatter of every column, searches, downloads, and opens the first and the
last page of each list. Each answer is held against another one: what is sorted is in order, what is
filtered passes, a facet leads to as many rows as it says, a file has every row.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pyarrow.parquet as parquet
from fastapi import FastAPI
from starlette.testclient import TestClient

from bench.hub_run import SLUG, fill
from server.app import create_app
from server.settings import Settings
from store import runs, schema
from store.columns import PAIR_COLUMNS, VERSION_COLUMNS, ExplorerColumn
from store.engine import open_engine
from tests import databases

COLUMNS: dict[str, dict[str, ExplorerColumn]] = {
    "version": dict(VERSION_COLUMNS),
    "pair": dict(PAIR_COLUMNS),
}


@dataclass(frozen=True)
class Step:
    """One request: what was asked, its seconds, what is wrong with the answer (None: nothing)."""

    what: str
    address: str
    seconds: float
    wrong: str | None


class _Walk:
    """The requests of a walk, in their order."""

    def __init__(self, app: FastAPI, slug: str) -> None:
        self.client = TestClient(app, base_url="http://localhost", follow_redirects=True)
        self.slug = slug
        self.steps: list[Step] = []

    def get(
        self, what: str, path: str, check: Callable[[Any], str | None], *, as_json: bool = True
    ) -> Any:
        """Ask, time, check; what the answer holds, None where it is none."""
        start = time.perf_counter()
        answer = self.client.get(path)
        seconds = time.perf_counter() - start
        content: Any = None
        if answer.status_code != 200:
            wrong: str | None = f"status {answer.status_code}: {answer.text[:200]}"
        else:
            content = answer.json() if as_json else answer.content
            wrong = check(content)
        self.steps.append(Step(what, path, seconds, wrong))
        return content

    def explorer(self, what: str, check: Callable[[Any], str | None], **parameters: Any) -> Any:
        """A page of the explorer as JSON."""
        return self.get(what, f"/{self.slug}.json?{urlencode(parameters)}", check)


def walk(app: FastAPI, slug: str) -> list[Step]:
    """Everything that the run `slug` can be asked, each answer checked."""
    going = _Walk(app, slug)
    for rows in COLUMNS:
        first = going.explorer("list", lambda page: None, rows=rows, size=50)
        if first is None:
            continue
        _pages(going, first, rows)
        for key, column in COLUMNS[rows].items():
            _sorts(going, rows, key, first["total"])
            _filters(going, rows, key, column, first["total"])
        _facets(going, first)
        _scatters(going, first, rows)
        _downloads(going, first, rows)
        x, y, *_ = first["scatter"]["keys"]
        for plotted in ("", f"&x={x}&y={y}"):
            path = f"/{slug}?rows={rows}{plotted}"
            going.get("page", path, _has(b"</html>"), as_json=False)
    _rest(going)
    return going.steps


def _pages(going: _Walk, first: dict[str, Any], rows: str) -> None:
    """The last page has what is left, and the links between pages lead there."""
    left = first["total"] - (first["n_pages"] - 1) * first["size"]
    going.explorer(
        "last page",
        lambda page: None if len(page["rows"]) == left else f"{len(page['rows'])} rows, not {left}",
        rows=rows, size=50, page=first["n_pages"],
    )  # fmt: skip


def _values(page: dict[str, Any], key: str) -> list[Any]:
    return [row["values"][key] for row in page["rows"]]


def _sorts(going: _Walk, rows: str, key: str, total: int) -> None:
    for sign in ("", "-"):

        def check(page: dict[str, Any], sign: str = sign) -> str | None:
            if page["total"] != total:
                return f"{page['total']} rows, not {total}"
            found = [value for value in _values(page, key) if value is not None]
            if found != sorted(found, reverse=bool(sign)):
                return f"not in order: {found[:5]}"
            defined = len(found)
            return (
                None if _values(page, key)[:defined] == found else "what is undefined is not last"
            )

        going.explorer(f"sort {sign}", check, rows=rows, sort=sign + key, size=100)


def _filters(going: _Walk, rows: str, key: str, column: ExplorerColumn, total: int) -> None:
    """Halved by its own value: what passes and what does not are all that have one."""
    some = going.explorer("filter", lambda page: None, rows=rows, sort=key, size=100)
    known = [value for value in _values(some, key) if value is not None]
    if not known:
        return
    value = known[len(known) // 2]
    text = str(value).lower() if isinstance(value, bool) else str(value)
    tests: dict[str, Callable[[Any], bool]] = {"eq": lambda one: one == value}
    if column.type in ("number", "integer"):
        tests |= {"gte": lambda one: one >= value, "lte": lambda one: one <= value}
    totals = {}
    for operator, passes in tests.items():

        def check(
            page: dict[str, Any], operator: str = operator, passes: Callable[[Any], bool] = passes
        ) -> str | None:
            totals[operator] = page["total"]
            if not 0 < page["total"] <= total:
                return f"{page['total']} of {total} rows"
            wrong = [one for one in _values(page, key) if one is None or not passes(one)]
            return f"{wrong[0]} passes {operator} {value}" if wrong else None

        parameters = {"rows": rows, f"{key}__{operator}": text, "sort": f"-{key}", "size": 100}
        going.explorer(f"filter {operator}", check, **parameters)
    if totals.get("gte", 0) + totals.get("lte", 0) - totals.get("eq", 0) > total:
        going.steps.append(Step("filter", key, 0.0, f"the halves of {key} are more than all"))


def _facets(going: _Walk, first: dict[str, Any]) -> None:
    for facet in first["facets"]:
        for link, count in zip(facet["links"], facet["counts"], strict=True):
            path, _, query = link["href"].partition("?")
            going.get(
                "facet",
                f"{path}.json?{query}",
                lambda page, count=count: (  # type: ignore[misc]
                    None if page["total"] == count else f"{page['total']} rows, said {count}"
                ),
            )


def _scatters(going: _Walk, first: dict[str, Any], rows: str) -> None:
    """Each column against the one before it; both scales."""
    keys = first["scatter"]["keys"]
    for n, key in enumerate(keys):

        def check(plot: dict[str, Any]) -> str | None:
            points = plot["points"]
            lengths = {len(points[name]) for name in ("layer", "neuron", "x", "y")}
            if len(lengths) != 1:
                return f"arrays of lengths {lengths}"
            if plot["matching"] != first["total"] or plot["defined"] > plot["matching"]:
                return f"{plot['defined']} of {plot['matching']}, the list has {first['total']}"
            expected = plot["defined"] - plot["x"]["n_outside"] - plot["y"]["n_outside"]
            shown = lengths.pop()
            if not plot["subset"] and not expected <= shown <= plot["defined"]:
                return f"{shown} points of {plot['defined']} that are defined"
            return None

        plotted = {"rows": rows, "x": key, "y": keys[n - 1]} | ({"log_x": "1"} if n % 2 else {})
        query = urlencode(plotted)
        going.get("scatter", f"/{going.slug}/scatter.json?{query}", check)


def _downloads(going: _Walk, first: dict[str, Any], rows: str) -> None:
    counts: dict[str, Callable[[bytes], int]] = {
        "csv": lambda file: sum(1 for _ in csv.reader(io.StringIO(file.decode("utf-8-sig")))) - 1,
        "jsonl": lambda file: sum(1 for line in file.splitlines() if json.loads(line)),
        "parquet": lambda file: int(parquet.read_metadata(io.BytesIO(file)).num_rows),
    }
    for ending, count in counts.items():

        def check(file: bytes, count: Callable[[bytes], int] = count) -> str | None:
            found = count(file)
            return None if found == first["total"] else f"{found} rows, not {first['total']}"

        going.get(
            f"download {ending}",
            f"/{going.slug}/explorer.{ending}?rows={rows}",
            check,
            as_json=False,
        )


def _rest(going: _Walk) -> None:
    """Pages that are no list of the explorer's."""
    slug = going.slug
    for what, path in (
        ("home", "/"),
        ("runs", "/runs"),
        ("tax", f"/{slug}/tax"),
        ("candidates", f"/{slug}/0/invisible"),
        ("search by name", f"/{slug}/search?q=L0N7"),
        ("search by token", f"/{slug}/search?q=return"),
        ("search by label", f"/{slug}/search?q=return&in=labels"),
        ("random", f"/{slug}/random?kurtosis__gte=5"),
        ("neuron", f"/{slug}/0/7"),
        ("neuron, best match", f"/{slug}/0/7?pairing=match&anchor=right&site=pre"),
        ("download of a neuron", f"/{slug}/0/7/download.html"),
        ("card", f"/{slug}/0/7/card.png"),
        ("embed", f"/{slug}/0/7/embed"),
    ):
        expected = _has(b"PNG") if what == "card" else _has(b"</html>")
        going.get(what, path, expected, as_json=False)
    values = going.get(
        "values of a neuron", f"/{slug}/0/7/values.json", lambda found: None if found else "none"
    )
    going.get(
        "neuron JSON",
        f"/{slug}/0/7.json",
        lambda page: (
            None
            if {*(values or ())}
            >= {
                f"{side}-{one['band'].replace('.', '_')}-{one['rank']}"
                for side, version in page["versions"].items()
                for one in (version or {"examples": ()})["examples"]
            }
            else "examples without values"
        ),
    )


def _has(part: bytes) -> Callable[[bytes], str | None]:
    return lambda content: None if part in content else f"no {part.decode()} in it"


def summary(steps: list[Step]) -> Iterator[str]:
    """A line a kind of step: how many, median and slowest; then everything that is wrong."""
    kinds: dict[str, list[Step]] = {}
    for step in steps:
        kinds.setdefault(step.what, []).append(step)
    for what, of_kind in kinds.items():
        ordered = sorted(of_kind, key=lambda step: step.seconds)
        middle, slowest = ordered[len(ordered) // 2], ordered[-1]
        yield (
            f"  {what:<22}{len(ordered):>5}   median {1000 * middle.seconds:>8,.0f} ms"
            f"   slowest {1000 * slowest.seconds:>8,.0f} ms  {slowest.address[:80]}"
        )
    for step in steps:
        if step.wrong:
            yield f"WRONG {step.what} {step.address}: {step.wrong}"


def main() -> None:
    """Fill, walk, print, write; exit code 1 where an answer is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", choices=databases.KINDS, default="sqlite")
    parser.add_argument("--url", help="a database of its own, filled if it is not yet; kept")
    parser.add_argument("--versions", type=int, default=40_960, help="of both sides")
    parser.add_argument("--with-examples", type=int, default=2_048, help="of these, of both sides")
    parser.add_argument("--json", type=Path, help="a file for all steps")
    options = parser.parse_args()
    with ExitStack() as stack:
        url = options.url or stack.enter_context(databases.fresh(options.database))
        engine = open_engine(url, must_be_current=False)
        stack.callback(engine.dispose)
        schema.upgrade(engine)
        if not runs.list_runs(engine, SLUG):
            print(f"{engine.dialect.name}: filling")
            fill(engine, options.versions, options.with_examples)
        steps = walk(create_app(Settings(database_url=url), engine), SLUG)
    databases.drop_templates()
    print("\n".join(summary(steps)))
    if options.json:
        options.json.write_text(json.dumps([asdict(step) for step in steps], indent=1) + "\n")
    if any(step.wrong for step in steps):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
