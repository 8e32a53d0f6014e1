"""The stream explorer as a person uses it: slide, press keys, play, choose files and arms, in JupyterLab."""

import itertools
import os
import statistics
import time

import pytest
from looks import problems_of

import prior_lab

pytestmark = [pytest.mark.browser, pytest.mark.slow]

# Codecs of few images are made in a moment; where they come from is nothing to a browser.
SHOW = """
import prior_lab as pl

train = pl.load_dataset("household", split="train").select(slice(0, 8000, 20))
explorer = pl.explore_stream(pl.load_study("household-reconstruction"), train=train)
explorer
"""
CELLS = [SHOW, "if False: pass  # the numbers\nprint(explorer.summary())", "explorer.cut = 40"]
PATIENCE = 300_000
AT_ONCE = 50  # milliseconds, where no other process makes the browser wait

# From a key to the moment when other bytes are shown and painted, which is two animation frames later.
TIMING = """() => {
    const root = document.querySelector(".pl-stream");
    window.timing = { arm() {
        const now = { once: true, capture: true };
        const started = new Promise((done) => root.addEventListener("keydown", () => done(performance.now()), now));
        const before = root.dataset.painted;
        const told = new Promise((done) => {
            const observer = new MutationObserver(() => {
                if (root.dataset.painted === before) return;
                observer.disconnect();
                requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now())));
            });
            observer.observe(root, { attributes: true });
        });
        const late = new Promise((_, fail) => setTimeout(() => fail(new Error(`still ${before}`)), 20000));
        this.result = Promise.race([Promise.all([started, told]).then(([from, to]) => to - from), late]);
    } };
}"""
SEEN = """() => [...document.querySelectorAll(".pl-stream .pl-tile")].map((tile) => {
    const { data } = tile.getContext("2d").getImageData(0, 0, tile.width, tile.height);
    return data.reduce((sum, value) => (sum * 31 + value) | 0, 0);
}).join()"""
READ = "words => document.querySelector('.pl-readout').innerText.replace(/\\s+/g, ' ') === words"


@pytest.fixture(scope="module")
def lab(chromium, jupyter):
    """A notebook that shows the explorer of the study, and its page."""
    from lab import LabNotebook, write_notebook

    write_notebook(jupyter.folder / "stream.ipynb", CELLS)
    page = chromium.new_page(viewport={"width": 1280, "height": 1000})
    page.set_default_timeout(PATIENCE)
    page.problems = []
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    notebook = LabNotebook(page, jupyter.address, "stream.ipynb")
    notebook.run_cell("explorer = pl.explore_stream")
    page.wait_for_selector(".pl-stream[data-painted]")
    page.wait_for_timeout(2000)  # the next page is made
    page.evaluate(TIMING)
    yield notebook
    page.close()


@pytest.fixture
def page(lab):
    """The explorer at the start of its slider, which has the focus."""
    lab.page.set_viewport_size({"width": 1280, "height": 1000})
    lab.page.get_by_role("button", name="last level").click()
    lab.page.locator(".pl-range").focus()
    lab.page.keyboard.press("Home")
    wait_for_bytes(lab.page, "0 bytes")
    return lab.page


def wait_for_bytes(page, words):
    page.wait_for_function(READ, arg=words)


def said(page):
    return page.locator(".pl-said").first.inner_text().partition(": ")[2]


def test_keys_change_pictures_at_once(page):
    times, seen = [], [page.evaluate(SEEN)]
    for key in ["ArrowRight"] * 9 + ["ArrowLeft"] * 9 + ["End", "Home"]:
        page.evaluate("() => timing.arm()")
        page.keyboard.press(key)
        times.append(page.evaluate("() => timing.result"))
        seen.append(page.evaluate(SEEN))
    assert all(now != before for before, now in itertools.pairwise(seen))
    load = os.getloadavg()[0] / (os.cpu_count() or 1)
    found = f"key to painted pictures: {statistics.median(times):.0f} ms, the median of {len(times)}; load {load:.1f}"
    print(found)
    assert statistics.median(times) < AT_ONCE * max(1.0, load), found


def test_arrows_stop_where_levels_end_and_shift_goes_byte_by_byte(page):
    assert said(page).startswith("0 of 7 levels; 0 of ")
    for whole in range(1, 7):
        page.keyboard.press("ArrowRight")
        assert said(page).startswith(f"{whole} of 7 levels; 0 of ")
    page.keyboard.press("Shift+ArrowRight")
    assert said(page).startswith("6 of 7 levels; 1 of ")
    page.keyboard.press("Shift+ArrowLeft")
    page.keyboard.press("Shift+ArrowLeft")
    assert said(page).startswith("5 of 7 levels; ")


def test_what_cannot_go_so_low_says_what_it_needs(page):
    lacks = page.locator(".pl-absent .pl-lacks")
    assert lacks.count() == page.locator(".pl-frame").count()
    assert all(text.split()[0] == "needs" for text in lacks.all_inner_texts())
    page.keyboard.press("End")
    assert lacks.count() == 0


def test_space_plays_at_the_rate_and_stops(lab, page):
    page.locator(".pl-ways [data-value='100']").click()
    page.locator(".pl-range").focus()
    page.keyboard.press(" ")
    begun = time.monotonic()
    page.wait_for_function("() => parseInt(document.querySelector('.pl-readout').innerText) >= 20")
    assert 20 / 12.5 - 0.2 < time.monotonic() - begun < 5 * (20 / 12.5)  # 100 bit are 12.5 bytes
    page.keyboard.press(" ")
    stopped = page.locator(".pl-readout").inner_text()
    page.wait_for_timeout(600)
    assert page.locator(".pl-readout").inner_text() == stopped
    lab.run_cell("if False")
    output = page.locator(".jp-OutputArea-output pre").last
    output.wait_for()
    count = stopped.split()[0]
    page.wait_for_function(
        "words => [...document.querySelectorAll('.jp-OutputArea-output pre')].at(-1).innerText.includes(words)",
        arg=f"{count} bytes of each file",
    )


def test_a_click_shows_the_file_of_a_picture_and_bytes_beyond_the_cut_are_grey(page):
    page.keyboard.press("End")
    page.locator("button.pl-frame").nth(1).click()
    assert ", MBOP-TD, ema-vq" in page.locator(".pl-file .pl-heading").inner_text()
    assert page.locator("button.pl-frame[aria-pressed=true]").count() == 1
    octets = page.locator(".pl-hexline .pl-octet")
    assert page.locator(".pl-hexline .pl-yet").count() == 0
    assert octets.nth(0).inner_text() + octets.nth(1).inner_text() == "504f"  # PO
    page.locator(".pl-range").focus()
    page.keyboard.press("Home")
    assert page.locator(".pl-hexline .pl-yet").count() == octets.count()
    page.locator("button.pl-frame").nth(0).click()


def test_files_end_at_their_own_level(page):
    page.keyboard.press("End")
    whole = page.locator(".pl-hexline .pl-octet").count()
    page.get_by_role("button", name="own level").click()
    page.get_by_label("target SSIM").fill("0.5")
    assert page.locator(".pl-hexline .pl-octet:not(.pl-unsent)").count() < whole
    rows = page.locator(".pl-policy tr").all_inner_texts()
    assert len(rows) == 5
    assert all("of 4" in row for row in rows[1:])
    page.get_by_label("target SSIM").fill("0.8")
    page.get_by_role("button", name="last level").click()
    assert page.locator(".pl-policy").is_hidden()


def test_python_moves_the_slider(lab, page):
    lab.run_cell("explorer.cut = 40")
    wait_for_bytes(page, "40 bytes")
    assert page.locator(".pl-problem:not(:empty)").count() == 0


def test_other_images_and_other_arms_come_from_the_kernel(page):
    before = page.locator(".pl-stream").get_attribute("data-painted")
    page.get_by_role("button", name="next images").click()
    page.wait_for_function("before => document.querySelector('.pl-stream').dataset.painted !== before", arg=before)
    page.get_by_label("second model").select_option("MBOP-ITD, ema-vq")
    page.wait_for_function("() => document.querySelectorAll('.pl-method b')[2].innerText === 'MBOP-ITD'")
    assert page.locator(".pl-problem:not(:empty)").count() == 0
    page.get_by_label("second model").select_option("MBOP-TD, ema-vq")
    page.wait_for_function("() => document.querySelectorAll('.pl-method b')[2].innerText === 'MBOP-TD'")
    page.get_by_role("button", name="previous images").click()
    page.wait_for_function("() => document.querySelector('.pl-position').innerText.startsWith('1 to 4')")


@pytest.mark.parametrize("theme", ["Dark", "Light"])
@pytest.mark.parametrize("width", [1280, 800])
@pytest.mark.parametrize("ends", ["last level", "own level"])
def test_nothing_is_cut_off(lab, page, screenshots, width, theme, ends):
    page.set_viewport_size({"width": width, "height": 1000})
    lab.use_theme(f"JupyterLab {theme}")
    page.get_by_role("button", name=ends).click()
    page.locator(".pl-range").focus()
    for _ in range(6 if ends == "last level" else 8):
        page.keyboard.press("ArrowRight")
    page.wait_for_timeout(700)
    page.evaluate("() => document.querySelector('.prior-lab').scrollIntoView({ block: 'start' })")
    page.wait_for_timeout(300)
    page.screenshot(path=screenshots / f"stream-{ends.split()[0]}-{width}-{theme}.png")
    assert problems_of(page) == []
    if width == 1280:
        slider, last = (page.locator(name).bounding_box() for name in (".pl-range", ".pl-spot >> nth=-1"))
        assert 0 <= slider["y"] < last["y"] + last["height"] <= 1000


def test_no_script_failed(page):
    assert page.problems == []
    assert page.locator(".pl-problem:not(:empty)").count() == 0


def test_an_export_is_moved_and_looks_as_it_must_without_a_network(chromium, screenshots, tmp_path):
    data = prior_lab.load_dataset("household", split="test").select(slice(0, 64, 16))
    explorer = prior_lab.explore_stream(prior_lab.load_model("household/reconstruction/prior-ema-vq"), data, cut=60)
    context = chromium.new_context(offline=True, viewport={"width": 1280, "height": 900})
    page = context.new_page()
    problems = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("request", lambda request: request.url.startswith(("file:", "data:")) or problems.append(request.url))
    page.goto(explorer.to_html(tmp_path / "stream.html").as_uri())
    page.wait_for_selector("[data-painted]")
    for width in (1280, 800):
        for scheme in ("light", "dark"):
            page.set_viewport_size({"width": width, "height": 900})
            page.emulate_media(color_scheme=scheme)
            page.wait_for_timeout(150)
            page.screenshot(path=screenshots / f"export-stream-{width}-{scheme}.png", full_page=True)
            assert problems_of(page) == []
    page.locator(".pl-range").focus()
    seen = set()
    for key in ("Home", "ArrowRight", "ArrowRight", "End"):
        page.keyboard.press(key)
        seen.add(page.evaluate(SEEN))
    assert len(seen) == 4
    assert page.get_by_label("which images").count() == 0  # other images need a kernel
    assert problems == []
    context.close()


def test_after_a_restart_bytes_move_all_and_the_rest_says_what_to_do(lab, page, screenshots):
    lab.restart_kernel()
    page.get_by_text("The kernel was restarted; run this cell again.").wait_for(timeout=20_000)
    before = page.evaluate(SEEN)
    page.locator(".pl-range").focus()
    page.keyboard.press("End")
    assert page.evaluate(SEEN) != before
    assert page.get_by_label("first model").evaluate("node => Boolean(node.closest('[inert]'))")
    page.locator(".prior-lab").screenshot(path=screenshots / "stream-restarted.png")
