"""One repository of the hub at one commit: what files it has, and getting them.

    repository = open_repository("NeelNanda/SoLU_1L512W_C4_Code")
    repository.commit, repository.files
    path = repository.get("config.json", reporter)

Files go to huggingface_hub's own cache, which resumes what was interrupted and shares it with
other programs. Where the hub cannot be reached, what the cache has is used; what is in neither is
a `HubError` that says so and what to do. `HF_ENDPOINT`, `HF_HOME`, `HF_TOKEN` and
`HF_HUB_OFFLINE` mean what they mean to huggingface_hub.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from logging import ERROR
from pathlib import Path
from typing import Any

from worker.errors import WorkerError
from worker.reporter import Reporter

#: Seconds for the first word of the hub. What is on its way already has longer.
FIRST_WORD = 10


class HubError(WorkerError):
    """Something of the hub's could not be had."""


@dataclass(frozen=True)
class Repository:
    """`files` maps names to sizes in bytes, where the hub said them. `cached`: the commit is the
    last one that the cache has seen, because the hub could not be reached."""

    name: str
    kind: str  # "model" or "dataset"
    commit: str
    files: dict[str, int | None]
    cached: bool = False

    def get(self, file: str, reporter: Reporter | None = None) -> Path:
        """The file's path in the cache, downloaded first where it is not there."""
        from huggingface_hub import hf_hub_download

        size = self.files.get(file)
        bar = None
        if reporter is not None and size:
            reporter.step(f"get {file.rsplit('/', 1)[-1][:14]}", size, "bytes")
            bar = _bar(reporter)
        with translated(self.name, self.kind, file), _quiet():
            path = hf_hub_download(
                self.name,
                file,
                repo_type=self.kind,
                revision=self.commit,
                etag_timeout=FIRST_WORD,
                local_files_only=self.cached,
                tqdm_class=bar,
            )
        if not self.cached:
            _remember(self)
        if reporter is not None and size:
            reporter.advance(size)
        return Path(path)


def open_repository(name: str, kind: str = "model") -> Repository:
    """The repository at the commit that its main branch is at. Raises `HubError`."""
    from huggingface_hub import HfApi, constants

    if constants.HF_HUB_OFFLINE:
        found = _of_cache(name, kind)
        if found is None:
            raise HubError(
                f"{kind} {name} is not in the cache of this machine, and HF_HUB_OFFLINE is set",
                _ways_out(kind),
            )
        return found
    try:
        with translated(name, kind):
            about: Any = HfApi().repo_info(
                name, repo_type=kind, timeout=FIRST_WORD, files_metadata=True
            )
    except Unreachable:
        found = _of_cache(name, kind)
        if found is None:
            raise
        return found
    files = {file.rfilename: file.size for file in about.siblings or []}
    return Repository(name, kind, str(about.sha), files)


class Unreachable(HubError):
    """The hub did not answer."""


@contextmanager
def translated(
    name: str, kind: str, file: str | None = None, revision: str | None = None
) -> Iterator[None]:
    """Faults of huggingface_hub as `HubError`s about this repository."""
    import httpx2
    from huggingface_hub import errors

    what = f"{kind} {name}" if file is None else f"{file} of {kind} {name}"
    try:
        yield
    except errors.GatedRepoError as error:
        raise HubError(
            f"{kind} {name} is gated: the hub gives it only to accounts that were let in",
            "ask for access on its page, then log in (hf auth login) or set HF_TOKEN",
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise HubError(
            f"the hub has no {kind} {name}, or keeps it private",
            "check the spelling (capitals count); for a private one log in or set HF_TOKEN",
        ) from error
    except (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled) as error:
        raise Unreachable(
            f"{what} is not in the cache of this machine, and the hub ({_endpoint()}) cannot be "
            "reached",
            _ways_out(kind),
        ) from error
    except errors.RevisionNotFoundError as error:
        raise HubError(
            f"the hub has no revision {revision or 'main'} of {kind} {name}",
            "name a commit, a tag or a branch that its page lists",
        ) from error
    except errors.EntryNotFoundError as error:
        raise HubError(f"the hub has no {what}", "is it a model of this format?") from error
    except errors.HfHubHTTPError as error:
        status = error.response.status_code
        if status == 401:
            raise HubError(
                f"the hub does not take this machine's token for {kind} {name}",
                "log in again (hf auth login), or unset HF_TOKEN",
            ) from error
        raise Unreachable(
            f"the hub ({_endpoint()}) answers {status} for {what}", "try again later"
        ) from error
    except errors.HFValidationError as error:
        raise HubError(f"{name!r} cannot be a repository's name: {error}", "mend it") from error
    except (httpx2.HTTPError, ConnectionError, TimeoutError) as error:
        raise Unreachable(
            f"{what} is not here, and the hub ({_endpoint()}) cannot be reached "
            f"({type(error).__name__})",
            _ways_out(kind),
        ) from error
    except OSError as error:
        raise HubError(f"{what} could not be stored: {error}", "see the disk, try again") from error


def _folder(name: str, kind: str) -> Path:
    """Where the cache keeps the repository."""
    from huggingface_hub import constants
    from huggingface_hub.file_download import repo_folder_name

    return Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=name, repo_type=kind)


def _remember(repository: Repository) -> None:
    """Note in the cache which commit its main branch was at, as the hub's own client does when it
    is asked for a branch: files are asked for by their commit here, and that leaves no note."""
    with suppress(OSError):
        main = _folder(repository.name, repository.kind) / "refs" / "main"
        main.parent.mkdir(parents=True, exist_ok=True)
        main.write_text(repository.commit)


def _of_cache(name: str, kind: str) -> Repository | None:
    """What the cache has of the repository's main branch."""
    folder = _folder(name, kind)
    try:
        commit = (folder / "refs" / "main").read_text().strip()
    except OSError:
        return None
    root = folder / "snapshots" / commit
    files = {
        path.relative_to(root).as_posix(): path.stat().st_size
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }
    return Repository(name, kind, commit, dict(files), cached=True) if files else None


def _endpoint() -> str:
    from huggingface_hub import constants

    return str(constants.ENDPOINT)


def _ways_out(kind: str) -> str:
    if kind == "dataset":
        return (
            "connect this machine, set HF_ENDPOINT to a mirror, or download its parquet files "
            "elsewhere and give them as --corpus"
        )
    return (
        "connect this machine, set HF_ENDPOINT to a mirror, or run `twinscope fetch` elsewhere and "
        "copy the pair's directory"
    )


def _bar(reporter: Reporter) -> Any:
    """A class in the shape of tqdm's that tells the reporter."""
    from tqdm.auto import tqdm  # type: ignore[import-untyped]

    class Bar(tqdm):  # type: ignore[misc]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            # Disabled, a bar draws nothing and counts nothing: the count is kept here.
            kwargs.pop("name", None)
            super().__init__(*args, **kwargs | {"disable": True})
            self.done = int(kwargs.get("initial") or 0)

        def update(self, n: float | None = 1) -> bool | None:
            self.done += int(n or 0)
            reporter.advance(self.done)
            return None

    return Bar


@contextmanager
def _quiet() -> Iterator[None]:
    """Without huggingface_hub's own bars and warnings, which would break into ours."""
    from huggingface_hub.utils import logging

    before = logging.get_verbosity()
    logging.set_verbosity(ERROR)
    try:
        yield
    finally:
        logging.set_verbosity(before)
