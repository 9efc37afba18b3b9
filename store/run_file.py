"""A run as one file: a zip of a manifest and a SQLite database that holds this run alone.

    manifest.json   format and its version, schema, the run's identity, rows of each table, and the
                    database's size and SHA-256
    run.sqlite3     a Twinscope database: the same tables, at the manifest's schema version

So the file can be checked before anything is read from it, an older one is upgraded by the
migrations, and whoever unpacks it has a database to serve. See docs/decisions/0012.
"""

from __future__ import annotations

import errno
import hashlib
import json
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from store.errors import StoreError

FORMAT, VERSION = "twinscope-run", 1
MANIFEST, DATABASE = "manifest.json", "run.sqlite3"

#: Called as advance(bytes so far, bytes in all).
Advance = Callable[[int, int], None]

_PIECE = 1 << 20
_LARGEST_MANIFEST = 1 << 24


class RunFileError(StoreError):
    """A file that is no run, is damaged, newer than this program, or not what it claims to be."""


@dataclass(frozen=True)
class Manifest:
    """What a file says of itself. `schema` is the migration that its database is at; `rows` counts
    each table's; `sha256` and `bytes` are the unpacked database's."""

    run: str
    identity_sha256: str
    pair: str
    stages: tuple[str, ...]
    schema: str
    rows: dict[str, int]
    bytes: int
    sha256: str
    exported_at: str
    program: str


def pack(manifest: Manifest, database: Path, path: Path, advance: Advance) -> None:
    """Write the file; `database` is the SQLite file that the manifest describes."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        about = {"format": FORMAT, "version": VERSION, **asdict(manifest)}
        archive.writestr(MANIFEST, json.dumps(about, indent=1, sort_keys=True))
        done = 0
        with database.open("rb") as source, archive.open(DATABASE, "w", force_zip64=True) as sink:
            while piece := source.read(_PIECE):
                sink.write(piece)
                done += len(piece)
                advance(done, manifest.bytes)


def unpack(path: Path, database: Path, advance: Advance) -> Manifest:
    """Check the file and put its database at `database`; the manifest. Errors: `RunFileError`."""
    try:
        with zipfile.ZipFile(path) as archive:
            manifest = _manifest(path, archive)
            _extract(path, archive, manifest, database, advance)
            return manifest
    except FileNotFoundError:
        raise RunFileError(
            f"There is no file {path}.", "Name what `twinscope export` wrote."
        ) from None
    except IsADirectoryError:
        raise RunFileError(
            f"{path} is a directory.", "Name what `twinscope export` wrote."
        ) from None
    except OSError as error:
        if error.errno != errno.EINVAL:  # a place before the file's beginning
            raise
        raise _damaged(path, "its parts are not where it says") from None
    # What zipfile raises for a method, a version or a key that no export has.
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        if isinstance(error, zipfile.BadZipFile) and not zipfile.is_zipfile(path):
            raise RunFileError(
                f"{path} is no run, or only the beginning of one.",
                "Name what `twinscope export RUN` wrote, whole; copy it again if it was cut off.",
            ) from None
        raise _damaged(path, str(error)) from None


def sha256_of(path: Path) -> str:
    """Of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _manifest(path: Path, archive: zipfile.ZipFile) -> Manifest:
    try:
        with archive.open(MANIFEST) as member:
            about: Any = json.loads(_read(member, _LARGEST_MANIFEST))
    except KeyError:
        about = None
    except ValueError:
        raise _damaged(path, "its manifest cannot be read") from None
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        raise RunFileError(f"{path} is no run of Twinscope.", "Name what `twinscope export` wrote.")
    if not isinstance(about.get("version"), int) or about["version"] > VERSION:
        raise RunFileError(
            f"{path} is of format {about.get('version')}, newer than this program's {VERSION}.",
            "Update Twinscope.",
        )
    try:
        fields = {name: about[name] for name in Manifest.__dataclass_fields__}
        manifest = Manifest(**{**fields, "stages": tuple(fields["stages"])})
        if not all(
            isinstance(getattr(manifest, name), kind)
            for name, kind in (("bytes", int), ("rows", dict), ("sha256", str), ("schema", str))
        ):
            raise TypeError
    except (KeyError, TypeError):
        raise _damaged(path, "its manifest is not whole") from None
    return manifest


def _extract(
    path: Path, archive: zipfile.ZipFile, manifest: Manifest, database: Path, advance: Advance
) -> None:
    digest, done = hashlib.sha256(), 0
    try:
        member = archive.open(DATABASE)
    except KeyError:
        raise _damaged(path, "its database is missing") from None
    with member, database.open("wb") as sink:
        while piece := member.read(_PIECE):
            done += len(piece)
            if done > manifest.bytes:
                raise _damaged(path, "its database is longer than its manifest says")
            digest.update(piece)
            sink.write(piece)
            advance(done, manifest.bytes)
    if done != manifest.bytes or digest.hexdigest() != manifest.sha256:
        raise _damaged(path, "its database is not the one that its manifest describes")


def _read(member: IO[bytes], limit: int) -> bytes:
    found = member.read(limit + 1)
    if len(found) > limit:
        raise ValueError("too long")
    return found


def _damaged(path: Path, how: str) -> RunFileError:
    return RunFileError(f"{path} is damaged: {how}.", "Copy or export it again.")
