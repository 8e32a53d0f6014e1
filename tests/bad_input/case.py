"""A row of the table of bad inputs, and the ground that rows stand on."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from prior_lab.data import ImageDataset
from prior_lab.models import Autoencoder, AutoencoderConfig, ContrastiveConfig, ContrastiveModel
from prior_lab.tasks import ReconstructionExperiment


@dataclass(frozen=True)
class Ground:
    """What rows may use; they run in `folder`, and whatever they find there must be as it was afterwards.

    Attributes
    ----------
    folder : the working directory, with `pictures/` (images), `model.safetensors` (a tiny PRIOR), `text.txt`,
        `notes/` (a folder of a user's own) and `readonly/` (in which nobody but root may write).
    model, other, discrete : tiny autoencoders: PRIOR, MBOP-TD, and PRIOR with EMA-VQ tokens.
    contrastive : a tiny contrastive model.
    images : a batch that the autoencoders read, uint8.
    data : a data set of eight objects, two frames each, with masks, prompts and labels.
    experiment : a tiny run on `pictures/`.
    """

    folder: Path
    model: Autoencoder
    other: Autoencoder
    discrete: Autoencoder
    contrastive: ContrastiveModel
    images: torch.Tensor
    data: ImageDataset
    experiment: ReconstructionExperiment


@dataclass(frozen=True)
class Case:
    """What is called, and what the sentence must say (a regular expression)."""

    name: str
    call: Callable[[Ground], object]
    says: str


def shape(**settings: object) -> AutoencoderConfig:
    """The config of a tiny autoencoder."""
    small: dict[str, object] = {
        "levels": 3, "image_size": 32, "patch": 8, "width": 32, "channels": 32, "encoder_depth": 1, "decoder_width": 32,
        "decoder_depth": 1, "predictor_depth": 1,
    }  # fmt: skip
    return AutoencoderConfig(**(small | settings))  # type: ignore[arg-type]


def contrastive_shape(**settings: object) -> ContrastiveConfig:
    """The config of a tiny contrastive model."""
    small: dict[str, object] = {
        "levels": 3, "image_size": 32, "width": 32, "channels": 32, "encoder_depth": 1, "predictor_depth": 1,
        "sides": (4, 8), "patches": 8,
    }  # fmt: skip
    return ContrastiveConfig(**(small | settings))  # type: ignore[arg-type]
