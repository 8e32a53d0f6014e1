"""The documentation site: built with warnings as errors, served from files, and looked at in a browser.

`make whole` runs these: a build takes minutes. What it makes lies in `docs/_build/html`, as `make docs` has it, and
what has not changed is not made again.
"""

import functools
import http.server
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import prior_lab

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Frame, Page

pytestmark = [pytest.mark.whole, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
OUT = DOCS / "_build" / "html"
LOOKED_AT = (
    "index",
    "guide/explore",
    "explain/equations",
    "notebooks/01_explore_budgets",
    "reference/api/prior_lab.train",
)
MINUTES = 5


@dataclass
class Site:
    """The built site on a file server of this machine; `seconds` is what the build took."""

    address: str
    seconds: float
    log: str
    pages: list[str] = field(default_factory=list)


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture(scope="session")
def site() -> Iterator[Site]:
    pytest.importorskip("sphinx", reason="the extra 'docs' is not installed")
    start = time.monotonic()
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-b", "html", str(DOCS), str(OUT)]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout[-2000:] + built.stderr
    seconds = time.monotonic() - start
    files = [path.relative_to(OUT).as_posix() for path in OUT.rglob("*.html")]
    pages = sorted(name.removesuffix(".html") for name in files if not name.startswith(("_", "explorers/")))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(OUT)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield Site(f"http://127.0.0.1:{server.server_port}", seconds, built.stderr, pages)
    server.shutdown()
    server.server_close()


@pytest.fixture
def watched(chromium: "Browser", site: Site) -> "Iterator[BrowserContext]":
    """A browser that sees nothing but the site; `problems` are errors and whatever else it asks for."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    context.problems = []
    told = context.problems.append
    context.route(lambda url: not url.startswith((site.address, "data:", "blob:")), lambda route: route.abort())
    context.on("request", lambda one: one.url.startswith((site.address, "data:", "blob:")) or told(f"asks {one.url}"))
    context.on("response", lambda one: one.status >= 400 and told(f"{one.status} {one.url}"))
    context.on("console", lambda one: one.type in ("error", "warning") and told(f"{one.type}: {one.text}"))
    context.on("weberror", lambda one: told(str(one.error)))
    yield context
    context.close()


def opened(context: "BrowserContext", site: Site, name: str) -> "Page":
    page = context.new_page()
    page.goto(f"{site.address}/{name}.html", wait_until="load")
    return page


def frames_of(page: "Page") -> "list[Frame]":
    """The explorers of a page, all of them loaded and drawn."""
    page.evaluate("document.querySelectorAll('.live-explorer').forEach((frame) => (frame.loading = 'eager'))")
    handles = page.query_selector_all(".live-explorer")
    found = [handle.content_frame() for handle in handles]
    for frame in found:
        frame.wait_for_selector(".pl-explorer", timeout=60_000)
    return found


def test_the_site_builds_without_a_warning_in_minutes(site):
    assert "WARNING" not in site.log
    assert site.seconds < 60 * MINUTES, f"{site.seconds:.0f} s"


def test_every_public_name_has_a_page_with_an_example(site):
    for name in prior_lab.__all__:
        page = (OUT / "reference" / "api" / f"prior_lab.{name}.html").read_text("utf-8")
        assert "Examples" in page, name
        assert "&gt;&gt;&gt; " in page, name


def test_every_notebook_and_every_data_card_is_a_page(site):
    notebooks = [path.relative_to(ROOT).with_suffix("") for path in (ROOT / "notebooks").rglob("*.ipynb")]
    wanted = {path.as_posix() for path in notebooks if ".ipynb_checkpoints" not in path.parts}
    wanted |= {f"data/cards/{path.stem}" for path in (ROOT / "data_cards").glob("*.md")}
    assert wanted <= set(site.pages)


def test_no_page_has_an_error_or_asks_beyond_the_site(watched, site):
    page = watched.new_page()
    for name in site.pages:
        page.goto(f"{site.address}/{name}.html", wait_until="load")
        assert watched.problems == [], name


def test_every_explorer_is_drawn_and_slides(watched, site):
    shown = 0
    for name in site.pages:
        if "live-explorer" not in (OUT / f"{name}.html").read_text("utf-8"):
            continue
        page = opened(watched, site, name)
        for frame in frames_of(page):
            shown += 1
            slider = frame.query_selector(".pl-range, input[type=range]")
            if slider is None:
                continue
            seen = []
            for key in ("Home", "End"):
                slider.press(key)
                page.wait_for_timeout(300)
                seen.append(frame.locator(".pl-explorer").inner_text())
            assert seen[0] != seen[1], f"{name}: {frame.url}"
        assert watched.problems == [], name
        page.close()
    assert shown >= 10


def test_the_first_page_slides_by_the_keyboard(watched, site):
    page = opened(watched, site, "index")
    frame = frames_of(page)[0]
    readout = frame.locator(".pl-readout")
    assert readout.inner_text().startswith("7 ")
    frame.locator(".pl-range").press("ArrowRight")
    frame.wait_for_function("document.querySelector('.pl-readout').innerText.startsWith('15')")
    box = page.locator(".live-explorer").bounding_box()
    assert box["y"] + 300 < 900, "the explorer is not on the first screen"
    assert watched.problems == []


def test_an_explorer_is_as_tall_as_what_it_shows(watched, site):
    for width in (1280, 800):
        page = opened(watched, site, "index")
        page.set_viewport_size({"width": width, "height": 900})
        frame = frames_of(page)[0]
        page.wait_for_timeout(400)
        inside = frame.evaluate("[document.querySelector('main').getBoundingClientRect().bottom, innerHeight]")
        assert 0 <= inside[1] - inside[0] < 40
        page.close()


@pytest.mark.parametrize("width", [1280, 800])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_fit_the_window_in_both_themes(watched, site, screenshots, width, scheme):
    for name in LOOKED_AT:
        page = opened(watched, site, name)
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=scheme)
        frames = frames_of(page)
        page.wait_for_timeout(400)
        page.screenshot(path=screenshots / f"site-{name.replace('/', '-')}-{width}-{scheme}.png")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name
        assert page.evaluate("document.documentElement.dataset.theme") == scheme
        for frame in frames:
            assert frame.evaluate("getComputedStyle(document.documentElement).colorScheme") == scheme
        assert watched.problems == [], name
        page.close()


def test_explorers_follow_the_switch_of_the_theme(watched, site):
    page = opened(watched, site, "index")
    frame = frames_of(page)[0]
    for theme in ("dark", "light"):
        page.evaluate("(theme) => (document.documentElement.dataset.theme = theme)", theme)
        page.wait_for_timeout(200)
        assert frame.evaluate("document.documentElement.style.colorScheme") == theme


def test_search_finds_budget(watched, site):
    page = opened(watched, site, "start")
    page.locator(".search-button__button").first.click()
    page.locator("dialog input[name=q], .search-button__search-container input[name=q]").first.fill("budget")
    page.keyboard.press("Enter")
    page.wait_for_url("**/search.html?q=budget*")
    page.wait_for_selector("#search-results li")
    page.wait_for_function("/found|matching/.test(document.querySelector('#search-results').innerText)")
    found = [link.get_attribute("href") for link in page.query_selector_all("#search-results li a")]
    assert any(re.search(r"glossary|01_explore_budgets", link) for link in found)
    assert watched.problems == []


def test_formulas_are_set(watched, site):
    page = opened(watched, site, "explain/equations")
    page.wait_for_selector("mjx-container", timeout=30_000)
    assert page.locator("mjx-container").count() > 20
    assert page.locator("mjx-merror, [data-mjx-error]").count() == 0
    assert watched.problems == []
