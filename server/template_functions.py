"""What templates may call: figures, numbers and token spans, by the name that templates use.

A template gets `page` (the page object), `static("app.css")` (the address of a static file with
its content's hash), everything in `FUNCTIONS` as globals and everything in `FILTERS` as filters.
labels.html also gets `fragment`: whether only the fragment is wanted, without the page around it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from server import number_text
from server.activation_names import activation_name
from server.band_titles import band_title
from server.condition_words import condition_title
from server.definitions import DEFINITIONS
from server.embed_drawing import short_snippet
from server.explorer_drawing import draw_correspondence, draw_scatter
from server.explorer_markup import index_rows, version_rows
from server.invisible_drawing import draw_candidate, draw_invisible
from server.live_drawing import draw_live
from server.neuron_drawing import draw
from server.neuron_words import compared, hidden_method, points, responds, unshown
from server.sameness_words import sameness, verdict
from server.sharing_words import preview_text, preview_title
from server.study_drawing import draw_results
from server.study_words import p_value, points_span
from server.study_words import points as signed_points
from server.tax_drawing import draw_tax
from server.terms import glossary, term
from server.token_text import text_markup, visible_text

FUNCTIONS: dict[str, Callable[..., Any]] = {
    "draw": draw,
    "sameness": sameness,
    "verdict": verdict,
    "responds": responds,
    "unshown": unshown,
    "compared": compared,
    "hidden_method": hidden_method,
    "points": points,
    "draw_tax": draw_tax,
    "draw_results": draw_results,
    "draw_correspondence": draw_correspondence,
    "draw_scatter": draw_scatter,
    "version_rows": version_rows,
    "index_rows": index_rows,
    "draw_candidate": draw_candidate,
    "draw_invisible": draw_invisible,
    "draw_live": draw_live,
    "short_snippet": short_snippet,
    "preview_title": preview_title,
    "preview_text": preview_text,
    "definition": DEFINITIONS.__getitem__,
    "glossary": glossary,
}

FILTERS: dict[str, Callable[..., Any]] = {
    "number": number_text.number,
    "fixed": number_text.fixed,
    "count": number_text.count,
    "share": number_text.share,
    "duration": number_text.duration,
    "size": number_text.size,
    "moment": number_text.moment,
    "act": activation_name,
    "band_title": band_title,
    "aligned": number_text.aligned,
    "term": term,
    "unbroken": number_text.unbroken,
    "condition": condition_title,
    "points": signed_points,
    "points_span": points_span,
    "p_value": p_value,
    "token": text_markup,
    "visible": visible_text,
}
