"""What the page objects share: a link, and the mark of a field that JSON leaves out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import Field

#: What a row of the explorer is.
Rows = Literal["version", "pair"]

#: `Annotated[T, HTML_ONLY]`: for the template alone, left out of the JSON and of its schema.
HTML_ONLY = Field(exclude=True)


@dataclass(frozen=True)
class Link:
    """A link of a page: `current` when it leads to the state that is shown already."""

    href: str
    text: str
    title: str = ""
    current: bool = False
