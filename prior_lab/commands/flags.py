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


@dataclass(frozen=True, kw_only=True)
class SearchFlags(TaskFlags):
    """Search settings, such as the weight of the token regulariser, on the validation split.

    Broad short runs come first, then those that a Gaussian process proposes, then the best ones at full length. The
    same command again continues a search that stopped.
    """

    out: Path | None = None
    """Folder of the search; searches/DATA-TASK-ORDERINGS-TOKENS if not given."""
    ordering: str = "prior"
    """Orderings to search, with commas between them: itd,td."""
    joint: bool = False
    """Search one set of settings for all orderings, judged by their mean; otherwise each has a search of its own."""
    space: tuple[str, ...] = ()
    """What to search, as NAME=LOW:HIGH, such as rate-weight=1e-6:1e-2 or model.free-nats=0.1:10; by default the
    learning rate and the weights that the arm has."""
    evaluations: int = 24
    """Points that are tried in short runs."""
    first: int | None = None
    """How many of them are drawn broadly first; half, if not given."""
    anchors: int = 2
    """So many of the best points are trained at full length."""
    horizon: int = 300
    """Optimiser steps of a short run."""
    price: float = 0.0
    """What a bit of the code costs, in units of the distortion (1 - SSIM, or nats of NT-Xent)."""
    strategy: Literal["two-stage", "random", "grid"] = "two-stage"
    """How points are chosen."""
    workers: int = 1
    """Processes that train side by side."""
    keep: bool = False
    """Keep the model of every trial."""
