"""The images of a training set, step after step, on the device that trains."""

from collections.abc import Callable

import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from prior_lab.data.feeding.packed import fetch, is_mapped
from prior_lab.data.feeding.prefetch import Prefetcher


class Batches:
    """Images by step; what is in memory lies on the device, what is on disk is read ahead in a thread.

    Parameters
    ----------
    images : of the training split.
    choose : which of them a step sees.
    device : where they are wanted.
    """

    def __init__(
        self,
        images: UInt8[Tensor, "image 3 height width"],
        choose: Callable[[int], Int64[Tensor, "chosen"]],
        device: torch.device,
    ) -> None:
        self._choose, self._device = choose, device
        self._images = images if is_mapped(images) else images.to(device)
        self._ahead: Prefetcher[Tensor] | None = None

    def get(self, step: int) -> UInt8[Tensor, "chosen 3 height width"]:
        """What a step sees."""
        if not is_mapped(self._images):
            return self._images[self._choose(step).to(self._device)]
        if self._ahead is None:
            self._ahead = Prefetcher(self._read, step)
        return self._ahead.get(step).to(self._device, non_blocking=True)

    def _read(self, step: int) -> UInt8[Tensor, "chosen 3 height width"]:
        images = fetch(self._images, self._choose(step))
        return images.pin_memory() if self._device.type == "cuda" else images
