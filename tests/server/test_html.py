"""Every page's HTML goes through the Nu HTML Checker, which finds no error in it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.server.conftest import Served

#: The checker is a program for Java, carried by the npm package vnu-jar; `make test` installs it.
JAR = Path(sys.prefix) / "checker/node_modules/vnu-jar/build/dist/vnu.jar"

PAGES = (
    "/",
    "/tiny-pair",
    "/tiny-pair?rows=pair",
    "/tiny-pair?kurtosis__gte=1e9",
    "/tiny-pair?x=kurtosis&y=hidden_share",
    "/tiny-pair?layer__eq=1&sort=-hidden_share&kurtosis__gte=1",
    "/tiny-pair/0/3",
    "/tiny-pair/1/3?pairing=match&anchor=right",
    "/tiny-pair/0/3?site=pre",
    "/tiny-pair/0/3?sense=left:0",
    "/tiny-pair/0/3/labels",
    "/tiny-pair/0/3/embed",
    "/tiny-pair/0/3/download.html",
    "/tiny-pair/0/invisible",
    "/tiny-pair/search?q=self",
    "/tiny-pair/search?q=xyzzy",
    "/search?q=L0N3",
    "/tiny-pair/live?text=def+f",
    "/tiny-pair/tax",
    "/runs",
    "/definitions",
    "/docs",
    "/solo",
    "/solo/0/3",
    "/solo/tax",
    "/coming-pair",
    "/tiny-pair/7/3",
    "/nowhere",
)


def faults(directory: Path) -> list[str]:
    """The checker's errors on the files of a directory, a line each."""
    java = shutil.which("java")
    if java is None or not JAR.exists():
        pytest.fail(
            "no checker: apt-get install -y default-jre-headless npm, then make test", False
        )
    done = subprocess.run(
        [java, "-jar", str(JAR), "--format", "json", "--stdout", "--skip-non-html", str(directory)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    said: list[dict[str, Any]] = json.loads(done.stdout)["messages"]
    return [
        f"{Path(each['url']).name}:{each.get('lastLine')}: {each['message']} "
        f"{each.get('extract', '')[:120]!r}"
        for each in said
        # The checker's parser of CSS (only the download has some) is years behind the language.
        if each["type"] != "info" and not each["message"].startswith("CSS:")
    ]


@pytest.mark.parametrize("served", ["sqlite"], indirect=True, scope="session")  # as on Postgres
def test_no_page_has_an_error(served: Served, tmp_path: Path) -> None:
    found = dict.fromkeys(PAGES, "")
    candidates = served.client.get("/tiny-pair/0/invisible.json").json()
    listed = [c["links"]["page"] for c in candidates.get("candidates", []) if "links" in c]
    for path in (*PAGES, *listed[:1]):
        answer = served.client.get(path)
        assert answer.headers["content-type"].startswith("text/html"), path
        found[path] = answer.text
    for number, html in enumerate(found.values()):
        (tmp_path / f"{number:02}.html").write_text(html, encoding="utf-8")
    names = list(found)
    told = [f"{names[int(line[:2])]} {line[8:]}" for line in faults(tmp_path)]
    assert not told, "\n".join(told)


def test_a_checker_that_finds_nothing_would_be_noticed(tmp_path: Path) -> None:
    (tmp_path / "00.html").write_text(
        "<!doctype html><html lang=en><title>x</title><p><div>x</div></p></html>"
    )
    assert any("p" in line for line in faults(tmp_path))
