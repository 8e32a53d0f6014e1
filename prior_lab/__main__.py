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
from typing import Annotated, Literal

import tyro

from prior_lab import results
from prior_lab.errors import InputError
from prior_lab.models import AutoencoderConfig
from prior_lab.study import MODEL_FILE, study_from_runs
from prior_lab.training import Experiment, NotFiniteError, train
from prior_lab.zoo import save_model


@dataclass(frozen=True)
class Train:
    """Train a model. The same command again continues a run that stopped.

    OUT is the folder of the run (runs/DATA-ORDERING-TOKENS-SEED if not given): checkpoints and, at the end,
    model.safetensors, which load_model reads. The preset is where the model's settings start: laptop trains on two CPU
    cores, paper has the paper's size.
    """

    experiment: tyro.conf.OmitArgPrefixes[Experiment]
    out: Path | None = None
    preset: Literal["laptop", "paper"] = "laptop"
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"

    def run(self, command: str) -> None:
        """Train, then write the model."""
        shape = self.experiment.model
        name = f"{self.experiment.data}-{shape.ordering}-{shape.tokens}-{self.experiment.seed}"
        folder = self.out or Path("runs") / name
        trained = train(self.experiment, folder, device=self.device)
        path = folder / MODEL_FILE
        save_model(trained.model, path, config=self.experiment.to_json(), command=command)
        last = trained.history[-1]
        budgets = trained.model.budgets
        print("validation SSIM " + "  ".join(f"{budget}: {last[f'ssim_{budget}']:.3f}" for budget in budgets))
        print(f"wrote {path}")


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
class ListData:
    """List the data sets."""

    def run(self, command: str) -> None:
        """Print a line for each."""
        from prior_lab.data import list_datasets

        print("\n".join(map(str, list_datasets())))


@dataclass(frozen=True)
class Data:
    """Build or list data sets."""

    action: tyro.conf.OmitSubcommandPrefixes[
        Annotated[BuildData, tyro.conf.subcommand("build")] | Annotated[ListData, tyro.conf.subcommand("list")]
    ]

    def run(self, command: str) -> None:
        """Pass on to the action."""
        self.action.run(command)


def parse(arguments: Sequence[str]) -> Train | Measure | Data:
    """The command that the arguments name."""
    paper = "--preset=paper" in arguments or ("--preset", "paper") in pairwise(arguments)
    model = AutoencoderConfig.preset("paper" if paper else "laptop", ordering="prior")
    start = Train(Experiment(model))
    commands = (
        Annotated[Train, tyro.conf.subcommand("train", default=start)]
        | Annotated[Measure, tyro.conf.subcommand("measure")]
        | Annotated[Data, tyro.conf.subcommand("data")]
    )
    return tyro.cli(commands, args=arguments, prog="prior-lab", description=__doc__)


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
