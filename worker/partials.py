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
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from store.records import DocumentRecord
from worker.contexts import Contexts, Keys, window_keys
from worker.layout import Layout
from worker.sample import Choice, KeyArray, SamplePart, choose, write_rows
from worker.settings import StatisticsSettings
from worker.share import Share
from worker.statistics import Statistics

_TEMPORARY = ".tmp-"
_MANIFEST = "manifest.json"

Partials = dict[Path, frozenset[int]]
Note = Callable[[str], object]


class DamagedPartial(Exception):
    """Files that are not what was written."""


class ForeignPartial(Exception):
    """A whole partial of something else."""


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

    def complete(self, share: Share | None = None, note: Note = print) -> Partials:
        """The whole partials of this run and their shards; what cannot be merged is named.

        Damaged ones are removed and their shards are computed again; so is a partial whose shards
        another one covers (its merger was interrupted). One of another run, or of shards of
        another size, stays where it is and is not merged. With a `share` only the partials of its
        shards are looked at: others may be at work on the rest.
        """
        found: dict[Path, frozenset[int]] = {}
        for path in sorted(self.directory.iterdir()) if self.directory.is_dir() else ():
            if path.name.startswith(_TEMPORARY):
                if share is None:
                    shutil.rmtree(path, ignore_errors=True)
                continue
            try:
                shards = self._shards(path)
            except ForeignPartial as fault:
                if share is None:
                    note(f"{path.name} is not merged: {fault}.")
            except DamagedPartial as fault:
                if share is None:
                    note(f"{path.name} is damaged ({fault}): its shards are computed again.")
                    shutil.rmtree(path, ignore_errors=True)
            else:
                if share is None or share.has_all(shards):
                    found[path] = shards
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
        """The shards of a whole partial of this run; raises what is wrong with any other."""
        try:
            manifest = json.loads((path / _MANIFEST).read_text("utf-8"))
            run, shards = manifest["run"], frozenset(map(int, manifest["shards"]))
            checksums = dict(manifest["files"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DamagedPartial(f"its {_MANIFEST} cannot be read") from error
        if run != self.run_identity:
            raise ForeignPartial(f"it is of {run}, not of {self.run_identity}")
        for name, checksum in checksums.items():
            try:
                is_whole = _checksum(path / name) == checksum
            except OSError as error:
                raise DamagedPartial(f"{name} cannot be read") from error
            if not is_whole:
                raise DamagedPartial(f"{name} is not what was written")
        if not shards:
            raise DamagedPartial("it names no shard")
        return shards


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
