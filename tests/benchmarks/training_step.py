"""A training step as the trainer makes it, on images that lie on the device, eager or compiled."""

from collections.abc import Iterator

import torch
from torch import Generator, Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from prior_lab.data.dataset import centred_prompt
from prior_lab.encoders import Patches
from prior_lab.models import Autoencoder, AutoencoderConfig, ContrastiveConfig, ContrastiveModel
from prior_lab.objectives import Loss, absolute_errors, nt_xent, total_loss
from prior_lab.orderings import LABELS, Draws, OrderingName
from prior_lab.tasks import ContrastiveExperiment, Experiment, ReconstructionExperiment
from prior_lab.tokens import TokenName
from prior_lab.training.loop import make_optimizer

ORDERINGS: tuple[OrderingName, ...] = ("td", "itd", "prior")
TOKENS: tuple[TokenName, ...] = ("gaussian", "categorical", "ema-vq")


class Step:
    """Forward pass, loss, backward pass, clipping and update; a call is one step.

    Parameters
    ----------
    config : of the model; it decides about the task.
    batch : images, or for contrastive models pairs of images.
    precision : float32, or what the forward pass is autocast to.

    Attributes
    ----------
    model, generator : what learns, and what draws for it.
    images : seen in one step.
    loss : forward pass and loss, which is what `compiled` compiles.
    """

    def __init__(
        self,
        config: AutoencoderConfig | ContrastiveConfig,
        device: torch.device,
        *,
        batch: int,
        precision: torch.dtype = torch.float32,
    ) -> None:
        contrastive = isinstance(config, ContrastiveConfig)
        self._experiment: Experiment = (ContrastiveExperiment if contrastive else ReconstructionExperiment)(config)
        self._device, self._precision = device, precision
        self.images = 2 * batch if contrastive else batch
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.model = self._experiment.build().to(device)
        self._optimizer = make_optimizer(self.model, self._experiment)
        self.generator = Generator(device).manual_seed(0)
        side = config.image_size
        shape = (self.images, 3, side, side)
        self._pixels = torch.randint(256, shape, generator=self.generator, dtype=torch.uint8, device=device)
        self._prompts = centred_prompt(side, side).to(device).expand(self.images, -1)
        self.loss = self._contrastive_loss if contrastive else self._reconstruction_loss

    def __call__(self) -> None:
        self.learn(*self.draw())

    def learn(self, seen: Tensor | Patches, draws: Draws) -> None:
        """One step from what `draw`, or a task, has drawn."""
        loss = self.loss(seen, draws)
        self._optimizer.zero_grad()
        loss.total.backward()
        self._optimizer.step()

    def draw(self) -> tuple[Tensor | Patches, Draws]:
        """What the loss is taken of."""
        draws = self.model.ordering.draw(self.images, self.generator)
        if isinstance(self.model, Autoencoder):
            return self._pixels.float() / 255, draws
        assert isinstance(self.model, ContrastiveModel)
        assert isinstance(self._experiment, ContrastiveExperiment)
        views = self._experiment.augmentation(self._pixels, self._prompts, self.generator)
        return self.model.encoder.look(*views, self.generator), draws

    def _reconstruction_loss(self, images: Tensor, draws: Draws) -> Loss:
        with self._autocast():
            reconstructions, code = self.model(images, draws)
        return total_loss(absolute_errors(images, reconstructions), code, **self._weights())

    def _contrastive_loss(self, patches: Patches, draws: Draws) -> Loss:
        assert isinstance(self._experiment, ContrastiveExperiment)
        with self._autocast():
            projections, code = self.model(patches, draws)
        temperature = self._experiment.temperature
        heads = [nt_xent(head.unflatten(0, (-1, self.images)), temperature).mean() for head in projections]
        return total_loss(torch.stack(heads), code, **self._weights())

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self._device.type, self._precision, enabled=self._precision != torch.float32)

    def _weights(self) -> dict[str, float]:
        experiment = self._experiment
        return {"rate_weight": experiment.regulariser_weight, "prediction_weight": experiment.prediction_weight}


def compiled(step: Step) -> Step:
    """The same step with its forward pass and loss, and so its backward pass, compiled; the first call compiles."""
    step.loss = torch.compile(step.loss)
    return step


def flops_of(step: Step) -> int:
    """Floating-point operations of a step, counted from the shapes of its products."""
    counter = FlopCounterMode(display=False)
    with sdpa_kernel(SDPBackend.MATH), counter:  # the counter does not know the fused attention of the CPU
        step()
    return counter.get_total_flops()


def arms() -> Iterator[tuple[OrderingName, TokenName, str]]:
    """Every ordering with every kind of token, and what rows call them."""
    for ordering in ORDERINGS:
        for tokens in TOKENS:
            yield ordering, tokens, f"{LABELS[ordering]} {tokens}"
