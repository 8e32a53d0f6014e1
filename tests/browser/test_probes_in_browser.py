"""The probe explorer as a person uses it: slide, look around in the map, choose objects, switch levels and arms."""

import os
import statistics

import probe_specimen
import pytest
import torch
from looks import problems_of

import prior_lab
from prior_lab import results
from prior_lab.models import ContrastiveConfig, ContrastiveModel

pytestmark = [pytest.mark.browser, pytest.mark.slow]

CELLS = [
    "import prior_lab as pl\n\nexplorer = pl.explore_probes(pl.load_study('study.nc'))\nexplorer",
    "explorer.select('armchair 3')\nexplorer.budget = 63",
    "if False: pass  # the numbers\nprint(explorer.summary())",
]
PATIENCE = 180_000  # an arm is encoded; seconds on an idle machine
AT_ONCE = 150  # milliseconds from a key to the painted step, where no other process makes the browser wait
LOOKS = [("coarse", "Objects", "Dark"), ("fine", "Pictures", "Light"), ("class", "Frames", "Light")]
STEPS = [*["ArrowRight"] * 6, *["ArrowLeft"] * 6, *["ArrowRight"] * 6, *["ArrowLeft"] * 2]

# From a key to the moment when cursor and map have both begun to move on screen, and to the map's last frame. What a
# mutation observer sees is painted two animation frames later.
TIMING = """() => {
    const root = document.querySelector(".pl-probes");
    const cursor = () => root.querySelector(".pl-cursor").getAttribute("transform");
    const map = () => root.querySelector(".pl-map").dataset.moved;
    const changed = (is) => new Promise((done) => {
        const observer = new MutationObserver(() => {
            if (!is()) return;
            observer.disconnect();
            requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now())));
        });
        observer.observe(root, { attributes: true, childList: true, subtree: true });
    });
    window.timing = { arm() {
        const slider = root.querySelector(".pl-range");
        const now = { once: true, capture: true };
        const pressed = new Promise((done) => slider.addEventListener("keydown", () => done(performance.now()), now));
        const [was, lay] = [cursor(), map().split(" ")[0]];
        const begun = changed(() => cursor() !== was && map().split(" ")[0] !== lay);
        const there = changed(() => map().split(" ")[0] !== lay && map().endsWith("there"));
        const late = new Promise((_, fail) => setTimeout(() => fail(new Error("nothing changed")), 30000));
        const times = Promise.all([pressed, begun, there]);
        this.result = Promise.race([times.then(([from, to, end]) => [to - from, end - from]), late]);
    }, seen() {
        const map = root.querySelector(".pl-map");
        const { data } = map.getContext("2d").getImageData(0, 0, map.width, map.height);
        let sum = 0;
        for (let i = 0; i < data.length; i++) sum = (sum * 31 + data[i]) | 0;
        return [sum, cursor(), root.querySelector(".pl-values").innerText];
    } };
}"""


def small(ordering):
    """127 tokens of all test images in some seconds."""
    torch.manual_seed(0)
    sizes = {"width": 32, "channels": 32, "encoder_depth": 1, "predictor_depth": 1}
    config = ContrastiveConfig(ordering=ordering, sides=(8, 16), patches=16, registers=1, **sizes)
    return ContrastiveModel(config).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def study(jupyter, tmp_path_factory):
    """File with a study of the household's test images, two of whose arms have models."""
    weights = tmp_path_factory.mktemp("probes")
    models = {ordering: probe_specimen.saved(small(ordering), weights) for ordering in ("prior", "itd")}
    arms = [
        probe_specimen.Invented(ordering, "gaussian", models.get(ordering, "")) for ordering in ("prior", "itd", "td")
    ]
    arms.append(probe_specimen.Invented("prior", "categorical"))
    dataset = prior_lab.load_dataset("household", split="test")
    study = probe_specimen.study(dataset, arms, (1, 3, 7, 15, 31, 63, 127))
    study.attrs["dataset"] = "household"
    results.save(study, jupyter.folder / "study.nc")
    return jupyter.folder / "study.nc"


@pytest.fixture(scope="module")
def lab(chromium, jupyter, study):
    """The notebook, the explorer's first map on screen."""
    from lab import LabNotebook, write_notebook

    write_notebook(jupyter.folder / "probes.ipynb", CELLS)
    page = chromium.new_page(viewport={"width": 1280, "height": 1400})
    page.set_default_timeout(PATIENCE)
    page.problems = []
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    notebook = LabNotebook(page, jupyter.address, "probes.ipynb")
    notebook.run_cell("explorer = pl.explore_probes")
    page.wait_for_selector(".pl-map[data-moved$='there']")
    page.evaluate(TIMING)
    yield notebook
    page.close()


@pytest.fixture
def page(lab):
    """The explorer with 15 tokens of PRIOR, coarse labels and objects in the map."""
    lab.page.set_viewport_size({"width": 1280, "height": 1400})
    lab.page.get_by_label("ordering").select_option("PRIOR")
    for name in ("coarse", "Objects", "15"):
        lab.page.get_by_role("button", name=name, exact=True).click()
    wait_for(lab.page, "Gaussian|PRIOR|coarse|15|")
    rest(lab.page)
    return lab.page


def wait_for(page, state):
    page.wait_for_function("state => document.querySelector('.pl-probes').dataset.shown.startsWith(state)", arg=state)


def rest(page):
    page.wait_for_selector(".pl-ground:not(.pl-without) .pl-map[data-moved$='there']")
    page.wait_for_timeout(100)


def selected(page):
    return page.get_by_label("object", exact=True).evaluate("node => node.selectedOptions[0].text")


def test_the_slider_moves_map_and_cursor_at_once(page):
    page.locator(".pl-range").focus()
    page.keyboard.press("Home")
    rest(page)
    times, before = [], page.evaluate("() => timing.seen()")
    for key in STEPS:
        page.evaluate("() => timing.arm()")
        page.keyboard.press(key)
        times.append(page.evaluate("() => timing.result"))
        now = page.evaluate("() => timing.seen()")
        assert all(a != b for a, b in zip(now, before, strict=True)), f"map, cursor or values stayed the same at {key}"
        before = now
    load = os.getloadavg()[0] / (os.cpu_count() or 1)
    begun, there = (statistics.median(column) for column in zip(*times, strict=True))
    found = f"key to painted step {begun:.0f} ms, to the map at rest {there:.0f} ms; load {load:.1f}"
    print(found)
    assert begun < AT_ONCE * max(1.0, load), found


def test_a_click_selects_an_object_and_shows_its_neighbours(page):
    map_box = page.locator(".pl-map").bounding_box()
    before = selected(page)
    for part in (0.5, 0.4, 0.6, 0.3, 0.7):  # until there is a point under the pointer
        page.mouse.move(map_box["x"] + part * map_box["width"], map_box["y"] + 0.5 * map_box["height"])
        if page.locator(".pl-card").is_visible() and page.locator(".pl-card b").inner_text() != before:
            break
    name = page.locator(".pl-card b").inner_text()
    page.mouse.down()
    page.mouse.up()
    page.wait_for_function(
        "name => document.querySelector('[aria-label=object]').selectedOptions[0].text === name", arg=name
    )
    assert page.locator(".pl-neighbour").count() == 8
    label = page.locator(".pl-says b").inner_text()
    labels = page.locator(".pl-neighbour span").all_inner_texts()
    right = page.locator(".pl-neighbour.pl-correct").count()
    assert right == labels.count(label)
    assert page.locator(".pl-others .pl-heading").inner_text() == f"Nearest objects: {right} of 8 are {label}"
    neighbour = page.locator(".pl-neighbour").nth(2)
    other = neighbour.get_attribute("title")
    neighbour.click()
    assert selected(page) == other


def test_python_and_browser_show_the_same(lab, page):
    lab.run_cell("explorer.select('armchair 3')")
    wait_for(page, "Gaussian|PRIOR|coarse|63|")
    page.wait_for_function(
        "() => document.querySelector('[aria-label=object]').selectedOptions[0].text === 'armchair 3'"
    )
    names = [node.get_attribute("title") for node in page.locator(".pl-neighbour").all()]
    page.get_by_role("button", name="fine", exact=True).click()
    page.get_by_label("paper’s numbers").check()
    lab.run_cell("if False")
    output = page.locator(".jp-OutputArea-output pre").last
    output.wait_for()
    text = output.inner_text()
    assert "Gaussian, budget 63 of 127 tokens (step 6 of 7)" in text
    nearest = " ".join(text.partition("nearest: ")[2].split())
    assert [part.split(" (")[0] for part in nearest.split("), ")] == names
    value = page.locator(".pl-shown-arm .pl-value").inner_text().removesuffix(" %")
    assert f"PRIOR       {value} [" in text
    assert page.locator(".pl-from-paper").count() == 21
    page.get_by_label("paper’s numbers").uncheck()


def test_an_arm_without_a_model_says_so_and_keeps_its_curves(page, screenshots):
    page.get_by_label("ordering").select_option("MBOP-ITD")
    wait_for(page, "Gaussian|MBOP-ITD")
    rest(page)
    page.get_by_label("ordering").select_option("MBOP-TD")
    page.wait_for_selector(".pl-missing:not(:empty)")
    assert page.locator(".pl-missing").inner_text().startswith("The study names no model for MBOP-TD")
    assert page.locator(".pl-matrix td[class]").count() == 49
    page.locator(".prior-lab").screenshot(path=screenshots / "probes-no-model.png")


@pytest.mark.parametrize("width", [1280, 800])
@pytest.mark.parametrize(
    ("level", "view", "theme"),
    [("coarse", "Objects", "Dark"), ("fine", "Pictures", "Light"), ("class", "Frames", "Light")],
)
def test_nothing_is_cut_off(lab, page, screenshots, width, level, view, theme):
    page.set_viewport_size({"width": width, "height": 900})
    lab.use_theme(f"JupyterLab {theme}")
    for name in (level, view):
        page.get_by_role("button", name=name, exact=True).click()
    page.wait_for_timeout(700)
    page.evaluate("() => document.querySelector('.prior-lab').scrollIntoView({ block: 'start' })")
    rest(page)
    page.screenshot(path=screenshots / f"probes-{width}-{level}.png")
    assert problems_of(page) == []
    if width == 1280:
        slider, chart = (page.locator(name).bounding_box() for name in (".pl-range", ".pl-map"))
        assert 0 <= slider["y"] < chart["y"] + chart["height"] <= 900


def test_arrow_keys_walk_through_the_map_and_space_plays(page):
    map_of = page.locator(".pl-map")
    map_of.focus()
    page.keyboard.press("Home")
    first = selected(page)
    page.keyboard.press("ArrowRight")
    page.wait_for_function(
        "was => document.querySelector('[aria-label=object]').selectedOptions[0].text !== was", arg=first
    )
    assert selected(page) != first
    page.keyboard.press(" ")
    wait_for(page, "Gaussian|PRIOR|coarse|31|")
    page.keyboard.press(" ")


def test_no_script_failed(page):
    assert page.problems == []
    assert page.locator(".pl-problem:not(:empty)").count() == 0


def test_after_a_restart_all_budgets_are_there_and_other_arms_say_what_to_do(lab, page):
    lab.restart_kernel()
    page.get_by_text("The kernel was restarted; run this cell again.").wait_for(timeout=20_000)
    page.locator(".pl-range").focus()
    page.keyboard.press("Home")
    before = page.evaluate("() => timing.seen()")
    page.keyboard.press("End")
    rest(page)
    assert all(a != b for a, b in zip(page.evaluate("() => timing.seen()"), before, strict=True))
    assert page.get_by_label("ordering").evaluate("node => Boolean(node.closest('[inert]'))")
