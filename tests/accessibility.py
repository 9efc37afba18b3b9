"""What axe-core finds on a page that a browser shows."""

from __future__ import annotations

from pathlib import Path

import axe_playwright_python
from playwright.sync_api import Page

AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")

#: What another colour scheme can change.
SCHEME_RULES = ("color-contrast", "link-in-text-block")


def serious(page: Page, rules: tuple[str, ...] = ()) -> list[str]:
    """axe-core's serious and critical violations on the page, a line each: rule, element, help.

    Of all rules, or of these.
    """
    page.evaluate(AXE)
    options = {"resultTypes": ["violations"]} | ({"runOnly": list(rules)} if rules else {})
    found = page.evaluate("options => axe.run(document, options)", options)
    assert found["passes"], "axe ran"
    return [
        f"{fault['id']}: {node['html'][:160]} ({node['failureSummary']})"
        for fault in found["violations"]
        if fault["impact"] in ("serious", "critical")
        for node in fault["nodes"]
    ]
