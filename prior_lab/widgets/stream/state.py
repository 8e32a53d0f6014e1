"""What the stream explorer shows, as a plain object: no widget is needed to test it."""

import numbers
from collections.abc import Iterable
from dataclasses import dataclass

from prior_lab.checks import described, whole_number
from prior_lab.errors import InputError
from prior_lab.figures import require

RATES = (100, 1_000, 10_000)  # of the play button [bit/s]
SIDE_BY_SIDE = 2  # arms


@dataclass
class StreamState:
    """How many bytes have arrived, of whose files, and where these end; each checked whenever it is set.

    Attributes
    ----------
    arms : labels that there are.
    longest : where the slider ends [byte].
    images : how many are on screen.
    shown : the arms on screen, one or two.
    cut : bytes of each file that have arrived.
    rate : of the play button [bit/s].
    adaptive : whether each image's file ends with the level that reaches the target, or with the last one.
    target : an SSIM.
    chosen : whose file is shown byte by byte: the number of the arm on screen, and that of the image.
    """

    arms: tuple[str, ...]
    longest: int
    images: int
    shown: tuple[str, ...]
    cut: int = 0
    rate: int = RATES[1]
    adaptive: bool = False
    target: float = 0.8
    chosen: tuple[int, int] = (0, 0)

    def __setattr__(self, name: str, value: object) -> None:
        """Check before setting."""
        match name:
            case "shown":
                value = self.labels(value)
            case "cut":
                value = self._bytes(value)
            case "rate":
                value = require(value, RATES, "bit rate", "explorer")
            case "adaptive":
                if not isinstance(value, bool):
                    raise InputError(f"adaptive is {described(value)}; True or False was expected.")
            case "target":
                value = _ssim(value)
            case "chosen":
                value = self._file(value)
        super().__setattr__(name, value)

    def fit(self, longest: int, images: int) -> None:
        """Another page is on screen: what points beyond it is brought back."""
        self.longest, self.images = longest, images
        self.cut = min(self.cut, longest)
        self.chosen = (min(self.chosen[0], len(self.shown) - 1), min(self.chosen[1], images - 1))

    def labels(self, value: object) -> tuple[str, ...]:
        """One or two of the labels that there are.

        Raises
        ------
        InputError : if it is anything else.
        """
        if isinstance(value, str) or not isinstance(value, Iterable):
            raise InputError(f"shown is {described(value)}; labels of one or two models were expected.")
        labels = tuple(require(label, self.arms, "model", "explorer") for label in value)
        if not 1 <= len(labels) <= SIDE_BY_SIDE or len(set(labels)) < len(labels):
            raise InputError(f"shown has the labels {', '.join(labels) or 'of none'}; give one, or two that differ.")
        return labels

    def _bytes(self, value: object) -> int:
        cut = whole_number("cut", value)
        if not 0 <= cut <= self.longest:
            raise InputError(f"cut is {cut}; the slider goes from 0 to {self.longest} bytes.")
        return cut

    def _file(self, value: object) -> tuple[int, int]:
        pair = list(value) if isinstance(value, Iterable) and not isinstance(value, str) else []
        if len(pair) != 2:
            raise InputError(f"chosen is {described(value)}; the numbers of an arm and of an image were expected.")
        arm, image = (
            whole_number(f"the number of the {noun}", one) for noun, one in zip(("arm", "image"), pair, strict=True)
        )
        for noun, one, count in (("arm", arm, len(self.shown)), ("image", image, self.images)):
            if not 0 <= one < count:
                raise InputError(f"There is no {noun} {one} on screen; there are 0 to {count - 1}.")
        return arm, image


def _ssim(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise InputError(f"target is {described(value)}; an SSIM from 0 to 1 was expected.")
    if not 0 <= float(value) <= 1:  # nor is it, if it is no number
        raise InputError(f"target is {value}; an SSIM from 0 to 1 was expected.")
    return float(value)
