"""Where the arms of the stream explorer come from: a study, models, or codecs by name."""

from abc import ABC
from collections.abc import Mapping
from functools import partial

import xarray as xr
from jaxtyping import UInt8
from torch import Tensor

from prior_lab import figures, zoo
from prior_lab.codec import Codec
from prior_lab.data import ImageDataset
from prior_lab.errors import InputError
from prior_lab.models import Autoencoder
from prior_lab.orderings import LABELS
from prior_lab.widgets.pictures import Pictures
from prior_lab.widgets.sources import by_name
from prior_lab.widgets.stream.state import SIDE_BY_SIDE
from prior_lab.widgets.stream.streams import Arm, Trainer

MASKING = ("MBOP-TD", "MBOP-ITD")
KINDS = ("ema-vq", "fsq", "categorical")  # of tokens, whose states are sent as they are


class Sender(ABC):  # noqa: B024
    """What makes files: a model, whose codec is looked for, or a codec."""


Sender.register(Autoencoder)
Sender.register(Codec)


def study_arms(study: xr.DataTree, train: object) -> dict[str, Arm]:
    """Each arm that has a model, which is loaded when it is first looked at."""
    models = zoo.named_models(figures.study_arms(study))
    trainer = _trainer(train, str(study.attrs.get("dataset", "")))
    return {label: Arm(partial(zoo.load_autoencoder, name), trainer) for label, name in models.items()}


def given_arms(source: object, images: object, train: object) -> dict[str, Arm]:
    """Models or codecs by name; a single one has the name of its ordering."""
    if isinstance(source, Codec):
        source = {LABELS.get(source.model.config.ordering, "Model"): source}
    models = by_name(source, Sender)
    trainer = _trainer(train, images.name if isinstance(images, ImageDataset) else "")
    return {label: Arm(partial(_given, model), trainer) for label, model in models.items()}


def _given(model: Sender) -> Autoencoder | Codec:
    assert isinstance(model, Autoencoder | Codec)
    return model


def _trainer(train: object, dataset: str) -> Trainer:
    """Gives training images for a model: those that are given, or else those of a data set of this name."""
    if isinstance(train, ImageDataset):
        return lambda _: train.images
    if train is not None:
        pictures = Pictures.of(train)
        return lambda _: pictures.images
    return partial(_load_training, dataset)


def _load_training(name: str, model: Autoencoder) -> UInt8[Tensor, "image 3 h w"]:
    import prior_lab

    try:
        found: ImageDataset = prior_lab.load_dataset(name, split="train", size=model.config.image_size)
    except InputError as error:
        raise InputError(
            f"There is no bundled codec for {model.fingerprint}, and no training images to make one of; give them as "
            "train, or give a Codec instead of the model."
        ) from error
    return found.images


def first_arms(labels: Mapping[str, object]) -> tuple[str, ...]:
    """PRIOR and an ordering by masking with tokens of one kind, discrete ones if there are; else the first arms."""
    for kind in ("", *(f", {kind}" for kind in KINDS), ", gaussian"):
        masking = next((f"{ordering}{kind}" for ordering in MASKING if f"{ordering}{kind}" in labels), None)
        if masking and f"PRIOR{kind}" in labels:
            return f"PRIOR{kind}", masking
    return tuple(labels)[:SIDE_BY_SIDE]
