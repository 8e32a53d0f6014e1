"""Contrastive learning of objects (section 2.4 of the paper): NT-Xent over pairs of frames, one pair an object.

What short runs on `household` have told (PRIOR, Gaussian tokens, 400 steps of 64 pairs; coarse and class accuracy of 20
nearest neighbours on the validation split at full budget, where pixels give 0.38 and 0.21): colour jitter of 0.2 gives
0.40 and 0.20; 0.4 with some hue and grey 0.35 and 0.19; 0.8 with any hue and half of the views grey 0.29 and 0.12, for
the shapes then left to learn take far more steps. Residual scales that start at 0.7 instead of FLIP's 0.1 learn
worse (0.37 and 0.17 against 0.37 and 0.20 at temperature 0.2). So few steps do not beat the pixels: train for longer.
"""

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Generator, nn

from prior_lab.data import ImageDataset
from prior_lab.data.augmentation import Augmentation, PairSampler, track_table
from prior_lab.effective_information import encode_images
from prior_lab.models import ContrastiveConfig, ContrastiveModel, OrderedModel
from prior_lab.objectives import Loss, nt_xent, total_loss
from prior_lab.tasks.base import Experiment, Record, Task
from prior_lab.tokens import TokenName


@dataclass(frozen=True)
class ContrastiveExperiment(Experiment):
    """Everything that the training of a contrastive model depends on; the defaults are the bundled models' recipe."""

    task: ClassVar[str] = "contrastive"
    headline: ClassVar[str] = "ntxent"
    regulariser_weights: ClassVar[dict[TokenName, float]] = {
        "gaussian": 0.02,
        "categorical": 0.1,
        "ema-vq": 0.03,
        "fsq": 0.0,
    }

    model: ContrastiveConfig = field(default_factory=ContrastiveConfig)
    steps: int = 900
    warmup_steps: int = 150
    average_decay: float = 0.995
    batch_size: int = 64
    validation_images: int = 2544
    temperature: float = 0.1
    """Tau of NT-Xent (eq. 9)."""
    augmentation: Augmentation = field(default_factory=Augmentation)
    """What is done to a view."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_above_zero("temperature")

    def build(self) -> ContrastiveModel:
        """An untrained contrastive model."""
        return ContrastiveModel(self.model)

    def open(self, device: torch.device) -> "Contrastive":
        """The task with its data loaded."""
        return Contrastive(self, device)


class Contrastive(Task):
    """Batches of pairs of frames."""

    def __init__(self, experiment: ContrastiveExperiment, device: torch.device) -> None:
        self._experiment = experiment
        training = experiment.load("train")
        self._sampler = PairSampler(training, experiment.batch_size, experiment.augmentation, device)
        self.validation = _some_tracks(experiment.load("validation"), experiment.validation_images)

    def loss(self, model: nn.Module, generator: Generator, rate_weight: float) -> Loss:
        """The loss of a batch of augmented pairs."""
        images, prompts = self._sampler.draw(generator)
        projections, code = model(images, prompts, generator)
        weight, temperature = self._experiment.prediction_weight, self._experiment.temperature
        heads = [nt_xent(head.unflatten(0, (-1, len(images))), temperature).mean() for head in projections]
        return total_loss(torch.stack(heads), code, rate_weight=rate_weight, prediction_weight=weight)

    def validate(self, model: OrderedModel) -> Record:
        """NT-Xent of the validation objects at every budget."""
        assert isinstance(model, ContrastiveModel)
        losses = nt_xent_by_budget(model, self.validation, self._experiment.temperature)
        return {f"ntxent_{budget}": loss for budget, loss in zip(model.budgets, losses, strict=True)}


@torch.inference_mode()
def nt_xent_by_budget(model: ContrastiveModel, data: ImageDataset, temperature: float) -> list[float]:
    """NT-Xent of a data set at every whole-level budget of a model, without augmentation [nat].

    A batch is one pair of frames of every object, and there are as many batches as it takes to see all frames of the
    longest track; the result is their mean. It grows with the number of objects, for the others are the negatives.

    Raises
    ------
    InputError : if an object has a single frame.
    """
    table = track_table(data)
    projections = model.project(encode_images(model, data)).cpu()
    lengths = (table >= 0).sum(dim=1)
    rows = torch.arange(len(table))
    losses = []
    for first in range(0, table.shape[1] - 1, 2):
        views = torch.cat([table[rows, frame % lengths] for frame in (first, first + 1)])
        losses.append(nt_xent(projections[:, views], temperature))
    return torch.stack(losses).mean(dim=0).tolist()


def _some_tracks(data: ImageDataset, count: int) -> ImageDataset:
    """About `count` images: whole tracks of objects spread evenly over the data."""
    objects = data.objects.unique()
    wanted = min(len(objects), max(2, round(count * len(objects) / len(data))))
    chosen = objects[torch.linspace(0, len(objects) - 1, wanted).long()]
    return data.select(torch.isin(data.objects, chosen))
