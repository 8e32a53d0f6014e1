"""What a training run is: an `Experiment`, and what the training loop asks of its `Task`."""

import json
from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass
from typing import Annotated, Any, ClassVar, Generic, Literal, TypeVar

import torch
from torch import Generator, Tensor, nn

from prior_lab.checks import MANY, Count, NotNegative, Positive, Seed, Share, Within, check_fields
from prior_lab.data import ImageDataset, load_dataset
from prior_lab.models import ModelConfig, OrderedModel
from prior_lab.objectives import Loss
from prior_lab.tokens import TokenName

Record = dict[str, int | float]
Batch = TypeVar("Batch")


class Task(ABC, Generic[Batch]):
    """Batches, loss and validation of a run, on the device that trains.

    Attributes
    ----------
    validation : images of the validation split.
    """

    validation: ImageDataset

    @abstractmethod
    def draw(self, model: OrderedModel, step: int, generator: Generator) -> Batch:
        """What chance decides about a step: the part of the batch that this process has, and all else.

        Parameters
        ----------
        step : counted from 0; which images a step sees depends on it and the seed alone.
        generator : in the same state in every process that trains with it.
        """

    @abstractmethod
    def loss(self, model: nn.Module, batch: Batch, rate_weight: float | Tensor) -> Loss:
        """The loss of a batch, left on the device; its mean over the processes is that of the joint batch.

        Parameters
        ----------
        model : the task's model, perhaps wrapped by the trainer.
        rate_weight : weight of the token regulariser at this step.
        """

    @abstractmethod
    def validate(self, model: OrderedModel) -> Record:
        """Means over the validation images, named like `ssim_15` for a budget of 15 tokens."""


@dataclass(frozen=True)
class Experiment(ABC):
    """Everything that a training run depends on; the defaults are the recipe of the bundled models."""

    task: ClassVar[str]
    headline: ClassVar[str]  # the measure that sums up a validation, as `Task.validate` names it
    regulariser_weights: ClassVar[dict[TokenName, float]]

    model: ModelConfig
    """Shape of the model."""
    data: str = "household"
    """Name of the data set, as `load_dataset` takes it."""
    path: str | None = None
    """Folder of the images, for data sets that are read from one."""
    convert: Literal["rgb"] | None = None
    """With rgb, such a data set converts images that are not RGB."""
    unreadable: Literal["raise", "skip"] = "raise"
    """With skip, such a data set skips images that cannot be read, with a warning."""
    steps: Count = 1200
    """Optimiser steps."""
    batch_size: Count = 32
    """Images (in contrastive learning, pairs of images) per step, of all processes together."""
    learning_rate: Positive = 4e-3
    """Peak of the schedule; a linear warm-up leads to it, a cosine from it to 2 % of it."""
    warmup_steps: Annotated[int, Within(0, MANY)] = 200
    """Length of the warm-up [step]."""
    weight_decay: NotNegative = 0.01
    """Weight decay of the matrices; nothing else decays."""
    clip_norm: Positive = 1.0
    """Largest gradient norm."""
    average_decay: Share = 0.998
    """Decay per step of the moving average of the weights, which is what is validated and kept."""
    rate_weight: NotNegative | None = None
    """Weight of the token regulariser; if not given, the one found good for the task and the token kind."""
    rate_warmup: Share = 0.3
    """Fraction of the steps over which the rate weight grows from zero."""
    prediction_weight: NotNegative = 0.02
    """Weight of the refinement loss (eq. 5); masking orderings have none."""
    seed: Seed = 0
    """Seed of the weights, the batches, the masks and the noise."""
    precision: Literal["auto", "32-true", "bf16-mixed"] = "auto"
    """`auto` is bfloat16 where the hardware computes in it, else float32."""
    log_every: Count = 50
    """Steps between records."""
    validate_every: Count = 500
    """Steps between validations at every budget, and checkpoints."""
    validation_images: Count = 256
    """How many images, evenly spread over the validation split, a validation uses."""

    def __post_init__(self) -> None:
        check_fields(self)

    @abstractmethod
    def build(self) -> OrderedModel:
        """The untrained model."""

    @abstractmethod
    def open(self, device: torch.device) -> Task[Any]:
        """The task with its data loaded.

        Raises
        ------
        InputError : if the data cannot be read, or do not fit the model or the task.
        """

    @property
    def regulariser_weight(self) -> float:
        """The rate weight, or what stands in for it."""
        return self.regulariser_weights[self.model.tokens] if self.rate_weight is None else self.rate_weight

    def load(self, split: str) -> ImageDataset:
        """A split of the data, at the size the model reads.

        Raises
        ------
        InputError : if the data cannot be read, or not at that size.
        """
        size = self.model.image_size
        return load_dataset(
            self.data, split, path=self.path, size=size, convert=self.convert, unreadable=self.unreadable
        )

    def load_validation(self) -> ImageDataset:
        """The images that a validation uses."""
        data = self.load("validation")
        count = min(self.validation_images, len(data))
        return data.select(torch.linspace(0, len(data) - 1, count).long())

    def to_json(self) -> str:
        """The experiment as JSON, as checkpoints and results hold it."""
        return json.dumps({"task": self.task, **asdict(self)})
