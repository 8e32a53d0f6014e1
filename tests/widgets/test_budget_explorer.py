"""The explorer without a browser: its traits are what the browser would draw."""

import base64
import io
import json
import re
import zlib

import numpy as np
import pytest
import specimen
import torch
from PIL import Image

from prior_lab import figures
from prior_lab.errors import InputError
from prior_lab.widgets import explore


def cursor(explorer):
    """Budget at which the cursor of the figure stands."""
    return explorer.figure.layout.shapes[0].x0


def asked(explorer, **request):
    """As the browser asks."""
    explorer._asked(None, request, [])


def trace(explorer, role):
    return next(trace for trace in explorer.figure.data if trace.meta == role)


def layers(explorer):
    """The pictures as the browser reads them: [layer, image, height, width, 3]."""
    size = explorer.canvas.size
    raw = np.frombuffer(zlib.decompress(explorer.canvas.pixels), np.uint8)
    return raw.reshape(-1, len(explorer.canvas.page["captions"]), *size, 3)


def test_rows_are_in_display_order_whatever_the_study_s(explorer):
    assert [arm["label"] for arm in explorer.canvas.arms] == ["PRIOR", "MBOP-ITD", "MBOP-TD"]
    assert [arm["colour"] for arm in explorer.canvas.arms] == [
        figures.COLOURS[ordering] for ordering in figures.PAPER_ORDERINGS
    ]


def test_budget_set_in_python_moves_slider_cursor_and_summary(explorer):
    explorer.budget = 31
    assert explorer.canvas.budget == cursor(explorer) == explorer.state.budget == 31
    assert trace(explorer, "cursor").x == (31, 31, 31)
    assert explorer.summary().startswith("specimen: budget 31 of 127 tokens (step 5 of 7)")


def test_budget_set_in_the_browser_reaches_python(explorer, study):
    explorer.canvas.set_state({"budget": 3, "view": "error", "metric": "PSNR"})
    assert (explorer.budget, explorer.view, explorer.metric) == (3, "error", "PSNR")
    assert cursor(explorer) == 3
    table = figures.curve_table(study)
    assert np.allclose(trace(explorer, "line PRIOR").y, table.quality.sel(ordering="PRIOR", metric="PSNR"))
    assert explorer.figure.layout.yaxis.title.text == "PSNR [dB], higher is better"


def test_a_budget_of_20_is_refused_in_one_sentence_and_nothing_moves(explorer):
    with pytest.raises(InputError) as raised:
        explorer.budget = 20
    assert str(raised.value) == "20 is not a budget of this study; choose one of 1, 3, 7, 15, 31, 63, 127."
    assert explorer.budget == explorer.canvas.budget == cursor(explorer) == 15


def test_the_browser_holds_truth_and_every_budget_of_every_arm(explorer):
    pictures = layers(explorer)
    chosen = torch.tensor(explorer.images)
    truth = explorer.gallery.pictures.images[chosen]
    assert np.array_equal(pictures[0].transpose(0, 3, 1, 2), truth)
    for arm, model in enumerate(specimen.models().values()):
        decoded = (model.decode_budgets(model.encode(truth)) * 255).round().numpy()
        found = pictures[1 + 7 * arm : 8 + 7 * arm].transpose(0, 1, 4, 2, 3)
        assert np.array_equal(found, decoded)


def test_numbers_under_the_rows_are_those_of_the_shown_pictures(explorer):
    pictures = layers(explorer).astype(float) / 255
    shown = np.array(explorer.canvas.page["scores"]["L1"])
    measured = np.abs(pictures[1:] - pictures[0]).mean((-3, -2, -1)).reshape(3, 7, 4)
    assert np.allclose(shown, measured, atol=2e-3)  # the pictures are rounded to 8 bits, the scores are not


def test_other_images_are_asked_for_by_message(explorer):
    first = explorer.images
    for request in ({"action": "next"}, {"action": "shuffle"}, {"action": "choose", "label": "class: Armchair"}):
        before = explorer.canvas.pixels
        asked(explorer, **request)
        assert explorer.canvas.pixels != before
    assert all(caption.startswith("armchair") for caption in explorer.canvas.page["captions"])
    explorer.choose("all")
    asked(explorer, action="shuffle")
    assert explorer.images != first
    explorer.images = first
    assert explorer.images == first


def test_what_goes_wrong_in_a_callback_is_shown_and_raised(explorer, monkeypatch):
    def broken(*_):
        raise RuntimeError("out of memory")

    monkeypatch.setattr(explorer.gallery, "page", broken)
    with pytest.raises(RuntimeError):
        asked(explorer, action="next")
    assert explorer.canvas.problem == "RuntimeError: out of memory"
    monkeypatch.undo()
    explorer.canvas.budget = 7
    assert explorer.canvas.problem == ""


def test_an_unknown_label_asked_for_in_the_browser_shows_its_sentence(explorer):
    with pytest.raises(InputError):
        asked(explorer, action="choose", label="class: Spoon")
    assert explorer.canvas.problem.startswith("class: Spoon is not a label of this data set")


def test_summary_tells_shown_images_and_study_and_is_the_same_every_time(explorer, study):
    text = explorer.summary()
    assert text == explorer.summary()
    table = figures.curve_table(study).sel(metric="SSIM", budget=15, ordering="PRIOR")
    low, high = table.interval.values
    assert f"{float(table.quality):.3f} [{low:.3f}, {high:.3f}]" in text
    shown = explorer.page.scores.sel(metric="SSIM", budget=15, ordering="MBOP-TD").mean()
    assert re.search(rf"MBOP-TD +{float(shown):.3f} ", text)
    assert text.count("MBOP-ITD") == 2


def test_it_shows_itself_and_leaves_words_for_a_stored_notebook(explorer):
    bundle = explorer._repr_mimebundle_()
    assert bundle["application/vnd.jupyter.widget-view+json"]["model_id"] == explorer.widget.model_id
    picture = Image.open(io.BytesIO(base64.b64decode(bundle["image/png"])))
    assert picture.getpixel((0, 0))[3] == 0  # it suits light and dark pages
    assert bundle["text/plain"] == "BudgetExplorer(specimen; PRIOR, MBOP-ITD, MBOP-TD; budget 15 of 127)"


def test_a_study_of_several_token_kinds_shows_one_at_a_time(two_kinds):
    explorer = explore(two_kinds, count=4)
    assert explorer.canvas.groups == ["Gaussian", "Gaussian, PRIOR taken apart", "EMA-VQ"]
    explorer.budget, explorer.images = 31, (2, 5)
    asked(explorer, action="group", label="EMA-VQ")
    assert explorer.group == "EMA-VQ"
    assert list(explorer.gallery.arms) == ["PRIOR"]
    assert (explorer.budget, explorer.images) == (31, (2, 5))
    assert [arm["label"] for arm in explorer.canvas.arms] == ["PRIOR"]
    assert [curve["label"] for curve in explorer.canvas.curves["SSIM"]] == ["PRIOR"]
    assert explorer.canvas.group == "EMA-VQ"
    assert "EMA-VQ: PRIOR; budget 31" in repr(explorer)
    assert "EMA-VQ" in explorer.summary()
    explorer.group = "Gaussian, PRIOR taken apart"
    assert list(explorer.gallery.arms) == ["PRIOR", "Matryoshka"]
    with pytest.raises(InputError, match="FSQ is not a group of arms of this study; choose one of Gaussian, "):
        explorer.group = "FSQ"


def test_an_arm_without_a_model_has_a_curve_and_no_pictures(study, bundled):
    bare = study.copy()
    bare["itd-gaussian"].attrs["model"] = ""
    explorer = explore(bare, count=4)
    assert [arm["label"] for arm in explorer.canvas.arms] == ["PRIOR", "MBOP-TD"]
    assert {"line PRIOR", "line MBOP-ITD", "line MBOP-TD"} <= {trace.meta for trace in explorer.figure.data}
    assert "MBOP-ITD" not in repr(explorer)
    assert [curve["label"] for curve in explorer.canvas.curves["SSIM"]] == ["PRIOR", "MBOP-ITD", "MBOP-TD"]


def test_a_study_without_models_says_what_to_do(study, bundled):
    bare = study.copy()
    for arm in bare.children.values():
        arm.attrs["model"] = ""
    with pytest.raises(InputError, match=r"The study names no model for PRIOR.*; give models and images instead"):
        explore(bare)


def test_the_browser_has_the_curves_with_their_intervals(explorer, study):
    table = figures.curve_table(study)
    curves = {curve["label"]: curve for curve in explorer.canvas.curves["PSNR"]}
    for label in table.ordering.values:
        arm = table.sel(ordering=label, metric="PSNR")
        assert np.allclose(curves[label]["value"], arm.quality)
        for bound in ("low", "high"):
            assert np.allclose(curves[label][bound], arm.interval.sel(bound=bound))
    assert curves["MBOP-TD"]["symbol"] == "diamond"


def test_while_people_look_at_a_page_the_next_one_is_made(explorer, monkeypatch):
    asked(explorer, action="prepare")
    shown = explorer.canvas.page
    monkeypatch.setattr(specimen.BlurModel, "encode", lambda *_: pytest.fail("it is made again"))
    asked(explorer, action="next")
    assert explorer.canvas.page["position"] == "5 to 8 of 20"
    assert shown["position"] == "1 to 4 of 20"


@pytest.mark.parametrize(("choose", "columns"), [("all", 4), ("class: Potted plant", 3)])
def test_the_grid_has_as_many_places_as_a_page_has_images(explorer, choose, columns):
    explorer.choose(choose)
    asked(explorer, action="previous")
    assert explorer.canvas.page["columns"] == columns
    assert len(explorer.canvas.page["captions"]) <= columns


def test_a_question_is_heard_at_once_and_answered_at_the_end(explorer, monkeypatch):
    sent = []
    monkeypatch.setattr(explorer.canvas, "send", lambda message: sent.append(message))
    monkeypatch.setattr(type(explorer), "_show_page", lambda _: sent.append("shown"))
    asked(explorer, action="next")
    assert sent == [{"heard": True}, "shown", {"answered": True}]


def test_strip_is_a_png_of_some_images(explorer):
    picture = Image.open(io.BytesIO(explorer.strip(2).data))
    assert picture.format == "PNG"
    assert picture.height < Image.open(io.BytesIO(explorer.strip(3).data)).height


def test_own_model_is_compared_with_the_truth_on_own_images(dataset):
    explorer = explore(specimen.BlurModel("PRIOR"), dataset.images[:5].numpy(), budget=127, metric="L1", count=3)
    assert [arm["label"] for arm in explorer.canvas.arms] == ["Model"]
    assert explorer.canvas.heading == "Quality of the images shown"
    shown = explorer.page.scores.sel(metric="L1", ordering="Model").mean("image")
    assert np.allclose(trace(explorer, "line Model").y, shown)
    assert explorer.summary().count("Model") == 1
    before = trace(explorer, "line Model").y
    explorer.images = (0, 1)
    assert not np.allclose(trace(explorer, "line Model").y, before)
    told = explorer.canvas.curves["L1"][0]["value"]
    assert np.allclose(told, explorer.table.quality.sel(metric="L1", ordering="Model"), atol=1e-6)


def test_several_models_by_name_over_a_data_set(dataset):
    models = {"sharp": specimen.BlurModel("PRIOR"), "soft": specimen.BlurModel("MBOP-TD")}
    explorer = explore(models, dataset)
    assert [arm["label"] for arm in explorer.canvas.arms] == ["sharp", "soft"]
    assert len({arm["colour"] for arm in explorer.canvas.arms}) == 2


class Short(specimen.BlurModel):
    budgets = (1, 3, 7)


@pytest.mark.parametrize(
    ("arguments", "options", "sentence"),
    [
        ((specimen.BlurModel("PRIOR"),), {}, "A model alone has no images; give a data set or uint8 images"),
        (({}, specimen.solid(0)[None]), {}, "There is no model to explore"),
        ((7, specimen.solid(0)[None]), {}, "A int cannot be explored"),
        ((specimen.BlurModel("PRIOR"), specimen.solid(0)[None]), {"count": 0}, "count is 0; show at least one image."),
        ((specimen.BlurModel("PRIOR"), specimen.solid(0)[None]), {"budget": 20}, "20 is not a budget of this study"),
        ((specimen.BlurModel("PRIOR"), specimen.solid(0)[None]), {"metric": "FID"}, "FID is not a metric"),
        (
            ({"a": specimen.BlurModel("PRIOR"), "b": Short("PRIOR")}, specimen.solid(0)[None]),
            {},
            "The models have different budgets, [1, 3, 7] and [1, 3, 7, 15, 31, 63, 127]",
        ),
    ],
)
@pytest.mark.usefixtures("no_shape_checks")
def test_what_cannot_be_explored_is_told_in_one_sentence(arguments, options, sentence):
    with pytest.raises(InputError) as raised:
        explore(*arguments, **options)
    assert str(raised.value).startswith(sentence)


# ---------------------------------------------------------------- export


def test_export_holds_everything_and_asks_for_nothing(explorer, tmp_path):
    explorer.budget = 63
    path = explorer.to_html(tmp_path / "new" / "explorer.html")
    text = path.read_text("utf-8")
    assert [file.name for file in path.parent.iterdir()] == ["explorer.html"]
    assert "{{" not in text
    assert not re.search(r"""(src|href)=["']|https?://""", text.replace("http://www.w3.org/2000/svg", ""))
    state = json.loads(re.search(r'<script type="application/json" id="state">(.*?)</script>', text, re.DOTALL)[1])
    assert state["budget"] == 63
    assert state["title"] == "Token budgets: specimen, Gaussian"
    assert "<title>Token budgets: specimen, Gaussian</title>" in text
    assert state["page"]["captions"] == explorer.canvas.page["captions"]
    assert base64.b64decode(state["pixels"]["base64"]) == explorer.canvas.pixels
    assert list(state["curves"]) == ["SSIM", "PSNR", "L1", "L2"]


@pytest.mark.parametrize(
    "name", ["<!--<script>", "{{state}}", "{{esm}} {{css}}", "half \ud83d a character", "</script>"]
)
def test_no_name_breaks_the_exported_page(explorer, tmp_path, name):
    explorer.name = name
    explorer.canvas.page = {**explorer.canvas.page, "captions": [name] * 4}
    text = explorer.to_html(tmp_path / "explorer.html").read_text("utf-8")
    block = re.search(r'<script type="application/json" id="state">(.*?)</script>', text, re.DOTALL)[1]
    assert "<" not in block
    assert json.loads(block)["page"]["captions"] == [name] * 4
    assert text.count("<script") == 2


def test_a_failed_export_leaves_the_older_file_whole(explorer, tmp_path, monkeypatch):
    path = tmp_path / "explorer.html"
    path.write_text("older")

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_text", full)
    with pytest.raises(InputError, match=r"explorer\.html' cannot be written \(No space left on device\)"):
        explorer.to_html(path)
    monkeypatch.undo()
    assert path.read_text() == "older"
    assert list(tmp_path.iterdir()) == [path]
