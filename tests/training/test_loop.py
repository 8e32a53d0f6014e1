"""The training loop: it learns, resumes bit for bit, and never loses what it had."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from prior_lab.errors import InputError
from prior_lab.layers import recompute
from prior_lab.models import Autoencoder, AutoencoderConfig
from prior_lab.objectives import Loss, total_loss
from prior_lab.orderings import OrderingName
from prior_lab.tasks import ReconstructionExperiment, Record, experiment_from_json, reconstruction
from prior_lab.tokens import TokenName
from prior_lab.training.checkpoints import checkpoints, read_history
from prior_lab.training.loop import NotFiniteError, train

ARMS: tuple[tuple[OrderingName, TokenName], ...] = (
    ("prior", "gaussian"), ("itd", "gaussian"), ("td", "categorical"), ("prior", "ema-vq"), ("td", "ema-vq"),
    ("matryoshka", "gaussian"), ("prior-without-prediction", "fsq"),
)  # fmt: skip


@pytest.mark.parametrize(("ordering", "tokens"), ARMS)
def test_training_learns(pictures: Path, tmp_path: Path, ordering: OrderingName, tokens: TokenName) -> None:
    experiment = replace(
        tiny.reconstruction(pictures, ordering, tokens), steps=120, batch_size=8, validate_every=40, average_decay=0.9
    )
    trained = train(experiment, tmp_path, progress=False)
    first, last = trained.history[0], trained.history[-1]
    assert last["objective"] < 0.6 * first["objective"]
    assert last["ssim_7"] > next(record["ssim_7"] for record in trained.history if "ssim_7" in record)
    assert not trained.model.training


@pytest.mark.parametrize(("ordering", "tokens"), ARMS)
def test_a_run_stopped_by_ctrl_c_and_resumed_equals_one_that_was_not(
    pictures: Path, tmp_path: Path, ordering: OrderingName, tokens: TokenName
) -> None:
    def press_ctrl_c(history: list[Record]) -> None:
        if len(history) == 2:
            os.kill(os.getpid(), signal.SIGINT)

    experiment = tiny.reconstruction(pictures, ordering, tokens)
    whole = train(experiment, tmp_path / "whole", progress=False)
    with pytest.raises(KeyboardInterrupt, match="stopped after step 5"):
        train(experiment, tmp_path / "parts", progress=False, monitor=press_ctrl_c)
    resumed = train(experiment, tmp_path / "parts", progress=False)
    for (name, one), other in zip(whole.model.state_dict().items(), resumed.model.state_dict().values(), strict=True):
        assert torch.equal(one, other), name
    losses = [{record["step"]: record["loss"] for record in run.history} for run in (whole, resumed)]
    assert losses[0] == {step: loss for step, loss in losses[1].items() if step != 5}


def test_a_run_without_progress_says_nothing_in_any_precision(pictures: Path, tmp_path: Path) -> None:
    """In a process of its own, where no test runner has handlers: what Fabric tells goes to standard error there."""
    experiment = replace(tiny.reconstruction(pictures), precision="bf16-mixed", steps=2)
    code = f"""
        from prior_lab.tasks import experiment_from_json
        from prior_lab.training.loop import train
        train(experiment_from_json({experiment.to_json()!r}), {str(tmp_path)!r}, device="cpu", progress=False)
    """
    command = [sys.executable, "-c", "\n".join(line.strip() for line in code.splitlines())]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


def test_a_run_begun_on_another_kind_of_device_is_continued(pictures: Path, tmp_path: Path) -> None:
    """The state of a CUDA generator has 16 bytes; chance then goes on from a seed of its own."""
    experiment = tiny.reconstruction(pictures)
    whole = train(experiment, tmp_path, progress=False)
    last, middle = reversed(checkpoints(tmp_path))
    last.unlink()
    tensors = load_file(middle) | {"generator": torch.zeros(16, dtype=torch.uint8)}
    with safe_open(middle, "pt") as file:
        save_file(tensors, middle, file.metadata())
    resumed = train(experiment, tmp_path, progress=False)
    assert [record["step"] for record in resumed.history] == [record["step"] for record in whole.history]
    assert resumed.history[-1]["loss"] != whole.history[-1]["loss"]


def test_a_token_kind_brings_its_regulariser_weight(pictures: Path) -> None:
    experiment = tiny.reconstruction(pictures, tokens="ema-vq")
    assert experiment.regulariser_weight == experiment.regulariser_weights["ema-vq"]
    assert replace(experiment, rate_weight=0.5).regulariser_weight == 0.5
    with pytest.raises(InputError, match="rate_weight is -1.0; it must not be negative"):
        replace(experiment, rate_weight=-1.0)


def test_levels_that_collapse_are_named_while_training(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Token maps that start at zero and do not move give posteriors that equal their prior."""

    def collapsed(config: AutoencoderConfig) -> Autoencoder:
        model = Autoencoder(config)
        for parameter in model.ordering.tokens.parameters():
            torch.nn.init.zeros_(parameter)
        return model

    monkeypatch.setattr(ReconstructionExperiment, "build", lambda experiment: collapsed(experiment.model))
    experiment = replace(tiny.reconstruction(pictures), steps=1, learning_rate=1e-30)
    trained = train(experiment, tmp_path)
    said = capsys.readouterr()
    assert "step 1: level 2 (tokens 4 to 7): 4 of 4 tokens carry next to nothing" in said.out + said.err
    assert (trained.history[-1]["information_2"], trained.history[-1]["used_2"]) == (pytest.approx(0, abs=1e-9), 0)


def test_validating_does_not_move_codebooks(pictures: Path, tmp_path: Path) -> None:
    """The model that is kept has the codebooks that training left, not ones that validation images moved."""
    train(tiny.reconstruction(pictures, tokens="ema-vq"), tmp_path, progress=False)
    left = load_file(checkpoints(tmp_path)[-1])
    codebooks = [name.removeprefix("model.") for name in left if name.startswith("model.") and "codes" in name]
    assert codebooks
    assert all(torch.equal(left[f"model.{name}"], left[f"average.{name}"]) for name in codebooks)


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(pictures: Path, tmp_path: Path) -> None:
    experiment = replace(tiny.reconstruction(pictures), steps=3)
    runs = [
        train(replace(experiment, seed=seed), tmp_path / str(number), progress=False)
        for number, seed in enumerate((0, 0, 1))
    ]
    first, same, other = (run.model.encoder.queries for run in runs)
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("ordering", ["prior", "td"])
def test_recomputing_keeps_less_and_changes_nothing(pictures: Path, tmp_path: Path, ordering: OrderingName) -> None:
    experiment = tiny.reconstruction(pictures, ordering)
    plain = train(experiment, tmp_path / "plain", progress=False).model
    again = train(experiment, tmp_path / "again", progress=False, recomputing=True).model
    for name, value in plain.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], value, msg=name)
    kept = []
    for model in (experiment.build(), experiment.build()):
        sizes: list[int] = []
        if kept:
            recompute(model)
        with torch.autograd.graph.saved_tensors_hooks(lambda x, sizes=sizes: sizes.append(x.nbytes) or x, lambda x: x):
            model(torch.zeros(4, 3, 32, 32), model.ordering.draw(4, torch.Generator()))
        kept.append(sum(sizes))
    assert kept[1] < 0.7 * kept[0]


def test_without_a_compiler_compiling_is_refused(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match=r"Compiling for a CPU needs a C\+\+ compiler"):
        train(tiny.reconstruction(pictures), tmp_path / "run", device="cpu", compiled=True)
    assert not (tmp_path / "run").exists()


def test_training_leaves_the_global_random_stream_alone(pictures: Path, tmp_path: Path) -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    train(replace(tiny.reconstruction(pictures), steps=1), tmp_path, progress=False)
    assert torch.equal(before, torch.get_rng_state())


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_last_good_checkpoint(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = count(1)

    def poisoned(*arguments: Any, **weights: float) -> Loss:
        loss = total_loss(*arguments, **weights)
        return replace(loss, total=loss.total * float("nan")) if next(steps) > 5 else loss

    experiment = tiny.reconstruction(pictures)
    with monkeypatch.context() as patch:
        patch.setattr(reconstruction, "total_loss", poisoned)
        with pytest.raises(NotFiniteError, match="NaN or infinite before step 6; the last good checkpoint is kept in"):
            train(experiment, tmp_path, progress=False)
    (kept,) = checkpoints(tmp_path)
    assert kept.name == "checkpoint-00000004.safetensors"
    resumed, whole = (train(experiment, folder, progress=False) for folder in (tmp_path, tmp_path / "whole"))
    assert torch.equal(resumed.model.encoder.queries, whole.model.encoder.queries)


def test_weights_that_are_not_finite_are_never_written(pictures: Path, tmp_path: Path) -> None:
    """The step after the last finite loss may be the one that breaks the weights."""
    experiment = replace(
        tiny.reconstruction(pictures), learning_rate=1e38, warmup_steps=0, validate_every=1, log_every=1
    )
    with pytest.raises(NotFiniteError):
        train(experiment, tmp_path, progress=False)
    for path in checkpoints(tmp_path):
        assert all(tensor.isfinite().all() for tensor in load_file(path).values())


def test_only_the_last_two_checkpoints_are_kept_and_a_damaged_one_is_passed_over(
    pictures: Path, tmp_path: Path
) -> None:
    experiment = replace(tiny.reconstruction(pictures), validate_every=2)
    whole = train(experiment, tmp_path, progress=False)
    kept = checkpoints(tmp_path)
    assert [path.name for path in kept] == ["checkpoint-00000006.safetensors", "checkpoint-00000008.safetensors"]
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in kept} | {".lock"}
    kept[1].write_bytes(kept[1].read_bytes()[:1000])
    with pytest.warns(UserWarning, match=r"-00000008.safetensors is truncated .* goes on from checkpoint-00000006"):
        again = train(experiment, tmp_path, progress=False)
    assert torch.equal(whole.model.encoder.queries, again.model.encoder.queries)
    for path in checkpoints(tmp_path):
        path.write_bytes(b"nothing")
    with pytest.raises(InputError, match="None of the 2 checkpoints in .* can be read"):
        train(experiment, tmp_path, progress=False)


def test_a_run_of_before_there_was_a_setting_goes_on(pictures: Path, tmp_path: Path) -> None:
    experiment = replace(tiny.reconstruction(pictures), validate_every=2)
    whole = train(experiment, tmp_path, progress=False)
    for path in checkpoints(tmp_path):
        tensors = load_file(path)
        with safe_open(path, "pt") as file:
            header = file.metadata()
        told = json.loads(header["experiment"])
        del told["model"]["log_variance_gain"]
        save_file(tensors, path, {**header, "experiment": json.dumps(told)})
    again = train(experiment, tmp_path, progress=False)
    assert torch.equal(whole.model.encoder.queries, again.model.encoder.queries)


def test_a_checkpoint_that_goes_while_it_is_read_is_none(pictures: Path, tmp_path: Path) -> None:
    train(replace(tiny.reconstruction(pictures), validate_every=2), tmp_path, progress=False)
    newest = checkpoints(tmp_path)[-1]
    newest.unlink()
    newest.symlink_to(tmp_path / "gone")  # it is listed, and cannot be opened
    assert read_history(tmp_path)[-1]["step"] == 6
    checkpoints(tmp_path)[0].unlink()
    with pytest.raises(InputError, match=r"no checkpoint of a run that can be read: checkpoint-00000008"):
        read_history(tmp_path)


def test_a_folder_with_another_run_is_refused(pictures: Path, tmp_path: Path) -> None:
    experiment = replace(tiny.reconstruction(pictures), steps=2)
    train(experiment, tmp_path, progress=False)
    with pytest.raises(InputError, match=r"another experiment \(its learning_rate is 0.004, not 0.001\)"):
        train(replace(experiment, learning_rate=1e-3), tmp_path, progress=False)
    with pytest.raises(InputError, match=r"its model.ordering is 'prior', not 'td'"):
        train(replace(experiment, model=replace(experiment.model, ordering="td")), tmp_path, progress=False)


@pytest.mark.usefixtures("no_shape_checks")
def test_settings_that_make_no_sense_are_refused(pictures: Path, tmp_path: Path) -> None:
    experiment = tiny.reconstruction(pictures)
    with pytest.raises(InputError, match="steps is 0; it must be at least 1"):
        replace(experiment, steps=0)
    with pytest.raises(InputError, match="learning_rate is nan; it must be finite"):
        replace(experiment, learning_rate=float("nan"))
    with pytest.raises(InputError, match=r"flip is 2; it must lie in 0..1"):
        replace(experiment, flip=2)
    with pytest.raises(InputError, match="there is no data set 'nowhere'"):
        train(replace(experiment, data="nowhere", path=None), tmp_path, progress=False)
    if not torch.cuda.is_available():
        with pytest.raises(InputError, match="no CUDA device"):
            train(experiment, tmp_path, device="cuda", progress=False)


def test_grey_images_are_converted_on_request_only(pictures: Path, tmp_path: Path) -> None:
    for number in range(12):
        Image.open(pictures / f"disc-{number}" / "0.png").convert("L").save(tmp_path / f"{number}.png")
    experiment = replace(tiny.reconstruction(pictures), path=str(tmp_path))
    with pytest.raises(InputError, match="is not RGB but greyscale"):
        experiment.load("train")
    assert replace(experiment, convert="rgb").load("train").images.shape[1:] == (3, 32, 32)


def test_an_experiment_survives_json(pictures: Path) -> None:
    experiment = tiny.reconstruction(pictures, "td")
    assert experiment_from_json(experiment.to_json()) == experiment
    with pytest.raises(InputError, match="not the JSON of an experiment"):
        experiment_from_json('{"model": {"orderings": 3}}')


@pytest.mark.gpu
def test_training_runs_in_bfloat16_on_a_gpu(pictures: Path, tmp_path: Path) -> None:
    experiment = replace(tiny.reconstruction(pictures), steps=60, batch_size=8, precision="auto", average_decay=0.9)
    history = train(experiment, tmp_path, device="cuda", progress=False).history
    assert history[-1]["objective"] < 0.8 * history[0]["objective"]


@pytest.mark.gpu
@pytest.mark.parametrize("tokens", ["gaussian", "categorical", "ema-vq", "fsq"])
@pytest.mark.parametrize("ordering", ["prior", "td", "itd", "matryoshka"])
def test_a_recorded_step_does_what_the_step_does(
    pictures: Path, tmp_path: Path, ordering: OrderingName, tokens: TokenName
) -> None:
    for experiment in (tiny.reconstruction(pictures, ordering, tokens), tiny.contrastive(pictures, ordering, tokens)):
        longer = replace(experiment, steps=9, log_every=1, validate_every=9)
        folder = tmp_path / experiment.task
        replayed, plain = (
            train(longer, folder / str(graphs), device="cuda", graphs=graphs, progress=False).history
            for graphs in (True, False)
        )
        losses = [[record["loss"] for record in history] for history in (replayed, plain)]
        assert losses[0] == pytest.approx(losses[1], rel=0.02)
        assert len(set(losses[0])) == 9  # every step had another batch and other weights
