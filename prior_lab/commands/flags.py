"""What `train` and `study` say without an experiment: enough for the list of commands, and quick to import."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro


@dataclass(frozen=True, kw_only=True)
class TaskFlags:
    """What both take beside the experiment."""

    task: Literal["reconstruction", "contrastive"] = "reconstruction"
    """What to train for: reconstruction of images, or contrastive learning of objects."""
    preset: Literal["laptop", "paper"] = "laptop"
    """Where the model's settings start: laptop trains on two CPU cores, paper has the paper's size."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """What to train on."""


@dataclass(frozen=True, kw_only=True)
class TrainFlags(TaskFlags):
    """Train a model. The same command again continues a run that stopped.

    The folder of the run holds checkpoints and, at the end, model.safetensors, which load_model reads.
    """

    out: Path | None = None
    """Folder of the run; runs/DATA-TASK-ORDERING-TOKENS-SEED if not given."""
    devices: int = 1
    """Processes that share every batch, each with a device of its own. Under torchrun or Slurm it is theirs that do."""
    compiled: bool = False
    """Compile the model first: a minute or more at the start, then faster steps."""
    recomputing: bool = False
    """Keep few activations and compute the others again in the backward pass, for larger batches."""


@dataclass(frozen=True, kw_only=True)
class StudyFlags(TaskFlags):
    """Train the models of a study, each as `train` does, and measure them on the test split.

    OUT-FOLDER holds a folder for each run and, at the end, NAME.nc, which load_study and explore read. The same command
    again trains only what is missing.
    """

    out_folder: tyro.conf.Positional[Path] = Path("runs")
    """Folder of the study; `train` puts its runs into the same one."""
    seeds: tuple[int, ...] = (0,)
    """A run of each arm for every seed."""
    workers: int = 1
    """Processes that train side by side."""
    name: str = "my-study"
    """What the study is called."""
