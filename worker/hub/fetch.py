"""From names of the hub to a pair in the data directory: `DATA_DIR/pairs/SLUG`.

    pair = find_or_fetch("solu-1l--gelu-1l", reporter)

A pair is fetched once: what is kept there is used from then on, so a run that was computed with
it can be opened again for as long as its directory stays, whatever the hub does. The directory
gets its name when it is whole. It is a local pair like any other; that it came from the hub, at
which commits, stands in its pair.toml under `[left.origin]`, and in every run's provenance.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from worker.errors import PairError
from worker.hub import legacy
from worker.hub.names import HubModel, HubPair, parse_pair
from worker.hub.repository import HubError, Repository, Unreachable, open_repository
from worker.hub.tokenizers import HubTokenizer, get_tokenizer
from worker.models import check_fits
from worker.pairs import SIZES, Pair, is_pair, kept_pairs, load_pair
from worker.reporter import Reporter
from worker.tokenizer import load_tokenizer


@dataclass(frozen=True)
class FetchedModel:
    """One model of a pair, converted: what goes into the pair's directory."""

    config: dict[str, Any]
    state: dict[str, torch.Tensor]
    origin: dict[str, Any]
    tokenizer: HubTokenizer


def find_or_fetch(spec: str, reporter: Reporter) -> Pair:
    """The pair that a spec names: local or shipped, kept, or from the hub.

    Raises `PairError` and `HubError` with what could not be had and the ways out.
    """
    if is_pair(spec):
        return load_pair(spec)
    asked = parse_pair(spec)
    if asked is None:
        return load_pair(spec)  # which says what there is
    if (kept_pairs() / asked.slug / "pair.toml").is_file():
        pair = load_pair(asked.slug)
        _check_kept(pair, asked)
        return pair
    try:
        return fetch(asked, reporter)
    except HubError as error:
        if "/" in spec and "--" not in spec:
            kind, hint = type(error), error.hint
            raise kind(f"there is no directory {spec}, and {error.message}", hint) from error
        raise


def fetch(asked: HubPair, reporter: Reporter) -> Pair:
    """Download, convert, check and keep a pair."""
    found = {side: _fetch_model(model, reporter) for side, model in asked.models.items()}
    _check_together(asked, found)
    tokenizer = found["left"].tokenizer
    root = kept_pairs()
    root.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=f".{asked.slug}-", dir=root))
    try:
        _write(unfinished, asked, found, tokenizer)
        unfinished.chmod(0o755)
        _name(unfinished, root / asked.slug)
    except OSError as error:
        raise PairError(
            f"pair {asked.slug} cannot be kept in {root}: {error}", "see the disk, try again"
        ) from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    reporter.note(f"Pair {asked.slug} is kept in {root / asked.slug}.")
    return load_pair(asked.slug)


def _fetch_model(model: HubModel, reporter: Reporter) -> FetchedModel:
    repository = open_repository(model.repository)
    config_file = repository.get("config.json", reporter)
    said = _read_json(config_file, model.repository)
    if not legacy.is_legacy(said):
        raise PairError(
            f"{model.repository} is not in TransformerLens's own format (its config.json has "
            f"{'model_type ' + repr(said['model_type']) if 'model_type' in said else 'no act_fn'})",
            "only models such as NeelNanda/SoLU_1L512W_C4_Code are read from the hub; convert "
            "another one to a pair's directory by hand",
        )
    config = legacy.legacy_config(said, model.repository)
    file = legacy.weights_file(repository.files, model.repository, model.checkpoint)
    tokenizer_name = said.get("tokenizer_name")
    if not isinstance(tokenizer_name, str) or not tokenizer_name:
        raise PairError(f"{model.repository} names no tokenizer", "make a pair's directory by hand")
    tokenizer = get_tokenizer(open_repository(tokenizer_name), reporter)
    load_tokenizer(tokenizer.path, tokenizer.bos_token, config["d_vocab"])
    path = repository.get(file, reporter)
    state = legacy.native_state(legacy.read_state(path, model.repository), config, model.repository)
    check_fits(config, state, f"the weights of {model.name}")
    return FetchedModel(config, state, _origin(model, repository, file, path), tokenizer)


def _origin(model: HubModel, repository: Repository, file: str, path: Path) -> dict[str, Any]:
    with path.open("rb") as opened:
        sha256 = hashlib.file_digest(opened, "sha256").hexdigest()
    origin: dict[str, Any] = {
        "repository": model.repository,
        "revision": repository.commit,
        "file": file,
        "file_sha256": sha256,
        "format": legacy.FORMAT,
    }
    return origin if model.checkpoint is None else origin | {"checkpoint": model.checkpoint}


def _check_together(asked: HubPair, found: dict[str, FetchedModel]) -> None:
    if len(found) == 1:
        return
    left, right = found["left"], found["right"]
    for size in SIZES:
        if left.config[size] != right.config[size]:
            raise PairError(
                f"{asked.models['left'].name} and {asked.models['right'].name} have different "
                f"shapes: {size} is {left.config[size]} and {right.config[size]}",
                "a pair's versions must have the same shape",
            )
    one, other = left.tokenizer, right.tokenizer
    if one.path.read_bytes() != other.path.read_bytes() or one.bos_token != other.bos_token:
        raise PairError(
            f"{asked.models['left'].name} and {asked.models['right'].name} have different "
            f"tokenizers ({one.repository} and {other.repository})",
            "a pair's versions must read the same tokens",
        )


def _check_kept(pair: Pair, asked: HubPair) -> None:
    """That the directory of this name holds these models."""
    for side, model in asked.models.items():
        version = getattr(pair, side)
        origin = {} if version is None else version.origin
        if (origin.get("repository"), origin.get("checkpoint")) != (
            model.repository,
            model.checkpoint,
        ):
            raise PairError(
                f"{pair.directory} is another pair: its {side} is not {model.name}",
                "rename that directory",
            )


def _write(
    directory: Path, asked: HubPair, found: dict[str, FetchedModel], tokenizer: HubTokenizer
) -> None:
    lines = [
        f"name = {_toml(' and '.join(model.name for model in asked.models.values()))}",
        'description = "Fetched from the Hugging Face hub."',
        f"bos_token = {_toml(tokenizer.bos_token)}",
        "",
        "[tokenizer]",
        f"repository = {_toml(tokenizer.repository)}",
        f"revision = {_toml(tokenizer.commit)}",
    ]
    for side, model in asked.models.items():
        of = found[side]
        (directory / f"{side}.json").write_text(json.dumps(of.config, indent=2) + "\n", "utf-8")
        save_file(of.state, directory / f"{side}.safetensors")
        lines += ["", f"[{side}]", f"name = {_toml(model.name)}"]
        lines += [f'config = "{side}.json"', f'weights = "{side}.safetensors"']
        lines += ["", f"[{side}.origin]"]
        lines += [f"{key} = {_toml(value)}" for key, value in of.origin.items()]
    shutil.copyfile(tokenizer.path, directory / "tokenizer.json")
    (directory / "pair.toml").write_text("\n".join(lines) + "\n", "utf-8")


def _name(unfinished: Path, directory: Path) -> None:
    """Give the directory its name; another process may have been quicker."""
    try:
        unfinished.rename(directory)
    except OSError:
        if not (directory / "pair.toml").is_file():
            raise


def _toml(value: str | int) -> str:
    """JSON's strings and whole numbers are TOML's, too."""
    return json.dumps(value)


def _read_json(path: Path, name: str) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise PairError(f"config.json of {name} cannot be read: {error}") from error
    if not isinstance(found, dict):
        raise PairError(f"config.json of {name} is no object", "name another model")
    return found


__all__ = ["HubError", "Unreachable", "fetch", "find_or_fetch"]
