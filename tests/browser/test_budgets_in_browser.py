"""The main job, done as a person does it: open the notebook, run all, slide."""

import statistics

import pytest
from looks import problems_of

pytestmark = [pytest.mark.browser, pytest.mark.slow]

STEPS = ["Home", *["ArrowRight"] * 6, *["ArrowLeft"] * 6, *["ArrowRight"] * 6, *["ArrowLeft"] * 6]


def test_explorer_shows_soon_after_run_all(explored):
    found = f"explorer shown {explored.seconds:.1f} s after run all; load per core before: {explored.load:.1f}"
    print(found)
    assert explored.seconds < 15 * max(1.0, explored.load), found


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
    assert page.locator(".pl-problem:not(:empty)").count() == 0


def test_the_last_page_and_a_label_of_few_images_keep_their_rows(explored, screenshots):
    page = explored.page
    page.set_viewport_size({"width": 1280, "height": 900})
    page.get_by_label("which images").select_option("all")
    page.wait_for_function("() => document.querySelector('.pl-position').innerText.startsWith('1 to 6')")
    page.get_by_role("button", name="previous images").click()
    page.wait_for_function("() => document.querySelector('.pl-position').innerText === '127 to 130 of 130'")
    assert page.locator(".pl-caption").count() == 4
    assert problems_of(page) == []
    page.locator(".prior-lab").screenshot(path=screenshots / "budgets-last-page.png")
    page.get_by_role("button", name="next images").click()
    page.wait_for_function("() => document.querySelector('.pl-position').innerText.startsWith('1 to 6')")


@pytest.mark.parametrize("theme", ["Light", "Dark"])
@pytest.mark.parametrize("width", [1280, 800])
def test_all_is_on_one_screen_and_nothing_is_cut_off(explored, screenshots, width, theme):
    page = explored.page
    page.set_viewport_size({"width": width, "height": 900})
    explored.notebook.use_theme(f"JupyterLab {theme}")
    page.wait_for_timeout(700)
    page.evaluate("() => document.querySelector('.prior-lab').scrollIntoView({ block: 'start' })")
    page.wait_for_timeout(300)
    page.screenshot(path=screenshots / f"budgets-{width}-{theme}.png")
    assert problems_of(page) == []
    slider, values = (page.locator(name).bounding_box() for name in (".pl-range", ".pl-values"))
    if width == 1280:
        assert 0 <= slider["y"] < values["y"] + values["height"] <= 900


def test_the_slider_stays_in_sight(explored):
    page = explored.page
    page.set_viewport_size({"width": 800, "height": 500})
    scrolled = """() => {
        document.querySelector(".pl-values").scrollIntoView({ block: "end" });
        return document.querySelector(".pl-tile").getBoundingClientRect().y < 0;
    }"""
    page.wait_for_function(scrolled, timeout=10_000)  # the narrow window is laid out first
    slider = page.locator(".pl-range").bounding_box()
    assert 0 <= slider["y"] < 500


def test_after_a_restart_the_budget_moves_all_and_the_rest_says_what_to_do(explored, screenshots):
    page = explored.page
    page.set_viewport_size({"width": 1280, "height": 900})
    page.evaluate("() => document.querySelector('.prior-lab').scrollIntoView({ block: 'start' })")
    explored.notebook.restart_kernel()
    page.get_by_text("The kernel was restarted; run this cell again.").wait_for(timeout=20_000)
    page.locator(".pl-range").focus()
    page.keyboard.press("Home")
    before = page.evaluate("() => latency.seen()")
    page.keyboard.press("End")
    now = page.evaluate("() => latency.seen()")
    assert all(now[part] != before[part] for part in now)
    assert page.locator(".pl-pager").evaluate("node => Boolean(node.closest('[inert]'))")
    page.locator(".prior-lab").screenshot(path=screenshots / "budgets-restarted.png")


def test_no_script_failed(explored):
    assert explored.problems == []
