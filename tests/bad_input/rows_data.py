"""Data sets: what is asked of them, what lies in folders, and what is packed."""

import dataclasses
import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from case import Case, Ground
from PIL import Image

import prior_lab as pl
from prior_lab.data import pack_dataset


def _pixels(mode: str = "RGB", side: int = 32) -> Image.Image:
    chance = np.random.default_rng(0)
    return Image.fromarray(chance.integers(0, 256, (side, side, 3), dtype=np.uint8)).convert(mode)


def _folder(arrange: Callable[[Path], object], **options: object) -> Callable[[Ground], object]:
    """A folder of three objects, arranged otherwise and read."""

    def call(_: Ground) -> object:
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            for name in "abc":
                (folder / name).mkdir()
                for frame in range(2):
                    _pixels().save(folder / name / f"{frame}.png")
            arrange(folder)
            return pl.load_dataset("folder", path=folder, **options)

    return call


def _mask(column: slice) -> Callable[[Path], None]:
    def arrange(folder: Path) -> None:
        mask = np.zeros((32, 32), np.uint8)
        mask[:, column] = 255
        for image in sorted(folder.rglob("*.png")):
            Image.fromarray(mask).save(image.with_name(f"{image.stem}.mask.png"))

    return arrange


def _labels(text: str | bytes) -> Callable[[Path], object]:
    content = text.encode() if isinstance(text, str) else text
    return lambda folder: (folder / "labels.csv").write_bytes(content)


def _packed(change: Callable[[Path, dict], object]) -> Callable[[Ground], object]:
    """A packed data set whose contents or columns are changed, then read."""

    def call(ground: Ground) -> object:
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch) / "packed"
            pack_dataset("folder", folder, splits=["all"], path=ground.folder / "pictures")
            told = json.loads((folder / "packed.json").read_text())
            change(folder, told)
            if (folder / "packed.json").exists():
                (folder / "packed.json").write_text(json.dumps(told))
            return pl.load_dataset("packed", "all", path=folder)

    return call


def _says(**told: object) -> Callable[[Ground], object]:
    return _packed(lambda _, contents: contents.update(told))


def _column(name: str, change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Ground], object]:
    def edit(folder: Path, _: dict) -> None:
        path = folder / f"{name}-all.npy"
        np.save(path, change(np.load(path)))

    return _packed(edit)


TEXT = "a text was expected"
CASES = [
    *(
        Case(f"load_dataset {str(name)[:20]!r}", lambda _, name=name: pl.load_dataset(name), says)
        for name, says in (
            ("nothing", "there is no data set 'nothing'; available are household"),
            ("", "there is no data set ''"),
            (["x"], f"name is a list; {TEXT}"),
            (None, f"name is None; {TEXT}"),
            (3, f"name is 3; {TEXT}"),
        )
    ),
    *(
        Case(
            f"{name} {key}={value!r}",
            lambda _, name=name, key=key, value=value: pl.load_dataset(name, **{key: value}),
            says,
        )
        for name in ("household", "fashion", "fashion-full", "faces")
        for key, value, says in (
            ("split", "tests", "split"),
            ("split", "", "split"),
            ("split", 3, "a text or None was expected"),
            ("size", "64", "a whole number or None was expected"),
            ("size", 0, "at least 1"),
            ("size", 10**12, "at most"),
            ("size", 1.5, "a whole number or None was expected"),
            ("path", 3, "a text or a path or None|a path or a text or None"),
            ("convert", "bgr", "one of rgb"),
            ("convert", "rgb", "convert= is for the data set folder"),
            ("unreadable", "pass", "one of raise, skip"),
            ("unreadable", "skip", "is for the data sets folder and mvimgnet2"),
            ("frames", 0, "at least 1"),
            ("frames", 2, "is for the data set mvimgnet2"),
        )
    ),
    *(
        Case(f"{name} at {str(path)[:16]!r}", lambda _, name=name, path=path: pl.load_dataset(name, path=path), says)
        for name in ("folder", "ffhq", "mvimgnet2", "packed")
        for path, says in (
            (None, "needs path="),
            ("nowhere", "nowhere"),
            ("text.txt", "text.txt"),
            ("notes", "notes"),
            ("", "a text or a pathlib.Path was expected"),
            ("a\0b", "holds a character that no path can hold"),
            ("x" * 300, "than file systems take"),
        )
    ),
    *(
        Case(f"folder: {name}", _folder(arrange, **options), says)
        for name, arrange, options, says in (
            ("an empty mask", _mask(slice(0, 0)), {}, "is empty"),
            (
                "labels that lead nowhere",
                lambda f: (f / "labels.csv").symlink_to("nowhere"),
                {},
                "labels.csv is a link to what",
            ),
            (
                "an image that leads nowhere",
                lambda f: (f / "a" / "2.png").symlink_to("nowhere"),
                {},
                "2.png is a link to what",
            ),
            ("a line break in a label", _labels('object,kind\na,"x\ny"\n'), {}, "names are printable text"),
            ("NUL in a label", _labels(b"object,kind\na,x\0y\n"), {}, "names are printable text|no readable table"),
            ("a line break in a name", lambda f: (f / "a").rename(f / "a\nb"), {}, "names are printable text"),
            (
                "a name that is no UTF-8",
                lambda f: (f / "a").rename(f / "\udcff"),
                {},
                "names are printable text in UTF-8",
            ),
            ("labels of others", _labels("object,kind\nz,x\n"), {}, "unknown objects"),
            ("labels twice", _labels("object,kind\na,x\na,y\n"), {}, "once more"),
            ("no level", _labels("object\na\n"), {}, "no label level"),
            ("another header", _labels("name,kind\na,x\n"), {}, "no first column object"),
            ("labels in UTF-16", _labels("object,kind\na,x\n".encode("utf-16")), {}, "not in UTF-8"),
            ("an empty table", _labels(""), {}, "is empty"),
            ("grey images", lambda f: _pixels("L").save(f / "a" / "0.png"), {}, "not RGB but greyscale"),
            (
                "32-bit images",
                lambda f: _pixels("F").save(f / "a" / "0.png", "TIFF"),
                {"convert": "rgb"},
                "of no known range|16 bits|mode I",
            ),
            ("sizes that differ", lambda f: _pixels(side=16).save(f / "a" / "0.png"), {}, "images of different sizes"),
            ("text for an image", lambda f: (f / "a" / "0.png").write_text("x"), {}, "is no readable image"),
            ("an empty image", lambda f: (f / "a" / "0.png").write_bytes(b""), {}, "is no readable image"),
            ("both kinds", lambda f: _pixels().save(f / "z.png"), {}, "both images"),
            ("a split too small", lambda f: None, {"split": "validation"}, "too few for a split|no split|no readable"),
            ("an unknown split", lambda f: None, {"split": "dev"}, "folder has no split 'dev'"),
            ("no split", lambda f: None, {"split": ""}, "folder has no split ''"),
        )
        if name != "a split too small"
    ),
    *(
        Case(f"packed: {name}", call, f"{says}")
        for name, call, says in (
            ("no contents", _packed(lambda folder, _: (folder / "packed.json").unlink()), "has no packed.json"),
            ("without a column", _says(columns=["images", "objects"]), "expected images, objects, labels"),
            (
                "with another column",
                _says(columns=["images", "objects", "labels", "depth"]),
                "expected images, objects",
            ),
            ("float height", _says(height=32.5), "height is 32.5; a whole number"),
            ("a huge width", _says(width=10**9), "width is 1000000000; it must be at most"),
            ("float counts", _says(splits={"all": 2.5}), "cannot be read as the contents"),
            ("no splits", _says(splits={}), "splits must have one image or more"),
            ("a numeric name", _says(name=3), "name is 3; a text"),
            ("names as a text", _says(object_names=3), "cannot be read as the contents"),
            ("too few object names", _says(object_names=["a"]), "objects beyond the 1 names"),
            ("names of labels without levels", _says(label_names=[["x"]]), "have names of labels"),
            ("another format", _says(format=99), "is of format 99"),
            (
                "no JSON",
                _packed(lambda folder, told: told.clear() or told.update(x="\n")),
                "cannot be read as the contents",
            ),
            ("objects out of range", _column("objects", lambda rows: rows + 1000), "objects beyond"),
            ("objects below zero", _column("objects", lambda rows: rows - 1000), "objects beyond"),
            (
                "a column of another type",
                _column("objects", lambda rows: rows.astype(np.float32)),
                "pack the data set anew",
            ),
            ("a column that is shorter", _column("objects", lambda rows: rows[:-1]), "pack the data set anew"),
            ("a missing file", _packed(lambda folder, _: (folder / "images-all.npy").unlink()), "is missing"),
            (
                "a file of text",
                _packed(lambda folder, _: (folder / "images-all.npy").write_text("x")),
                "no readable NumPy",
            ),
        )
    ),
    *(
        Case(f"select {name}", lambda ground, given=given: ground.data.select(given), says)
        for name, given, says in (
            ("a fraction", [1.7], "images are selected by torch.float32"),
            ("a short mask", torch.ones(3, dtype=torch.bool), "or a mask of the 16 images"),
            ("a long mask", [True] * 40, "or a mask of the 16 images"),
            ("beyond the end", [16], "there is no image 16"),
            ("before the start", [-17], "there is no image -17"),
            ("a text", "abc", "images are selected by 'abc'"),
            ("None", None, "images are selected by None"),
            ("one number", 3, "images are selected by torch.int64 of shape"),
            ("a table", [[1, 2]], "images are selected by torch.int64 of shape"),
        )
    ),
    *(
        Case(
            f"pack_dataset {name}",
            lambda _, options=options: pack_dataset(**({"name": "household", "out": "packed"} | options)),
            says,
        )
        for name, options, says in (
            ("into None", {"out": None}, "a path or a text|a text or a path"),
            ("into a number", {"out": 3}, "a path or a text|a text or a path"),
            ("into nothing", {"out": ""}, "a text or a pathlib.Path"),
            ("into what is there", {"out": "notes"}, "is there already"),
            ("into a file", {"out": "text.txt"}, "is there already"),
            ("beneath a file", {"out": "text.txt/packed"}, "could not be packed"),
            ("no splits", {"splits": []}, "at least one"),
            ("a text of splits", {"splits": "test"}, "a sequence"),
            ("an unknown split", {"splits": ["tests"]}, "tests"),
            ("a split twice", {"splits": ["test", "test"]}, "each once"),
            ("of an unknown set", {"name": "nothing"}, "there is no data set"),
        )
    ),
    Case(
        "a data set without images for a model",
        lambda ground: pl.information(ground.model, ground.data.select([])),
        "no images",
    ),
    Case(
        "validation of a data set that is not there",
        lambda ground: dataclasses.replace(ground.experiment, path="nowhere").load("validation"),
        "nowhere",
    ),
]
