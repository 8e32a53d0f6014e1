"""Explorers as one file each: no kernel, no network, in any window and theme, with many images and with one."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import probe_specimen
import pytest
import torch
from looks import problems_of

import prior_lab
from prior_lab.models import ContrastiveConfig, ContrastiveModel

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.browser, pytest.mark.slow]

MODEL = "household/reconstruction/prior-ema-vq"


@pytest.fixture(scope="module")
def data() -> prior_lab.ImageDataset:
    """Twenty objects, two frames each."""
    whole = prior_lab.load_dataset("household", split="test")
    chosen = torch.arange(40) // 2 * 16 + torch.arange(40) % 2
    return whole.select(chosen)


@pytest.fixture(scope="module")
def budgets(data: prior_lab.ImageDataset) -> Callable[[str], prior_lab.BudgetExplorer]:
    """Budget explorers of a model: of many images, of the last page of them, of few and of one."""
    model = prior_lab.load_model(MODEL)

    def make(which: str) -> prior_lab.BudgetExplorer:
        count = {"one image": 1, "two images": 2}.get(which, 20)
        explorer = prior_lab.explore(model, data.images[::2][:count])
        if which == "last page":
            explorer._asked(None, {"action": "previous"}, [])
        return explorer

    return make


@pytest.fixture(scope="module")
def probes(data: prior_lab.ImageDataset, tmp_path_factory: pytest.TempPathFactory) -> prior_lab.ProbeExplorer:
    """A probe explorer of an untrained model."""
    torch.manual_seed(0)
    sizes = {"width": 32, "channels": 32, "encoder_depth": 1, "predictor_depth": 1}
    config = ContrastiveConfig(sides=(8, 16), patches=16, registers=1, **sizes)
    model = ContrastiveModel(config).eval().requires_grad_(False)
    weights = probe_specimen.saved(model, tmp_path_factory.mktemp("weights"))
    arms = [probe_specimen.Invented("prior", "gaussian", weights), probe_specimen.Invented("td", "gaussian")]
    budgets = (1, 3, 7, 15, 31, 63, 127)
    return prior_lab.explore_probes(probe_specimen.study(data, arms, budgets), data)


@pytest.fixture(scope="module")
def files(
    budgets: Callable[[str], prior_lab.BudgetExplorer],
    probes: prior_lab.ProbeExplorer,
    data: prior_lab.ImageDataset,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Path]:
    """All the exported pages."""
    folder = tmp_path_factory.mktemp("exports")
    pages = {which: budgets(which) for which in ("many images", "last page", "two images", "one image")}
    explorers = pages | {
        "information": prior_lab.explore_information(prior_lab.load_model(MODEL), data),
        "information of a flat code": prior_lab.explore_information(
            prior_lab.load_model("household/reconstruction/td-gaussian"), dataclasses.replace(data, name="flat")
        ),
        "probes": probes,
        "search": prior_lab.explore_search(prior_lab.load_search("household-reconstruction-prior-gaussian")),
    }
    return {name: explorer.to_html(folder / f"{name}.html") for name, explorer in explorers.items()}


def opened(chromium: "Browser", path: Path) -> "Page":
    """The page in a browser that has no network; `problems` are errors and whatever it asks for."""
    context = chromium.new_context(offline=True, viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.problems = []
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    page.on("request", lambda request: request.url.startswith(("file:", "data:")) or page.problems.append(request.url))
    page.goto(path.as_uri())
    page.wait_for_selector("[data-painted], [data-pictures], .pl-map[data-moved$=there], [data-shown]")
    return page


NAMES = (
    "many images",
    "last page",
    "two images",
    "one image",
    "information",
    "information of a flat code",
    "probes",
    "search",
)


@pytest.mark.parametrize("name", NAMES)
def test_a_page_looks_as_it_must(chromium, files, screenshots, name):
    page = opened(chromium, files[name])
    for width in (1280, 800):
        for scheme in ("light", "dark"):
            page.set_viewport_size({"width": width, "height": 900})
            page.emulate_media(color_scheme=scheme)
            page.wait_for_timeout(150)
            page.screenshot(path=screenshots / f"export-{name}-{width}-{scheme}.png", full_page=True)
            assert problems_of(page) == [], f"{width} pixels, {scheme}"
    assert page.problems == []
    page.context.close()


SEEN = """() => [...document.querySelectorAll(".pl-tile, .pl-map")].map((tile) => {
    const { data } = tile.getContext("2d").getImageData(0, 0, tile.width, tile.height);
    return data.reduce((sum, value) => (sum * 31 + value) | 0, 0);
}).join() + document.querySelector(".pl-values, .pl-sums").innerText"""


@pytest.mark.parametrize("name", ["many images", "information", "probes"])
def test_the_same_keys_move_every_explorer_without_a_kernel(chromium, files, name):
    page = opened(chromium, files[name])
    slider = page.locator(".pl-range")
    slider.focus()
    seen = []
    for key, budget in (("Home", "1 "), ("ArrowRight", "3 "), ("End", "127 "), ("ArrowLeft", "63 ")):
        page.keyboard.press(key)
        page.wait_for_timeout(400)
        assert page.locator(".pl-readout").inner_text().startswith(budget)
        seen.append(page.evaluate(SEEN))
    assert len(set(seen)) == len(seen)
    page.keyboard.press(" ")  # plays: a step at once
    page.wait_for_function("() => document.querySelector('.pl-readout').innerText.startsWith('127')")
    page.keyboard.press(" ")
    assert page.locator(".pl-button").first.get_attribute("aria-label") == "play"
    assert page.problems == []
    page.context.close()


def test_an_exported_selection_has_its_sum_and_says_what_it_lacks(chromium, files):
    page = opened(chromium, files["information"])
    page.locator("[data-token='0']").click()  # 15 tokens without the first: no prefix
    page.wait_for_function("() => document.querySelector('.pl-what').title === 'tokens 2 to 15'")
    assert page.locator(".pl-caution").inner_text() == "The standard error of this selection needs a kernel."
    page.context.close()


CLICK = """async (mark) => {
    const begun = performance.now();
    mark.dispatchEvent(new MouseEvent("click", { bubbles: true }));
    await new Promise((drawn) => requestAnimationFrame(() => setTimeout(drawn)));
    return performance.now() - begun;
}"""


def test_a_search_is_looked_at_without_a_kernel(chromium, files):
    """Every trial, every view and every plane is there, and drawn within 150 ms of a click."""
    page = opened(chromium, files["search"])

    def shown() -> list[object]:
        return json.loads(page.locator(".pl-search").get_attribute("data-shown"))

    found = prior_lab.load_search("household-reconstruction-prior-gaussian")
    times = [page.evaluate(CLICK, mark) for mark in page.query_selector_all("[data-trial]")]
    assert sorted(times)[len(times) // 2] < 150
    assert shown()[-1] == int(found.trial[-1])
    assert f"Trial {int(found.trial[-1])}" in page.locator(".pl-side").inner_text()
    shades = set()
    for view in ("Uncertainty", "Promise", "Expected"):
        page.get_by_role("button", name=view).click()
        assert shown()[2] == view.lower()
        shades.add(page.locator(".pl-shades").evaluate("(canvas) => canvas.toDataURL()"))
    page.get_by_label("setting across").select_option("prediction_weight")
    page.get_by_label("setting up").select_option("prediction_weight")  # the two change places
    assert shown()[:2] == ["rate_weight", "prediction_weight"]
    page.get_by_label("price of a bit").select_option(index=2)
    assert shown()[3] == 2
    shades.add(page.locator(".pl-shades").evaluate("(canvas) => canvas.toDataURL()"))
    assert len(shades) == 4
    assert page.problems == []
    page.context.close()
