"""Models over all images: each is encoded once, and then asked about any class and any prefix."""

from collections.abc import Callable
from functools import cached_property, lru_cache

import numpy as np
import torch
import xarray as xr
from jaxtyping import UInt8

from prior_lab.effective_information import Information, Unit, encode_images, health, warnings
from prior_lab.levels import Levels
from prior_lab.models import Autoencoder
from prior_lab.orderings import Code
from prior_lab.widgets.information.groups import Groups
from prior_lab.widgets.pictures import EVERYTHING


class Arm:
    """A model, what its tokens tell of the images, and what it makes of them.

    Parameters
    ----------
    load : gives the model when it is first needed.
    groups : the images.
    """

    def __init__(self, load: Callable[[], Autoencoder], groups: Groups) -> None:
        self._load, self._groups = load, groups
        self.information = lru_cache(maxsize=16)(self._information)
        self.tokens = lru_cache(maxsize=16)(self._tokens)
        self.pictures = lru_cache(maxsize=64)(self._pictures)

    @cached_property
    def model(self) -> Autoencoder:
        """The model itself."""
        return self._load()

    @cached_property
    def outline(self) -> Code:
        """The code of a single image: what any code of this model has in common."""
        return encode_images(self.model, self._groups.images[:1])

    @property
    def levels(self) -> Levels:
        """Of the code."""
        return Levels(len(self.outline).bit_length())

    @property
    def is_pyramid(self) -> bool:
        """Whether decoding stops at whole levels only."""
        return self.outline.prefixes == self.levels.budgets

    @property
    def is_encoded(self) -> bool:
        """Whether the codes of all images are there already."""
        return "code" in self.__dict__

    @cached_property
    def code(self) -> Code:
        """The codes of all images; this takes seconds, once."""
        return encode_images(self.model, self._groups.images)

    @cached_property
    def warnings(self) -> list[str]:
        """Sentences about levels that have collapsed."""
        return [sentence[:1].upper() + sentence[1:] for sentence in warnings(health(self.code))]

    def _information(self, choice: str) -> Information:
        """What the tokens tell of one class of images."""
        if choice == EVERYTHING:
            return Information(self.code.posterior, self._groups.objects)
        return self.information(EVERYTHING).select(self._groups.members[choice])

    def _tokens(self, choice: str, unit: Unit) -> xr.Dataset:
        """b(u) of every token over one class of images."""
        return self.information(choice).tokens(unit)

    @torch.inference_mode()
    def _pictures(self, images: tuple[int, ...], prefix: int) -> UInt8[np.ndarray, "image h w 3"]:
        """Some images decoded from a prefix, rounded to 8 bits for display."""
        decoded = self.model.decode(self.code.select(torch.tensor(images))[:prefix])
        return (decoded * 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous().cpu().numpy()
