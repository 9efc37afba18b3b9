"""Every page in a real browser: no serious fault of accessibility in light or dark, a silent
console, nothing that jumps, and a light first visit."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import CDPSession, Page, expect

from tests.accessibility import SCHEME_RULES, serious
from tests.end_to_end.conftest import ON_SQLITE

pytestmark = [pytest.mark.browser, ON_SQLITE]

PAGES = {
    "home": "/",
    "explorer": "/tiny-pair",
    "explorer, a row an index": "/tiny-pair?rows=pair",
    "explorer, filtered to nothing": "/tiny-pair?kurtosis__gte=1e9",
    "scatter": "/tiny-pair?x=kurtosis&y=hidden_share",
    "neuron": "/tiny-pair/1/3",
    "neuron, best match": "/tiny-pair/1/3?pairing=match",
    "neuron, before the nonlinearity": "/tiny-pair/0/2?site=pre",
    "labels": "/tiny-pair/1/3/labels",
    "embed": "/tiny-pair/1/3/embed",
    "invisible": "/tiny-pair/0/invisible",
    "search": "/tiny-pair/search?q=self",
    "search everywhere": "/search?q=L0N3",
    "live": "/tiny-pair/live",
    "tax": "/tiny-pair/tax",
    "all labels": "/labels",
    "queue": "/labels/queue?pair=tiny-pair",
    "account": "/account",
    "studies": "/studies",
    "new study": "/studies/new",
    "runs": "/runs",
    "definitions": "/definitions",
    "docs": "/docs",
    "no such neuron": "/tiny-pair/7/3",
}

#: Most bytes of a first visit, compressed, before anything is asked for (as in test_weight.py).
MOST = 120_000

#: What the layout shift of a visit may add up to. Nothing moves unless the reader moved it.
SHIFT = 0.01

#: Of pages with a long table, whose columns may settle while its rows still come (0.007 on a
#: processor six times slower).
TABLE_SHIFT = 0.02

WATCH_SHIFTS = """
window.shifted = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shifted += entry.value;
}).observe({ type: 'layout-shift', buffered: true });
"""


@pytest.fixture
def said(page: Page) -> Iterator[list[str]]:
    """What the page says on its console: nothing, at the test's end."""
    said: list[str] = []
    page.on(
        "console",
        lambda message: said.append(message.text) if message.type in ("error", "warning") else None,
    )
    page.on("pageerror", lambda error: said.append(str(error)))
    yield said
    assert said == []


def visited(page: Page, url: str) -> int:
    """Opens a page with nothing cached; bytes that came over the wire, headers included."""
    wire: CDPSession = page.context.new_cdp_session(page)
    wire.send("Network.enable")
    wire.send("Network.setCacheDisabled", {"cacheDisabled": True})
    sizes: list[float] = []
    wire.on("Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"]))
    page.goto(url)
    page.wait_for_load_state("networkidle")
    wire.detach()
    assert sizes, "the browser counted"
    return round(sum(sizes))


def shifted(page: Page, most: float) -> float:
    """The layout shift of the visit; where that is above `most`, the lesser of it and another's.

    What a page does by itself it does each time; a processor that was taken away in the middle of
    it is bad luck, once.
    """
    found: float = page.evaluate("window.shifted")
    if found > most:
        page.reload()
        page.wait_for_load_state("networkidle")
        found = min(found, page.evaluate("window.shifted"))
    return found


def excused(name: str, said: list[str]) -> None:
    """A browser writes the status of an error page on the console: that line alone is right."""
    if name == "no such neuron":
        said[:] = [line for line in said if "404" not in line]


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_accessible_silent_still_and_light(
    page: Page, said: list[str], address: str, name: str
) -> None:
    page.add_init_script(WATCH_SHIFTS)
    page.emulate_media(color_scheme="light")
    weight = visited(page, address + PAGES[name])
    excused(name, said)
    most = TABLE_SHIFT if "explorer" in name else SHIFT
    assert shifted(page, most) <= most
    assert weight <= MOST
    if name != "docs":  # axe-core takes a minute on the page of the API: apart, below
        assert serious(page) == []
        page.emulate_media(color_scheme="dark")
        assert serious(page, SCHEME_RULES) == []


@pytest.mark.slow
def test_the_page_of_the_api_is_accessible(page: Page, address: str) -> None:
    """Apart: axe-core takes most of a minute for its many elements."""
    page.goto(address + PAGES["docs"])
    page.wait_for_load_state("networkidle")
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        assert serious(page) == [], scheme


def test_the_scatter_that_can_be_explored_is_accessible(page: Page, address: str) -> None:
    page.goto(address + PAGES["scatter"])
    page.get_by_role("button", name="explore").click()
    expect(page.get_by_role("application", name=re.compile("Scatter"))).to_be_focused()
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        assert serious(page) == [], scheme


def test_a_narrow_page_is_still_and_accessible(page: Page, said: list[str], address: str) -> None:
    page.add_init_script(WATCH_SHIFTS)
    page.set_viewport_size({"width": 390, "height": 844})
    for name in ("home", "explorer", "neuron", "tax", "queue", "all labels"):
        page.goto(address + PAGES[name])
        page.wait_for_load_state("networkidle")
        assert shifted(page, TABLE_SHIFT) <= TABLE_SHIFT, name
        assert serious(page) == [], name


#: Of each histogram: its labels from left to right in the rows above the plot, and its own edges.
LABELS = """
[...document.querySelectorAll('svg:has(g.markers)')].map((svg) => {
  const across = (one) => { const at = one.getBoundingClientRect(); return [at.left, at.right]; };
  const rows = {};
  for (const text of svg.querySelectorAll('text'))
    if (+text.getAttribute('y') <= 30) (rows[text.getAttribute('y')] ??= []).push(across(text));
  return [across(svg), Object.values(rows).map((row) => row.sort((a, b) => a[0] - b[0]))];
})
"""


def test_nothing_is_wider_than_a_small_phone(page: Page, address: str) -> None:
    """Also where there are labels: their list is a table that scrolls by itself, and a word of one
    may be as long as a label; and where a fault repeats an endless name."""
    page.set_viewport_size({"width": 360, "height": 800})
    page.goto(address + PAGES["neuron"])
    form = page.locator("#label-left")
    form.get_by_role("radio", name="unclear").check()
    form.get_by_role("textbox").fill("W" * 300)
    form.get_by_role("button", name=re.compile("Label")).click()
    expect(page.locator(".heads .left")).to_contain_text("unclear")
    page.goto(address + PAGES["all labels"])
    expect(page.get_by_role("button", name="Take back").first).to_be_attached()
    wider = {}
    for name, path in (PAGES | {"no such pair": "/no" + "x" * 400}).items():
        if name == "docs":  # Swagger's own
            continue
        page.goto(address + path)
        width = page.evaluate("document.documentElement.scrollWidth")
        if width > 360:
            wider[name] = width
    assert wider == {}


def test_labels_of_a_histogram_do_not_touch_on_a_phone(
    page: Page, said: list[str], address: str
) -> None:
    page.set_viewport_size({"width": 360, "height": 800})
    seen = 0
    for path in (f"/tiny-pair/{layer}/{n}" for layer in (0, 1) for n in (0, 2, 3)):
        page.goto(address + path)
        for (left, right), rows in page.evaluate(LABELS):
            for row in rows:
                ends = [left, *(x for label in row for x in label), right]
                gaps = [b - a for a, b in zip(ends[::2], ends[1::2], strict=True)]
                assert min(gaps[1:-1], default=1) >= 1, path
                assert min(gaps[0], gaps[-1]) >= -1, path
                seen += len(row)
    assert seen > 20


def test_the_downloaded_page_is_accessible(
    page: Page, said: list[str], address: str, tmp_path: Path
) -> None:
    file = tmp_path / "L1N3.html"
    file.write_bytes(page.request.get(f"{address}/tiny-pair/1/3/download.html").body())
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        page.goto(file.as_uri())
        assert serious(page, () if scheme == "light" else SCHEME_RULES) == [], scheme
