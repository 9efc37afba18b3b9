"""The import rules of docs/architecture.md, walked over every module of the four packages."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("twinscope", "worker", "server", "store")

#: package → those of our packages that it may import
ALLOWED = {
    "twinscope": {"twinscope", "worker", "server", "store"},
    "worker": {"worker", "store"},
    "server": {"server", "store"},
    "store": {"store"},
}

#: library → the packages that may import it, and files beside them: the live worker has a small
#: HTTP app of its own.
KEPT_TO = {
    "torch": {"worker"},
    "transformer_lens": {"worker"},
    "ray": {"worker/engine_ray.py", "worker/ray_actor.py", "worker/ray_cluster.py"},
    "fastapi": {"server"},
    "starlette": {"server", "worker/live/app.py"},
    "sqlalchemy": {"store"},
    "psycopg": {"store"},
    "alembic": {"store"},
    "statsmodels": {"server"},
    "krippendorff": {"server"},
    "sklearn": {"server"},
}

#: What statistics of studies may import beside one another: records, and intervals.
PURE = {"server.intervals", "store.bootstrap_tails", "store.records", "store.study_records"}

MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def imported_modules(path: Path) -> set[str]:
    """Names of all modules that a file imports, at any depth of its code."""
    modules = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            modules.add(node.module)
    return modules


def imported_roots(path: Path) -> set[str]:
    """First parts of the names of all modules that a file imports."""
    return {module.split(".")[0] for module in imported_modules(path)}


def test_modules_were_found() -> None:
    assert {path.relative_to(ROOT).parts[0] for path in MODULES} == set(PACKAGES)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_follow_the_rules(path: Path) -> None:
    package, name = path.relative_to(ROOT).parts[0], path.relative_to(ROOT).as_posix()
    roots = imported_roots(path)
    ours = roots & set(PACKAGES)
    assert ours <= ALLOWED[package], f"{package} must not import {ours - ALLOWED[package]}"
    for library, keepers in KEPT_TO.items():
        allowed = not keepers.isdisjoint((package, name))
        assert library not in roots or allowed, f"{name} must not import {library}"


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_are_ours(package: str) -> None:
    module = importlib.import_module(package)
    assert Path(module.__file__ or "").resolve().parent == ROOT / package


@pytest.mark.parametrize("path", sorted((ROOT / "server/agreement").glob("*.py")), ids=str)
def test_statistics_of_studies_are_pure(path: Path) -> None:
    """Functions of counts and verdicts: nothing of the web, of a database, of a page."""
    roots = imported_roots(path)
    assert not roots & {"fastapi", "starlette", "jinja2", "sqlalchemy"}
    ours = {module for module in imported_modules(path) if module.split(".")[0] in PACKAGES}
    assert all(module.startswith("server.agreement") or module in PURE for module in ours), (
        f"{path.name} must not import {ours}"
    )


def test_the_server_does_not_load_torch() -> None:
    assert not loads_torch("server.app")


def test_the_server_starts_without_the_statistics_libraries() -> None:
    """They bring pandas and scipy: seconds, which the first results page of a study pays."""
    modules = "server.app, server.agreement.power"
    assert not loads(modules, "statsmodels", "krippendorff", "sklearn", "pandas", "scipy")


def test_the_live_worker_answers_before_it_loads_torch() -> None:
    assert not loads_torch("worker.live.app, twinscope.live")


def loads_torch(modules: str) -> bool:
    """Whether importing these modules, in a process of its own, loads torch."""
    return loads(modules, "torch")


def loads(modules: str, *libraries: str) -> bool:
    """Whether importing these modules, in a process of its own, loads one of the libraries."""
    code = f"import sys, {modules}; sys.exit(99 if set({libraries}) & set(sys.modules) else 0)"
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode
    assert ended in (0, 99)
    return ended == 99
