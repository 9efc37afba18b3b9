"""Shares by decile as bars, both versions side by side, against an even tenth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from markupsafe import Markup, escape

TOP, PLOT_HEIGHT = 18, 100
HEIGHT = TOP + PLOT_HEIGHT + 34


def deciles(name: str, axis: str, shares: Mapping[str, Sequence[float]]) -> Markup:
    """`shares` by side, ten each that sum to 1, the lowest decile first; `axis` names what of."""
    highest = max((share for side in shares.values() for share in side), default=0.1)
    top = max(highest * 1.05, 0.2)
    floor = TOP + PLOT_HEIGHT

    def y(share: float) -> float:
        return floor - PLOT_HEIGHT * min(max(share, 0.0), top) / top

    said = "; ".join(
        f"{side}: " + ", ".join(f"{share:.1%}" for share in tenths)
        for side, tenths in shares.items()
    )
    parts = [
        f'<svg class="figure deciles" role="img" width="100%" height="{HEIGHT}" '
        'xmlns="http://www.w3.org/2000/svg">',
        f"<title>{escape(name)}</title><desc>{escape(said)}</desc>",
        '<g class="grid"><text class="name" x="0" y="10">share of the layer’s effect</text>',
        f'<line class="floor" x1="0" x2="100%" y1="{floor}" y2="{floor}"/></g>',
    ]
    width = 8.0 / max(len(shares), 1)
    for place, (side, tenths) in enumerate(shares.items()):
        parts.append(f'<g class="{escape(side)}">')
        for n, share in enumerate(tenths):
            parts.append(
                f'<rect class="bar" x="{10 * n + 1 + place * width:.2f}%" y="{y(share):.1f}" '
                f'width="{width:.2f}%" height="{floor - y(share):.1f}">'
                f"<title>decile {n + 1}: {share:.1%}</title></rect>"
            )
        parts.append("</g>")
    parts.append(
        f'<line class="even" x1="0" x2="100%" y1="{y(0.1):.1f}" y2="{y(0.1):.1f}"/>'
        f'<g class="scale-text"><text x="100%" y="{y(0.1) - 3:.1f}" text-anchor="end">'
        f"an even tenth</text></g>"
    )
    for n in range(10):
        parts.append(
            f'<text x="{10 * n + 5}%" y="{floor + 14}" text-anchor="middle">{n + 1}</text>'
        )
    parts.append(
        f'<text class="name" x="50%" y="{HEIGHT - 4}" text-anchor="middle">'
        f"decile of {escape(axis)}, the lowest first</text></svg>"
    )
    return Markup("".join(parts))
