"""The main job, done as a person does it: open the notebook, run all, slide."""

import statistics
from pathlib import Path

import pytest

import prior_lab

pytestmark = [pytest.mark.browser, pytest.mark.slow]

STEPS = ["Home", *["ArrowRight"] * 6, *["ArrowLeft"] * 6, *["ArrowRight"] * 6, *["ArrowLeft"] * 6]
CUT_OFF = """() => {
    const room = document.querySelector(".prior-lab").getBoundingClientRect();
    const outside = [...document.querySelectorAll(".prior-lab *")].filter((node) => {
        const box = node.getBoundingClientRect();
        return box.width > 0 && !node.closest("svg") && (box.left < room.left - 1 || box.right > room.right + 1);
    });
    const scroller = document.querySelector(".jp-NotebookPanel-notebook .jp-WindowedPanel-outer");
    const bars = [document.documentElement, scroller].filter((node) => node && node.scrollWidth > node.clientWidth);
    return [...outside, ...bars].map((node) => `${node.tagName} ${node.className}`);
}"""


def test_explorer_shows_soon_after_run_all(explored):
    found = f"explorer shown {explored.seconds:.1f} s after run all; load per core before: {explored.load:.1f}"
    print(found)
    assert explored.seconds < 15, found


def test_keys_change_pictures_and_cursor_at_once(explored):
    page = explored.page
    page.locator(".pl-range").focus()
    page.keyboard.press("End")  # so that the first key below is a change
    page.wait_for_timeout(1000)
    times, before = [], page.evaluate("() => latency.seen()")
    for key in STEPS:
        page.evaluate("() => latency.arm()")
        page.keyboard.press(key)
        times.append(page.evaluate("() => latency.result"))
        now = page.evaluate("() => latency.seen()")
        assert now["pixels"] != before["pixels"], f"the pictures stayed the same at {key}"
        assert now["cursor"] != before["cursor"], f"the cursor of the curves stayed at {key}"
        before = now
    image, curve = (statistics.median(time[part] for time in times) for part in ("image", "curve"))
    print(f"key to painted picture {image:.0f} ms, key to moved cursor {curve:.0f} ms (medians of {len(times)})")
    assert image < 50
    assert curve < 150


def test_python_moves_the_slider_that_the_browser_moved(explored):
    page = explored.page
    page.locator(".pl-range").focus()
    page.keyboard.press("End")
    assert page.locator(".pl-readout").inner_text().startswith("127")
    explored.notebook.run_cell("explorer.budget = 31")
    page.wait_for_function("() => document.querySelector('.pl-readout').innerText.startsWith('31')", timeout=20_000)
    assert page.locator(".pl-range").input_value() == "4"


def test_space_plays_and_stops(explored):
    page = explored.page
    slider = page.locator(".pl-range")
    slider.focus()
    page.keyboard.press("Home")
    page.keyboard.press(" ")
    page.wait_for_function("() => document.querySelector('.pl-range').value === '2'", timeout=10_000)
    page.keyboard.press(" ")
    stopped = slider.input_value()
    page.wait_for_timeout(1200)
    assert slider.input_value() == stopped


@pytest.mark.parametrize("view", ["added", "error", "image"])
def test_views_are_switched_in_the_browser(explored, view):
    before = explored.page.evaluate("() => latency.seen().pixels")
    explored.page.locator(f".pl-segmented [data-value={view}]").click()
    assert explored.page.evaluate("() => latency.seen().pixels") != before


def test_other_images_come_from_the_kernel(explored):
    page = explored.page
    before = page.evaluate("() => latency.seen().pixels")
    page.get_by_role("button", name="next images").click()
    page.wait_for_function("before => latency.seen().pixels !== before", arg=before, timeout=20_000)
    assert page.locator(".pl-problem").inner_text() == ""


@pytest.mark.parametrize("width", [1280, 800])
def test_nothing_is_cut_off(explored, screenshots, width):
    page = explored.page
    page.set_viewport_size({"width": width, "height": 1400})
    page.wait_for_timeout(1500)
    page.locator(".pl-bar").first.scroll_into_view_if_needed()
    page.screenshot(path=screenshots / f"notebook-{width}.png")
    page.locator(".prior-lab").screenshot(path=screenshots / f"explorer-{width}.png")
    assert page.evaluate(CUT_OFF) == []
    area, plot = (page.locator(name).first.bounding_box() for name in (".prior-lab", ".prior-lab-curves .main-svg"))
    assert 0.95 * area["width"] < plot["width"] <= area["width"]


def test_no_script_failed(explored):
    assert explored.problems == []


def test_export_works_without_kernel_and_network(chromium, tmp_path, screenshots):
    explorer = prior_lab.explore(prior_lab.load_study("household-reconstruction"))
    path = explorer.to_html(tmp_path / "explorer.html")
    context = chromium.new_context(offline=True, viewport={"width": 1100, "height": 1200})
    page = context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("request", lambda request: request.url.startswith(("file:", "data:")) or problems.append(request.url))
    page.goto(path.as_uri())
    page.wait_for_selector("[data-painted]")
    page.evaluate((Path(__file__).parent / "latency.js").read_text("utf-8"))
    page.screenshot(path=screenshots / "export.png")
    page.locator(".pl-range").focus()
    seen = [page.evaluate("() => latency.seen()")]
    for key in ("Home", "ArrowRight", "End"):
        page.keyboard.press(key)
        page.wait_for_timeout(300)
        seen.append(page.evaluate("() => latency.seen()"))
    assert len({state["pixels"] for state in seen}) == len({state["cursor"] for state in seen}) == len(seen)
    assert problems == []
    context.close()
