"""Runs by their experiments: one as the command `train` makes it, and all of a study on any executor.

`run_study` sends each run to a `concurrent.futures` executor and looks at what the runs leave in their folders; nothing
but a run's last record comes back. The module is not named after the function, which it would hide in the package.
"""

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, Executor, Future, wait
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import xarray as xr

from prior_lab import results
from prior_lab.checks import Count, Within, entry_point
from prior_lab.errors import InputError
from prior_lab.files import as_path, held, name_for_file, part_beside
from prior_lab.processes import process_rank
from prior_lab.tasks import Experiment, Record
from prior_lab.training.ceiling import CEILING_FILE
from prior_lab.training.checkpoints import checkpoints, difference, read_history
from prior_lab.training.hardware import DeviceName
from prior_lab.training.loop import NotFiniteError, postponed_interrupt, train
from prior_lab.training.progress import HiddenTable, ProgressTable, RunLine, progress_table
from prior_lab.training.study import MODEL_FILE, FinishedRun, read_run, study_from_runs
from prior_lab.zoo import save_model

MEASURES = {"ssim": "SSIM", "ntxent": "NT-Xent"}
INTERVAL = 1.0  # between two looks at the folders of runs [s]
_ONE_AT_A_TIME = threading.Lock()  # a run seeds its weights through the random stream that a process's threads share


@dataclass(frozen=True)
class RunSummary:
    """What a run that has just finished reports.

    Attributes
    ----------
    model_file : the weights.
    last : the last record of its history.
    """

    model_file: Path
    last: Record


def run_name(experiment: Experiment) -> str:
    """The name of a run's folder: DATA-TASK-ORDERING-TOKENS-SEED."""
    shape = experiment.model
    return f"{experiment.data}-{experiment.task}-{shape.ordering}-{shape.tokens}-{experiment.seed}"


def headline_by_budget(experiment: Experiment, record: Record) -> dict[int, float]:
    """The measure that sums up a validation, at every budget; empty where a record has no validation."""
    prefix = f"{experiment.headline}_"
    return {int(name.removeprefix(prefix)): value for name, value in record.items() if name.startswith(prefix)}


@entry_point
def run_experiment(
    experiment: Experiment,
    folder: Path,
    *,
    command: str,
    device: DeviceName = "auto",
    devices: Count = 1,
    compiled: bool = False,
    recomputing: bool = False,
    monitor: Callable[[list[Record]], None] | None = None,
    progress: bool = True,
) -> RunSummary:
    """Train a model and write it to the run's folder; a run that stopped is continued.

    Parameters
    ----------
    command : what the model file says of how it was made.
    device, devices, compiled, recomputing, monitor, progress : as `train` takes them.

    Raises
    ------
    InputError, NotFiniteError, KeyboardInterrupt : as `train`; InputError also if the folder holds the model of another
        experiment, or a finished model without checkpoints, or a weight is too large for half precision.
    """
    folder = as_path(folder, "a run's folder")
    if _is_finished(experiment, folder) and not checkpoints(folder):
        raise InputError(
            f"{folder} holds the finished model of this run, but none of its checkpoints; load_model reads the model; "
            "to train again, choose another folder."
        )
    trained = train(
        experiment,
        folder,
        device=device,
        devices=devices,
        compiled=compiled,
        recomputing=recomputing,
        monitor=monitor,
        progress=progress,
    )
    path = folder / MODEL_FILE
    if process_rank() == 0:
        save_model(trained.model, path, config=experiment.to_json(), command=command)
    return RunSummary(path, trained.history[-1])


@entry_point
def run_study(
    experiments: Sequence[Experiment],
    folder: str | Path,
    *,
    name: str = "my-study",
    executor: Executor | None = None,
    device: DeviceName = "auto",
    retries: Annotated[int, Within(0, 100)] = 1,
    progress: bool = True,
) -> xr.DataTree:
    """Train what is not trained yet, measure all runs on the test split, and write the study as `folder/NAME.nc`.

    Each experiment is a run in the folder `run_name(experiment)` beneath `folder`. Called again, it goes on: finished
    runs are kept as they are, and those that stopped are continued. Ctrl-C keeps what is done; runs that have not begun
    do not begin.

    Parameters
    ----------
    experiments : of one task and the same data; those of one arm (ordering and token kind) differ in their seed alone.
    folder : all processes have to see it under this path.
    executor : where runs are trained; in this process, one after the other, if not given. Otherwise a
        `ProcessPoolExecutor` that starts its processes by spawn or forkserver, the `get_executor()` of a Dask client,
        or any other. Processes of one machine have to share its cores: `initializer=torch.set_num_threads,
        initargs=(1,)` gives each process of a pool one. A process trains one run at a time.
    retries : how often a run is begun again that died, because its process was killed for instance.
    progress : show a table with a line for each run, in a notebook or a terminal.

    Returns
    -------
    DataTree : the study, as `load_study` reads it. It is measured anew only if a run or the list of runs has changed
        since the file was written; remove the file to measure it anyway.

    Raises
    ------
    InputError : before anything is trained, if the experiments do not make one study, two have the same name, a folder
        holds another run, the name cannot be that of a file, or another process runs a study there; after all other
        runs have finished, if some did not, naming them.
    KeyboardInterrupt : after Ctrl-C.

    Examples
    --------
    Two orderings, two steps each, on 24 small pictures:

    >>> import tempfile
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> import prior_lab as pl
    >>> small = {"encoder_depth": 1, "decoder_depth": 1, "predictor_depth": 1, "width": 32, "decoder_width": 32}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for number in range(24):
    ...         Image.new("RGB", (16, 16), (10 * number, 99, 99)).save(Path(folder, f"{number}.png"))
    ...     arms = [
    ...         pl.ReconstructionExperiment(
    ...             pl.AutoencoderConfig(ordering=ordering, levels=2, image_size=16, patch=4, coarsest_side=4, **small),
    ...             data="folder", path=folder, steps=2, batch_size=4,
    ...         )
    ...         for ordering in ("prior", "td")
    ...     ]
    ...     study = pl.run_study(arms, Path(folder, "runs"), name="mine", progress=False)
    >>> list(study.children)
    ['prior-gaussian', 'td-gaussian']
    """
    name_for_file(name, "The study")
    runs, home = _named(experiments), as_path(folder, "a study's folder").resolve()
    with held(home):
        table = progress_table(len(runs)) if progress else HiddenTable()
        _Study(runs, home, executor or ThisProcess(), table, device=device, retries=retries).run()
        return _measured([read_run(home / run) for run in runs], home / f"{name}.nc", name)


def _named(experiments: Sequence[Experiment]) -> dict[str, Experiment]:
    """Experiments that make one study, by the names of their runs."""
    if not experiments:
        raise InputError("A study needs at least one experiment.")
    first, runs, arms = experiments[0], dict[str, Experiment](), dict[tuple[str, str], str]()
    for experiment in experiments:
        name = name_for_file(run_name(experiment), "A run")
        if name in runs:
            raise InputError(f"Two experiments are both the run {name}; give each another ordering, tokens or seed.")
        if (experiment.task, experiment.data, experiment.path) != (first.task, first.data, first.path):
            raise InputError(f"{name} and {run_name(first)} differ in task or data; run them as separate studies.")
        arm = replace(experiment, seed=0, rate_weight=experiment.regulariser_weight).to_json()
        same = arms.setdefault((experiment.model.ordering, experiment.model.tokens), arm)
        if arm != same:
            raise InputError(
                f"{name} differs from another seed of its arm ({difference(arm, same)}); run them as separate studies."
            )
        runs[name] = experiment
    return runs


def _is_finished(experiment: Experiment, folder: Path) -> bool:
    """Whether the run's model is there.

    Raises
    ------
    InputError : if it is another experiment's.
    """
    if not (folder / MODEL_FILE).is_file():
        return False
    there, here = read_run(folder).experiment.to_json(), experiment.to_json()
    if there != here:
        raise InputError(
            f"{folder} holds a finished run of another experiment ({difference(there, here)}); choose another folder, "
            "or the experiment it was trained with."
        )
    return True


def _permitted_run(permit: Path, experiment: Experiment, folder: Path, **options: Any) -> RunSummary:
    """A run in whichever process an executor chose.

    Its permit shows the study that it has begun. A study that was stopped has withdrawn those of runs that had not,
    which an executor would otherwise still begin.

    Raises
    ------
    FileNotFoundError : if the permit was withdrawn.
    """
    with _ONE_AT_A_TIME:
        with permit.open("r+") as file:
            file.write("begun")
        return run_experiment(experiment, folder, progress=False, **options)


class ThisProcess(Executor):
    """Calls at once what is submitted; Ctrl-C ends the submitting."""

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **options: Any) -> Future[Any]:
        """The call's outcome."""
        future: Future[Any] = Future()
        try:
            future.set_result(function(*arguments, **options))
        except Exception as error:
            future.set_exception(error)
        return future


class _Study:
    """The runs of a study on their way through an executor."""

    def __init__(
        self,
        runs: dict[str, Experiment],
        home: Path,
        executor: Executor,
        table: ProgressTable,
        *,
        device: DeviceName,
        retries: int,
    ) -> None:
        self._runs, self._home, self._executor, self._table = runs, home, executor, table
        self._device, self._retries = device, retries
        self._attempts: Counter[str] = Counter()
        self._permits: dict[str, Path] = {}
        self._going: dict[Future[RunSummary], str] = {}
        self._errors: dict[str, BaseException] = {}
        self._histories: dict[str, list[Record]] = {}

    def run(self) -> None:
        """Finish every run.

        Raises
        ------
        InputError : if a folder holds another run, or some runs could not be finished.
        KeyboardInterrupt : after Ctrl-C.
        """
        waiting = [name for name, run in self._runs.items() if not _is_finished(run, self._home / name)]
        try:
            for name in waiting:
                self._submit(name)
                self._collect(timeout=0.0)
            while self._going:
                self._collect(timeout=INTERVAL)
        finally:
            for future in self._going:
                future.cancel()
            for permit in self._permits.values():
                permit.unlink(missing_ok=True)
        self._show()
        if self._errors:
            raise InputError(self._failures()) from next(iter(self._errors.values()))

    def _submit(self, name: str) -> None:
        permit = self._permits[name] = part_beside(self._home / name)  # `held` removes what a dead study left
        permit.touch()
        self._attempts[name] += 1
        experiment, folder = self._runs[name], self._home / name
        command = f"prior_lab.run_study([{experiment!r}], {str(self._home)!r})"
        options: dict[str, Any] = {"command": command, "device": self._device}
        if isinstance(self._executor, ThisProcess):
            options["monitor"] = partial(self._saw, name)
        try:
            future = self._executor.submit(_permitted_run, permit, experiment, folder, **options)
        except BrokenExecutor as error:
            future = Future()
            future.set_exception(error)
        self._going[future] = name

    def _collect(self, timeout: float) -> None:
        """Wait for runs that end; those that died are begun again."""
        with postponed_interrupt() as interrupted:  # safetensors loses one that comes while it opens a file
            self._show()
            ended, _ = wait(self._going, timeout=timeout, return_when=FIRST_COMPLETED)
        if interrupted.is_set():
            raise KeyboardInterrupt("the study was stopped; run_study again goes on from there")
        for future in ended:
            name = self._going.pop(future)
            self._permits.pop(name).unlink(missing_ok=True)
            error = _error(future)
            if isinstance(error, KeyboardInterrupt):
                raise error
            final = isinstance(error, (InputError, NotFiniteError, BrokenExecutor))
            if error is not None and not final and self._attempts[name] <= self._retries:
                self._submit(name)
            elif error is not None:
                self._errors[name] = error

    def _saw(self, name: str, history: list[Record]) -> None:
        self._histories[name] = history
        self._show()

    def _show(self) -> None:
        self._table.show([self._line(name, experiment) for name, experiment in self._runs.items()])

    def _line(self, name: str, experiment: Experiment) -> RunLine:
        """How far a run is, as its folder records."""
        folder, known = self._home / name, self._histories.get(name, [])
        with suppress(InputError):  # no checkpoint yet, or one that training will pass over
            known = self._histories[name] = max(known, read_history(folder), key=len)
        last = known[-1] if known else {"step": 0, "seconds": 0.0}
        validations = (headline_by_budget(experiment, record) for record in reversed(known))
        newest = next(filter(None, validations), None)
        validation = f"{MEASURES[experiment.headline]} {newest[max(newest)]:.3f}" if newest else ""
        return RunLine(name, self._state(name), int(last["step"]), experiment.steps, validation, float(last["seconds"]))

    def _state(self, name: str) -> Literal["waiting", "training", "finished", "failed"]:
        if name in self._errors:
            return "failed"
        if (self._home / name / MODEL_FILE).is_file():
            return "finished"
        begun = name in self._permits and self._permits[name].stat().st_size > 0
        return "training" if begun else "waiting"

    def _failures(self) -> str:
        """One sentence about the runs that did not finish."""
        reasons: dict[str, list[str]] = {}
        for name in filter(self._errors.__contains__, self._runs):
            reasons.setdefault(_reason(self._errors[name], self._attempts[name]), []).append(name)
        failures = "; ".join(f"{', '.join(names)} ({reason})" for reason, names in reasons.items())
        return (
            f"{len(self._errors)} of {len(self._runs)} runs did not finish: {failures}. What is done is kept in "
            f"{self._home}; run_study again goes on from there."
        )


def _error(future: Future[RunSummary]) -> BaseException | None:
    try:
        return future.exception()
    except CancelledError as error:
        return error


def _reason(error: BaseException, attempts: int) -> str:
    """Why a run did not finish, as a part of a sentence."""
    if isinstance(error, (InputError, NotFiniteError)):
        return str(error).removesuffix(".")
    if isinstance(error, BrokenExecutor):
        return "a process of the pool was killed, after which the pool is of no use; give a new one"
    first_line = f"{type(error).__name__}: {error}".partition("\n")[0].rstrip(":. ")
    return f"died {attempts} times, the last time of {first_line}" if attempts > 1 else f"died of {first_line}"


def _measured(runs: Sequence[FinishedRun], path: Path, name: str) -> xr.DataTree:
    """The study of the runs: from its file, if that is of the same runs and younger than all of them."""
    ceilings = [run.folder / CEILING_FILE for run in runs]
    made = [*(run.model_file for run in runs), *filter(Path.is_file, ceilings)]
    if path.is_file() and all(file.stat().st_mtime < path.stat().st_mtime for file in made):
        with suppress(InputError):  # a file that cannot be read is written anew
            tree = results.load(path)
            if tree.attrs["name"] == name and _tells_of(tree, runs):
                return tree
    tree = study_from_runs([run.folder for run in runs], name=name)
    results.save(tree, path)
    return tree


def _tells_of(tree: xr.DataTree, runs: Sequence[FinishedRun]) -> bool:
    """Whether a study is of exactly these runs: its arms' first models and all seeds are theirs."""
    first: dict[str, tuple[str, str]] = {}
    seeds: dict[str, list[int]] = {}
    for run in sorted(runs, key=lambda run: run.experiment.seed):
        first.setdefault(run.arm, (run.experiment.to_json(), str(run.model_file.resolve())))
        seeds.setdefault(run.arm, []).append(run.experiment.seed)
    arms = tree.children.items()
    return first == {name: (arm.attrs["config"], arm.attrs["model"]) for name, arm in arms} and seeds == {
        name: arm.seed.values.tolist() for name, arm in arms
    }
