"""`twinscope fetch`: a pair from the hub into the data directory, without computing anything."""

from __future__ import annotations


def fetch(spec: str) -> None:
    """Fetch the models that a spec names, unless they are here, and say where they are kept."""
    from worker.hub.fetch import find_or_fetch
    from worker.reporter import Terminal

    with Terminal() as reporter:
        pair = find_or_fetch(spec, reporter)
    print(f"{pair.name}: {pair.directory}")
    for version in pair.versions:
        if version.origin:
            commit = str(version.origin["revision"])[:10]
            print(f"  {version.side}: {version.origin['file']} at commit {commit}")
