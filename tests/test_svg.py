"""Figures as SVG: what stored notebooks show, read back from its elements."""

import re
import xml.etree.ElementTree as tree

import numpy as np
import plotly.graph_objects as go
import plotly.io
import pytest
from plotly.subplots import make_subplots

from prior_lab import figures
from prior_lab.errors import InputError

SVG = "{http://www.w3.org/2000/svg}"


def drawn(figure):
    return tree.fromstring(figures.to_svg(figure))


def corners(element):
    """The places of a path of straight lines."""
    return np.array(
        [[float(part) for part in pair.split()] for pair in re.split("[ML]", element.get("d").strip("z"))[1:]]
    )


def lines(picture, colour):
    return [path for path in picture.iter(f"{SVG}path") if path.get("stroke") == colour and path.get("fill") == "none"]


def words(picture):
    return [text.text for text in picture.iter(f"{SVG}text")]


def test_a_line_keeps_the_proportions_of_its_values():
    figure = go.Figure(go.Scatter(x=[0, 1, 4], y=[1.0, 3.0, 2.0], mode="lines", line={"color": "#0072B2"}))
    places = corners(lines(drawn(figure), "#0072B2")[0])
    steps = np.diff(places, axis=0)
    assert steps[1, 0] == pytest.approx(3 * steps[0, 0], abs=0.5)
    assert steps[0, 1] == pytest.approx(-2 * steps[1, 1], abs=0.5)  # upwards is less
    assert steps[0, 1] < 0


def test_a_logarithmic_axis_has_equal_steps_for_equal_factors():
    figure = go.Figure(go.Scatter(x=[1, 10, 100], y=[0, 1, 2], mode="lines", line={"color": "#0072B2"}))
    figure.update_xaxes(type="log")
    picture = drawn(figure)
    across = np.diff(corners(lines(picture, "#0072B2")[0])[:, 0])
    assert across[0] == pytest.approx(across[1], abs=0.5)
    assert {"1", "10", "100"} <= set(words(picture))


def test_bars_are_as_long_as_their_values_and_begin_at_their_base():
    bars = go.Bar(x=[2.0, 4.0], y=["a", "b"], base=[0.0, 1.0], orientation="h", marker={"color": "#009E73"})
    first, second = drawn(go.Figure(bars, {"barmode": "overlay"})).iter(f"{SVG}rect")
    assert float(second.get("width")) == pytest.approx(2 * float(first.get("width")), abs=0.5)
    begins = float(second.get("x")) - float(first.get("x"))
    assert begins == pytest.approx(float(first.get("width")) / 2, abs=0.5)


def test_panels_stand_side_by_side_with_their_titles():
    figure = make_subplots(1, 2, subplot_titles=["left", "right"])
    for column, colour in ((1, "#0072B2"), (2, "#D55E00")):
        figure.add_trace(go.Scatter(x=[0, 1], y=[0, column], mode="lines", line={"color": colour}), row=1, col=column)
    picture = drawn(figure)
    left, right = (corners(lines(picture, colour)[0]) for colour in ("#0072B2", "#D55E00"))
    assert left[:, 0].max() < right[:, 0].min()
    assert {"left", "right"} <= set(words(picture))


def test_every_figure_of_a_study_says_the_same_as_svg(study_figures):
    for figure in study_figures:
        picture = drawn(figure)
        named = {
            re.sub("<.*?>", "", trace.name) for trace in figure.data if trace.name and trace.showlegend is not False
        }
        assert named <= set(words(picture))
        assert sum(trace.type == "bar" for trace in figure.data) > 0 or len(list(picture.iter(f"{SVG}path"))) > 10
        assert "nan" not in figures.to_svg(figure)


@pytest.fixture(scope="module")
def study_figures():
    import prior_lab

    codes, pictures = (prior_lab.load_study(name) for name in ("household-contrastive", "household-reconstruction"))
    printed = prior_lab.paper.table4()
    return [
        figures.quality_curves(
            figures.curve_table(pictures, "Gaussian"), budget=31, reference=prior_lab.paper.table5()
        ),
        figures.accuracy_curves(codes, "class", "EMA-VQ", paper=printed.sel(token_kind="EMA-VQ")),
        figures.accuracy_by_prefix({"here": figures.accuracy_by_kind(codes), "the paper": printed}),
        figures.rate_distortion(pictures),
        figures.accuracy_against_information(codes),
        figures.information_per_token(pictures),
    ]


def test_names_are_text_and_not_elements():
    figure = go.Figure([go.Scatter(x=[0], y=[0], name="a <script> & b"), go.Scatter(x=[1], y=[1], name="c")])
    assert "<script>" not in figures.to_svg(figure)
    assert any("&" in word for word in words(drawn(figure)))


def test_what_cannot_be_drawn_is_told_and_stored_without_a_picture(monkeypatch):
    heatmap = go.Figure(go.Heatmap(z=[[1, 2]]))
    with pytest.raises(InputError, match="A figure with traces of type heatmap cannot be drawn as SVG here"):
        figures.to_svg(heatmap)
    monkeypatch.setattr(plotly.io.renderers, "default", "plotly_mimetype")
    figures.store_pictures()
    stored = plotly.io.renderers._build_mime_bundle(heatmap.to_dict())
    assert list(stored) == ["application/vnd.plotly.v1+json"]


def test_a_figure_is_stored_with_a_picture(monkeypatch):
    monkeypatch.setattr(plotly.io.renderers, "default", "plotly_mimetype")
    figures.store_pictures()
    stored = plotly.io.renderers._build_mime_bundle(
        go.Figure(go.Scatter(x=np.array([0, 1]), y=np.array([0.5, 1]))).to_dict()
    )
    assert set(stored) == {"application/vnd.plotly.v1+json", "image/svg+xml"}
    assert stored["image/svg+xml"].startswith("<svg")
