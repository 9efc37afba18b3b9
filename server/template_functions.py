"""What templates may call: figures, numbers and token spans, by the name that templates use.

A template gets `page` (the page object), `static("app.css")` (the address of a static file with
its content's hash), everything in `FUNCTIONS` as globals and everything in `FILTERS` as filters.
labels.html also gets `fragment`: whether only the fragment is wanted, without the page around it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

FUNCTIONS: dict[str, Callable[..., Any]] = {}

FILTERS: dict[str, Callable[..., Any]] = {}
