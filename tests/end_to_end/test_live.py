"""A text of one's own through a real worker, in a real browser; and how its processes end."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from tests.end_to_end.conftest import ON_SQLITE, Twinscope

pytestmark = [
    pytest.mark.browser,
    # What a worker does has nothing to do with the kind of database.
    ON_SQLITE,
]

TEXT = '<script>alert(1)</script>\n\tself.count = "x" & שלום'


@pytest.fixture
def reader(page: Page) -> Iterator[Page]:
    """A page whose console must stay silent."""
    said: list[str] = []
    page.on(
        "console",
        lambda message: said.append(message.text) if message.type in ("error", "warning") else None,
    )
    page.on("pageerror", lambda error: said.append(str(error)))
    yield page
    assert said == []


def shown_text(page: Page, side: str) -> str:
    """The heat map's text without BOS."""
    spans = page.locator(f".live-cell.{side} .tokens > span:not(.bos)")
    return "".join(spans.all_inner_texts())


def test_ones_own_text_from_a_neurons_page(reader: Page, live: str) -> None:
    reader.goto(f"{live}/tiny-pair/1/3")
    reader.get_by_role("link", name="your own text").click()
    expect(reader.get_by_role("heading", level=1)).to_have_text("Your own text")
    expect(reader.locator("[data-example]")).to_contain_text("L1N3")
    expect(reader.get_by_role("heading", name="L1N3 on this text")).to_be_visible()
    reader.wait_for_load_state()  # pointers are followed once the page's modules have run

    reader.get_by_label(re.compile("^Text")).fill(TEXT)
    reader.get_by_role("button", name="Run both versions").click()
    expect(reader.locator("[data-example]")).to_have_count(0)
    reader.wait_for_load_state()
    for side in ("left", "right"):
        assert "<script>alert(1)</script>↵→self.count" in shown_text(reader, side)
    assert reader.locator("main script").count() == 0
    assert reader.get_by_label(re.compile("^Text")).input_value() == TEXT

    token = reader.locator(".live-cell.right .tokens > span").nth(4)
    token.hover()
    values = reader.locator("#token-values")
    expect(values).to_be_visible()
    for word in ("pre", "mid", "post", "SoLU", "GeLU"):
        expect(values).to_contain_text(word)
    loads: list[str] = []
    reader.on("load", lambda: loads.append("a page"))
    token.click()
    expect(
        reader.get_by_role("heading", name=re.compile("^Most active on token 4"))
    ).to_be_visible()
    expect(reader).to_have_url(re.compile(r"token=4"))
    expect(reader.locator(".live-map .f")).to_have_count(2)
    reader.keyboard.press("ArrowRight")
    reader.keyboard.press("Enter")
    expect(
        reader.get_by_role("heading", name=re.compile("^Most active on token 5"))
    ).to_be_visible()
    reader.get_by_label("another token").select_option("2")
    expect(
        reader.get_by_role("heading", name=re.compile("^Most active on token 2"))
    ).to_be_visible()
    assert loads == [], "choosing a token leaves the page where it is"

    permalink = reader.get_by_role("link", name="permalink").get_attribute("href")
    assert permalink is not None
    for part in ("run=", "token=2", "layer=1", "neuron=3", "text="):
        assert part in permalink
    lists = reader.locator("#most-active table").all_inner_texts()
    maps = reader.locator(".live-map").all_inner_texts()
    reader.goto(live + permalink)
    assert reader.locator("#most-active table").all_inner_texts() == lists
    assert reader.locator(".live-map").all_inner_texts() == maps

    first = reader.locator("#most-active .left tbody tr").first
    name = first.locator("th").inner_text()
    first.locator("th a").click()
    expect(reader.get_by_role("heading", level=1)).to_have_text(name)


def test_it_works_without_scripts(browser: Any, live: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{live}/tiny-pair/live?layer=0&neuron=2")
    page.get_by_label(re.compile("^Text")).fill("\n\nimport x\n")
    page.get_by_role("button", name="Run both versions").click()
    expect(page.locator(".live-map")).to_have_count(2)
    assert shown_text(page, "left").startswith("↵↵import")
    # A form sends CRLF; what comes back is what was typed.
    assert page.get_by_label(re.compile("^Text")).input_value() == "\n\nimport x\n"
    page.get_by_label("another token").select_option("1")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_role("heading", name=re.compile("^Most active on token 1"))).to_be_visible()
    assert shown_text(page, "left").startswith("↵↵import")
    context.close()


@pytest.mark.parametrize("width", [390, 1440])
def test_it_fits_the_screen(reader: Page, live: str, width: int) -> None:
    reader.set_viewport_size({"width": width, "height": 900})
    text = quote("averyverylongnamewithoutanyspace" * 6)
    reader.goto(f"{live}/tiny-pair/live?layer=0&neuron=2&text={text}")
    expect(reader.locator(".live-map")).to_have_count(2)
    expect(reader.get_by_text(re.compile("were left out"))).to_be_visible()
    assert reader.evaluate("document.documentElement.scrollWidth") <= width


def stat_of(pid: int) -> list[str]:
    """A process's state, its parent and so on, as the kernel has them; nothing if it is gone."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return []


def children(pid: int) -> list[int]:
    """Processes that this one started and that live."""
    everybody = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return [one for one in everybody if stat_of(one)[1:2] == [str(pid)] and alive(one)]


def alive(pid: int) -> bool:
    """Whether it runs; one that has ended and was not waited for does not."""
    return stat_of(pid)[:1] not in ([], ["Z"], ["X"])


def ended(pid: int) -> bool:
    """Whether it has ended, after so long as a busy machine may take over that."""
    deadline = time.monotonic() + 120
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not alive(pid)


@contextmanager
def site_with_worker(twinscope: Twinscope, pair: Path) -> Iterator[tuple[Any, str, int]]:
    """A site of one's own: its process, its address, and its worker's process id."""
    site = twinscope.start(
        "serve", "--port", "0", "--with-worker", "--pair", str(pair), stdin=subprocess.DEVNULL
    )
    worker = 0
    try:
        match = re.search(r"http://\S+", site.stdout.readline())
        assert match is not None, site.communicate(timeout=120)
        (worker,) = children(site.pid)
        yield site, match[0], worker
    finally:
        for pid in (site.pid, worker):
            if pid and alive(pid):
                os.kill(pid, signal.SIGKILL)
        site.communicate(timeout=120)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_the_worker_ends_with_the_site(
    twinscope: Twinscope, tiny_pair: Path, how: signal.Signals
) -> None:
    with site_with_worker(twinscope, tiny_pair) as (site, _, worker):
        site.send_signal(how)
        _, errors = site.communicate(timeout=120)
        assert ended(worker)
        assert errors == ""


def test_a_worker_that_was_killed_is_said(
    reader: Page, twinscope: Twinscope, tiny_pair: Path
) -> None:
    with site_with_worker(twinscope, tiny_pair) as (_, address, worker):
        os.kill(worker, signal.SIGKILL)
        assert ended(worker)
        reader.goto(f"{address}/tiny-pair/live?layer=0&neuron=2")
        expect(reader.get_by_role("alert")).to_contain_text("it has ended, or was never started")
        expect(reader.get_by_role("alert")).to_contain_text("twinscope serve --with-worker")
        reader.goto(f"{address}/tiny-pair/0/2")
        expect(reader.get_by_role("heading", level=1)).to_have_text("L0N2")
