"""The one training loop, on Lightning Fabric: device, precision, schedule, validation, checkpoints, progress.

A run is a function of its `Experiment`. Its folder holds the last two checkpoints; calling `train` again on the folder
continues where the run stopped. Ctrl-C finishes the step and writes a checkpoint; a loss that is not finite stops the
run and leaves the last good one.

What was learnt on the way: on a CPU with AVX-512 a step in bfloat16 is about 1.3 times as fast as one in float32 (`make
bench`), but only with the plain attention of `layers.py`, and only where the CPU computes in bfloat16.
"""

import copy
import json
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

import torch
from torch import Generator, Tensor
from tqdm.auto import tqdm

from prior_lab.checkpoints import Record, TrainingState, restore_checkpoint, save_checkpoint
from prior_lab.data import ImageDataset, load_dataset
from prior_lab.effective_information import encode_images, health, warnings
from prior_lab.errors import InputError
from prior_lab.layers import GroupedLinear
from prior_lab.models import Autoencoder, AutoencoderConfig
from prior_lab.objectives import Loss, autoencoding_loss
from prior_lab.optimizers import MuonAdamW
from prior_lab.quality import quality_by_budget

if TYPE_CHECKING:
    from lightning_fabric import Fabric

# Per token kind, found on the validation split of `household` in runs of 300 to 600 steps; the differences within two
# decades were small for each kind.
REGULARISER_WEIGHTS = {"gaussian": 5e-6, "categorical": 1e-3, "ema-vq": 0.03, "fsq": 0.0}


@dataclass(frozen=True)
class Experiment:
    """Everything that a training run depends on; the defaults are the recipe of the bundled models.

    Attributes
    ----------
    model : shape of the model.
    data : name of the data set, as `load_dataset` takes it.
    path : folder of the images, for data sets that are read from one.
    convert : "rgb" lets such a data set convert images that are not RGB.
    steps : optimiser steps.
    batch_size : images per step.
    learning_rate : peak of the schedule; a linear warm-up leads to it, a cosine from it to 2 % of it.
    warmup_steps : length of the warm-up [step].
    weight_decay : on matrices only.
    clip_norm : largest gradient norm.
    average_decay : decay per step of the moving average of the weights, which is what is validated and kept.
    rate_weight : weight of the token regulariser against the mean absolute error; if not given, the one that was found
        good for the token kind.
    rate_warmup : fraction of the steps over which the rate weight grows from zero.
    prediction_weight : weight of the refinement loss (eq. 5); masking orderings have none.
    flip : chance of mirroring a training image left to right.
    seed : of the weights, the batches, the masks and the noise.
    precision : `auto` is bfloat16 where the hardware computes in it, else float32.
    log_every : steps between records.
    validate_every : steps between validations (SSIM and L1 at every budget) and checkpoints.
    validation_images : how many images, evenly spread over the validation split, a validation uses.
    """

    model: AutoencoderConfig
    data: str = "household"
    path: str | None = None
    convert: Literal["rgb"] | None = None
    steps: int = 1200
    batch_size: int = 32
    learning_rate: float = 4e-3
    warmup_steps: int = 200
    weight_decay: float = 0.01
    clip_norm: float = 1.0
    average_decay: float = 0.998
    rate_weight: float | None = None
    rate_warmup: float = 0.3
    prediction_weight: float = 0.02
    flip: float = 0.5
    seed: int = 0
    precision: Literal["auto", "32-true", "bf16-mixed"] = "auto"
    log_every: int = 50
    validate_every: int = 500
    validation_images: int = 256

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "log_every", "validate_every", "validation_images"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}; it must be at least 1.")
        for name in ("learning_rate", "clip_norm"):
            if not getattr(self, name) > 0:
                raise InputError(f"{name} is {getattr(self, name)}; it must be above 0.")
        for name in ("rate_weight", "prediction_weight", "weight_decay", "warmup_steps"):
            if getattr(self, name) is not None and not getattr(self, name) >= 0:
                raise InputError(f"{name} is {getattr(self, name)}; it must not be negative.")
        for name in ("flip", "rate_warmup", "average_decay"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name} is {getattr(self, name)}; it must lie in 0..1.")

    @property
    def regulariser_weight(self) -> float:
        """The rate weight, or what stands in for it."""
        return REGULARISER_WEIGHTS[self.model.tokens] if self.rate_weight is None else self.rate_weight

    def to_json(self) -> str:
        """The experiment as JSON, as checkpoints and results hold it."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The experiment that `to_json` wrote; settings that are younger than the text have their defaults."""
        try:
            values = json.loads(text)
            return cls(**{**values, "model": AutoencoderConfig(**values["model"])})
        except (TypeError, KeyError, json.JSONDecodeError) as error:
            raise InputError(f"This is not the JSON of an experiment: {error}.") from error


@dataclass(frozen=True, eq=False)
class Trained:
    """What a finished training run leaves.

    Attributes
    ----------
    model : the moving average of the weights, in evaluation mode on the CPU.
    history : one record per `log_every` steps, with validation where there was one.
    """

    model: Autoencoder
    history: list[Record]


class NotFiniteError(RuntimeError):
    """Training was stopped because the loss became NaN or infinite."""


def train(
    experiment: Experiment,
    folder: str | Path,
    *,
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto",
    monitor: Callable[[list[Record]], None] | None = None,
    progress: bool = True,
) -> Trained:
    """Train a model, or continue a run that stopped.

    Parameters
    ----------
    folder : where the run's checkpoints lie; made where it is missing.
    monitor : called with the history after every record, for instance a `prior_lab.LossPlot()`.
    progress : show a bar with the loss, images per second and the time left, in a terminal or a notebook, and a
        sentence at every validation about each level of tokens that has collapsed.

    Raises
    ------
    InputError : if the data do not fit the model, or the folder holds another run.
    NotFiniteError : if the loss becomes NaN or infinite; the last good checkpoint is kept.
    KeyboardInterrupt : after Ctrl-C, once the step is finished and a checkpoint is written.
    """
    folder = Path(folder)
    training = load_images(experiment, "train")
    validation = load_images(experiment, "validation")
    fabric = _fabric(experiment, device)
    state = _start(experiment, fabric.device)
    restore_checkpoint(state, experiment.to_json(), folder)
    model, state.optimizer = fabric.setup(state.model, state.optimizer)
    images = training.images.to(fabric.device)
    first, before = state.step, state.history[-1]["seconds"] if state.history else 0.0
    finite = torch.ones((), dtype=torch.bool, device=fabric.device)
    bar = tqdm(total=experiment.steps, initial=first, unit="step", disable=not progress)
    with _postponed_interrupt() as interrupted, bar:
        clock = time.perf_counter()
        while state.step < experiment.steps:
            loss = _step(fabric, model, state, _batch(images, experiment, state.generator), experiment)
            finite &= torch.isfinite(loss.total.detach())
            state.step += 1
            bar.update()
            validating = state.step % experiment.validate_every == 0 or state.step == experiment.steps
            stopping = interrupted.is_set()
            if not (validating or stopping or state.step % experiment.log_every == 0):
                continue
            if validating or stopping:  # what a checkpoint would hold: the step after the last loss counts too
                finite &= torch.stack([parameter.isfinite().all() for parameter in state.model.parameters()]).all()
            if not finite:
                raise NotFiniteError(
                    f"The loss became NaN or infinite before step {state.step}; the last good checkpoint is kept in "
                    f"{folder}. A lower learning_rate (now {experiment.learning_rate:g}) usually helps."
                )
            seconds = time.perf_counter() - clock
            speed = (state.step - first) * experiment.batch_size / seconds
            record = _record(state.step, loss) | {"seconds": before + seconds, "images_per_second": speed}
            if validating:
                measured, worries = _validate(state.average, validation, experiment)
                record |= measured
                for worry in worries if progress else ():
                    bar.write(f"step {state.step}: {worry}")
            state.history.append(record)
            bar.set_postfix_str(f"loss {record['loss']:.4f}, {speed:.0f} images/s")
            if monitor is not None:
                monitor(state.history)
            if validating or stopping:
                save_checkpoint(state, experiment.to_json(), folder)
            if stopping:
                raise KeyboardInterrupt(f"stopped after step {state.step}; train again with {folder} to go on")
    return Trained(state.average.cpu().eval(), state.history)


def load_images(experiment: Experiment, split: str) -> ImageDataset:
    """A split of an experiment's data, at the size its model reads.

    Raises
    ------
    InputError : if the data cannot be read, or not at that size.
    """
    size = experiment.model.image_size
    return load_dataset(experiment.data, split, path=experiment.path, size=size, convert=experiment.convert)


def _fabric(experiment: Experiment, device: str) -> "Fabric":
    from lightning_fabric import Fabric  # two seconds of import that only training needs

    if device == "cuda" and not torch.cuda.is_available():
        raise InputError("There is no CUDA device here; choose device='cpu' or 'auto'.")
    if device == "mps" and not torch.backends.mps.is_available():
        raise InputError("There is no MPS device here; choose device='cpu' or 'auto'.")
    accelerator = device if device != "auto" else "cuda" if torch.cuda.is_available() else "cpu"
    fabric = Fabric(accelerator=accelerator, devices=1, precision=_precision(experiment.precision, accelerator))
    fabric.launch()
    return fabric


def _precision(wanted: str, accelerator: str) -> Literal["32-true", "bf16-mixed"]:
    if wanted != "auto":
        return "bf16-mixed" if wanted == "bf16-mixed" else "32-true"
    match accelerator:
        case "cuda":
            fast = torch.cuda.is_bf16_supported()
        case "cpu":
            fast = "avx512_bf16" in _cpu_flags() or "amx_bf16" in _cpu_flags()
        case _:
            fast = False
    return "bf16-mixed" if fast else "32-true"


def _cpu_flags() -> str:
    info = Path("/proc/cpuinfo")
    return info.read_text() if info.exists() else ""


def _start(experiment: Experiment, device: torch.device) -> TrainingState:
    """A fresh state, the same for the same seed on every device."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(experiment.seed)
        model = Autoencoder(experiment.model)
    model.to(device)
    matrices = [layer.weight for layer in model.modules() if isinstance(layer, GroupedLinear)]
    chosen = {id(parameter) for parameter in matrices}
    others = [parameter for parameter in model.parameters() if id(parameter) not in chosen]
    optimizer = MuonAdamW(matrices, others, lr=experiment.learning_rate, weight_decay=experiment.weight_decay)
    generator = Generator(device).manual_seed(experiment.seed)
    average = copy.deepcopy(model).requires_grad_(False).eval()  # validating it must not move its codebooks
    return TrainingState(model, average, optimizer, generator, step=0, history=[])


def _batch(images: Tensor, experiment: Experiment, generator: Generator) -> Tensor:
    """Images drawn with replacement, some mirrored, as floats in [0, 1]."""
    chosen = torch.randint(len(images), (experiment.batch_size,), generator=generator, device=images.device)
    batch = images[chosen].float() / 255
    mirrored = torch.rand(experiment.batch_size, generator=generator, device=images.device) < experiment.flip
    return torch.where(mirrored[:, None, None, None], batch.flip(-1), batch)


def _step(
    fabric: "Fabric", model: torch.nn.Module, state: TrainingState, batch: Tensor, experiment: Experiment
) -> Loss:
    """One optimiser step; the loss is left on the device."""
    done = state.step / experiment.steps
    warm = min(1.0, (state.step + 1) / max(1, experiment.warmup_steps))
    for group in state.optimizer.param_groups:
        group["lr"] = experiment.learning_rate * warm * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * done)))
    rate_warm = min(1.0, done / experiment.rate_warmup) if experiment.rate_warmup else 1.0
    reconstructions, code = model(batch, state.generator)
    loss = autoencoding_loss(
        batch,
        reconstructions,
        code,
        rate_weight=experiment.regulariser_weight * rate_warm,
        prediction_weight=experiment.prediction_weight,
    )
    state.optimizer.zero_grad()
    fabric.backward(loss.total)
    torch.nn.utils.clip_grad_norm_(state.model.parameters(), experiment.clip_norm)
    state.optimizer.step()
    decay = min(experiment.average_decay, (state.step + 1) / (state.step + 10))
    with torch.no_grad():
        torch._foreach_lerp_(list(state.average.parameters()), list(state.model.parameters()), 1 - decay)
        for kept, buffer in zip(state.average.buffers(), state.model.buffers(), strict=True):
            kept.copy_(buffer)  # codebooks are moving averages already
    return loss


def _record(step: int, loss: Loss) -> Record:
    return {
        "step": step,
        "loss": loss.total.item(),
        "reconstruction": loss.reconstruction.item(),
        "rate": loss.rate.item(),
        "prediction": loss.prediction.item(),
    }


def _validate(model: Autoencoder, data: ImageDataset, experiment: Experiment) -> tuple[Record, list[str]]:
    """Mean SSIM and L1 at every budget, as `ssim_15` and the like, and the health of the tokens.

    That is, for each level, their `information_3` [nat] and the share `used_3` of states or channels in use; and
    sentences about what has collapsed.
    """
    count = min(experiment.validation_images, len(data.images))
    chosen = torch.linspace(0, len(data.images) - 1, count).long()
    means = quality_by_budget(model, data.images[chosen]).mean("image")
    record: Record = {
        f"{metric.lower()}_{budget}": float(means.sel(metric=metric, budget=budget))
        for metric in ("SSIM", "L1")
        for budget in model.budgets
    }
    state = health(encode_images(model, data.images[chosen]))
    for level, tokens in state.groupby("level"):
        record[f"information_{level}"] = float(tokens.information.sum())
        record[f"used_{level}"] = float(tokens.used.mean())
    return record, warnings(state)


@contextmanager
def _postponed_interrupt() -> Iterator[threading.Event]:
    """Ctrl-C sets the event instead of raising at once; elsewhere than in the main thread nothing is changed."""
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event
        return
    before = signal.signal(signal.SIGINT, lambda *_: event.set())
    try:
        yield event
    finally:
        signal.signal(signal.SIGINT, before)
