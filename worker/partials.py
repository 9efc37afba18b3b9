"""Partial results on disk: written under a temporary name, then renamed; merged as they come.

A partial is a directory with the statistics of some shards, the rows that may belong to the
sample, and the windows and documents they refer to. Its manifest names the run, the shards and
the files' checksums; a directory without a whole manifest does not count. Merging partials gives
a partial, so many of them are replaced by one from time to time, and disk use stays bounded.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from store.records import DocumentRecord
from worker.contexts import Contexts, Keys, window_keys
from worker.layout import Layout
from worker.sample import Choice, KeyArray, SamplePart, choose, write_rows
from worker.settings import StatisticsSettings
from worker.statistics import Statistics

_TEMPORARY = ".tmp-"
_MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Merged:
    """What several partials hold together."""

    shards: frozenset[int]
    statistics: Statistics
    contexts: Contexts
    parts: list[SamplePart]


@dataclass(frozen=True)
class PartialStore:
    """The partials of one run in a directory."""

    directory: Path
    run_identity: str
    layout: Layout
    settings: StatisticsSettings

    def begin(self) -> Path:
        """A new temporary directory, for the files of a partial to be."""
        path = self.directory / f"{_TEMPORARY}{uuid.uuid4().hex[:12]}"
        path.mkdir(parents=True)
        return path

    def finish(
        self,
        path: Path,
        shards: frozenset[int],
        statistics: Statistics,
        contexts: Contexts,
        keys: KeyArray,
    ) -> Path:
        """Complete what `begin` gave, in which `rows.f16` was written, and rename it."""
        np.savez(path / "statistics.npz", **statistics.arrays())  # type: ignore[arg-type]
        np.save(path / "keys.npy", keys)
        np.savez(
            path / "contexts.npz",
            keys=contexts.keys,
            offsets=contexts.offsets,
            tokens=contexts.tokens,
        )
        documents = [
            [d.document, d.source, d.name, d.held_out] for d in contexts.documents.values()
        ]
        (path / "documents.json").write_text(json.dumps(documents), "utf-8")
        manifest = {
            "run": self.run_identity,
            "shards": sorted(shards),
            "files": {file.name: _checksum(file) for file in sorted(path.iterdir())},
        }
        (path / _MANIFEST).write_text(json.dumps(manifest), "utf-8")
        name = f"{min(shards):08d}-{max(shards):08d}-{path.name.removeprefix(_TEMPORARY)}"
        return path.rename(path.parent / name)

    def complete(self) -> dict[Path, frozenset[int]]:
        """The whole partials of this run and their shards; all else there is removed.

        A partial whose shards another one covers is removed too (its merger was interrupted).
        """
        found: dict[Path, frozenset[int]] = {}
        if self.directory.is_dir():
            for path in sorted(self.directory.iterdir()):
                shards = self._shards(path)
                if shards:
                    found[path] = shards
                else:
                    shutil.rmtree(path, ignore_errors=True)
        kept: dict[Path, frozenset[int]] = {}
        covered: frozenset[int] = frozenset()
        for path, shards in sorted(found.items(), key=lambda item: -len(item[1])):
            if covered & shards:
                shutil.rmtree(path)
            else:
                kept[path] = shards
                covered |= shards
        return kept

    def merge(self, partials: Mapping[Path, frozenset[int]]) -> Merged:
        """All of these (as `complete` gives them) together; of none, the empty state."""
        statistics = Statistics.empty(self.layout, self.settings)
        parts: list[SamplePart] = []
        for path in partials:
            with np.load(path / "statistics.npz") as arrays:
                one = Statistics.of_arrays(self.layout, self.settings, dict(arrays.items()))
            statistics = statistics.merge(one)
            parts.append(SamplePart(np.load(path / "keys.npy"), path / "rows.f16"))
        wanted = self.wanted(statistics, choose(parts, self.settings.sample_size).keys)
        contexts = Contexts.empty()
        for path in partials:
            contexts = contexts.merge(_read_contexts(path), wanted)
        return Merged(frozenset().union(*partials.values()), statistics, contexts, parts)

    def replace(self, partials: Mapping[Path, frozenset[int]]) -> Path:
        """Write the merger of these partials as one, and remove them."""
        merged = self.merge(partials)
        choice: Choice = choose(merged.parts, self.settings.sample_size)
        path = self.begin()
        write_rows(path / "rows.f16", merged.parts, choice, self.layout.width)
        whole = self.finish(path, merged.shards, merged.statistics, merged.contexts, choice.keys)
        for old in partials:
            shutil.rmtree(old)
        return whole

    def clear(self) -> None:
        """Remove all partials."""
        shutil.rmtree(self.directory, ignore_errors=True)

    @staticmethod
    def wanted(statistics: Statistics, keys: KeyArray) -> Keys:
        """Keys of the windows to keep for the extremes and for some of the sample's tokens."""
        of_sample = window_keys(keys["document"], keys["window"])
        return np.unique(np.concatenate([statistics.windows(), of_sample]))

    def _shards(self, path: Path) -> frozenset[int]:
        """The shards of a whole partial of this run; none of anything else."""
        try:
            manifest = json.loads((path / _MANIFEST).read_text("utf-8"))
            if manifest["run"] != self.run_identity or path.name.startswith(_TEMPORARY):
                return frozenset()
            for name, checksum in manifest["files"].items():
                if _checksum(path / name) != checksum:
                    return frozenset()
            return frozenset(manifest["shards"])
        except (OSError, ValueError, KeyError, TypeError):
            return frozenset()


def _read_contexts(path: Path) -> Contexts:
    documents = json.loads((path / "documents.json").read_text("utf-8"))
    with np.load(path / "contexts.npz") as arrays:
        return Contexts(
            arrays["keys"],
            arrays["offsets"],
            arrays["tokens"],
            {row[0]: DocumentRecord(*row) for row in documents},
        )


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
