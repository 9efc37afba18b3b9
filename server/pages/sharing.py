"""What a neuron page offers to whoever wants to pass it on: addresses, texts to paste, a citation.

All of it is pinned to the run. Fields may be added, not renamed.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SharingView:
    """`permalink` and the other addresses are whole ones where `public`, else of this machine only.

    `public` says whether the address leads here from elsewhere; where it does not, `command` and
    `place` say how the page is shown by whoever has the run. `citation` is BibTeX of this page,
    `project_citation` of Twinscope.
    """

    public: bool
    permalink: str
    place: str
    command: str
    json_href: str
    download_href: str
    card_href: str
    embed_href: str
    embed_code: str
    citation: str
    project_citation: str
