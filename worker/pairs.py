"""A pair on disk: two versions of one model, a tokenizer and `pair.toml`, read and checked.

    pair = load_pair("pystd-2l")
    pair.left.config["act_fn"]

A pair's slug is its directory's name. Loading reads the configs and the headers of the weights,
never the weights themselves; whatever is missing or does not fit is a `PairError` that names it.
"""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from worker.errors import PairError

SHIPPED = Path(__file__).resolve().parent.parent / "pairs"
ACT_FNS = ("gelu", "gelu_new", "relu", "silu", "solu", "solu_ln", "swish")
SIDES = ("left", "right", "control")
SIZES = ("n_layers", "d_model", "n_ctx", "d_head", "n_heads", "d_mlp", "d_vocab")
FIELDS = (*SIZES, "act_fn", "normalization_type")
# Words that are routes of the site, or may become one.
RESERVED = frozenset(
    """random search tax live login logout account labels studies runs docs static healthz openapi
    json index definitions
    invisible embed card download pairs about api worker settings users""".split()  # noqa: SIM905
)


@dataclass(frozen=True)
class Version:
    """One model of a pair. `config` holds TransformerBridgeConfig's fields."""

    side: str
    name: str
    config: dict[str, Any]
    weights: Path

    @cached_property
    def sha256(self) -> str:
        """The weights file's SHA-256, in hex: what labels and run identities refer to."""
        with self.weights.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    @property
    def act_fn(self) -> str:
        return str(self.config["act_fn"])


@dataclass(frozen=True)
class Pair:
    """Two versions of one shape, perhaps a third as a control, and how they came to be."""

    slug: str
    name: str
    description: str
    bos_token: str
    directory: Path
    left: Version
    right: Version
    control: Version | None
    training: dict[str, Any]

    @property
    def tokenizer_path(self) -> Path:
        return self.directory / "tokenizer.json"

    @property
    def versions(self) -> tuple[Version, ...]:
        """Left, right and, where there is one, the control."""
        return (self.left, self.right, *([self.control] if self.control else []))


def load_pair(name: str | Path, shipped: Path = SHIPPED) -> Pair:
    """The pair in a directory, or the one of that slug among `shipped`."""
    directory = _find(str(name), shipped)
    slug = check_slug(directory.resolve().name)
    settings = _read_toml(directory / "pair.toml")
    for key in ("name", "bos_token"):
        if not isinstance(settings.get(key), str) or not settings[key]:
            raise PairError(f"pair {slug}: pair.toml has no {key}", f'add {key} = "…"')
    versions = {side: _read_version(directory, settings, side) for side in SIDES[:2]}
    control = _read_version(directory, settings, "control") if "control" in settings else None
    _check_shapes(slug, versions["left"], versions["right"], SIZES)
    if control is not None:
        _check_shapes(slug, versions["left"], control, ("d_vocab", "n_ctx"))
    pair = Pair(
        slug=slug,
        name=settings["name"],
        description=str(settings.get("description", "")),
        bos_token=settings["bos_token"],
        directory=directory,
        left=versions["left"],
        right=versions["right"],
        control=control,
        training=dict(settings.get("training", {})),
    )
    if not pair.tokenizer_path.is_file():
        raise PairError(
            f"pair {slug} has no tokenizer.json", f"put its tokenizer at {pair.tokenizer_path}"
        )
    return pair


def check_slug(slug: str) -> str:
    """`slug`, if a pair may be called so in a URL."""
    if not re.fullmatch(r"[a-z0-9-]+", slug):
        raise PairError(
            f"{slug!r} cannot be a pair's name in a URL",
            "name its directory with lower-case letters, digits and hyphens",
        )
    if slug in RESERVED:
        raise PairError(f"{slug!r} is a page of the site", "name the pair's directory otherwise")
    return slug


def shipped_pairs(shipped: Path = SHIPPED) -> list[str]:
    """Slugs of the pairs that ship."""
    return sorted(path.parent.name for path in shipped.glob("*/pair.toml"))


def _find(name: str, shipped: Path) -> Path:
    if re.fullmatch(r"[a-z0-9-]+", name) and (shipped / name / "pair.toml").is_file():
        return shipped / name
    if Path(name).expanduser().is_dir():
        return Path(name).expanduser()
    if "--" in name:
        raise PairError(
            f"pair {name!r}: pairs from the hub are not supported yet",
            f"use one of {', '.join(shipped_pairs(shipped))}, or a directory",
        )
    raise PairError(
        f"there is no pair {name!r}",
        f"use one of {', '.join(shipped_pairs(shipped))}, or a directory with a pair.toml",
    )


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise PairError(f"{path} does not exist", "a pair's directory needs it") from error
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise PairError(f"{path} cannot be read: {error}", "mend it") from error


def _read_version(directory: Path, settings: dict[str, Any], side: str) -> Version:
    where = f"pair {directory.resolve().name}: [{side}]"
    entry = settings.get(side)
    if not isinstance(entry, dict):
        raise PairError(f"{where} is missing in pair.toml", "add name, config and weights")
    for key in ("name", "config", "weights"):
        if not isinstance(entry.get(key), str):
            raise PairError(f"{where} has no {key}", f'add {key} = "…" to pair.toml')
    weights = directory / entry["weights"]
    if not weights.is_file():
        raise PairError(f"{where} weights {weights} are missing", "copy or train the pair again")
    try:
        config = json.loads((directory / entry["config"]).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise PairError(f"{where} config cannot be read: {error}", "mend the file") from error
    _check_config(where, config)
    return Version(side, entry["name"], config, weights)


def _check_config(where: str, config: Any) -> None:
    if not isinstance(config, dict):
        raise PairError(f"{where} config is no object", "give TransformerBridgeConfig's fields")
    if missing := [field for field in FIELDS if field not in config]:
        raise PairError(f"{where} config lacks {', '.join(missing)}", "add what is missing")
    for field in SIZES:
        if type(config[field]) is not int or config[field] < 1:
            raise PairError(
                f"{where} config has {field} = {config[field]!r}", "give a positive whole number"
            )
    if config["act_fn"] not in ACT_FNS:
        raise PairError(
            f"{where} config has act_fn {config['act_fn']!r}", f"use one of {', '.join(ACT_FNS)}"
        )


def _check_shapes(slug: str, one: Version, other: Version, fields: tuple[str, ...]) -> None:
    for field in fields:
        if one.config[field] != other.config[field]:
            raise PairError(
                f"pair {slug}: {field} is {one.config[field]} in {one.side} and "
                f"{other.config[field]} in {other.side}",
                "a pair's versions must have the same shape",
            )
