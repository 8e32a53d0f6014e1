"""Pages of images with the streams of every method, computed once per choice of images."""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from jaxtyping import UInt8

from prior_lab.figures import colour_of
from prior_lab.widgets.pictures import Pictures
from prior_lab.widgets.stream.streams import Arm, Method, Stream, least_bytes, still_methods

REACH = 2  # the slider goes so much further than the longest file of the arms, and the smallest of still-image codecs
PLAIN = "transparent"  # the colour of what is no ordering


@dataclass(frozen=True, eq=False)
class Page:
    """The images on screen.

    Attributes
    ----------
    indices, captions : which they are.
    truth : as they are in the data set.
    methods : the arms, and then the still-image codecs.
    longest : where the slider ends [byte].
    """

    indices: tuple[int, ...]
    captions: tuple[str, ...]
    truth: UInt8[np.ndarray, "image h w 3"]
    methods: tuple[Method, ...]
    longest: int

    @property
    def arms(self) -> tuple[Method, ...]:
        """The learnt ones among the methods."""
        return tuple(method for method in self.methods if method.kind == "arm")

    @property
    def raw(self) -> int:
        """Bytes of an image without a codec."""
        return int(self.truth[0].size)

    @property
    def origins(self) -> str:
        """Where the codecs of the arms come from, in a sentence."""
        return f"The codec of {'; that of '.join(f'{arm.label} {arm.origin}' for arm in self.arms)}."

    def packed(self) -> bytes:
        """All pictures as the browser reads them: deflated RGB, the truth and then stream by stream."""
        layers = [self.truth, *(stream.pictures for method in self.methods for stream in method.streams)]
        return zlib.compress(np.concatenate(layers).tobytes(), 1)

    def for_browser(self) -> dict[str, Any]:
        """What the pictures are: of each stream also where its first one is among all."""
        rows, layer = [], len(self.truth)
        for place, method in enumerate(self.methods):
            told = []
            for stream in method.streams:
                told.append(_told(stream, layer))
                layer += len(stream.pictures)
            colour = colour_of(method.label, place) if method.kind == "arm" else PLAIN
            rows.append({"label": method.label, "kind": method.kind, "colour": colour, "images": told})
        return {"captions": list(self.captions), "rows": rows, "longest": self.longest, "origins": self.origins}


def _told(stream: Stream, layer: int) -> dict[str, Any]:
    told: dict[str, Any] = {"needs": list(stream.needs), "ssim": list(stream.ssim)}
    told |= {"steps": stream.steps, "layer": layer, "bytes": len(stream.file)}
    return told | ({"file": stream.file.hex(), "marks": [list(mark) for mark in stream.marks]} if stream.marks else {})


class StreamGallery:
    """Streams by several models, and by still-image codecs, of the same pictures."""

    def __init__(self, arms: Mapping[str, Arm], pictures: Pictures) -> None:
        self.arms, self.pictures = dict(arms), pictures
        self._of_arm = lru_cache(maxsize=64)(self._arm_method)
        self._of_stills = lru_cache(maxsize=16)(self._still_methods)
        self._least = lru_cache(maxsize=64)(lambda indices: least_bytes(self.pictures.images[list(indices)]))

    def page(self, indices: tuple[int, ...], shown: tuple[str, ...]) -> Page:
        """Some images, with some arms."""
        arms = [self._of_arm(label, indices) for label in shown]
        files = [len(stream.file) for method in arms for stream in method.streams]
        longest = rounded_up(REACH * max(*files, self._least(indices)))
        truth = self.pictures.images[list(indices)].permute(0, 2, 3, 1).contiguous().numpy()
        captions = tuple(self.pictures.captions[index] for index in indices)
        return Page(indices, captions, truth, (*arms, *self._of_stills(indices, longest)), longest)

    def _arm_method(self, label: str, indices: tuple[int, ...]) -> Method:
        streams = self.arms[label].streams(self.pictures.images[list(indices)])
        return Method(label, "arm", streams, self.arms[label].origin)

    def _still_methods(self, indices: tuple[int, ...], longest: int) -> tuple[Method, ...]:
        return tuple(still_methods(self.pictures.images[list(indices)], longest))


def rounded_up(number: int) -> int:
    """To one digit: 692 becomes 700."""
    unit = 10 ** (len(str(number)) - 1)
    return -(-number // unit) * unit
