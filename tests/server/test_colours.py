"""The palette: text reaches 4.5:1 on every ground that it stands on, in light and in dark."""

from __future__ import annotations

import re

import pytest

from server.site import STATIC, TEMPLATES

THEME = (STATIC / "theme.css").read_text(encoding="utf-8")
COLOURS = {
    name: (light, dark)
    for name, light, dark in re.findall(
        r"--([\w-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)", THEME
    )
}

PAIRS = [
    *((ink, ground) for ink in ("ink", "dim") for ground in ("paper", "wash", "raised")),
    *((side, ground) for side in ("left", "right") for ground in ("paper", "raised", f"{side}-wash")
      for side in (side,)),
    ("warn", "paper"),
    *(("ink-1-5", f"{sign}{level}") for sign in "pn" for level in range(1, 6)),
    *(("ink-6", f"{sign}6") for sign in "pn"),
    *(("ink-7-8", f"{sign}{level}") for sign in "pn" for level in (7, 8)),
]  # fmt: skip


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.2)."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(("ink", "ground"), PAIRS)
def test_contrast(ink: str, ground: str, theme: int) -> None:
    low, high = sorted(luminance(COLOURS[name][theme]) for name in (ink, ground))
    assert (high + 0.05) / (low + 0.05) >= 4.5


def test_every_level_has_its_class() -> None:
    for sign in "pn":
        for level in range(1, 9):
            assert f".{sign}{level} {{" in THEME
            assert f".o{sign}{level} {{" in THEME


def test_templates_hold_no_inline_style_or_script() -> None:
    for template in TEMPLATES.glob("*.html"):
        if template.name == "download.html":  # one file by design, with a policy of its own
            continue
        text = template.read_text(encoding="utf-8")
        assert not re.search(r"<style|\sstyle\s*=|\son\w+\s*=|javascript:", text), template.name
        for script in re.findall(r"<script[^>]*>(.*?)</script>", text, re.DOTALL):
            assert not script.strip(), template.name
