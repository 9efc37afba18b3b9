"""A pair on disk: two versions of one model, a tokenizer and `pair.toml`, read and checked.

    pair = load_pair("pystd-2l")
    pair.left.config["act_fn"]

A pair's slug is its directory's name; one that has only [left] is a single model. Loading reads the
configs and the headers of the weights, never the weights themselves; whatever is missing or does
not fit is a `PairError` that names it.
"""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from store.engine import data_dir
from worker.errors import PairError

SHIPPED = Path(__file__).resolve().parent.parent / "pairs"
ACT_FNS = ("gelu", "gelu_new", "relu", "silu", "solu", "solu_ln", "swish")
SIDES = ("left", "right", "control")
SIZES = ("n_layers", "d_model", "n_ctx", "d_head", "n_heads", "d_mlp", "d_vocab")
FIELDS = (*SIZES, "act_fn", "normalization_type")

_SHOWN = 200  # characters of a name in a message
# Words that are routes of the site, or may become one.
RESERVED = frozenset(
    """random search tax live login logout account labels studies runs docs static healthz openapi
    json index definitions
    invisible embed card download pairs about api worker settings users""".split()  # noqa: SIM905
)


@dataclass(frozen=True)
class Version:
    """One model of a pair. `config` holds TransformerBridgeConfig's fields; `dtype`, a name in
    torch, is what it is computed in; `origin` is where the weights came from (repository,
    revision, …), if from a hub."""

    side: str
    name: str
    config: dict[str, Any]
    weights: Path
    dtype: str = "float32"
    origin: dict[str, Any] = field(default_factory=dict)

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
    """Two versions of one shape (or one alone), perhaps a third as a control, and how they came
    to be."""

    slug: str
    name: str
    description: str
    bos_token: str
    directory: Path
    left: Version
    right: Version | None
    control: Version | None
    training: dict[str, Any]

    @property
    def tokenizer_path(self) -> Path:
        return self.directory / "tokenizer.json"

    @property
    def versions(self) -> tuple[Version, ...]:
        """Left and, where there are, right and the control."""
        return tuple(one for one in (self.left, self.right, self.control) if one is not None)


def kept_pairs() -> Path:
    """Where pairs that were fetched from a hub are kept, each in a directory of its slug."""
    return data_dir() / "pairs"


def load_pair(name: str | Path, shipped: Path = SHIPPED) -> Pair:
    """The pair in a directory, or the one of that slug among `shipped` and those kept."""
    directory = _find(str(name), shipped)
    slug = check_slug(directory.resolve().name)
    settings = _read_toml(directory / "pair.toml")
    for key in ("name", "bos_token"):
        if not isinstance(settings.get(key), str) or not settings[key]:
            raise PairError(f"pair {slug}: pair.toml has no {key}", f'add {key} = "…"')
    _check_tables(slug, settings)
    left = _read_version(directory, settings, "left")
    right = _read_version(directory, settings, "right") if "right" in settings else None
    control = _read_version(directory, settings, "control") if "control" in settings else None
    if right is not None:
        _check_shapes(slug, left, right, SIZES)
    if control is not None:
        _check_shapes(slug, left, control, ("d_vocab", "n_ctx"))
    pair = Pair(
        slug=slug,
        name=settings["name"],
        description=str(settings.get("description", "")),
        bos_token=settings["bos_token"],
        directory=directory,
        left=left,
        right=right,
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


def is_pair(name: str | Path) -> bool:
    """Whether `load_pair` would find a directory of this name."""
    return _directory(str(name), SHIPPED) is not None


def _directory(name: str, shipped: Path) -> Path | None:
    try:
        if re.fullmatch(r"[a-z0-9-]+", name):
            for root in (shipped, kept_pairs()):
                if (root / name / "pair.toml").is_file():
                    return root / name
        path = Path(name).expanduser()
        return path if path.is_dir() else None
    except (OSError, ValueError, RuntimeError):  # a name that no directory can have
        return None


def _find(name: str, shipped: Path) -> Path:
    directory = _directory(name, shipped)
    if directory is not None:
        return directory
    shown = name if len(name) <= _SHOWN else name[:_SHOWN] + "…"
    raise PairError(
        f"there is no pair {shown!r}",
        f"use one of {', '.join(shipped_pairs(shipped))}, a directory with a pair.toml, or models "
        "of the hub such as solu-1l--gelu-1l",
    )


def _check_tables(slug: str, settings: dict[str, Any]) -> None:
    """A misspelt [right] must not pass for a pair that has none."""
    known = (*SIDES, "training", "tokenizer")
    for table, value in settings.items():
        if isinstance(value, dict) and table not in known:
            raise PairError(
                f"pair {slug}: pair.toml has a table [{table}]",
                f"those that mean something are {', '.join(f'[{name}]' for name in known)}",
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
    origin = entry.get("origin", {})
    return Version(
        side,
        entry["name"],
        config,
        weights,
        origin=dict(origin) if isinstance(origin, dict) else {},
    )


def _check_config(where: str, config: Any) -> None:
    if not isinstance(config, dict):
        raise PairError(f"{where} config is no object", "give TransformerBridgeConfig's fields")
    if missing := [name for name in FIELDS if name not in config]:
        raise PairError(f"{where} config lacks {', '.join(missing)}", "add what is missing")
    for size in SIZES:
        if type(config[size]) is not int or config[size] < 1:
            raise PairError(
                f"{where} config has {size} = {config[size]!r}", "give a positive whole number"
            )
    if config["n_ctx"] < 2:
        raise PairError(f"{where} config has n_ctx = 1", "a window needs a token beside BOS")
    if config["act_fn"] not in ACT_FNS:
        raise PairError(
            f"{where} config has act_fn {config['act_fn']!r}", f"use one of {', '.join(ACT_FNS)}"
        )


def _check_shapes(slug: str, one: Version, other: Version, fields: tuple[str, ...]) -> None:
    for name in fields:
        if one.config[name] != other.config[name]:
            raise PairError(
                f"pair {slug}: {name} is {one.config[name]} in {one.side} and "
                f"{other.config[name]} in {other.side}",
                "a pair's versions must have the same shape",
            )
