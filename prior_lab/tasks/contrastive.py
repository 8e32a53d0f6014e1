"""Contrastive learning of objects (section 2.4 of the paper): NT-Xent over pairs of views, one pair an object.

The paper's pairs are two frames of an object. Where an object has a single frame, or on request, a pair is two views of
one frame; then the augmentation alone decides what is learnt to be ignored, and that of `household`, which has tracks,
is too weak: see `README.md` for that of `fashion`.

What short runs on `fashion` have shown, on its validation split of 2,000 images. Pairs of numbers are accuracies of the
class: of linear probes of the whole code, trained on 2,500 images, and of 20 nearest neighbours; pixels have 0.825 and
0.764.

- At first a wide code counts for more than training: untrained encoders have 0.750, 0.602 with width 32 and 63 tokens
  of 32 channels, 0.802, 0.705 with width 64 and 64 channels, and no more with a width of 128 or 256.
- Where a patch lies is what FLIP's encoder is slow to learn. Trained on the labels (gentle views, 200 steps of 128,
  width 64) it classifies 0.617 of the test images correctly, and 0.719 with `places="embedding"`, whose untrained codes
  have 0.816, 0.722 (31 tokens). Query and key maps that start equal give 0.609, with residual scales of 1 as well
  0.555, where 0.636 was to be beaten (width 32, 250 steps).
- Learning rate (PRIOR, Gaussian tokens, width 32, 400 steps): 1e-2 gives 0.756, 0.662 and 3e-2 0.763, 0.695; with
  gentler views (crop 0.3 instead of 0.5, turns of 5 instead of 20 degrees) and a rate weight of 0.001 instead of 0.02
  it is 0.777, 0.714.
- A few hundred steps do not raise the probe, only the neighbours: width 64 and 31 tokens have 0.787, 0.736 after 300
  steps (untrained 0.788, 0.652), and with places 0.810, 0.734 (MBOP-TD).
- With places and 63 tokens MBOP-TD has 0.818, 0.745 after 600 of 1,500 steps and 0.832, 0.772 at the end, PRIOR 0.810,
  0.732 after 300 of 1,200. With probes trained on 5,000 images (pixels 0.828, 0.785) PRIOR has 0.841, 0.790 and MBOP-TD
  0.837, 0.794 after 1,500 steps, with EMA-VQ tokens 0.803, 0.785 and 0.764, 0.751. On test, one seed, MBOP-TD with
  Gaussian tokens is ahead of the pixels' 0.829 by 0.009 (0.002 to 0.016); both EMA-VQ codes are behind, PRIOR's by
  0.038 and MBOP-TD's by 0.059.
- 1,500 steps are few: trained on the labels for as long, with the same views, the encoder has 0.806 on test where a
  linear map reads its mean token and 0.808 where it reads all, and its validation still rises.

The same with probes trained on 5,000 images (pixels 0.828, 0.785), EMA-VQ tokens and places unless said otherwise:

- What patches cover counts most. 24 patches of 8 and 4 pixels see about half of a picture: trained on the labels for
  400 steps the encoder has 0.792 (the mean of both label levels), with 40 patches at twice the density 0.829, with 32
  patches of 8 pixels 0.849, with 48 of them 0.862, with 16 patches of 16 pixels 0.879 in the time of the first.
- Views that are too alike are told apart by what has nothing to do with the class. With crops of 0.3 and no occlusion
  PRIOR has 0.789, 0.773 after 500 steps (63 tokens of 64 channels), and after 1,500 (of 32) 0.760, 0.752, while NT-Xent
  falls to half. After 600 steps with 31 tokens such views give 0.765, 0.766; crops of 0.5, occlusion of 0.2, brightness
  and contrast of 0.6 and a blur of 1 give 0.784, 0.780; 0.7 and 0.3 instead, and more turns and shifts, 0.779, 0.778;
  colours and blur alone (0.9, 0.9, 2) 0.766, 0.753.
- Temperatures of 0.2 and 0.1 give 0.773 and 0.789 after 500 steps, 0.05 and 0.2 both 0.780 (32 channels). Twice the
  learning rate: 0.776. 127 tokens instead of 63: 0.790.
- Between the two, crops of 0.6 and occlusion of 0.25 (the recipe of the README), after 2,500 steps: 63 tokens have
  0.805, 0.814, and read as PRIOR's levels 0.829, 0.807; 127 tokens 0.828, 0.832, as levels 0.830, 0.815. With Gaussian
  tokens PRIOR has 0.855, 0.828 and MBOP-TD 0.846, 0.815; PRIOR's untrained one 0.835, 0.759
  (63 tokens 0.810, 0.739), so of the lead over the pixels a quarter is there before the first step.
- Longer is better where views differ enough: after 5,000 steps PRIOR has 0.830, 0.834, and read as levels 0.840, 0.831.
  A deeper encoder (3 layers) has 0.832, 0.818 and 0.835, 0.828 after 2,500.
- On a GPU, 3 layers, 4,000 steps of 128 pairs and the weights that `fashion-contrastive-...` of `list_searches` found:
  MBOP-TD 0.859, 0.832 with Gaussian, 0.791, 0.793 with EMA-VQ and 0.690, 0.652 with Categorical tokens, MBOP-ITD 0.848,
  0.827 and 0.788, 0.788 and 0.750, 0.719. Batches of 256, 2 layers and a width of 96 bring MBOP-TD with EMA-VQ to
  0.808, 0.797 after 1,500 steps. At these rate weights Gaussian codes spend 50,000 bit, more than the picture has.
- On a CPU neither bfloat16 nor compiling makes these small models faster.

What short runs of PRIOR with Gaussian tokens on `emoji` have shown, 300 steps of 64 pairs with `places="embedding"`, on
the validation concepts (recall at 1 and at 5 across seen artists with 127 tokens; pixels have 0.248 and 0.403; on test
untrained codes have 0.099 and 0.233, pixels 0.211 and 0.346):

- Views as of `household` but for a colour jitter of 0.3, crops of 0.3 and some occlusion: 0.224 and 0.510. Stronger
  (0.6, crops of 0.5, a fifth of the views grey): 0.158 and 0.394. Gentler (0.1, crops of 0.1, turns of 10 degrees):
  0.247 and 0.551, which is the recipe.
- Batches of 128 pairs with twice the learning rate: 0.246 and 0.559, for twice the time.
- Patches of 4 pixels as well (32 instead of 24 patches): 0.229 and 0.521.

What short runs of PRIOR on `household` have shown, on the validation split at full budget (accuracies are those of 20
nearest neighbours, coarse and class; pixels give 0.38 and 0.21):

- Colour: 400 steps with jitter of 0.2 give 0.40 and 0.20; 0.4 with some hue and grey 0.35 and 0.19; 0.8 with any hue
  and half of the views grey 0.29 and 0.12, for the shapes then left to learn take far more steps. After 700 steps
  NT-Xent is 1.43 with jitter of 0.2 and 1.37 without, as FLIP has it.
- Learning rate: with 1e-2 350 steps give NT-Xent 1.57 and 0.42 and 0.22; with 4e-3 700 steps give 1.37 and 0.42 and
  0.23. After 900 steps that lead is gone with Gaussian tokens (1.32, and 1.28 with 4e-3).
- Batches of 32 pairs, after 2,000 of 3,000 steps: NT-Xent 1.39; of 64 pairs, after 1,000 of 1,500: 1.29.
- Residual scales that start at 0.7 instead of FLIP's 0.1 learn worse (0.37 and 0.17 against 0.37 and 0.20).
- Gaussian tokens, learning rate 4e-3: weights of 0.005 (700 steps), 0.02 (900) and 0.05 (1,500) leave 5,000, 960 and
  120 nats at full budget.
- Categorical tokens, 350 steps of 4e-3: a weight of 0.01 with batch entropy 1 leaves a third of the last level's
  categories in use and NT-Xent at 2.26; 0.1 with batch entropy 3 two thirds and 2.10.
- Nothing is overfit: after 900 steps of 4e-3 NT-Xent of as many training objects is 1.09 where that of validation is
  1.28. A run of 1,500 steps (4e-3, jitter of 0.2, weight 0.05) came to 1.21.
- Longer is not better for classes: with 3,600 steps of 1e-2 and Gaussian tokens NT-Xent is 1.07, but linear probes get
  0.237 of the classes where 900 steps give 0.253 (on test both 0.191).
- Nor are wider crops: 900 steps with a shift and a scale of 0.3 give 0.240 (NT-Xent 1.38 where it is 1.32), with
  0.5, 0.4 and turns of 40 degrees 0.223 (1.55).
- What the labels themselves bring: this encoder, its mean token, a linear map for each label level, 1,500 steps of 128
  augmented frames with cross-entropy, the step chosen on validation, once: 0.393, 0.300, 0.222 and 0.205 on test
  (coarse, mid, fine, class). That is no more than the best codes learned without labels have (0.205 of the classes),
  which points to four training objects a class (the median) as the limit, not to how the codes were trained.
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
