"""Images read from disk while training, against images that lie on the device."""

import tempfile
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import torch
from timing import Row, at_least, compare
from torch import Generator
from training_step import Step

from prior_lab.data import pack_dataset
from prior_lab.models import AutoencoderConfig
from prior_lab.tasks import ReconstructionExperiment

BATCH, BATCHES = 32, 50


def reading(device: torch.device) -> Iterator[Row]:
    """Drawing batches alone, and the steps of MBOP-TD (the fastest, so the hungriest) that learn from them."""
    with tempfile.TemporaryDirectory() as folder:
        packed = Path(folder) / "packed"
        pack_dataset("household", packed, splits=("train", "validation"))
        config = AutoencoderConfig.preset("laptop", ordering="td")
        disk, memory = (
            ReconstructionExperiment(config, data=data, path=path, batch_size=BATCH)
            for data, path in (("packed", str(packed)), ("household", None))
        )
        drawn = [_draws(experiment, device) for experiment in (disk, memory)]
        times = compare(*drawn, device, limit=3.0)
        yield Row(
            name=f"{BATCHES} batches of {BATCH} drawn from disk",
            against="from memory",
            **vars(times),
            images_per_second=BATCH * BATCHES / times.seconds,
            note="files in the system's cache",
        )
        steps = [_steps(experiment, device) for experiment in (disk, memory)]
        times = compare(*steps, device, limit=6.0)
        yield Row(
            name="step of MBOP-TD gaussian autoencoder, images from disk",
            against="from memory",
            **vars(times),
            images_per_second=BATCH / times.seconds,
            goal=at_least(0.9, times.ratio),
        )


def _draws(experiment: ReconstructionExperiment, device: torch.device) -> Callable[[], None]:
    task, model, numbers = experiment.open(device), experiment.build().to(device), count()
    generator = Generator(device).manual_seed(0)

    def draw() -> None:
        for _ in range(BATCHES):
            task.draw(model, next(numbers), generator)

    return draw


def _steps(experiment: ReconstructionExperiment, device: torch.device) -> Callable[[], None]:
    task, step, numbers = experiment.open(device), Step(experiment.model, device, batch=BATCH), count()
    return lambda: step.learn(*task.draw(step.model, next(numbers), step.generator))
