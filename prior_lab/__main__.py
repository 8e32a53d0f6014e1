"""The command line, `python -m prior_lab` or `prior-lab`: train, measure and data.

Its flags are the fields of the same dataclasses that notebooks use. A command whose input cannot be used ends with one
sentence and exit code 2.
"""

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from prior_lab import results
from prior_lab.errors import InputError
from prior_lab.models import AutoencoderConfig, ContrastiveConfig
from prior_lab.runs import MEASURES, headline_by_budget, run_experiment, run_name
from prior_lab.study import study_from_runs
from prior_lab.tasks import ContrastiveExperiment, Experiment, ReconstructionExperiment
from prior_lab.training import NotFiniteError


@dataclass(frozen=True)
class Train:
    """Train a model. The same command again continues a run that stopped.

    The folder of the run holds checkpoints and, at the end, model.safetensors, which load_model reads.
    """

    experiment: Experiment
    task: Literal["reconstruction", "contrastive"] = "reconstruction"
    """What to train for: reconstruction of images, or contrastive learning of objects."""
    out: Path | None = None
    """Folder of the run; runs/DATA-TASK-ORDERING-TOKENS-SEED if not given."""
    preset: Literal["laptop", "paper"] = "laptop"
    """Where the model's settings start: laptop trains on two CPU cores, paper has the paper's size."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """What to train on."""

    def run(self, command: str) -> None:
        """Train, then write the model."""
        folder = self.out or Path("runs") / run_name(self.experiment)
        run = run_experiment(self.experiment, folder, command=command, device=self.device)
        headline = headline_by_budget(self.experiment, run.last)
        told = "  ".join(f"{budget}: {value:.3f}" for budget, value in headline.items())
        print(f"validation {MEASURES[self.experiment.headline]}  {told}")
        print(f"wrote {run.model_file}")


@dataclass(frozen=True)
class TrainReconstruction(Train):  # noqa: D101 (the command's text is that of Train)
    __doc__ = Train.__doc__

    experiment: tyro.conf.OmitArgPrefixes[ReconstructionExperiment]


@dataclass(frozen=True)
class TrainContrastive(Train):  # noqa: D101
    __doc__ = Train.__doc__

    experiment: tyro.conf.OmitArgPrefixes[ContrastiveExperiment]


@dataclass(frozen=True)
class Measure:
    """Measure finished runs on the test split and write a study, which load_study and explore read.

    RUNS are folders of `train`; runs that differ only in their seed become one arm.
    """

    runs: tyro.conf.Positional[tuple[Path, ...]]
    out: Path
    name: str = "my-study"

    def run(self, command: str) -> None:
        """Measure and save."""
        tree = study_from_runs(self.runs, name=self.name)
        results.save(tree, self.out)
        print(f"wrote {self.out}")


@dataclass(frozen=True)
class BuildData:
    """Render a bundled data set anew from its source and tell whether it is the bundled file, bit for bit.

    SOURCE is, for household, the folder of Debian's sweethome3d-furniture: /usr/share/sweethome3d/furniture.
    """

    name: tyro.conf.Positional[Literal["household"]]
    source: Path
    out: Path = Path("household-rebuilt.zip")
    workers: int = 2

    def run(self, command: str) -> None:
        """Render."""
        from prior_lab.data.build import build_household

        build_household(self.source, self.out, workers=self.workers)


@dataclass(frozen=True)
class PackData:
    """Write a data set into a folder that is read from disk as images are used: --data packed --path OUT.

    For data larger than memory; NAME is a data set that `data list` tells.
    """

    name: tyro.conf.Positional[str]
    out: Path
    """The new folder; it appears when it is whole."""
    path: Path | None = None
    """Folder of the images, for data sets that are read from one."""
    size: int | None = None
    """Side of the stored images [pixel]; by default that of the data set."""
    splits: tuple[str, ...] = ("train", "validation", "test")
    """Which splits to write."""
    convert: Literal["rgb"] | None = None
    """With rgb, the data set folder converts images that are not RGB."""
    unreadable: Literal["raise", "skip"] = "raise"
    """With skip, folder and mvimgnet2 pass over images that cannot be read."""
    frames: int | None = None
    """At most so many images of each object of mvimgnet2; 16 if not given."""

    def run(self, command: str) -> None:
        """Pack."""
        from prior_lab.data import pack_dataset

        contents = pack_dataset(
            self.name,
            self.out,
            splits=self.splits,
            path=self.path,
            size=self.size,
            convert=self.convert,
            unreadable=self.unreadable,
            frames=self.frames,
        )
        told = ", ".join(f"{split} {count:,}" for split, count in contents.splits.items())
        print(f"wrote {self.out}: images of {contents.width}x{contents.height} pixels, {told}")


@dataclass(frozen=True)
class ListData:
    """List the data sets."""

    def run(self, command: str) -> None:
        """Print a line for each."""
        from prior_lab.data import list_datasets

        print("\n".join(map(str, list_datasets())))


@dataclass(frozen=True)
class Data:
    """Build, pack or list data sets."""

    action: tyro.conf.OmitSubcommandPrefixes[
        Annotated[BuildData, tyro.conf.subcommand("build")]
        | Annotated[PackData, tyro.conf.subcommand("pack")]
        | Annotated[ListData, tyro.conf.subcommand("list")]
    ]

    def run(self, command: str) -> None:
        """Pass on to the action."""
        self.action.run(command)


def parse(arguments: Sequence[str]) -> Train | Measure | Data:
    """The command that the arguments name."""
    preset = "paper" if _chooses(arguments, "--preset", "paper") else "laptop"
    contrastive = TrainContrastive(ContrastiveExperiment(ContrastiveConfig.preset(preset)), "contrastive")
    reconstruction = TrainReconstruction(ReconstructionExperiment(AutoencoderConfig.preset(preset)))
    commands: Any = (
        (
            Annotated[TrainContrastive, tyro.conf.subcommand("train", default=contrastive)]
            if _chooses(arguments, "--task", "contrastive")
            else Annotated[TrainReconstruction, tyro.conf.subcommand("train", default=reconstruction)]
        )
        | Annotated[Measure, tyro.conf.subcommand("measure")]
        | Annotated[Data, tyro.conf.subcommand("data")]
    )
    command: Train | Measure | Data = tyro.cli(commands, args=arguments, prog="prior-lab", description=__doc__)
    return command


def _chooses(arguments: Sequence[str], flag: str, value: str) -> bool:
    return f"{flag}={value}" in arguments or (flag, value) in pairwise(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command; see the module's text."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        parse(given).run(shlex.join(["python", "-m", "prior_lab", *given]))
    except (InputError, NotFiniteError) as error:
        print(f"prior_lab: {error}", file=sys.stderr)
        raise SystemExit(2) from error
    except KeyboardInterrupt as error:
        print(f"\nprior_lab: {error or 'interrupted'}", file=sys.stderr)
        raise SystemExit(130) from error


if __name__ == "__main__":
    main()
