"""`train`, `study` and `search`: the flags are the fields of the experiments that notebooks use."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import pairwise, product
from multiprocessing import get_context, parent_process
from pathlib import Path
from threading import Thread
from typing import Annotated, Any, cast, get_args

import torch
import tyro

from prior_lab.commands.answers import Answer, Answering
from prior_lab.commands.flags import SearchFlags, StudyFlags, TrainFlags
from prior_lab.commands.summaries import search_summary, search_table, study_summary, study_table
from prior_lab.errors import InputError
from prior_lab.models import AutoencoderConfig, ContrastiveConfig
from prior_lab.orderings import OrderingName
from prior_lab.processes import process_rank
from prior_lab.search import search
from prior_lab.tasks import ContrastiveExperiment, Experiment, ReconstructionExperiment, experiment_from_json
from prior_lab.tokens import TokenName
from prior_lab.training.runs import MEASURES, headline_by_budget, run_experiment, run_name, run_study


@dataclass(frozen=True, kw_only=True)
class Train(TrainFlags):  # noqa: D101 (the command's text is that of its flags)
    __doc__ = TrainFlags.__doc__

    experiment: Experiment

    def run(self, command: str) -> None:
        """Train, then write the model."""
        folder = self.out or Path("runs") / run_name(self.experiment)
        run = run_experiment(
            self.experiment,
            folder,
            command=command,
            device=self.device,
            devices=self.devices,
            compiled=self.compiled,
            recomputing=self.recomputing,
        )
        if process_rank() > 0:
            return
        headline = headline_by_budget(self.experiment, run.last)
        values = "  ".join(f"{budget}: {value:.3f}" for budget, value in headline.items())
        print(f"validation {MEASURES[self.experiment.headline]}  {values}")
        print(f"wrote {run.model_file}")


@dataclass(frozen=True, kw_only=True)
class TrainReconstruction(Train):  # noqa: D101
    __doc__ = Train.__doc__

    experiment: tyro.conf.OmitArgPrefixes[ReconstructionExperiment]


@dataclass(frozen=True, kw_only=True)
class TrainContrastive(Train):  # noqa: D101
    __doc__ = Train.__doc__

    experiment: tyro.conf.OmitArgPrefixes[ContrastiveExperiment]


@dataclass(frozen=True, kw_only=True)
class Study(StudyFlags, Answering):  # noqa: D101
    __doc__ = StudyFlags.__doc__

    experiment: Experiment
    orderings: tuple[OrderingName, ...] = ("prior", "itd", "td")
    """Orderings, each with every kind of token."""
    tokens: tuple[TokenName, ...] = ("gaussian",)
    """Kinds of token."""

    def experiments(self) -> list[Experiment]:
        """A run for every ordering, kind of token and seed."""
        common = experiment_from_json(self.experiment.to_json())
        return [
            replace(common, seed=seed, model=replace(common.model, ordering=ordering, tokens=tokens))
            for ordering, tokens, seed in product(self.orderings, self.tokens, self.seeds)
        ]

    def answer(self, command: str) -> Answer:
        """Train what is missing and measure."""
        if self.workers < 1:
            raise InputError(f"workers is {self.workers}; it must be at least 1.")
        with _executor(self.workers) as executor:
            study = run_study(
                self.experiments(), self.out_folder, name=self.name, executor=executor, device=self.device
            )
        path = self.out_folder / f"{self.name}.nc"
        return Answer(study_summary(study, path), f"{study_table(study)}\nwrote {path}")


@dataclass(frozen=True, kw_only=True)
class Search(SearchFlags, Answering):  # noqa: D101
    __doc__ = SearchFlags.__doc__

    experiment: Experiment
    tokens: TokenName = "gaussian"
    """Kind of token."""

    def answer(self, command: str) -> Answer:
        """Search, each ordering or all together."""
        if self.workers < 1:
            raise InputError(f"workers is {self.workers}; it must be at least 1.")
        common = experiment_from_json(self.experiment.to_json())
        arms = []
        for name in self.ordering.split(","):
            if name not in get_args(OrderingName):
                raise InputError(f"Unknown ordering {name!r}; choose among {', '.join(get_args(OrderingName))}.")
            shape = replace(common.model, ordering=cast(OrderingName, name), tokens=self.tokens)
            arms.append(replace(common, model=shape))
        values, texts = [], []
        with _executor(self.workers) as executor:
            for together in [arms] if self.joint else [[arm] for arm in arms]:
                orderings = "+".join(arm.model.ordering for arm in together)
                name = f"{common.data}-{common.task}-{orderings}-{self.tokens}"
                home = (
                    (self.out or Path("searches") / name)
                    if len(arms) == 1 or self.joint
                    else ((self.out or Path("searches")) / name)
                )
                result = search(
                    together,
                    home,
                    space=_space(self.space),
                    evaluations=self.evaluations,
                    first=self.first,
                    anchors=self.anchors,
                    steps=self.horizon,
                    price=self.price,
                    strategy=self.strategy,
                    batch=self.workers,
                    executor=executor,
                    device=self.device,
                    seed=common.seed,
                    keep=self.keep,
                )
                values.append(search_summary(result, home / "search.nc"))
                texts.append(f"{search_table(result)}\nwrote {home / 'search.nc'}")
        return Answer({"searches": values}, "\n\n".join(texts))


def _space(texts: Sequence[str]) -> dict[str, tuple[float, float]] | None:
    """What NAME=LOW:HIGH say."""
    space = {}
    for text in texts:
        name, _, bounds = text.partition("=")
        low, _, high = bounds.partition(":")
        try:
            space[name.replace("-", "_")] = (float(low), float(high))
        except ValueError:
            raise InputError(f"{text!r} is no setting to search; NAME=LOW:HIGH is, as rate-weight=1e-6:1e-2.") from None
    return space or None


@dataclass(frozen=True)
class _ReconstructionShape(AutoencoderConfig):
    """What the arms of a study have in common."""

    ordering: Annotated[OrderingName, tyro.conf.Fixed, tyro.conf.Suppress] = "prior"
    tokens: Annotated[TokenName, tyro.conf.Fixed, tyro.conf.Suppress] = "gaussian"


@dataclass(frozen=True)
class _ContrastiveShape(ContrastiveConfig):
    """What the arms of a study have in common."""

    ordering: Annotated[OrderingName, tyro.conf.Fixed, tyro.conf.Suppress] = "prior"
    tokens: Annotated[TokenName, tyro.conf.Fixed, tyro.conf.Suppress] = "gaussian"


@dataclass(frozen=True)
class _ReconstructionRuns(ReconstructionExperiment):
    """What the runs of a study have in common."""

    model: _ReconstructionShape = field(default_factory=_ReconstructionShape)
    seed: Annotated[int, tyro.conf.Fixed, tyro.conf.Suppress] = 0


@dataclass(frozen=True)
class _ContrastiveRuns(ContrastiveExperiment):
    """What the runs of a study have in common."""

    model: _ContrastiveShape = field(default_factory=_ContrastiveShape)
    seed: Annotated[int, tyro.conf.Fixed, tyro.conf.Suppress] = 0


@dataclass(frozen=True, kw_only=True)
class StudyReconstruction(Study):  # noqa: D101
    __doc__ = Study.__doc__

    experiment: tyro.conf.OmitArgPrefixes[_ReconstructionRuns]


@dataclass(frozen=True, kw_only=True)
class StudyContrastive(Study):  # noqa: D101
    __doc__ = Study.__doc__

    experiment: tyro.conf.OmitArgPrefixes[_ContrastiveRuns]


@dataclass(frozen=True)
class _ReconstructionArm(ReconstructionExperiment):
    """What the arms of a search have in common."""

    model: _ReconstructionShape = field(default_factory=_ReconstructionShape)


@dataclass(frozen=True)
class _ContrastiveArm(ContrastiveExperiment):
    """What the arms of a search have in common."""

    model: _ContrastiveShape = field(default_factory=_ContrastiveShape)


@dataclass(frozen=True, kw_only=True)
class SearchReconstruction(Search):  # noqa: D101
    __doc__ = Search.__doc__

    experiment: tyro.conf.OmitArgPrefixes[_ReconstructionArm]


@dataclass(frozen=True, kw_only=True)
class SearchContrastive(Search):  # noqa: D101
    __doc__ = Search.__doc__

    experiment: tyro.conf.OmitArgPrefixes[_ContrastiveArm]


def training_commands(arguments: Sequence[str]) -> tuple[Any, Any, Any]:
    """`train`, `study` and `search` for tyro, with the experiment of the task and preset that the arguments name."""
    preset = "paper" if _chooses(arguments, "--preset", "paper") else "laptop"
    one: Train
    many: Study
    seeking: Search
    if _chooses(arguments, "--task", "contrastive"):
        one = TrainContrastive(experiment=ContrastiveExperiment(ContrastiveConfig.preset(preset)))
        runs = _ContrastiveRuns(_ContrastiveShape.preset(preset))
        many = StudyContrastive(experiment=runs)
        seeking = SearchContrastive(experiment=_ContrastiveArm(_ContrastiveShape.preset(preset)))
    else:
        one = TrainReconstruction(experiment=ReconstructionExperiment(AutoencoderConfig.preset(preset)))
        shape = _ReconstructionShape.preset(preset)
        many = StudyReconstruction(experiment=_ReconstructionRuns(shape))
        seeking = SearchReconstruction(experiment=_ReconstructionArm(shape))
    return (
        Annotated[type(one), tyro.conf.subcommand("train", default=one)],
        Annotated[type(many), tyro.conf.subcommand("study", default=many)],
        Annotated[type(seeking), tyro.conf.subcommand("search", default=seeking)],
    )


def _chooses(arguments: Sequence[str], flag: str, value: str) -> bool:
    return f"{flag}={value}" in arguments or (flag, value) in pairwise(arguments)


@contextmanager
def _executor(workers: int) -> Iterator[Executor | None]:
    """A pool of processes that share the cores, or none for a single one."""
    if workers == 1:
        yield None
        return
    threads = max(1, torch.get_num_threads() // workers)
    with ProcessPoolExecutor(
        workers, mp_context=get_context("spawn"), initializer=_begin_worker, initargs=(threads,)
    ) as pool:
        yield pool


def _begin_worker(threads: int) -> None:
    """What a process of the pool does first; without the thread it would outlive a command that was killed."""
    torch.set_num_threads(threads)
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
