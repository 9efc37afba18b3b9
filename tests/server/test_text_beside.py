"""A page shows more of an example's text than it has values of: plain text, no further tokens."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

from server.token_text import visible_text
from tests.server.conftest import Served


def test_the_text_beside_a_snippet_is_plain(served: Served) -> None:
    html = served.client.get("/tiny-pair/0/3?examples=all").text
    versions: dict[str, Any] = served.client.get("/tiny-pair/0/3.json").json()["versions"]
    longer = 0
    for side, version in versions.items():
        for one in version["examples"]:
            name = f"{side}-{one['band'].replace('.', '_')}-{one['rank']}"
            line = re.search(rf'id="{name}">.*?<p class="tokens"[^>]*>(.*?)</p>', html, re.DOTALL)
            assert line is not None
            before, _, rest = line[1].partition("<span")
            after = rest.rpartition("</span>")[2]
            assert rest.count("<span") + 1 == len(one["tokens"])
            if any("\\x" in token for token in [*one["before"], *one["after"]]):
                continue  # parts of characters, which the page joins
            assert unescape(before) == visible_text("".join(one["before"]))
            assert unescape(after) == visible_text("".join(one["after"]))
            longer += bool(before) + bool(after)
    assert longer > 3
