"""What every number of bytes is worth as a picture: learnt codes, whose files may be cut, and still-image codecs."""

import contextlib
import io
import struct
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from prior_lab import yardsticks
from prior_lab.codec import Codec, codec_of
from prior_lab.codec.container import CHECK, HEADER, split
from prior_lab.errors import InputError
from prior_lab.models import Autoencoder
from prior_lab.quality import quality

Kind = Literal["arm", "file", "scans"]
Trainer = Callable[[Autoencoder], UInt8[Tensor, "image 3 h w"]]
STILLS = ("WebP", "JPEG", "JPEG XL")
PROGRESSIVE = "JPEG, progressive"
PROGRESSIVE_QUALITY = 50
FINENESS = 5  # between two quality settings that are tried
BEST = 95  # quality setting
FITTED = 2000  # training images of a codec that is made here, at most
END_OF_IMAGE = b"\xff\xd9"


@dataclass(frozen=True, eq=False)
class Stream:
    """One image, by one method.

    Attributes
    ----------
    needs : how many bytes must be there for each of its pictures, from few to many.
    pictures : from the first one to the best.
    ssim : what each is worth, to six digits.
    steps : how many pictures there would be if bytes had no end: levels, or scans.
    file : all of it, where there is one file that may be cut.
    marks : of each level of the file: where it starts, where its payload starts and ends, and where it ends itself.
    """

    needs: tuple[int, ...]
    pictures: UInt8[np.ndarray, "picture h w 3"]
    ssim: tuple[float, ...]
    steps: int
    file: bytes = b""
    marks: tuple[tuple[int, int, int, int], ...] = ()

    def at(self, cut: int) -> int:
        """The best picture that so many bytes give; -1 if they give none."""
        return bisect_right(self.needs, cut) - 1

    def last(self, target: float) -> int:
        """The first picture that reaches a target; the best where none does."""
        return next((place for place, value in enumerate(self.ssim) if value >= target), len(self.ssim) - 1)


@dataclass(frozen=True, eq=False)
class Method:
    """All images of a page, by one method."""

    label: str
    kind: Kind
    streams: tuple[Stream, ...]
    origin: str = ""  # where the codec of an arm comes from


class Arm:
    """A model with its codec.

    Parameters
    ----------
    load : gives the model, or its codec, when it is first needed.
    train : gives training images for a model whose codec is not bundled.
    """

    def __init__(self, load: Callable[[], Autoencoder | Codec], train: Trainer) -> None:
        self._load, self._train = load, train
        self.origin = ""  # in words, once it is open

    @cached_property
    def codec(self) -> Codec:
        """The codec that was given, the bundled one, or else one that is made of training images."""
        model = self._load()
        if isinstance(model, Codec):
            self.origin = "is given"
            return model
        with contextlib.suppress(InputError):  # there is none
            codec = codec_of(model)
            self.origin = "is bundled"
            return codec
        images = self._train(model)
        few = torch.linspace(0, len(images) - 1, min(len(images), FITTED)).long()
        self.origin = f"was made of {len(few):,} training images, with static tables"
        return Codec.fitted(model, images[few], foresight=False)

    @property
    def is_open(self) -> bool:
        """Whether the codec is there already."""
        return "codec" in self.__dict__

    @torch.inference_mode()
    def streams(self, images: UInt8[Tensor, "image 3 h w"]) -> tuple[Stream, ...]:
        """Files of images, and what a receiver makes of each of their levels."""
        codec = self.codec
        files = codec.pack(codec.encode(images))
        codes = [received.code for received in codec.unpack(files)]
        posterior = type(codes[0].posterior).stack([code.posterior for code in codes])
        whole = type(codes[0])(torch.cat([code.values for code in codes]), posterior, codes[0].prefixes)
        decoded = codec.model.decode_budgets(whole).cpu().float()
        return tuple(
            _cuttable(file, one, decoded[:, row]) for row, (file, one) in enumerate(zip(files, images, strict=True))
        )


def _cuttable(file: bytes, image: UInt8[Tensor, "3 h w"], decoded: Float[Tensor, "level 3 h w"]) -> Stream:
    contents = split(file, len(decoded))
    starts = (HEADER, *contents.ends)
    marks = [
        (start, end - CHECK - len(chunk.stream), end - CHECK, end)
        for start, end, chunk in zip(starts, contents.ends, contents.chunks, strict=False)
    ]
    shown = (decoded * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    return Stream(contents.ends, shown, _worth(image, decoded), len(decoded), file, tuple(marks))


# ------------------------------------------------------------ still-image codecs


def stills() -> dict[str, yardsticks.Codec]:
    """Those that Pillow has here."""
    return {codec.name: codec for codec in yardsticks.CODECS if codec.name in STILLS and yardsticks.is_there(codec)}


def least_bytes(images: UInt8[Tensor, "image 3 h w"]) -> int:
    """How many bytes it takes until every still-image codec shows every image."""
    smallest = [
        len(file) for codec in stills().values() for file in yardsticks.files_of(codec, images, _settings(codec)[0])
    ]
    return max(smallest, default=0)


def still_methods(images: UInt8[Tensor, "image 3 h w"], longest: int) -> Iterator[Method]:
    """Still-image codecs, and a progressive JPEG, as far as a number of bytes goes."""
    for name, codec in stills().items():
        yield Method(name, "file", tuple(_best_files(codec, image, longest) for image in images))
        if name == "JPEG":
            yield Method(PROGRESSIVE, "scans", tuple(_scanned(image, longest) for image in images))


def _settings(codec: yardsticks.Codec) -> range:
    return range(min(codec.settings), BEST + 1, FINENESS)


def _best_files(codec: yardsticks.Codec, image: UInt8[Tensor, "3 h w"], longest: int) -> Stream:
    """Files of rising quality; one that is larger than another and no better is left out."""
    made = (yardsticks.files_of(codec, image[None], setting)[0] for setting in _settings(codec))
    files = [file for _, file in sorted({len(file): file for file in made if len(file) <= longest}.items())]
    pictures = yardsticks.opened(files) if files else image[:0].new_empty(0, *image.shape)
    worth = _worth(image, pictures.float() / 255)
    keep = [place for place, value in enumerate(worth) if value > max(worth[:place], default=-2.0)]
    shown = pictures[keep].permute(0, 2, 3, 1).contiguous().numpy()
    return Stream(tuple(len(files[at]) for at in keep), shown, tuple(worth[at] for at in keep), len(keep))


def _scanned(image: UInt8[Tensor, "3 h w"], longest: int) -> Stream:
    """One progressive JPEG, cut where its scans end; the receiver adds the mark that ends an image."""
    held = io.BytesIO()
    options = {"quality": PROGRESSIVE_QUALITY, "progressive": True, "optimize": True}
    Image.fromarray(image.permute(1, 2, 0).numpy()).save(held, "JPEG", **options)
    file = held.getvalue()
    ends = scan_ends(file)
    needs = tuple(end for end in ends if end <= longest)
    pictures = (
        yardsticks.opened([file[:end] + END_OF_IMAGE for end in needs]) if needs else image.new_empty(0, *image.shape)
    )
    shown = pictures.permute(0, 2, 3, 1).contiguous().numpy()
    return Stream(needs, shown, _worth(image, pictures.float() / 255), len(ends), file)


def scan_ends(file: bytes) -> list[int]:
    """Where each scan of a JPEG file ends [byte]."""
    ends, place = [], 2
    while file[place + 1] != END_OF_IMAGE[1]:
        is_scan = file[place + 1] == 0xDA
        place += 2 + struct.unpack(">H", file[place + 2 : place + 4])[0]
        if is_scan:
            while not (file[place] == 0xFF and file[place + 1] not in (0, *range(0xD0, 0xD8))):
                place += 1
            ends.append(place)
    return ends


def _worth(image: UInt8[Tensor, "3 h w"], pictures: Float[Tensor, "picture 3 h w"]) -> tuple[float, ...]:
    if not len(pictures):
        return ()
    truth = (image.float() / 255).expand_as(pictures)
    return tuple(np.round(quality(truth, pictures).sel(metric="SSIM").values.astype(float), 6).tolist())
