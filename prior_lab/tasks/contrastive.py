"""Contrastive learning of objects (section 2.4 of the paper): NT-Xent over pairs of views, one pair an object.

The paper's pairs are two frames of an object. Where an object has a single frame, or on request, a pair is two views of
one frame; then the augmentation alone decides what is learnt to be ignored, and that of `household`, which has tracks,
is too weak: see `docs/guide/own-tracks.md` for that of `fashion`. What was tried is told in `docs/explain/methods.md`.
"""

from dataclasses import dataclass, field
from typing import Annotated, ClassVar

import torch
from torch import Generator, Tensor, nn

from prior_lab.checks import MANY, Count, Positive, Share, Within
from prior_lab.data import ImageDataset
from prior_lab.data.feeding.augmentation import Augmentation, Pairing, PairSampler, paired_views, track_table
from prior_lab.effective_information import encode_images
from prior_lab.encoders import Patches
from prior_lab.models import ContrastiveConfig, ContrastiveModel, OrderedModel
from prior_lab.objectives import Loss, nt_xent, total_loss
from prior_lab.orderings import Draws
from prior_lab.tasks.base import Experiment, Record, Task
from prior_lab.tokens import TokenName


@dataclass(frozen=True)
class ContrastiveExperiment(Experiment):
    """Everything that the training of a contrastive model depends on; the defaults are the bundled models' recipe.

    Examples
    --------
    >>> import prior_lab as pl
    >>> experiment = pl.ContrastiveExperiment(pl.ContrastiveConfig(tokens="ema-vq"), data="emoji", steps=2000)
    >>> experiment.temperature, experiment.regulariser_weight
    (0.1, 0.03)
    """

    task: ClassVar[str] = "contrastive"
    headline: ClassVar[str] = "ntxent"
    regulariser_weights: ClassVar[dict[TokenName, float]] = {
        "gaussian": 0.02,
        "categorical": 0.1,
        "ema-vq": 0.03,
        "fsq": 0.0,
    }

    model: ContrastiveConfig = field(default_factory=ContrastiveConfig)
    steps: Count = 900
    learning_rate: Positive = 1e-2
    warmup_steps: Annotated[int, Within(0, MANY)] = 150
    average_decay: Share = 0.995
    batch_size: Count = 64
    validation_images: Count = 2544
    temperature: Positive = 0.1
    """Tau of NT-Xent (eq. 9)."""
    pairs: Pairing = "auto"
    """What a pair is: two frames of an object (frames), two views of one frame (views), or frames where an object has
    two or more and views where it has one (auto)."""
    augmentation: Augmentation = field(default_factory=Augmentation)
    """What is done to a view."""

    def build(self) -> ContrastiveModel:
        """An untrained contrastive model."""
        return ContrastiveModel(self.model)

    def open(self, device: torch.device) -> "Contrastive":
        """The task with its data loaded."""
        return Contrastive(self, device)

    def validation_pairs(self, data: ImageDataset) -> ImageDataset:
        """What NT-Xent is told of: frames of about `validation_images`, or two views of each, always the same ones."""
        some = _some_tracks(data, self.validation_images)
        several = len(some) > 0 and int(some.objects.unique(return_counts=True)[1].min()) > 1
        if self.pairs == "frames" or (self.pairs == "auto" and several):
            return some
        return paired_views(some, self.augmentation)


class Contrastive(Task[tuple[Patches, Draws]]):
    """Batches of pairs of views."""

    def __init__(self, experiment: ContrastiveExperiment, device: torch.device) -> None:
        self._experiment = experiment
        training = experiment.load("train")
        self._sampler = PairSampler(
            training, experiment.batch_size, experiment.augmentation, device, seed=experiment.seed,
            pairing=experiment.pairs,
        )  # fmt: skip
        self.validation = _some_tracks(experiment.load("validation"), experiment.validation_images)
        self._validated = experiment.validation_pairs(self.validation)

    def draw(self, model: OrderedModel, step: int, generator: Generator) -> tuple[Patches, Draws]:
        """Patches of augmented pairs."""
        assert isinstance(model, ContrastiveModel)
        patches = model.encoder.look(*self._sampler.draw(step, generator), generator)
        return patches, model.ordering.draw(len(patches.offsets), generator)

    def loss(self, model: nn.Module, batch: tuple[Patches, Draws], rate_weight: float | Tensor) -> Loss:
        """NT-Xent of every head, with the other processes' views among the negatives."""
        patches, draws = batch
        projections, code = model(patches, draws)
        weight, temperature = self._experiment.prediction_weight, self._experiment.temperature
        views = [head.unflatten(0, (-1, len(patches.offsets))) for head in projections]
        heads = [nt_xent(head, temperature, joint=True).mean() for head in views]
        return total_loss(torch.stack(heads), code, rate_weight=rate_weight, prediction_weight=weight)

    def validate(self, model: OrderedModel) -> Record:
        """NT-Xent of the validation objects at every budget."""
        assert isinstance(model, ContrastiveModel)
        losses = nt_xent_by_budget(model, self._validated, self._experiment.temperature)
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
        views = torch.stack([table[rows, frame % lengths] for frame in (first, first + 1)], dim=1).flatten()
        losses.append(torch.cat([nt_xent(one[views][None], temperature) for one in projections]))
    return torch.stack(losses).mean(dim=0).tolist()


def _some_tracks(data: ImageDataset, count: int) -> ImageDataset:
    """About `count` images: whole tracks of objects spread evenly over the data."""
    objects = data.objects.unique()
    wanted = min(len(objects), max(2, round(count * len(objects) / len(data))))
    chosen = objects[torch.linspace(0, len(objects) - 1, wanted).long()]
    return data.select(torch.isin(data.objects, chosen))
