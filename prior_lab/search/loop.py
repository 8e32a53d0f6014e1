"""The loop of a search: propose, try, tell, until the evaluations are spent; then the best points at full length.

Every trial is a file, written before it begins and again when it has ended, and its runs keep checkpoints; so a search
that was killed goes on where it stopped.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import torch
import xarray as xr
from jaxtyping import Float64
from torch import Tensor

from prior_lab.checks import Count, NotNegative, Seed, Within, entry_point
from prior_lab.errors import InputError
from prior_lab.files import as_path, held, replacing
from prior_lab.search.result import build_result, objective, save_search
from prior_lab.search.space import Setting, Space
from prior_lab.search.strategies import Strategy, StrategyName, make_strategy
from prior_lab.search.trials import Outcome, Stage, Trial, experiment_at, require_settings, run_trial, usual_space
from prior_lab.tasks import Experiment
from prior_lab.training.checkpoints import checkpoints, difference, read_history
from prior_lab.training.hardware import DeviceName
from prior_lab.training.loop import postponed_interrupt
from prior_lab.training.progress import HiddenTable, ProgressTable, RunLine, progress_table
from prior_lab.training.runs import ThisProcess

INTERVAL = 1.0  # between two looks at the folders of runs [s]


def minimise(
    evaluate: Callable[[list[dict[str, float]]], Sequence[float]],
    space: Space,
    strategy: Strategy,
    evaluations: int,
    *,
    batch: int = 1,
) -> tuple[Float64[Tensor, "tried setting"], Float64[Tensor, "tried"]]:
    """Search any function: the points that were tried and what was found there, in order.

    Parameters
    ----------
    evaluate : the values of some settings, to be made low; NaN where there is none.
    batch : how many are evaluated side by side.
    """
    points, found = torch.empty(0, len(space), dtype=torch.float64), torch.empty(0, dtype=torch.float64)
    while len(points) < evaluations:
        new = strategy.propose(points, found, min(batch, evaluations - len(points)))
        values = torch.tensor(list(evaluate([space.values(point) for point in new])), dtype=torch.float64)
        points, found = torch.cat([points, new]), torch.cat([found, values])
    return points, found


@entry_point
def search(
    experiments: Experiment | Sequence[Experiment],
    folder: str | Path,
    *,
    space: Mapping[str, tuple[float, float]] | Sequence[Setting] | None = None,
    evaluations: Count = 24,
    first: Count | None = None,
    anchors: Annotated[int, Within(0, 1000)] = 2,
    steps: Count = 300,
    price: NotNegative = 0.0,
    strategy: StrategyName = "two-stage",
    batch: Count = 1,
    executor: Executor | None = None,
    device: DeviceName = "auto",
    seed: Seed = 0,
    keep: bool = False,
    progress: bool = True,
) -> xr.Dataset:
    """Search settings of an experiment, or of several that are to share them, on the validation split.

    What is minimised is the mean over arms and budgets of the validation's distortion (1 - SSIM, or NT-Xent), plus
    `price` for every bit of the prefix. Called again, the search goes on.

    Parameters
    ----------
    experiments : the arm; or arms of one task, such as MBOP-ITD and MBOP-TD, that are judged by their mean (the paper's
        matched control). Their `steps` are the full length.
    folder : where trials and the result, `search.nc`, are kept.
    space : bounds by name of the setting, searched by their logarithms; or `Setting`s. A name is that of a number of
        the experiment, or of its model as `model.free_nats`. If not given, `usual_space` of the arms.
    evaluations : points that are tried in short runs.
    first : how many of them the first stage draws broadly; half, if not given.
    anchors : so many of the best points are trained at full length, and the best of these is the result.
    steps : length of the short runs.
    strategy : two-stage, random or grid.
    batch : points that are tried side by side; what an executor has processes for.
    executor : where runs are trained, as `run_study` takes it; in this process, if not given.
    keep : keep every trial's model.
    progress : show a table with a line for each run.

    Returns
    -------
    Dataset : see `prior_lab.search.result`; `prior_lab.search.best` tells the settings.

    Raises
    ------
    InputError : before anything is trained, if there is no such setting, the experiments differ in task or data, the
        folder holds another search, or another process searches there; later, if a process of the executor was killed.
    KeyboardInterrupt : after Ctrl-C; the same call goes on from there.
    """
    arms = (experiments,) if isinstance(experiments, Experiment) else tuple(experiments)
    if not arms:
        raise InputError("A search needs at least one experiment.")
    if len({(one.task, one.data, one.path, one.model.levels) for one in arms}) > 1:
        raise InputError("The experiments differ in task, data or levels; search them apart.")
    if len({(one.model.ordering, one.model.tokens) for one in arms}) < len(arms):
        raise InputError("Two of the experiments have the same ordering and tokens; a search takes each arm once.")
    room = Space.of(usual_space(arms) if space is None else space)
    require_settings(arms, room.names)
    for end in (0.0, 1.0):  # what the experiments' own checks refuse is told now
        corner = room.values(torch.full((len(room),), end, dtype=torch.float64))
        for one in arms:
            experiment_at(one, corner, steps)
    plan = {
        "experiments": [json.loads(one.to_json()) for one in arms],
        "space": [asdict(setting) for setting in room.settings],
        "steps": steps, "price": price, "strategy": strategy, "seed": seed,
    }  # fmt: skip
    home = as_path(folder, "a search's folder").resolve()
    first = first or max(2, evaluations // 2)
    chosen = make_strategy(strategy, evaluations, first, seed)
    with held(home):
        _require_same(plan, home)
        table = progress_table(len(arms) * (evaluations + anchors)) if progress else HiddenTable()
        going = _Search(arms, room, home, executor or ThisProcess(), table, device, keep, price)
        going.finish()
        while (told := len(going.short())) < evaluations:
            points, found = going.told()
            stage: Stage = "broad" if told < first or strategy != "two-stage" else "refined"
            count = min(batch, evaluations - told, first - told if stage == "broad" and told < first else batch)
            going.add([(stage, point, steps) for point in chosen.propose(points, found, count)])
        best = going.best_points(anchors)
        going.add([("anchor", point, arms[0].steps) for point in best[len(going.anchors()) :]])
        result = going.result()
        save_search(result, home / "search.nc")
    return result


def _require_same(plan: dict[str, object], home: Path) -> None:
    """Refuse the folder of another search; write down what this one searches."""
    path, told = home / "plan.json", json.dumps(plan, indent=1)
    if not path.exists():
        with replacing(path) as temporary:
            temporary.write_text(told)
        return
    try:
        there = path.read_text()
        same = json.loads(there) == json.loads(told)
    except (OSError, ValueError) as error:
        raise InputError(f"{str(path)!r} is not the plan of a search; choose another folder.") from error
    if not same:
        raise InputError(
            f"{home} holds another search ({difference(there, told)}); choose another folder, or the search that it "
            "was begun with."
        )


@dataclass(frozen=True)
class _Run:
    """An arm of a trial; `place` is the arm's among those that are searched together."""

    trial: Trial
    place: int
    folder: Path


class _Search:
    """The trials of a search on their way through an executor."""

    def __init__(
        self,
        arms: Sequence[Experiment],
        space: Space,
        home: Path,
        executor: Executor,
        table: ProgressTable,
        device: DeviceName,
        keep: bool,
        price: float,
    ) -> None:
        self._arms, self._space, self._home, self._executor = arms, space, home, executor
        self._table, self._device, self._keep, self._price = table, device, keep, price
        (home / "trials").mkdir(exist_ok=True)
        self._trials = [Trial.read(path) for path in sorted((home / "trials").glob("*.json"))]
        self._going: dict[Future[Outcome], _Run] = {}

    def short(self) -> list[Trial]:
        """The trials of both stages."""
        return [trial for trial in self._trials if trial.stage != "anchor"]

    def anchors(self) -> list[Trial]:
        """Those at full length."""
        return [trial for trial in self._trials if trial.stage == "anchor"]

    def told(self) -> tuple[Float64[Tensor, "tried setting"], Float64[Tensor, "tried"]]:
        """Points and objectives of the short trials."""
        short = self.short()
        points = torch.tensor([trial.point for trial in short], dtype=torch.float64).reshape(-1, len(self._space))
        if not short:
            return points, torch.empty(0, dtype=torch.float64)
        values = objective(build_result(self._arms, self._space, short, self._price)).values
        return points, torch.from_numpy(values).double()

    def best_points(self, count: int) -> list[Float64[Tensor, "setting"]]:
        """The points of the best sound short trials, best first."""
        points, found = self.told()
        order = found.nan_to_num(torch.inf).argsort(stable=True)
        return [points[index] for index in order[:count] if found[index].isfinite()]

    def result(self) -> xr.Dataset:
        """All trials."""
        return build_result(self._arms, self._space, self._trials, self._price)

    def add(self, wanted: Sequence[tuple[Stage, Float64[Tensor, "setting"], int]]) -> None:
        """Try points side by side."""
        for stage, point, steps in wanted:
            trial = Trial(len(self._trials), stage, tuple(point.tolist()), self._space.values(point), steps)
            trial.save(self._home / "trials")
            self._trials.append(trial)
        self.finish()

    def finish(self) -> None:
        """Train what has begun.

        Raises
        ------
        InputError, KeyboardInterrupt : as `search`.
        """
        waiting = [trial for trial in self._trials if not trial.outcomes]
        outcomes: dict[int, dict[int, Outcome]] = {trial.number: {} for trial in waiting}
        try:
            for trial in waiting:
                for place in range(len(self._arms)):
                    self._submit(trial, place)
                self._collect(outcomes, timeout=0.0)  # what was trained in this process is written down at once
            while self._going:
                self._collect(outcomes, timeout=INTERVAL)
        finally:
            for future in self._going:
                future.cancel()
            self._going.clear()

    def _submit(self, trial: Trial, place: int) -> None:
        experiment = experiment_at(self._arms[place], trial.settings, trial.steps)
        name = f"{trial.number:04d}-{experiment.model.ordering}-{experiment.model.tokens}"
        run = _Run(trial, place, self._home / "runs" / name)
        command = f"prior_lab.search.search(...), trial {trial.number} of {self._home.name}"
        options: dict[str, Any] = {"device": self._device, "command": command, "keep": self._keep}
        self._going[self._executor.submit(run_trial, experiment, run.folder, **options)] = run

    def _collect(self, outcomes: dict[int, dict[int, Outcome]], timeout: float) -> None:
        """Wait for runs that end, and write down trials whose runs have all ended."""
        with postponed_interrupt() as interrupted:
            self._show()
            ended, _ = wait(self._going, timeout=timeout, return_when=FIRST_COMPLETED)
        if interrupted.is_set():
            raise KeyboardInterrupt("the search was stopped; the same call goes on from there")
        for future in ended:
            run = self._going.pop(future)
            try:
                outcome = future.result()
            except BrokenExecutor as error:
                raise InputError(
                    "A process of the pool was killed, after which the pool is of no use; what is done is kept in "
                    f"{self._home}. The same search with a new pool goes on from there."
                ) from error
            told = outcomes[run.trial.number]
            told[run.place] = outcome
            if len(told) == len(self._arms):
                done = replace(run.trial, outcomes=tuple(told[place] for place in range(len(self._arms))))
                done.save(self._home / "trials")
                self._trials[done.number] = done
        self._show()

    def _show(self) -> None:
        going = {run.trial.number: run for run in self._going.values()}
        self._table.show([self._line(trial, going.get(trial.number)) for trial in self._trials])

    def _line(self, trial: Trial, run: _Run | None) -> RunLine:
        name = f"{trial.number:04d} {trial.stage}  " + "  ".join(f"{k} {v:.3g}" for k, v in trial.settings.items())
        if trial.outcomes:
            found = float(objective(build_result(self._arms, self._space, [trial], self._price))[0])
            seconds = sum(outcome.seconds for outcome in trial.outcomes)
            return RunLine(name, "finished", trial.steps, trial.steps, f"objective {found:.4f}", seconds)
        step, seconds = 0, 0.0
        if run is not None and checkpoints(run.folder):
            with suppress(InputError):
                last = read_history(run.folder)[-1]
                step, seconds = int(last["step"]), float(last["seconds"])
        return RunLine(name, "training" if run else "waiting", step, trial.steps, "", seconds)
