"""Image reconstruction (section 2.5 of the paper): mean absolute error, validated by SSIM and L1 at every budget."""

from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar

import torch
from jaxtyping import Int64
from torch import Generator, Tensor, nn

from prior_lab.checks import Share
from prior_lab.data.feeding.batches import Batches
from prior_lab.data.feeding.epochs import batch_indices
from prior_lab.models import Autoencoder, AutoencoderConfig, OrderedModel
from prior_lab.objectives import Loss, absolute_errors, total_loss
from prior_lab.orderings import Draws
from prior_lab.processes import own_rows, process_count, process_rank
from prior_lab.quality import quality_by_budget
from prior_lab.tasks.base import Experiment, Record, Task
from prior_lab.tokens import TokenName


@dataclass(frozen=True)
class ReconstructionExperiment(Experiment):
    """Everything that the training of an autoencoder depends on; the defaults are the recipe of the bundled models.

    Examples
    --------
    >>> import prior_lab as pl
    >>> experiment = pl.ReconstructionExperiment(pl.AutoencoderConfig(ordering="td"), steps=2000, seed=1)
    >>> experiment.learning_rate, experiment.regulariser_weight
    (0.004, 5e-06)
    >>> experiment.build().budgets
    (1, 3, 7, 15, 31, 63, 127)
    """

    task: ClassVar[str] = "reconstruction"
    headline: ClassVar[str] = "ssim"
    # Found on the validation split of `household` in runs of 300 to 600 steps; the differences within two decades were
    # small for each kind.
    regulariser_weights: ClassVar[dict[TokenName, float]] = {
        "gaussian": 5e-6,
        "categorical": 1e-3,
        "ema-vq": 0.03,
        "fsq": 0.0,
    }

    model: AutoencoderConfig = field(default_factory=AutoencoderConfig)
    flip: Share = 0.5
    """Chance of mirroring a training image left to right."""

    def build(self) -> Autoencoder:
        """An untrained autoencoder."""
        return Autoencoder(self.model)

    def open(self, device: torch.device) -> "Reconstruction":
        """The task with its data loaded."""
        return Reconstruction(self, device)


class Reconstruction(Task[tuple[Tensor, Draws]]):
    """Batches of images, some mirrored."""

    def __init__(self, experiment: ReconstructionExperiment, device: torch.device) -> None:
        self._experiment = experiment
        images = experiment.load("train").images
        self._images = Batches(images, partial(self._choose, len(images)), device)
        self.validation = experiment.load_validation()

    def draw(self, model: OrderedModel, step: int, generator: Generator) -> tuple[Tensor, Draws]:
        """Images, every one once an epoch."""
        count = self._experiment.batch_size
        mirrored = own_rows(torch.rand(count, generator=generator, device=generator.device)) < self._experiment.flip
        batch = self._images.get(step).float() / 255
        batch = torch.where(mirrored[:, None, None, None], batch.flip(-1), batch)
        return batch, model.ordering.draw(len(batch), generator)

    def _choose(self, count: int, step: int) -> Int64[Tensor, "image"]:
        size, seed = self._experiment.batch_size, self._experiment.seed
        return batch_indices(count, size, seed, step, rank=process_rank(), ranks=process_count())

    def loss(self, model: nn.Module, batch: tuple[Tensor, Draws], rate_weight: float | Tensor) -> Loss:
        """Mean absolute error at every head."""
        images, draws = batch
        reconstructions, code = model(images, draws)
        prediction_weight = self._experiment.prediction_weight
        errors = absolute_errors(images, reconstructions)
        return total_loss(errors, code, rate_weight=rate_weight, prediction_weight=prediction_weight)

    def validate(self, model: OrderedModel) -> Record:
        """Mean SSIM and L1 at every budget."""
        assert isinstance(model, Autoencoder)
        means = quality_by_budget(model, self.validation.images).mean("image")
        return {
            f"{metric.lower()}_{budget}": float(means.sel(metric=metric, budget=budget))
            for metric in ("SSIM", "L1")
            for budget in model.budgets
        }
