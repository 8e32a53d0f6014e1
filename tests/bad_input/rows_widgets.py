"""Explorers and the loss plot: what they are opened with, what they are set to, where they are exported."""

from collections.abc import Callable
from functools import cache

import numpy as np
import torch
import xarray as xr
from case import Case, Ground

import prior_lab as pl
from prior_lab.widgets import BudgetExplorer, InformationExplorer

IMAGES = torch.arange(3 * 3 * 32 * 32, dtype=torch.int64).remainder(251).to(torch.uint8).reshape(3, 3, 32, 32)

SENT = torch.arange(2 * 3 * 64 * 64).remainder(251).to(torch.uint8).reshape(2, 3, 64, 64)

CLASS = type("Model", (), {"budgets": (), "encode": 1, "decode_budgets": 1})


def _explorer(ground: Ground) -> BudgetExplorer:
    return pl.explore(ground.model, IMAGES)


@cache
def _informed(ground: Ground) -> InformationExplorer:
    return pl.explore_information(ground.model, IMAGES)


@cache
def _search() -> pl.SearchExplorer:
    return pl.explore_search(pl.load_search("fashion-contrastive-td-gaussian"))


@cache
def _sent() -> pl.Codec:
    model = pl.load_model("household/reconstruction/prior-ema-vq")
    return pl.codec.codec_of(model)


@cache
def _streamed() -> pl.StreamExplorer:
    return pl.explore_stream(_sent(), SENT)


def _set_stream(name: str, value: object) -> None:
    """What is refused leaves the explorer as it was."""
    before = _streamed().summary()
    try:
        setattr(_streamed(), name, value)
    finally:
        assert _streamed().summary() == before


@cache
def _codes() -> xr.DataTree:
    return pl.load_study("household-contrastive")


def _set(name: str, value: object) -> Callable[[Ground], object]:
    """An attribute of a budget explorer is set; whatever is refused leaves the explorer as it was."""

    def call(ground: Ground) -> None:
        explorer = _explorer(ground)
        before = (explorer.summary(), explorer.canvas.get_state())
        try:
            setattr(explorer, name, value)
        finally:
            assert (explorer.summary(), explorer.canvas.get_state()) == before

    return call


def _from_browser(name: str, value: object) -> Callable[[Ground], object]:
    """A trait that a browser sets to what no browser of ours would; state and canvas are as before."""

    def call(ground: Ground) -> None:
        explorer = _explorer(ground)
        before = explorer.canvas.get_state([*explorer.settings])
        try:
            explorer.canvas.set_state({name: value})
        finally:
            assert explorer.canvas.get_state([*explorer.settings]) == before
            assert explorer.canvas.problem

    return call


def _informed_set(name: str, value: object) -> Callable[[Ground], object]:
    return lambda ground: setattr(_informed(ground), name, value)


CASES = [
    # what is explored
    *(
        Case(f"explore({name})", lambda ground, source=source: pl.explore(source, IMAGES), says)
        for name, source, says in (
            ("None among models", {"a": None}, "A NoneType cannot be explored; give a study, a model, or a dictionary"),
            (
                "a class",
                type("Model", (), {"budgets": (), "encode": 1, "decode_budgets": 1}),
                "A type cannot be explored",
            ),
            ("a number", 7, "A int cannot be explored"),
            ("None", None, "A NoneType cannot be explored"),
            ("no models", {}, "There is no model to explore"),
            ("an empty tree", xr.DataTree(), "The study None has no arm with a quality curve"),
            ("a named empty tree", xr.DataTree(name="mine"), "The study 'mine' has no arm with a quality curve"),
        )
    ),
    *(
        Case(
            f"explore(count={count!r})", lambda ground, count=count: pl.explore(ground.model, IMAGES, count=count), says
        )
        for count, says in (
            ("a", "count is 'a'; a whole number was expected"),
            (None, "count is None; a whole number was expected"),
            (1.5, "count is 1.5; a whole number was expected"),
            (True, "count is True; a whole number was expected"),
            (0, "count is 0; show at least one image"),
            (-3, "count is -3; show at least one image"),
        )
    ),
    *(
        Case(f"explore({name}={value!r})", lambda ground, o={name: value}: pl.explore(ground.model, IMAGES, **o), says)
        for name, value, says in (
            ("budget", 2, "2 is not a budget of this study; choose one of 1, 3, 7"),
            ("budget", True, "True is not a budget of this study"),
            ("budget", "7", "7 is not a budget of this study"),
            ("budget", [7], "a list is not a budget of this study"),
            ("budget", float("nan"), "nan is not a budget of this study"),
            ("metric", "FID", "FID is not a metric of this study"),
            ("metric", 3, "3 is not a metric of this study"),
            ("metric", np.zeros(3), "an? ndarray is not a metric of this study"),
            ("group", "FSQ", "FSQ is not a group of arms of this study"),
            ("group", "two\nlines", "'two.nlines' is not a group of arms"),
        )
    ),
    *(
        Case(f"explore(images={name})", lambda ground, images=images: pl.explore(ground.model, images), says)
        for name, images, says in (
            ("none", None, "A model alone has no images; give a data set or uint8 images"),
            ("floats", np.zeros((2, 3, 32, 32)), "The images are of type float64"),
            ("no image", IMAGES[:0], r"The images have shape \(0, 3, 32, 32\)"),
            ("flat", IMAGES[0, 0], r"The images have shape \(32, 32\)"),
            ("another size", IMAGES[:, :, ::2, ::2], "This model reads images"),
            ("text", "mine", "The images are of type <U4"),
        )
    ),
    # what a budget explorer is set to
    *(
        Case(f"explorer.{name} = {value!r}", _set(name, value), says)
        for name, value, says in (
            ("budget", True, "True is not a budget of this study"),
            ("budget", 20, "20 is not a budget of this study"),
            ("budget", None, "None is not a budget of this study"),
            ("budget", "1", "1 is not a budget of this study"),
            ("view", "depth", "depth is not a view of this explorer"),
            ("view", 1, "1 is not a view of this explorer"),
            ("metric", "FID", "FID is not a metric of this study"),
            ("images", (1.5,), "the number of an image is 1.5; a whole number was expected"),
            ("images", (True,), "the number of an image is True; a whole number was expected"),
            ("images", ("a",), "the number of an image is 'a'; a whole number was expected"),
            ("images", 1, "images is 1; a sequence of numbers of images was expected"),
            ("images", "01", "images is '01'; a sequence of numbers of images was expected"),
            ("images", None, "images is None; a sequence of numbers of images was expected"),
            ("images", (), r"There are no images \[\]; give numbers from 0 to 2"),
            ("images", (-1,), r"There are no images \[-1\]; give numbers from 0 to 2"),
            ("images", (10**6,), r"There are no images \[1000000\]"),
            ("group", "EMA-VQ", "EMA-VQ is not a group of arms of this study"),
            ("group", None, "None is not a group of arms of this study"),
        )
    ),
    *(
        Case(f"a browser sets {name} to {value!r}", _from_browser(name, value), says)
        for name, value, says in (
            ("budget", 20, "20 is not a budget of this study"),
            ("budget", -1, "-1 is not a budget of this study"),
            ("budget", 10**6, "1000000 is not a budget of this study"),
            ("view", "depth", "depth is not a view of this explorer"),
            ("metric", "FID", "FID is not a metric of this study"),
        )
    ),
    Case("choose a label", lambda ground: _explorer(ground).choose("class: Spoon"), "class: Spoon is not a label"),
    Case("choose a number", lambda ground: _explorer(ground).choose(3), "3 is not a label of this data set"),  # type: ignore[arg-type]
    # where it is exported
    *(
        Case(f"to_html({name})", lambda ground, path=path: _explorer(ground).to_html(path), says)
        for name, path, says in (
            ("nothing", "", "The path of a file to write is ''"),
            ("here", ".", r"'\.' is a folder; the path of a file to write was expected"),
            ("a folder", "notes", "'notes' is a folder"),
            ("inside a file", "text.txt/page.html", "'text.txt/page.html' cannot be written"),
            ("None", None, "The path of a file to write is None"),
            ("a number", 3, "The path of a file to write is 3"),
            ("a long name", "x" * 300 + ".html", "is longer, or holds a longer name, than file systems take"),
        )
    ),
    # information
    *(
        Case(f"explore_information({name})", lambda ground, s=source: pl.explore_information(s, IMAGES), says)
        for name, source, says in (
            ("None among models", {"a": None}, "A NoneType cannot be explored"),
            ("an empty tree", xr.DataTree(name="mine"), "The study 'mine' has no arm with a quality curve"),
            ("a text", "mine", "A str cannot be explored"),
        )
    ),
    Case(
        "explore_information(one image)",
        lambda ground: pl.explore_information(ground.model, IMAGES[:1]),
        "Information needs at least two images; there are 1",
    ),
    Case(
        "explore_information(a contrastive model)",
        lambda ground: pl.explore_information(ground.contrastive, IMAGES),  # type: ignore[arg-type]
        "A ContrastiveModel cannot be explored",
    ),
    Case(
        "explore_information(unit)",
        lambda ground: pl.explore_information(ground.model, IMAGES, unit="byte"),  # type: ignore[arg-type]
        "byte is not a unit of this explorer",
    ),
    *(
        Case(f"explorer.{name} = {value!r} (information)", _informed_set(name, value), says)
        for name, value, says in (
            ("tokens", [1.7], "the number of a token is 1.7; a whole number was expected"),
            ("tokens", [True], "the number of a token is True; a whole number was expected"),
            ("tokens", "12", "tokens is '12'; a sequence of numbers of tokens was expected"),
            ("tokens", 3, "tokens is 3; a sequence of numbers of tokens was expected"),
            ("tokens", [-1], "There is no token -1; this code has the tokens 0 to 6"),
            ("tokens", [7], "There is no token 7; this code has the tokens 0 to 6"),
            ("tokens", [1, 1], "A token is named twice"),
            ("budget", 1.5, "budget is 1.5; a whole number was expected"),
            ("budget", 2, "A budget of 2 tokens is no prefix of this code of 7"),
            ("unit", "byte", "byte is not a unit of this explorer"),
            ("arm", "VQ", "VQ is not a model of this explorer"),
            ("arm", None, "None is not a model of this explorer"),
        )
    ),
    # probes
    *(
        Case(f"explore_probes({name})", lambda ground, s=source: pl.explore_probes(s), says)
        for name, source, says in (
            ("None", None, "A NoneType cannot be explored; give a contrastive study"),
            ("a text", "household-contrastive", "A str cannot be explored; give a contrastive study"),
            ("an empty tree", xr.DataTree(name="mine"), "The study 'mine' is of the task None"),
        )
    ),
    Case(
        "explore_probes(a reconstruction study)",
        lambda ground: pl.explore_probes(pl.load_study("faces-reconstruction")),
        "is of the task reconstruction; explore_probes shows contrastive studies",
    ),
    Case(
        "explore_probes(an arm of none)",
        lambda ground: pl.explore_probes(_codes(), arm="VQ"),
        "VQ is not a model of this group",
    ),
    Case(
        "explore_probes(images of others)",
        lambda ground: pl.explore_probes(_codes(), ground.data),
        "these images do not have",
    ),
    # streams of bytes
    *(
        Case(f"explore_stream({name})", lambda ground, o=options: pl.explore_stream(_sent(), **o), says)
        for name, options, says in (
            ("no images", {}, "A model alone has no images; give them too"),
            ("no image on a page", {"images": IMAGES, "count": 0}, "count is 0; show at least one image."),
            ("images of another size", {"images": IMAGES}, "This model reads images as a tensor"),
            ("another arm", {"images": SENT, "shown": ["MBOP-TD"]}, "MBOP-TD is not a"),
            ("a cut before the file", {"images": SENT, "cut": -1}, "cut"),
            ("half a byte", {"images": SENT, "cut": 1.5}, "a whole number was expected"),
            ("a target above 1", {"images": SENT, "target": 2.0}, "target"),
        )
    ),
    Case("explore_stream(None)", lambda ground: pl.explore_stream(None, SENT), "NoneType"),
    *(
        Case(f"explorer of a stream, {name} = {value!r}", lambda ground, n=name, v=value: _set_stream(n, v), says)
        for name, value, says in (
            ("cut", 10**6, "cut"),
            ("rate", 7, "rate"),
            ("adaptive", "yes", "adaptive"),
            ("target", float("nan"), "target"),
            ("chosen", 99, "chosen"),
            ("shown", [], "shown"),
        )
    ),
    # searches
    *(
        Case(f"explore_search({name})", lambda ground, s=source: pl.explore_search(s), says)
        for name, source, says in (
            ("None", None, "A NoneType that is no result of a search"),
            ("a name", "fashion-contrastive-td-gaussian", "A str that is no result of a search"),
            ("other data", xr.Dataset(), "A Dataset that is no result of a search"),
        )
    ),
    *(
        Case(
            f"explorer of a search, {name} = {value!r}", lambda ground, n=name, v=value: setattr(_search(), n, v), says
        )
        for name, value, says in (
            ("across", "momentum", "momentum is not a setting of this search; choose one of learning_rate"),
            ("up", None, "None is not a setting of this search"),
            ("view", "mean", "mean is not a view of this explorer; choose one of expected"),
            ("price", -1.0, "-1.0 is not a price of this explorer"),
            ("trial", 99, "There is no trial 99; the search has the trials 0 to"),
            ("trial", 1.5, "trial is 1.5; a whole number was expected"),
        )
    ),
    Case("load_search(a name)", lambda ground: pl.load_search("fashion"), "There is no bundled search 'fashion'"),
    # the loss plot
    *(
        Case(f"LossPlot()({name})", lambda ground, history=history: pl.LossPlot()(history), says)
        for name, history, says in (
            ("None", None, "history is None"),
            ("a text", "steps", "history is 'steps'"),
            ("numbers", [1, 2], "history holds 1"),
            ("records of something else", [{"loss": 1.0}], "The history holds records without step or objective"),
            ("a record", {"step": 1, "objective": 1.0}, "history is a dict"),
        )
    ),
]
