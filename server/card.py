"""The link preview of a neuron: 1200 × 630 pixels as PNG, drawn without a browser.

    draw_card(card_content(page))  → bytes, the same for the same content

Both histograms on shared axes (blue left, orange right), below each how much it hides, and the
strongest example with its activations as colours. Colours are the site's own, read from theme.css.
"""

from __future__ import annotations

import io
import re
from functools import lru_cache

from PIL import Image, ImageDraw

from server.card_content import CardColumn, CardContent, CardToken
from server.card_text import fitted, width, write
from server.figures.axes import ActivationAxis, CountAxis, short_number
from server.figures.histogram import shared_axes
from server.site import STATIC

SIZE = (1200, 630)
_MARGIN, _GAP = 48, 48
_PLOT_TOP, _PLOT_HEIGHT = 190, 178
_SNIPPET_TOP, _LINE, _LINES = 503, 36, 2
_TEXT = 26

Box = tuple[float, float, float, float]


@lru_cache(maxsize=1)
def colours() -> dict[str, str]:
    """The light palette of theme.css: `ink` → `#1b1b19`."""
    found = re.findall(
        r"--([\w-]+): light-dark\((#[0-9a-f]{6}),", (STATIC / "theme.css").read_text("utf-8")
    )
    return dict(found)


@lru_cache(maxsize=64)
def draw_card(content: CardContent) -> bytes:
    """The picture as PNG."""
    image = Image.new("RGB", SIZE, colours()["paper"])
    draw = ImageDraw.Draw(image)
    ink, dim = colours()["ink"], colours()["dim"]
    left, right = _MARGIN, SIZE[0] - _MARGIN

    brand = right - width("Twin", 34) - width("scope", 34)
    after = write(draw, brand, 84, "Twin", 34, colours()["left"])
    write(draw, after, 84, "scope", 34, colours()["right"])
    after = write(draw, left, 84, content.name, 58, ink)
    write(draw, after + 20, 84, fitted(content.pair, 30, brand - after - 60), 30, dim)

    many = len(content.columns) > 1
    wide = (right - left - _GAP) / 2 if many else right - left
    finest = min((column.std for column in content.columns if column.std), default=None)
    axes = shared_axes([column.counts for column in content.columns], finest)
    for n, column in enumerate(content.columns):
        _column(draw, left + n * (wide + _GAP), wide, column, axes)

    write(draw, right - width(content.footer, 22), 606, content.footer, 22, dim)
    most = right - left - width(content.footer, 22) - 40
    write(draw, left, 606, fitted(content.answer, 26, most), 26, ink)
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=4)
    return file.getvalue()


def _column(
    draw: ImageDraw.ImageDraw,
    x: float,
    wide: float,
    column: CardColumn,
    axes: tuple[ActivationAxis, CountAxis],
) -> None:
    ink, dim = colours()[column.side], colours()["dim"]
    draw.rectangle((x, 108, x + wide, 113), fill=colours()[f"{column.side}-mark"])
    after = write(draw, x, 152, fitted(column.heading, 32, wide), 32, ink)
    write(draw, after + 16, 152, fitted(column.model, 22, x + wide - after - 16), 22, dim)
    _histogram(draw, (x, _PLOT_TOP, x + wide, _PLOT_TOP + _PLOT_HEIGHT), column, *axes)
    write(draw, x, 438, fitted(column.said, _TEXT, wide), _TEXT, colours()["ink"])
    if not column.snippet:
        write(draw, x, _SNIPPET_TOP, "No top example.", 24, dim)
        return
    write(draw, x, 468, f"the strongest token, {column.top} at {column.site}", 18, dim)
    for line, (start, tokens) in enumerate(_lines(column.snippet, wide)):
        _snippet_line(draw, x + start, _SNIPPET_TOP + line * _LINE, tokens, wide - start)


def _histogram(
    draw: ImageDraw.ImageDraw,
    box: Box,
    column: CardColumn,
    axis: ActivationAxis,
    counts_axis: CountAxis,
) -> None:
    left, top, right, floor = box
    scale = (right - left) / (axis.right - axis.left)
    edges = [left + edge * scale for edge in axis.edges()]
    mark, ground = colours()[f"{column.side}-mark"], colours()[f"{column.side}-wash"]
    outline: list[tuple[float, float]] = []
    for n, count in enumerate(axis.rebin(column.counts).tolist()):
        height = round((floor - top) * counts_axis.height(count))
        if height:
            draw.rectangle((edges[n], floor - height, edges[n + 1], floor), fill=ground)
        outline += [(edges[n], floor - height), (edges[n + 1], floor - height)]
    draw.line([(left, floor), *outline, (right, floor)], fill=mark, width=3)
    draw.line((left, floor, right, floor), fill=colours()["strong-line"], width=1)
    for value in axis.ticks():
        x = left + (right - left) * axis.percent(value) / 100
        name = short_number(value)
        place = min(max(x - width(name, 18) / 2, left), right - width(name, 18))
        draw.line((x, floor, x, floor + 6), fill=colours()["strong-line"], width=1)
        write(draw, place, floor + 24, name, 18, colours()["dim"])
    write(draw, left, top - 10, f"tokens by activation at {column.site}", 18, colours()["dim"])


def _lines(tokens: tuple[CardToken, ...], wide: float) -> list[tuple[float, list[CardToken]]]:
    """The snippet around its focus in lines of at most `wide` pixels: (indent, tokens)."""
    widths = [min(width(token.text, _TEXT), wide) for token in tokens]
    focus = next((n for n, token in enumerate(tokens) if token.focus), 0)
    start, room = focus, wide * (_LINES - 1) * 0.9 - widths[focus]
    while start > 0 and room >= widths[start - 1]:
        start -= 1
        room -= widths[start]
    lines: list[tuple[float, list[CardToken]]] = [(0.0, [])]
    used = 0.0
    for n in range(start, len(tokens)):
        if used + widths[n] > wide:
            if len(lines) == _LINES:
                break
            lines.append((0.0, []))
            used = 0.0
        lines[-1][1].append(tokens[n])
        used += widths[n]
    return lines


def _snippet_line(
    draw: ImageDraw.ImageDraw, x: float, baseline: float, tokens: list[CardToken], wide: float
) -> None:
    for token in tokens:
        text = fitted(token.text, _TEXT, wide)
        long = width(text, _TEXT)
        box = (x, baseline - 25, x + long, baseline + 8)
        ink = _ink(token.level)
        if token.level:
            name = f"{'p' if token.level > 0 else 'n'}{abs(token.level)}"
            draw.rectangle(box, fill=colours()[name])
        write(draw, x, baseline, text, _TEXT, ink)
        if token.focus:
            draw.rectangle(box, outline=colours()["ink"], width=2)
        x += long


def _ink(level: int) -> str:
    size = abs(level)
    name = "ink" if size == 0 else "ink-1-5" if size <= 5 else "ink-6" if size == 6 else "ink-7-8"
    return colours()[name]
