"""The polysemanticity score band by band, as bars on a scale that both versions share."""

from __future__ import annotations

from collections.abc import Mapping

from markupsafe import Markup, escape

from server.number_text import fixed

ROW = 17
_NAMES, _NUMBERS = 32.0, 10.0
"""Percent of the width for the bands' names at the left and the scores at the right."""


def band_scores(
    *, name: str, side: str, scores: Mapping[str, float | None], carrier: str | None, scale: float
) -> Markup:
    """`scores` by the band's title, in the order in which they are drawn; `carrier` is set bold.

    `scale` is the score of a full bar. An undefined score has no bar and reads “too few”.
    """
    said = ", ".join(
        f"{title} {'too few contexts' if score is None else fixed(score)}"
        for title, score in scores.items()
    )
    height = ROW * max(len(scores), 1)
    parts = [
        f'<svg class="figure band-scores {escape(side)}" role="img" width="100%" '
        f'height="{height}" xmlns="http://www.w3.org/2000/svg">',
        f"<title>{escape(name)}: separation of two groups of contexts, by band</title>",
        f"<desc>{escape(said)}</desc>",
    ]
    width = 100 - _NAMES - _NUMBERS
    for n, (title, score) in enumerate(scores.items()):
        base = ROW * n + 12.5
        kind = " carrier" if title == carrier else ""
        parts.append(f'<g class="band-score{kind}"><text x="0" y="{base}">{escape(title)}</text>')
        if score is None:
            parts.append(f'<text x="{_NAMES}%" y="{base}">too few contexts</text>')
        else:
            length = width * min(max(score / scale, 0.0), 1.0) if scale > 0 else 0.0
            parts.append(
                f'<rect x="{_NAMES}%" y="{ROW * n + 4}" width="{length:.2f}%" height="9"/>'
                f'<text x="100%" y="{base}" text-anchor="end">{fixed(score)}</text>'
            )
        parts.append("</g>")
    parts.append("</svg>")
    return Markup("".join(parts))
