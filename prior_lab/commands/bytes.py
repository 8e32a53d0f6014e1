"""`compress` and `decompress`: pictures of a folder as files that may be cut anywhere, and back."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import tyro

from prior_lab.checks import Count, check_fields
from prior_lab.commands.answers import Answer, Answering, table
from prior_lab.errors import InputError
from prior_lab.files import as_path, held, require_file, writing

if TYPE_CHECKING:
    from prior_lab.codec import Codec

ENDING = ".prior"
DEFAULT = "household/reconstruction/prior-ema-vq"


@dataclass(frozen=True, kw_only=True)
class Coding(Answering):
    """What both directions are told."""

    out: Path
    """Folder to write to; it is made where it is missing, and no file there is replaced."""
    model: str = DEFAULT
    """Name of a model of list_codecs(), or a .safetensors file whose codec --codec names."""
    codec: Path | None = None
    """File of `Codec.save`; that which is bundled with the model, if not given."""

    def new_file(self, name: str) -> Path:
        """The path of a file that is not there yet."""
        path = self.out / name
        if path.exists():
            raise InputError(f"{str(path)!r} is there already; nothing was written over it. Name another folder.")
        return path


@dataclass(frozen=True, kw_only=True)
class Compress(Coding):
    """Write a file for each image of a folder: its code, level by level, which may be cut anywhere.

    Images are resized and centre-cropped to what the model reads.
    """

    images: tyro.conf.Positional[Path]
    """Folder of PNG, JPEG or WebP images, FOLDER/IMAGE or FOLDER/OBJECT/FRAME."""
    target: str | None = None
    """As few levels as reach this, such as ssim=0.9, psnr=28 or l1=0.02; all levels, if not given."""
    budget: Count | None = None
    """Tokens of every file, whole levels; all, if neither this nor a target is given."""
    convert: Literal["rgb"] | None = None
    """With rgb, images that are not RGB are converted."""

    def __post_init__(self) -> None:
        check_fields(self)
        if self.target is not None and self.budget is not None:
            raise InputError("Give a target or a budget, not both.")

    def answer(self, command: str) -> Answer:
        """Encode, write, and tell sizes and qualities."""
        from prior_lab.codec import Quality, decompress
        from prior_lab.data import load_dataset
        from prior_lab.quality import UNITS, quality

        target = None if self.target is None else Quality.parse(self.target)
        codec = _codec(self.model, self.codec)
        size = codec.model.config.image_size
        data = load_dataset("folder", path=as_path(self.images, "a folder"), size=size, convert=self.convert)
        names = [f"{name}{ENDING}" for name in _names(data.object_names, data.objects.tolist())]
        with held(self.out):
            paths = [self.new_file(name) for name in names]
            code = codec.encode(data.images)
            budgets = [self.budget or len(code)] * len(names)
            if target is not None:
                budgets = target.budgets(codec.model, code, data.images)
            files = codec.pack(code, budgets)
            for path, file in zip(paths, files, strict=True):
                with writing(path) as temporary:
                    temporary.write_bytes(file)
        found = quality(data.images, decompress(files, codec).images)
        rows: list[dict[str, Any]] = [
            {"file": name, "bytes": len(file), "tokens": budget}
            | {str(metric): float(found.sel(metric=metric)[place]) for metric in found.metric.values}
            for place, (name, file, budget) in enumerate(zip(names, files, budgets, strict=True))
        ]
        mean = {key: float(np.mean([row[key] for row in rows])) for key in rows[0] if key != "file"}
        text = table(list(rows[0]), [_cells(row) for row in [*rows, {"file": "mean"} | mean]])
        return Answer({"model": self.model, "out": str(self.out), "files": rows, "mean": mean, "units": UNITS}, text)


@dataclass(frozen=True, kw_only=True)
class Decompress(Coding):
    """Draw files that `compress` wrote, each as far as its levels are whole, as PNG images."""

    files: tyro.conf.Positional[tuple[Path, ...]]
    """The files, or a folder of them."""
    first: Annotated[Count | None, tyro.conf.arg(name="bytes")] = None
    """Read only so many bytes of each file."""

    def __post_init__(self) -> None:
        check_fields(self)

    def answer(self, command: str) -> Answer:
        """Read, decode, write."""
        from PIL import Image

        from prior_lab.codec import decompress

        paths = [path for given in self.files for path in _files(given)]
        contents = [require_file(path, "file of compress").read_bytes()[: self.first] for path in paths]
        found = decompress(contents, _codec(self.model, self.codec) if self.codec else None)
        with held(self.out):
            targets = [self.new_file(f"{path.name.removesuffix(ENDING)}.png") for path in paths]
            pixels = (255 * found.images).round().byte().permute(0, 2, 3, 1).numpy()
            for target, picture in zip(targets, pixels, strict=True):
                with writing(target) as temporary:
                    Image.fromarray(picture).save(temporary, "PNG")
        rows = [
            {"file": path.name, "bytes": len(content), "levels": levels, "note": note}
            for path, content, levels, note in zip(paths, contents, found.levels, found.notes, strict=True)
        ]
        return Answer({"out": str(self.out), "files": rows}, table(list(rows[0]), [_cells(row) for row in rows]))


def _codec(model: str, file: Path | None) -> "Codec":
    from prior_lab.codec import Codec, codec_of
    from prior_lab.zoo import load_autoencoder

    loaded = load_autoencoder(model)
    return codec_of(loaded) if file is None else Codec.load(file, loaded)


def _names(objects: tuple[str, ...], shown: list[int]) -> list[str]:
    """A name for each image: its object's, numbered where that has several."""
    seen: dict[int, int] = {}
    names = []
    for number in shown:
        seen[number] = seen.get(number, 0) + 1
        stem = Path(objects[number]).stem
        names.append(stem if shown.count(number) == 1 else f"{stem}-{seen[number]}")
    if len(set(names)) < len(names):  # of a.png and a.jpg
        return [f"{number}-{name}" for number, name in enumerate(names)]
    return names


def _files(given: Path) -> list[Path]:
    path = as_path(given, "a file or folder")
    if not path.is_dir():
        return [path]
    found = sorted(path.glob(f"*{ENDING}"))
    if not found:
        raise InputError(f"{str(given)!r} has no files that end in {ENDING}.")
    return found


def _cells(row: dict[str, Any]) -> list[str]:
    return [f"{value:.4g}" if isinstance(value, float) else str(value) for value in row.values()]
