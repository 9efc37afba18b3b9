"""Which activations a run has: its sides, layers, sites and neurons, in one fixed order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from store.records import SIDES, Side, Site

#: A site's place within an MLP, as TransformerLens names it (EVIDENCE §0).
HOOK_POINTS: dict[Site, str] = {"pre": "hook_pre", "mid": "ln.hook_in", "post": "hook_post"}


@dataclass(frozen=True)
class SideLayout:
    """One model's activations."""

    side: Side
    n_layers: int
    n_neurons: int
    has_layer_norm: bool  # a LayerNorm follows the activation function

    @property
    def sites(self) -> tuple[Site, ...]:
        """Sites in the order of the computation; `mid` only before a LayerNorm."""
        return ("pre", "mid", "post") if self.has_layer_norm else ("pre", "post")

    @property
    def display_site(self) -> Site:
        """The site that versions are ranked by: what the activation function puts out."""
        return "mid" if self.has_layer_norm else "post"


@dataclass(frozen=True)
class Layout:
    """A run's activations; `right` is absent in a single-sided run."""

    sides: tuple[SideLayout, ...]

    @classmethod
    def of_configs(cls, configs: dict[Side, dict[str, Any]]) -> Layout:
        """From TransformerBridgeConfig's fields of each side."""
        return cls(
            tuple(
                SideLayout(
                    side,
                    int(configs[side]["n_layers"]),
                    int(configs[side]["d_mlp"]),
                    configs[side]["act_fn"] == "solu_ln",
                )
                for side in SIDES
                if side in configs
            )
        )

    def __getitem__(self, side: Side) -> SideLayout:
        return next(one for one in self.sides if one.side == side)

    def other(self, side: Side) -> SideLayout | None:
        """The other side; None in a single-sided run."""
        return next((one for one in self.sides if one.side != side), None)

    def layers(self) -> Iterator[tuple[SideLayout, int]]:
        """Each layer of each side."""
        for one in self.sides:
            for layer in range(one.n_layers):
                yield one, layer

    def blocks(self) -> Iterator[tuple[Side, int, Site, int]]:
        """(side, layer, site, first column) of each block of a row that holds all activations."""
        column = 0
        for one, layer in self.layers():
            for site in one.sites:
                yield one.side, layer, site, column
                column += one.n_neurons

    @property
    def width(self) -> int:
        """Number of activations of a token: all neurons at all sites."""
        return sum(one.n_layers * one.n_neurons * len(one.sites) for one in self.sides)

    @property
    def versions(self) -> int:
        """Number of versions: neurons of all layers of all sides."""
        return sum(one.n_layers * one.n_neurons for one in self.sides)


def hook_point(layer: int, site: Site) -> str:
    """The full name, `blocks.0.mlp.hook_pre`."""
    return f"blocks.{layer}.mlp.{HOOK_POINTS[site]}"
