"""What a user may call a model of the hub, and the slug of the pair that they make.

    asked = parse_pair("NeelNanda/SoLU_1L512W_C4_Code--NeelNanda/GELU_1L512W_C4_Code")
    asked.slug                                    # "solu-1l--gelu-1l"
    parse_pair("solu-2l--gelu-2l@checkpoint=21")  # both models at that checkpoint
    parse_pair("solu-6l")                         # one model: a single-sided run

A model is a repository (`OWNER/NAME`) or one of TransformerLens's names for it. Two names of one
repository give one slug, so that a pair is kept once however it was asked for.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass

from worker.errors import UsageError

BETWEEN = "--"
FINAL = "final"
SLUG_LENGTH = 100  # of the column that holds it

#: The models that the words SoLU and GeLU mean here, by the name that slugs are made of.
WELL_KNOWN = {
    **{f"solu-{n}l": f"NeelNanda/SoLU_{n}L512W_C4_Code" for n in (1, 2, 3, 4)},
    **{f"gelu-{n}l": f"NeelNanda/GELU_{n}L512W_C4_Code" for n in (1, 2, 3, 4)},
    "solu-6l": "NeelNanda/SoLU_6L768W_C4_Code",
    "solu-8l": "NeelNanda/SoLU_8L1024W_C4_Code",
    "solu-10l": "NeelNanda/SoLU_10L1280W_C4_Code",
    "solu-12l": "NeelNanda/SoLU_12L1536W_C4_Code",
}
_SHORT = {repository: name for name, repository in WELL_KNOWN.items()}
_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


@dataclass(frozen=True)
class HubModel:
    """A repository, at its end or at a checkpoint (its label as the repository writes it)."""

    repository: str
    checkpoint: int | None = None

    @property
    def name(self) -> str:
        """As pages show it."""
        at = "" if self.checkpoint is None else f"@checkpoint={self.checkpoint}"
        return self.repository + at

    @property
    def slug(self) -> str:
        """Lower-case letters, digits and single hyphens."""
        short = _SHORT.get(self.repository) or self.repository.lower()
        at = "" if self.checkpoint is None else f"-at-{self.checkpoint}"
        return re.sub(r"[^a-z0-9]+", "-", short).strip("-") + at


@dataclass(frozen=True)
class HubPair:
    """One or two models. `right` is None for a single-sided run."""

    left: HubModel
    right: HubModel | None

    @property
    def models(self) -> dict[str, HubModel]:
        """By side."""
        sides = {"left": self.left}
        return sides if self.right is None else sides | {"right": self.right}

    @property
    def slug(self) -> str:
        return BETWEEN.join(model.slug for model in self.models.values())


def parse_pair(spec: str) -> HubPair | None:
    """The models that a spec names; None if it names none of the hub's.

    `@checkpoint=N` after the last name holds for both models, unless each has its own; `final`
    is the end of training. Raises `UsageError` for a spec that begins like one of these and
    cannot be meant.
    """
    parts = spec.split(BETWEEN)
    names = [part.partition("@")[0] for part in parts]
    found = [repository_of(name) for name in names]
    if all(one is None for one in found):
        return None
    unknown = [name for name, one in zip(names, found, strict=True) if one is None]
    if unknown or len(parts) > 2:
        what = f"there is no model {unknown[0]!r}" if unknown else "a pair has two models"
        raise UsageError(f"pair {spec!r}: {what}", _suggest(unknown[0] if unknown else spec))
    checkpoints = [_checkpoint(spec, part.partition("@")[2]) for part in parts]
    if checkpoints[-1] is not None and checkpoints[0] is None:
        checkpoints = [checkpoints[-1]] * len(parts)
    if checkpoints[0] is not None and checkpoints[-1] is None:
        raise UsageError(
            f"pair {spec!r} gives only its first model a checkpoint",
            f"give both one; @checkpoint={FINAL} is the end of training",
        )
    models = [
        HubModel(repository, None if at in (None, FINAL) else int(at))
        for repository, at in zip(found, checkpoints, strict=True)
        if repository is not None
    ]
    pair = HubPair(models[0], models[1] if len(models) == 2 else None)
    if pair.left == pair.right:
        raise UsageError(f"pair {spec!r} is one model twice", "name two, or that one alone")
    if len(pair.slug) > SLUG_LENGTH:
        raise UsageError(
            f"pair {spec!r} would have a name of {len(pair.slug)} characters in addresses",
            "copy its directory under a shorter name and give that",
        )
    return pair


def repository_of(name: str) -> str | None:
    """The repository that a name stands for; None if it is no name of the hub's."""
    if name in WELL_KNOWN:
        return WELL_KNOWN[name]
    if _REPOSITORY.fullmatch(name):
        return name
    from transformer_lens.tools.model_registry.registry_io import resolve_model_alias

    return resolve_model_alias(name)


def _checkpoint(spec: str, options: str) -> str | None:
    if not options:
        return None
    match = re.fullmatch(rf"checkpoint=(\d{{1,18}}|{FINAL})", options)
    if match is None:
        raise UsageError(
            f"pair {spec!r}: @{options} is not understood",
            f"write @checkpoint=N with the number of a checkpoint, or @checkpoint={FINAL}",
        )
    return str(match[1])


def _suggest(name: str) -> str:
    near = difflib.get_close_matches(name, WELL_KNOWN, n=2, cutoff=0.5)
    some = f"did you mean {' or '.join(near)}" if near else "for example solu-1l--gelu-1l"
    return f"{some}? Models are called OWNER/NAME or as TransformerLens calls them"
