"""Studies, results, quality, information and probes."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import xarray as xr
from case import Case, Ground

import prior_lab as pl
from prior_lab import quality, results
from prior_lab.effective_information import encode_images
from prior_lab.levels import Levels
from prior_lab.probes import Samples, linear_probes

STUDY = "faces-reconstruction"


def _study(change: Callable[[xr.DataTree], object]) -> Callable[[Ground], object]:
    """A study that was changed is validated."""

    def call(_: Ground) -> object:
        tree = pl.load_study(STUDY)
        changed = change(tree)
        return results.validate(changed if isinstance(changed, xr.DataTree) else tree)

    return call


def _arm(change: Callable[[xr.Dataset], xr.Dataset]) -> Callable[[Ground], object]:
    """One arm is changed."""

    def edit(tree: xr.DataTree) -> None:
        name = next(iter(tree.children))
        tree[name] = xr.DataTree(change(tree[name].to_dataset()))

    return _study(edit)


def _attribute(name: str, value: object) -> Callable[[Ground], object]:
    return _study(lambda tree: tree.attrs.update({name: value}))


def _flipped(at: float) -> Callable[[Ground], object]:
    """The file of a study with a run of bytes flipped."""

    def call(_: Ground) -> object:
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch) / "study.nc"
            results.save(pl.load_study(STUDY), path)
            content = bytearray(path.read_bytes())
            start = int(at * len(content))
            content[start : start + 64] = bytes(255 - byte for byte in content[start : start + 64])
            path.write_bytes(content)
            return results.load(path)

    return call


def _file(content: bytes) -> Callable[[Ground], object]:
    def call(_: Ground) -> object:
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch) / "study.nc"
            path.write_bytes(content)
            return results.load(path)

    return call


def _budgets(numbers: Callable[[np.ndarray], object]) -> Callable[[Ground], object]:
    return _arm(lambda arm: arm.assign_coords(budget=("budget", numbers(arm.budget.values), {"units": "token"})))


def _quality(values: Callable[[xr.DataArray], xr.DataArray]) -> Callable[[Ground], object]:
    return _arm(lambda arm: arm.assign(quality=values(arm.quality)))


def _samples(**change: object) -> Samples:
    chance = torch.Generator().manual_seed(0)
    whole: dict[str, object] = {
        "features": torch.randn(12, 4, generator=chance),
        "labels": (torch.arange(12) % 2)[:, None],
        "objects": torch.arange(12),
    }
    return Samples(**(whole | change))  # type: ignore[arg-type]


FLOAT = torch.zeros(2, 3, 32, 32)
CASES = [
    *(
        Case(f"a study: {name}", call, says)
        for name, call, says in (
            ("None", lambda _: results.validate(None), "A study is None; an xarray.DataTree was expected"),
            ("a data set", lambda _: results.validate(xr.Dataset()), "an xarray.DataTree was expected"),
            ("empty", lambda _: results.validate(xr.DataTree()), "not results of prior_lab"),
            ("of another schema", _attribute("schema", "x"), "not results of prior_lab"),
            ("of an array for a schema", _attribute("schema", np.array(["x", "y"])), "not results of prior_lab"),
            ("of another version", _attribute("schema_version", 99), "schema version 99"),
            ("of an array of versions", _attribute("schema_version", np.array([1, 2])), "schema version an? ndarray"),
            ("of a text for a version", _attribute("schema_version", "2"), "schema version '2'"),
            ("of an unknown task", _attribute("task", "dance"), "unknown task 'dance'"),
            ("with a numeric task", _attribute("task", 3), "unknown task '3'"),
            ("with a numeric name", _attribute("name", 3), "becomes that of a file"),
            ("with a path for a name", _attribute("name", "../x"), "becomes that of a file"),
            ("with an empty name", _attribute("name", ""), "becomes that of a file"),
            ("with a numeric data set", _attribute("dataset", 3), "dataset are not what the schema says"),
            ("with a text for a time", _attribute("wall_time_s", "long"), "wall_time_s are not what the schema says"),
            ("without a name", _study(lambda tree: tree.attrs.pop("name")), "lacks the attributes name"),
            ("without arms", _study(lambda tree: xr.DataTree(tree.to_dataset())), "has no arms"),
            ("an arm without config", _arm(lambda arm: arm.drop_attrs()), "lacks the attributes"),
            ("a numeric config", _arm(lambda arm: arm.assign_attrs(config=3)), "attributes that are no text: config"),
            ("without quality", _arm(lambda arm: arm.drop_vars("quality")), "lacks the variable quality"),
            ("complex quality", _quality(lambda q: q.astype(np.complex64)), "holds complex64; real numbers"),
            ("text quality", _quality(lambda q: q.astype(str)), "real numbers were expected"),
            ("NaN in quality", _quality(lambda q: q * np.nan), "not finite"),
            ("quality without units", _quality(lambda q: q.drop_attrs()), "lacks the attribute units"),
            ("no seeds", _arm(lambda arm: arm.isel(seed=slice(0, 0))), "is empty"),
            ("text budgets", _budgets(lambda numbers: numbers.astype(str)), "budgets that are not whole numbers"),
            ("float budgets", _budgets(lambda numbers: numbers + 0.5), "budgets that are not whole numbers"),
            (
                "repeated budgets",
                _budgets(lambda numbers: numbers * 0 + 1),
                "budgets that are not whole numbers, each once",
            ),
        )
    ),
    *(
        Case(f"a study's file flipped at {at}", _flipped(at), "study.nc|study|arm|results|variable")
        for at in (0.0, 0.001)
    ),
    *(
        Case(f"a study's file of {name}", _file(content), "is not a whole NetCDF file of results")
        for name, content in (("nothing", b""), ("text", b"text"), ("a head alone", b"\x89HDF\r\n\x1a\n" + bytes(100)))
    ),
    *(
        Case(
            f"save {name}",
            lambda _, tree=tree, path=path: results.save(pl.load_study(STUDY) if tree is None else tree, path),
            says,
        )
        for name, tree, path, says in (
            ("to text", None, "study.txt", "does not end in .nc"),
            ("to a folder", None, "notes", "does not end in .nc"),
            ("to a number", None, 3, "a text or a pathlib.Path"),
            ("an empty tree", xr.DataTree(), "study.nc", "not results of prior_lab"),
        )
    ),
    *(
        Case(f"quality of {name}", lambda _, one=one, other=other: quality.quality(one, other), says)
        for name, one, other, says in (
            ("None", None, FLOAT, "images is None; a dense tensor"),
            ("a list", [1], FLOAT, "images is a list; a dense tensor"),
            ("None's likeness", FLOAT, None, "reconstructions is None; a dense tensor"),
            ("other shapes", FLOAT, FLOAT[:1], "they must be alike"),
            ("small images", FLOAT[..., :8, :8], FLOAT[..., :8, :8], "SSIM needs 11 or more"),
            ("bright images", FLOAT + 2, FLOAT, r"must lie in \[0, 1\]"),
            ("NaN", FLOAT * float("nan"), FLOAT, r"must lie in \[0, 1\]"),
            ("whole numbers", FLOAT.long(), FLOAT, "uint8, or float"),
            ("grey images", FLOAT[:, :1], FLOAT, "3, height, width"),
        )
    ),
    *(
        Case(f"quality_by_budget {name}", call, says)
        for name, call, says in (
            ("of None", lambda g: quality.quality_by_budget(None, g.images), "an Autoencoder was expected"),
            (
                "of a contrastive model",
                lambda g: quality.quality_by_budget(g.contrastive, g.images),
                "an Autoencoder was",
            ),
            ("of no images", lambda g: quality.quality_by_budget(g.model, g.images[:0]), "3, height, width"),
            ("of None's images", lambda g: quality.quality_by_budget(g.model, None), "images is None"),
            ("in no batches", lambda g: quality.quality_by_budget(g.model, g.images, batch_size=0), "at least 1"),
        )
    ),
    *(
        Case(f"information {name}", call, says)
        for name, call, says in (
            ("of None", lambda g: pl.information(None), "source is None; an OrderedModel or a Code was expected"),
            ("of a text", lambda g: pl.information("household"), "source is 'household'"),
            ("without images", lambda g: pl.information(g.model), "give images"),
            ("of None's images", lambda g: pl.information(g.model, [1, 2]), "images is a list"),
            ("of a fraction of a token", lambda g: pl.information(g.model, g.data, tokens=[1.7]), "tokens holds 1.7"),
            ("of a token beyond", lambda g: pl.information(g.model, g.data, tokens=[7]), "There is no token 7"),
            ("of a token twice", lambda g: pl.information(g.model, g.data, tokens=[1, 1]), "named twice"),
            ("at half a budget", lambda g: pl.information(g.model, g.data, budgets=[1.5]), "budgets holds 1.5"),
            ("at a budget twice", lambda g: pl.information(g.model, g.data, budgets=[1, 1]), "named twice"),
            ("at no budget", lambda g: pl.information(g.model, g.data, budgets=[0]), "A budget of 0 tokens"),
            ("in another unit", lambda g: pl.information(g.model, g.data, unit="byte"), "one of bit, nat"),
            (
                "with other images",
                lambda g: pl.information(g.model.encode(g.images), g.data),
                "code is of 2 images, and 16",
            ),
            ("of one image", lambda g: pl.information(g.model, g.images[:1]), "at least two images"),
            ("in batches of 0", lambda g: encode_images(g.model, g.data, batch_size=0), "at least 1"),
        )
    ),
    *(
        Case(f"samples: {name}", lambda _, change=change: _samples(**change), says)
        for name, change, says in (
            ("no features", {"features": None}, "features is None"),
            ("a list of labels", {"labels": [1]}, "labels is a list"),
            ("flat labels", {"labels": torch.zeros(12, dtype=torch.int64)}, "2 dimensions"),
            ("float labels", {"labels": torch.zeros(12, 1)}, "2 dimensions of torch.int64"),
            ("labels below -1", {"labels": torch.full((12, 1), -2)}, "-1 for none"),
            ("other objects", {"objects": torch.arange(3)}, "must be of the same images"),
            ("NaN", {"features": torch.full((12, 4), float("nan"))}, "NaN or infinite"),
            ("huge features", {"features": torch.full((12, 4), 1e37)}, "features reach 1.0e"),
            ("no columns", {"features": torch.zeros(12, 0)}, "nothing to probe"),
        )
    ),
    *(
        Case(
            f"linear probes: {name}",
            lambda _, change=change: linear_probes(
                _samples(), _samples(), _samples(), **({"widths": {1: 4}, "taxonomies": ["kind"]} | change)
            ),
            says,
        )
        for name, change, says in (
            ("no widths", {"widths": {}}, "The widths are"),
            ("too wide", {"widths": {1: 9}}, "The widths are"),
            ("not growing", {"widths": {1: 2, 3: 2}}, "must read more columns"),
            ("no taxonomies", {"taxonomies": []}, "one or more different names"),
            ("one twice", {"taxonomies": ["a", "a"]}, "one or more different names"),
            ("too many", {"taxonomies": ["a", "b"]}, "1 columns for the 2 taxonomies"),
            ("strengths below zero", {"strengths": [-1.0]}, "strength"),
        )
    ),
    *(
        Case(f"Levels({count!r})", lambda _, count=count: Levels(count), says)
        for count, says in (
            (0, "1 to 16 levels"),
            (99, "1 to 16 levels"),
            (1.5, "a whole number"),
            (None, "a whole number"),
        )
    ),
]
