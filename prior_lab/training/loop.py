"""The one training loop, on Lightning Fabric: device, precision, schedule, validation, checkpoints, progress.

A run is a function of its `Experiment`. Its folder holds the last two checkpoints; calling `train` again on the folder
continues where the run stopped. Ctrl-C finishes the step and writes a checkpoint; a loss that is not finite stops the
run and leaves the last good one.

What a profile shows (PRIOR's laptop preset on two CPU cores): matrix products take 36 % of a step, attention 11 %,
the optimiser 15 %; the rest is elementwise and copies, which compiling fuses. Batches are drawn before a step and
metrics are read every `log_every` steps, so nothing in a step of the autoencoder waits for the device; in the
contrastive step the number of patches of each side does. On a GPU launching a step's one to two thousand small kernels
takes longer than running them, so there everything from the loss to the new parameters is one CUDA graph.

On a CPU with AVX-512 a step in bfloat16 is about 1.3 times as fast as one in float32 (`make
bench`), but only with the plain attention of `layers.py`, and only where the CPU computes in bfloat16.
"""

import copy
import math
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import torch
import tqdm.auto
import tqdm.std
from jaxtyping import Bool
from torch import Generator, Tensor

from prior_lab.checks import Count, entry_point
from prior_lab.effective_information import encode_images, health, warnings
from prior_lab.errors import InputError
from prior_lab.files import as_path, held
from prior_lab.layers import GroupedLinear, recompute
from prior_lab.models import OrderedModel
from prior_lab.objectives import Loss
from prior_lab.processes import process_count, summed
from prior_lab.tasks import Experiment, Record, Task
from prior_lab.training.checkpoints import TrainingState, restore_checkpoint, save_checkpoint
from prior_lab.training.graphs import GraphedStep
from prior_lab.training.hardware import DeviceName, make_fabric
from prior_lab.training.optimizers import MuonAdamW

if TYPE_CHECKING:
    from lightning_fabric import Fabric


T = TypeVar("T")
COMPILERS = ("g++", "clang++", "c++")


@dataclass(frozen=True, eq=False)
class Trained:
    """What a finished training run leaves.

    Attributes
    ----------
    model : the moving average of the weights, in evaluation mode on the CPU.
    history : one record per `log_every` steps, with validation where there was one.
    """

    model: OrderedModel
    history: list[Record]


class NotFiniteError(RuntimeError):
    """Training was stopped because the loss became NaN or infinite."""


@entry_point
def train(
    experiment: Experiment,
    folder: str | Path,
    *,
    device: DeviceName = "auto",
    devices: Count = 1,
    compiled: bool = False,
    recomputing: bool = False,
    graphs: bool = True,
    monitor: Callable[[list[Record]], None] | None = None,
    progress: bool = True,
) -> Trained:
    """Train a model, or continue a run that stopped.

    Parameters
    ----------
    folder : where the run's checkpoints lie; made where it is missing.
    devices : processes that share every batch, each with a device of its own; the result is that of one process.
        Under torchrun or Slurm the processes are those that they have started.
    compiled : compile the model (`torch.compile`): a minute at the start, then faster steps.
    recomputing : keep few activations and compute the others again in the backward pass, for larger batches.
    graphs : on one CUDA device, record the step as a CUDA graph and replay it, which changes nothing but rounding; a
        model that is compiled or recomputes is not recorded.
    monitor : called with the history after every record, for instance a `prior_lab.LossPlot()`; in the first process.
    progress : show a bar with the loss, images per second and the time left, in a terminal or a notebook, and a
        sentence at every validation about each level of tokens that has collapsed.

    Raises
    ------
    InputError : if the data do not fit the model, the folder holds another run, another process trains there, the
        devices are not there, or a checkpoint cannot be written.
    NotFiniteError : if the loss becomes NaN or infinite; the last good checkpoint is kept.
    KeyboardInterrupt : after Ctrl-C, once the step is finished and a checkpoint is written.

    Examples
    --------
    Two steps of a very small model; the same call again reads the finished run:

    >>> import tempfile
    >>> import prior_lab as pl
    >>> small = {"encoder_depth": 1, "decoder_depth": 1, "predictor_depth": 1, "width": 32, "decoder_width": 32}
    >>> config = pl.AutoencoderConfig(levels=3, image_size=16, patch=4, coarsest_side=4, **small)
    >>> experiment = pl.ReconstructionExperiment(config, steps=2, batch_size=4, validation_images=16)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     trained = pl.train(experiment, folder, progress=False)
    >>> trained.history[-1]["step"], sorted(name for name in trained.history[-1] if name.startswith("ssim"))
    (2, ['ssim_1', 'ssim_3', 'ssim_7'])
    >>> trained.model.encode(pl.load_dataset("household", split="test", size=16).images[:2])
    Code(2 images, 7 Gaussian tokens of 32 channels)
    """
    folder = as_path(folder, "a run's folder")
    fabric = make_fabric(device, devices, experiment.precision)
    if compiled and fabric.device.type == "cpu" and not any(map(shutil.which, COMPILERS)):
        raise InputError(
            "Compiling for a CPU needs a C++ compiler such as g++; install one, or train without compiled."
        )
    if experiment.batch_size % fabric.world_size:
        raise InputError(
            f"A batch of {experiment.batch_size} cannot be shared by {fabric.world_size} processes alike; choose a "
            "batch_size that is a multiple."
        )
    if monitor is not None and devices > 1 and fabric.strategy.launcher is not None:
        raise InputError("A monitor cannot see what other processes do; leave it out, or train on one device.")
    with held(folder) if fabric.is_global_zero else nullcontext():
        options = {"progress": progress, "compiled": compiled, "recomputing": recomputing, "graphs": graphs}
        outcome = fabric.launch(_outcome, experiment, folder, monitor, **options)
        if isinstance(outcome, BaseException):
            raise outcome
        state = _start(experiment, torch.device("cpu"))
        restore_checkpoint(state, experiment.to_json(), folder)
    return Trained(state.average.eval(), state.history)


def _outcome(fabric: "Fabric", *arguments: Any, **options: Any) -> BaseException | None:
    """What became of a run; a process that was started for it can hand back no more than that."""
    try:
        _train(fabric, *arguments, **options)
    except (InputError, NotFiniteError, KeyboardInterrupt) as error:
        return error
    return None


def _train(
    fabric: "Fabric",
    experiment: Experiment,
    folder: Path,
    monitor: Callable[[list[Record]], None] | None,
    *,
    progress: bool,
    compiled: bool,
    recomputing: bool,
    graphs: bool,
) -> None:
    task = experiment.open(fabric.device)
    state = _start(experiment, fabric.device)
    restore_checkpoint(state, experiment.to_json(), folder)
    if recomputing:
        recompute(state.model)
    if compiled:
        state.model.compile()
    recorded = graphs and not (compiled or recomputing) and fabric.device.type == "cuda" and fabric.world_size == 1
    if recorded:
        state.optimizer.keep_on(fabric.device)
    model, state.optimizer = fabric.setup(state.model, state.optimizer)
    update = partial(_update, fabric, model, state, task)
    take = GraphedStep(update, fabric.device) if recorded else update
    progress = progress and fabric.is_global_zero
    bars = tqdm.std.tqdm if fabric.world_size > 1 else tqdm.auto.tqdm  # a notebook's bar lives in its own process
    first, before = state.step, state.history[-1]["seconds"] if state.history else 0.0
    finite = torch.ones((), dtype=torch.bool, device=fabric.device)
    bar = bars(total=experiment.steps, initial=first, unit="step", disable=not progress)
    with postponed_interrupt() as interrupted, bar:
        clock = time.perf_counter()
        while state.step < experiment.steps:
            loss = _step(take, state, task, experiment)
            finite &= torch.isfinite(loss.total.detach())
            state.step += 1
            bar.update()
            validating = state.step % experiment.validate_every == 0 or state.step == experiment.steps
            recording = validating or state.step % experiment.log_every == 0
            stopping = interrupted.is_set()
            if fabric.world_size > 1 and recording:  # all stop, or none
                stopping = _any(torch.tensor(stopping, device=fabric.device))
            elif fabric.world_size > 1:
                stopping = False
            if not (recording or stopping):
                continue
            if validating or stopping:  # what a checkpoint would hold: the step after the last loss counts too
                finite &= torch.stack([parameter.isfinite().all() for parameter in state.model.parameters()]).all()
            if _any(~finite):
                raise NotFiniteError(
                    f"The loss became NaN or infinite before step {state.step}; the last good checkpoint is kept in "
                    f"{folder}. A lower learning_rate (now {experiment.learning_rate:g}) usually helps."
                )
            seconds = time.perf_counter() - clock
            speed = (state.step - first) * experiment.batch_size / seconds
            record = _record(state.step, loss) | {"seconds": before + seconds, "images_per_second": speed}
            if validating:
                measured, worries = _in_first(fabric, partial(_validate, state.average, task))
                record |= measured
                for worry in worries if progress else ():
                    bar.write(f"step {state.step}: {worry}")
            state.history.append(record)
            bar.set_postfix_str(f"loss {record['loss']:.4f}, {speed:.0f} images/s")
            if monitor is not None and fabric.is_global_zero:
                monitor(state.history)
            if validating or stopping:
                _in_first(fabric, partial(save_checkpoint, state, experiment.to_json(), folder))
            if stopping:
                raise KeyboardInterrupt(f"stopped after step {state.step}; train again with {folder} to go on")


def _any(flag: Bool[Tensor, ""]) -> bool:
    """Whether the flag is up in any process."""
    return summed(flag.float()).item() > 0


def _in_first(fabric: "Fabric", action: Callable[[], T]) -> T:
    """What the first process finds or does; every process has the result, or the sentence that went wrong."""
    outcome: T | InputError | None = None
    if fabric.is_global_zero:
        try:
            outcome = action()
        except InputError as error:
            outcome = error
    outcome = fabric.broadcast(outcome)
    if isinstance(outcome, InputError):
        raise outcome
    return cast(T, outcome)


def _start(experiment: Experiment, device: torch.device) -> TrainingState:
    """A fresh state, the same for the same seed on every device."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(experiment.seed)
        model = experiment.build()
    model.to(device)
    optimizer = make_optimizer(model, experiment)
    generator = Generator(device).manual_seed(experiment.seed)
    average = copy.deepcopy(model).requires_grad_(False).eval()  # validating it must not move its codebooks
    return TrainingState(model, average, optimizer, generator, step=0, history=[])


def make_optimizer(model: torch.nn.Module, experiment: Experiment) -> MuonAdamW:
    """What moves the parameters of a model: Muon those of its linear maps, AdamW the rest."""
    matrices = [layer.weight for layer in model.modules() if isinstance(layer, GroupedLinear)]
    chosen = {id(parameter) for parameter in matrices}
    others = [parameter for parameter in model.parameters() if id(parameter) not in chosen]
    return MuonAdamW(
        matrices,
        others,
        lr=experiment.learning_rate,
        weight_decay=experiment.weight_decay,
        clip_norm=experiment.clip_norm,
    )


def _step(take: Callable[[Any, float], Loss], state: TrainingState, task: Task[Any], experiment: Experiment) -> Loss:
    """One optimiser step; the loss is left on the device."""
    done = state.step / experiment.steps
    state.optimizer.set_rate(scheduled_rate(experiment, state.step))
    rate_warm = min(1.0, done / experiment.rate_warmup) if experiment.rate_warmup else 1.0
    batch = task.draw(state.model, state.step, state.generator)
    loss = take(batch, experiment.regulariser_weight * rate_warm)
    follow(state.average, state.model, experiment.average_decay, state.step)
    return loss


def _update(
    fabric: "Fabric",
    model: torch.nn.Module,
    state: TrainingState,
    task: Task[Any],
    batch: Any,
    rate_weight: float | Tensor,
) -> Loss:
    """From a batch to the new parameters."""
    loss = task.loss(model, batch, rate_weight)
    state.optimizer.zero_grad()
    fabric.backward(loss.total)
    state.optimizer.step()
    return loss


def scheduled_rate(experiment: Experiment, step: int) -> float:
    """The learning rate of a step: a linear warm-up, and a cosine to 2 % of the peak."""
    warm = min(1.0, (step + 1) / max(1, experiment.warmup_steps))
    return experiment.learning_rate * warm * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * step / experiment.steps)))


@torch.no_grad()
def follow(average: torch.nn.Module, model: torch.nn.Module, decay: float, step: int) -> None:
    """Move the average of a model's weights after a step; at first it follows faster."""
    weight = 1 - min(decay, (step + 1) / (step + 10))
    torch._foreach_lerp_(list(average.parameters()), list(model.parameters()), weight)
    for kept, buffer in zip(average.buffers(), model.buffers(), strict=True):
        kept.copy_(buffer)  # codebooks are moving averages already


def _record(step: int, loss: Loss) -> Record:
    """The terms of the loss, their mean over the processes."""
    terms = torch.stack([loss.total, loss.objective, loss.rate, loss.prediction]).detach()
    names = ("loss", "objective", "rate", "prediction")
    return {"step": step} | dict(zip(names, (summed(terms) / process_count()).tolist(), strict=True))


def _validate(model: OrderedModel, task: Task[Any]) -> tuple[Record, list[str]]:
    """What the task measures, and the health of the tokens.

    That is, for each level, their `information_3` [nat] and the share `used_3` of states or channels in use; and
    sentences about what has collapsed.
    """
    record = task.validate(model)
    state = health(encode_images(model, task.validation))
    for level, tokens in state.groupby("level"):
        record[f"information_{level}"] = float(tokens.information.sum())
        record[f"used_{level}"] = float(tokens.used.mean())
    return record, warnings(state)


@contextmanager
def postponed_interrupt() -> Iterator[threading.Event]:
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
