"""The documents hold together: definitions that code refers to, links, and the hosts they name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from server.definitions import DEFINITIONS
from store.columns import PAIR_COLUMNS, VERSION_COLUMNS, ExplorerColumn

ROOT = Path(__file__).resolve().parent.parent
EVIDENCE = ROOT / "docs" / "evidence.md"
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
CONTAINER_FILES = [ROOT / "Dockerfile", ROOT / "docker-compose.yml"]
SOURCES = sorted(
    path
    for package in ("store", "server", "worker", "twinscope", "frontend", "bench")
    for path in (ROOT / package).rglob("*")
    if path.suffix in {".py", ".html", ".js", ".toml"}
)

#: Hosts that a document may name in an address: examples and papers.
HOSTS = {
    "localhost",
    "127.0.0.1",
    "twinscope.example.org",
    "blog.example.org",
    "transformer-circuits.pub",
    "arxiv.org",
}
#: Where packages come from is a matter of the machine that installs them.
REGISTRY = re.compile(
    r"\b(?:py[p]i|python[h]osted|npm[j]s|yarnpkg|anaconda|quay|ghcr|docker|jsdelivr|unpkg|cdnjs)"
    r"\.(?:org|com|io|net)\b|\bdownload\.pytorch\b",
    re.IGNORECASE,
)


def anchors(document: Path) -> set[str]:
    """The fragments that a link into `document` may have: explicit ids, and headings' slugs."""
    text = document.read_text("utf-8")
    explicit = set(re.findall(r'<a id="([^"]+)"></a>', text))
    headings = re.findall(r"^#+ +(.+?) *$", re.sub(r"```.*?```", "", text, flags=re.S), re.M)
    return explicit | {slug(heading) for heading in headings}


def slug(heading: str) -> str:
    """A heading's fragment as GitHub makes it."""
    kept = re.sub(r"[^\w\- ]", "", heading.lower().replace("`", ""))
    return kept.replace(" ", "-")


def links(document: Path) -> list[str]:
    """Targets of all links and pictures outside of code."""
    text = re.sub(r"```.*?```|`[^`\n]*`", "", document.read_text("utf-8"), flags=re.S)
    return re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'(?:src|href)="([^"]+)"', text)


def references() -> dict[str, str]:
    """Fragments of docs/evidence.md that code refers to, each with a place that does."""
    found = {}
    for path in SOURCES:
        text = path.read_text("utf-8", errors="replace")
        for fragment in re.findall(r"evidence(?:\.md|\.html)?#([a-z0-9-]+)", text):
            found[fragment] = str(path.relative_to(ROOT))
    return found


def test_every_definition_referred_to_exists() -> None:
    missing = {name: where for name, where in references().items() if name not in anchors(EVIDENCE)}
    assert not missing, f"docs/evidence.md lacks {missing}"


@pytest.mark.parametrize("columns", [VERSION_COLUMNS, PAIR_COLUMNS], ids=["version", "pair"])
def test_every_column_has_a_definition(columns: dict[str, ExplorerColumn]) -> None:
    for column in columns.values():
        path, _, fragment = column.anchor.partition("#")
        assert path, f"{column.key} has no definition"
        assert not fragment or fragment in anchors(ROOT / path), f"{column.key}: {column.anchor}"


def test_every_shown_definition_has_its_section() -> None:
    sources = {key: found.source for key, found in DEFINITIONS.items() if found.source}
    missing = {key: source for key, source in sources.items() if source not in anchors(EVIDENCE)}
    assert not missing


def test_no_anchor_stands_twice() -> None:
    explicit = re.findall(r'<a id="([^"]+)"></a>', EVIDENCE.read_text("utf-8"))
    assert len(explicit) == len(set(explicit))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_resolve(document: Path) -> None:
    broken = []
    for link in links(document):
        if re.match(r"[a-z]+:", link):
            continue
        target, _, fragment = link.partition("#")
        path = (document.parent / target).resolve() if target else document
        if not path.exists() or (
            fragment and path.suffix == ".md" and fragment not in anchors(path)
        ):
            broken.append(link)
    assert not broken


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_named_exist(document: Path) -> None:
    named = re.findall(
        r"`((?:worker|store|server|frontend|migrations|twinscope|tests)/[\w./]+)`",
        document.read_text("utf-8"),
    )
    assert not [path for path in named if not (ROOT / path).exists()]


@pytest.mark.parametrize(
    "document", [*DOCUMENTS, *CONTAINER_FILES], ids=lambda path: str(path.relative_to(ROOT))
)
def test_no_document_names_a_registry(document: Path) -> None:
    text = document.read_text("utf-8")
    assert not REGISTRY.findall(text)
    assert set(re.findall(r"https?://([\w.-]+)", text)) <= HOSTS


def test_every_decision_is_numbered_and_listed() -> None:
    decisions = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))
    numbers = [int(path.name[:4]) for path in decisions]
    assert numbers == list(range(1, len(decisions) + 1))
    index = (ROOT / "docs" / "decisions" / "README.md").read_text("utf-8")
    assert all(f"({path.name})" in index for path in decisions)
