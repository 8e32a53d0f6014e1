"""Studies that train what they measure: in this process, in processes of their own, on a Dask cluster."""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from threading import Thread
from typing import Any

import nbformat
import pytest
import tiny
import torch
import xarray as xr
from nbclient import NotebookClient

import prior_lab as pl
from prior_lab.__main__ import main
from prior_lab.errors import InputError
from prior_lab.tasks import Experiment, ReconstructionExperiment, Record
from prior_lab.training import loop
from prior_lab.training.checkpoints import checkpoints
from prior_lab.training.progress import LogTable, RunLine, TerminalTable
from prior_lab.training.runs import run_name, run_study
from prior_lab.training.study import MODEL_FILE

LONG = 40  # steps; a run that has time to be killed


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """As many threads as workers have: sums do not depend on where a run was."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def experiments(pictures: Path) -> list[ReconstructionExperiment]:
    """Two seeds of one arm and one of another."""
    prior, other = tiny.reconstruction(pictures), tiny.reconstruction(pictures, "td")
    return [replace(experiment, steps=4) for experiment in (prior, replace(prior, seed=1), other)]


@pytest.fixture(scope="module")
def processes() -> ForkServerContext:
    """Processes that start at once, for their parent has imported everything."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["prior_lab.training.runs", "lightning_fabric", "test_runs"])
    return context


class ProcessForEachCall(Executor):
    """Calls in processes that live as long as the call."""

    def __init__(self, context: ForkServerContext) -> None:
        self._context = context
        self._threads = ThreadPoolExecutor(2)
        self._processes: dict[Any, BaseProcess] = {}

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **options: Any) -> Future[Any]:
        return self._threads.submit(self._call, function, arguments, options)

    def kill(self, last: Any) -> None:
        """Kill the process of the newest call with this last argument."""
        self._processes[last].kill()

    def _call(self, function: Callable[..., Any], arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
        receiver, sender = self._context.Pipe(duplex=False)
        process = self._context.Process(target=answer, args=(sender, function, arguments, options))
        process.start()
        self._processes[arguments[-1]] = process
        sender.close()
        with receiver:
            try:
                return receiver.recv()
            except EOFError as error:
                raise ChildProcessError("the process was killed") from error
            finally:
                process.join()


def answer(sender: Connection, function: Callable[..., Any], arguments: tuple[Any, ...], options: Any) -> None:
    torch.set_num_threads(1)  # as a child of the fork server has to
    sender.send(function(*arguments, **options))


@contextmanager
def once_training(folder: Path, action: Callable[[], None]) -> Iterator[None]:
    """Act as soon as a run has written its first checkpoint."""

    def watch() -> None:
        deadline = time.monotonic() + 60
        while not checkpoints(folder) and time.monotonic() < deadline:
            time.sleep(0.005)
        action()

    thread = Thread(target=watch)
    thread.start()
    yield
    thread.join()


def kill_children() -> None:
    for process in multiprocessing.active_children():
        process.kill()


def assert_same_numbers(one: xr.DataTree, other: xr.DataTree) -> None:
    assert list(one.children) == list(other.children)
    for label, arm in one.children.items():
        xr.testing.assert_identical(*(each.to_dataset().drop_attrs(deep=False) for each in (arm, other[label])))


def test_a_study_is_trained_measured_and_written(
    experiments: list[ReconstructionExperiment], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = pl.run_study(experiments, tmp_path, name="discs")
    assert list(study.children) == ["prior-gaussian", "td-gaussian"]
    assert study["prior-gaussian"].seed.values.tolist() == [0, 1]
    assert str(study["td-gaussian"].attrs["command"]).startswith("prior_lab.run_study([ReconstructionExperiment(")
    xr.testing.assert_identical(pl.load_study(tmp_path / "discs.nc"), study)
    names = [run_name(experiment) for experiment in experiments]
    assert names[1] == "folder-reconstruction-prior-gaussian-1"
    assert {path.name for path in tmp_path.iterdir()} == {*names, "discs.nc", ".lock"}
    said = capsys.readouterr()
    assert [line.split("  ")[:3] for line in said.out.splitlines()] == [
        told for name in names for told in ([name, "training", "step 2 of 4"], [name, "finished", "step 4 of 4"])
    ]
    assert said.err == ""


def test_a_study_has_the_numbers_of_the_commands_train_and_measure(
    experiments: list[ReconstructionExperiment], pictures: Path, tmp_path: Path
) -> None:
    last = experiments[-1]
    study = run_study([last], tmp_path / "study", progress=False)
    shape = (
        "--ordering td --levels 3 --image-size 32 --patch 8 --width 32 --channels 32 --encoder-depth 1 "
        "--decoder-width 32 --decoder-depth 1 --predictor-depth 1"
    )
    run = "--steps 4 --batch-size 4 --warmup-steps 2 --precision 32-true --log-every 2 --validate-every 4"
    main(f"train --out {tmp_path}/run --data folder --path {pictures} {shape} {run} --validation-images 2".split())
    main(f"measure {tmp_path}/run --out {tmp_path}/measured.nc".split())
    assert_same_numbers(study, pl.load_study(tmp_path / "measured.nc"))


def test_finished_runs_are_neither_trained_nor_measured_again(
    experiments: list[ReconstructionExperiment], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = run_study(experiments[:2], tmp_path, progress=False)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.*") if path.is_file()}
    assert len(before) == 3 * 2 + 2  # a checkpoint, a model and a lock each; the study and its lock
    monkeypatch.setattr(loop, "_step", None)  # training would fail
    again = run_study(experiments[:2], tmp_path, progress=False)
    xr.testing.assert_identical(again, study)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    fewer = run_study(experiments[:1], tmp_path, progress=False)
    assert fewer["prior-gaussian"].seed.values.tolist() == [0]
    (tmp_path / "my-study.nc").write_bytes(b"damaged")
    assert_same_numbers(run_study(experiments[:2], tmp_path, progress=False), study)


def test_a_run_that_was_stopped_goes_on_where_it_stopped(
    experiments: list[ReconstructionExperiment], tmp_path: Path
) -> None:
    whole = run_study(experiments[:2], tmp_path / "whole", progress=False)
    stopped = tmp_path / "parts" / run_name(experiments[0])

    def press_ctrl_c(history: list[Record]) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        pl.train(experiments[0], stopped, monitor=press_ctrl_c, progress=False)
    (begun,) = checkpoints(stopped)
    resumed = run_study(experiments[:2], tmp_path / "parts", progress=False)
    assert begun in checkpoints(stopped)  # a run that starts anew has no checkpoint of step 3
    for label, arm in whole.children.items():
        for name in ("quality", "information"):
            xr.testing.assert_identical(arm[name], resumed[label][name])


def test_ctrl_c_keeps_what_is_done_and_begins_nothing_more(
    experiments: list[ReconstructionExperiment], tmp_path: Path
) -> None:
    experiments[1] = replace(experiments[1], steps=LONG)
    experiments[0] = replace(experiments[0], steps=LONG)
    second = tmp_path / run_name(experiments[1])
    with (
        once_training(second, lambda: os.kill(os.getpid(), signal.SIGINT)),
        pytest.raises(KeyboardInterrupt, match="stopped after step"),
    ):
        run_study(experiments, tmp_path, progress=False)
    assert (tmp_path / run_name(experiments[0]) / MODEL_FILE).is_file()
    assert checkpoints(second)
    assert not (second / MODEL_FILE).exists()
    assert {path.name for path in tmp_path.iterdir()} == {*map(run_name, experiments[:2]), ".lock"}


def test_after_ctrl_c_a_pool_begins_nothing_more(
    experiments: list[ReconstructionExperiment], tmp_path: Path, processes: ForkServerContext
) -> None:
    """Ctrl-C that this process alone hears; a pool holds one call more than it has processes ready."""
    experiments = [replace(experiments[0], steps=LONG, seed=seed) for seed in range(4)]
    first = tmp_path / run_name(experiments[0])
    with (
        ProcessPoolExecutor(1, processes, torch.set_num_threads, (1,)) as pool,
        once_training(first, lambda: os.kill(os.getpid(), signal.SIGINT)),
        pytest.raises(KeyboardInterrupt),
    ):
        run_study(experiments, tmp_path, executor=pool, progress=False)
    assert (first / MODEL_FILE).is_file()  # it had begun
    assert {path.name for path in tmp_path.iterdir()} == {first.name, ".lock"}


def test_a_run_whose_process_is_killed_is_begun_again(
    experiments: list[ReconstructionExperiment], tmp_path: Path, processes: ForkServerContext
) -> None:
    experiments = [replace(experiment, steps=LONG) for experiment in experiments[:2]]
    first, executor = tmp_path / "parts" / run_name(experiments[0]), ProcessForEachCall(processes)
    with once_training(first, lambda: executor.kill(first)):
        study = run_study(experiments, tmp_path / "parts", executor=executor, progress=False)
    assert_same_numbers(study, run_study(experiments, tmp_path / "whole", progress=False))


def test_a_run_that_dies_too_often_is_named_when_the_others_are_done(
    experiments: list[ReconstructionExperiment], tmp_path: Path, processes: ForkServerContext
) -> None:
    lost, executor = replace(experiments[0], steps=LONG), ProcessForEachCall(processes)
    folder = tmp_path / run_name(lost)
    with (
        once_training(folder, lambda: executor.kill(folder)),
        pytest.raises(
            InputError,
            match=r"1 of 2 runs did not finish: folder-reconstruction-prior-gaussian-0 \(died of ChildProcessError: "
            r"the process was killed\)\. What is done is kept in .*; run_study again goes on from there\.",
        ),
    ):
        run_study([lost, experiments[2]], tmp_path, executor=executor, retries=0, progress=False)
    assert (tmp_path / run_name(experiments[2]) / MODEL_FILE).is_file()


def test_a_broken_pool_is_told_of_and_a_new_one_goes_on(
    experiments: list[ReconstructionExperiment], tmp_path: Path, processes: ForkServerContext
) -> None:
    experiments = [experiments[0], replace(experiments[2], steps=LONG)]
    with (
        ProcessPoolExecutor(1, processes, torch.set_num_threads, (1,)) as pool,
        once_training(tmp_path / run_name(experiments[1]), kill_children),
        pytest.raises(InputError, match=r"1 of 2 runs did not finish: .*td-gaussian-0 \(a process of the pool"),
    ):
        run_study(experiments, tmp_path, executor=pool, progress=False)
    with pytest.raises(InputError, match=r"the pool is of no use; give a new one"):
        run_study(experiments, tmp_path, executor=pool, progress=False)
    with ProcessPoolExecutor(1, processes, torch.set_num_threads, (1,)) as pool:
        study = run_study(experiments, tmp_path, executor=pool, progress=False)
    assert list(study.children) == ["prior-gaussian", "td-gaussian"]


def test_threads_train_one_run_at_a_time(experiments: list[ReconstructionExperiment], tmp_path: Path) -> None:
    """They share the random stream that weights are drawn from."""
    with ThreadPoolExecutor(3) as pool:
        study = run_study(experiments, tmp_path / "threads", executor=pool, progress=False)
    assert_same_numbers(study, run_study(experiments, tmp_path / "here", progress=False))


def test_a_dask_cluster_gives_the_same_results(experiments: list[ReconstructionExperiment], tmp_path: Path) -> None:
    from distributed import Client, LocalCluster

    here = run_study(experiments, tmp_path / "here", progress=False)
    with (
        LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            host="127.0.0.1",
            dashboard_address=None,
            local_directory=str(tmp_path / "dask"),
        ) as cluster,
        Client(cluster) as client,
    ):
        there = run_study(experiments, tmp_path / "there", executor=client.get_executor(), progress=False)
    assert_same_numbers(there, here)


def test_wrong_input_is_told_of_once_and_not_tried_again(
    experiments: list[ReconstructionExperiment], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    diverging = replace(experiments[0], learning_rate=1e38, warmup_steps=0)
    other = run_name(experiments[2])
    pl.train(replace(experiments[2], steps=2), tmp_path / other, progress=False)
    with pytest.raises(InputError) as stop:
        run_study([diverging, replace(diverging, seed=1), experiments[2]], tmp_path, retries=5, progress=False)
    assert str(stop.value).count("died") == 0
    assert str(stop.value).startswith("3 of 3 runs did not finish: folder-reconstruction-prior-gaussian-0 (The loss ")
    assert f"{other} ({tmp_path / other} holds a run of another experiment (its steps is 2, not 4)" in str(stop.value)


def test_experiments_that_make_no_study_are_refused_before_anything_is_trained(
    experiments: list[ReconstructionExperiment], tmp_path: Path
) -> None:
    def refused(sentence: str, *given: Experiment, retries: int = 1) -> None:
        with pytest.raises(InputError, match=sentence):
            run_study(given, tmp_path / "study", retries=retries, progress=False)

    first, second, other = experiments
    refused("at least one experiment")
    refused("retries is -1; it must not be negative", first, retries=-1)
    refused("Two experiments are both the run folder-reconstruction-prior-gaussian-0", first, replace(first, flip=0.1))
    refused("td-gaussian-0 and .*prior-gaussian-0 differ in task or data", first, replace(other, path="elsewhere"))
    refused(r"-1 differs from another seed of its arm \(its flip is 0.1, not 0.5\)", first, replace(second, flip=0.1))
    assert not (tmp_path / "study").exists()
    run_study([first], tmp_path / "study", progress=False)
    refused(r"a finished run of another experiment \(its steps is 4, not 8\)", replace(first, steps=8))


def test_two_studies_in_one_folder_are_refused(experiments: list[ReconstructionExperiment], tmp_path: Path) -> None:
    with pl.files.held(tmp_path), pytest.raises(InputError, match="Another process is at work in"):
        run_study(experiments, tmp_path, progress=False)


def lines(step: int) -> list[RunLine]:
    return [
        RunLine("prior-0", "finished", 8, 8, "SSIM 0.812", 3.2),
        RunLine("td<0>", "training" if step < 8 else "finished", step, 8, "SSIM 0.7" if step else "", 0.4),
    ]


def test_a_terminal_shows_the_table_in_one_place(capsys: pytest.CaptureFixture[str]) -> None:
    table = TerminalTable()
    for step in (0, 4, 4):
        table.show(lines(step))
    first, second = capsys.readouterr().out.split("\x1b[3F\x1b[J")  # three lines up, drawn once more
    assert first.splitlines()[0].split() == ["run", "state", "step", "validation", "seconds"]
    assert second.splitlines()[2] == "td<0>    training  4 of 8  SSIM 0.7    0      "


def test_a_log_has_a_line_for_every_change_of_state(capsys: pytest.CaptureFixture[str]) -> None:
    table = LogTable()
    for step in (0, 4, 8):
        table.show(lines(step))
    assert capsys.readouterr().out.splitlines() == [
        "prior-0  finished  step 8 of 8  SSIM 0.812  3 s",
        "td<0>  training  step 0 of 8  0 s",
        "td<0>  finished  step 8 of 8  SSIM 0.7  0 s",
    ]


def test_a_notebook_shows_one_table_that_is_updated(root: Path) -> None:
    code = """
from prior_lab.training.progress import RunLine, progress_table
table = progress_table(runs=1)
for step in (0, 8):
    table.show([RunLine("td<0>", "training", step, 8, "", 0.0)])
"""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    NotebookClient(notebook, resources={"metadata": {"path": str(root)}}).execute()
    (output,) = notebook.cells[0].outputs
    assert "<td>td&lt;0&gt;</td><td>training</td><td>8 of 8</td>" in output.data["text/html"]
