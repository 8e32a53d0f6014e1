"""Training, runs, studies, model files and checkpoints."""

import dataclasses
import functools
import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from case import Case, Ground
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import prior_lab as pl
from prior_lab.training.checkpoints import checkpoints
from prior_lab.training.loop import train
from prior_lab.training.runs import run_experiment
from prior_lab.training.study import study_from_runs
from prior_lab.zoo import load_autoencoder, load_contrastive, save_model

Edit = Callable[[dict[str, torch.Tensor], dict[str, str]], None]


def _edited(path: Path, edit: Edit) -> None:
    """Write a safetensors file again with other tensors or metadata."""
    tensors = load_file(path)
    with safe_open(path, framework="pt") as file:
        metadata = dict(file.metadata())
    edit(tensors, metadata)
    save_file(tensors, path, metadata)


def _without(name: str) -> Edit:
    return lambda _, metadata: metadata.pop(name) and None


def _saying(**told: str) -> Edit:
    return lambda _, metadata: metadata.update(told)


def _filled(value: float) -> Edit:
    def edit(tensors: dict[str, torch.Tensor], _: dict[str, str]) -> None:
        for tensor in tensors.values():
            if tensor.is_floating_point():
                tensor.fill_(value)

    return edit


def _dropped(prefix: str) -> Edit:
    def edit(tensors: dict[str, torch.Tensor], _: dict[str, str]) -> None:
        for name in [name for name in tensors if name.startswith(prefix)]:
            del tensors[name]

    return edit


def _as_integers(tensors: dict[str, torch.Tensor], _: dict[str, str]) -> None:
    for name, tensor in tensors.items():
        tensors[name] = tensor.to(torch.int8)


@functools.cache
def _run(path: str) -> Path:
    """A finished run with one checkpoint, made once."""
    folder = Path(tempfile.mkdtemp()) / "run"
    experiment = dataclasses.replace(_tiny(path), steps=1)
    run_experiment(experiment, folder, command="train", progress=False)
    return folder


def _tiny(path: str) -> pl.ReconstructionExperiment:
    from case import shape

    return pl.ReconstructionExperiment(
        shape(), data="folder", path=path, steps=2, batch_size=2, log_every=1, validate_every=1
    )


def _resumed(edit: Edit | bytes | None) -> Callable[[Ground], object]:
    """Training goes on from a checkpoint that was edited, or replaced by bytes or by a folder."""

    def call(ground: Ground) -> object:
        with tempfile.TemporaryDirectory() as scratch:
            folder = shutil.copytree(_run(ground.experiment.path), Path(scratch) / "run")
            (checkpoint,) = checkpoints(folder)
            if callable(edit):
                _edited(checkpoint, edit)
            else:
                checkpoint.unlink()
                checkpoint.mkdir() if edit is None else checkpoint.write_bytes(edit)
            return train(dataclasses.replace(_tiny(ground.experiment.path), steps=1), folder, progress=False)

    return call


def _measured(edit: Edit | bytes | None) -> Callable[[Ground], object]:
    """A finished run whose checkpoint was edited is measured."""

    def call(ground: Ground) -> object:
        with tempfile.TemporaryDirectory() as scratch:
            folder = shutil.copytree(_run(ground.experiment.path), Path(scratch) / "run")
            (checkpoint,) = checkpoints(folder)
            if callable(edit):
                _edited(checkpoint, edit)
            else:
                checkpoint.unlink()
                checkpoint.symlink_to("nowhere") if edit is None else checkpoint.write_bytes(edit)
            return study_from_runs([folder], name="mine")

    return call


def _loaded(edit: Edit | bytes) -> Callable[[Ground], object]:
    """A model file that was edited is loaded."""

    def call(ground: Ground) -> object:
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(shutil.copy(ground.folder / "model.safetensors", Path(scratch) / "edited.safetensors"))
            path.write_bytes(edit) if isinstance(edit, bytes) else _edited(path, edit)
            return pl.load_model(path)

    return call


def _deep(tensors: dict[str, torch.Tensor], metadata: dict[str, str]) -> None:
    metadata["model"] = "[" * 100_000


def _huge(tensors: dict[str, torch.Tensor], metadata: dict[str, str]) -> None:
    metadata["model"] = json.dumps(json.loads(metadata["model"]) | {"width": 4096, "encoder_depth": 64})


def _depth(tensors: dict[str, torch.Tensor], metadata: dict[str, str]) -> None:
    metadata["model"] = json.dumps(json.loads(metadata["model"]) | {"encoder_depth": 10**9})


LOST = r"^None of the 1 checkpoints in .* can be read by this version \(checkpoint-00000001.safetensors "
CASES = [
    *(
        Case(f"resume from a checkpoint {name}", _resumed(edit), f"{LOST}{says}")
        for name, edit, says in (
            ("that is text", b"text", "is truncated"),
            ("that is empty", b"", "is truncated"),
            ("that is a folder", None, "is truncated"),
            ("without experiment", _without("experiment"), "lacks its experiment"),
            ("without step", _without("step"), "lacks its step"),
            ("without history", _without("history"), "lacks its history"),
            ("of another format", _saying(format="other"), "is no checkpoint, or one of another version"),
            ("whose step is text", _saying(step="many"), "holds a header that cannot be read"),
            ("whose step is beyond the end", _saying(step="99"), "holds a step that does not belong"),
            ("whose history is empty", _saying(history="[]"), "holds a history"),
            ("whose history is no JSON", _saying(history="{"), "holds a header that cannot be read"),
            ("whose history is text", _saying(history='"x"'), "holds a history"),
            ("whose experiment is no JSON", _saying(experiment="{"), "holds a header that cannot be read"),
            ("without generator", _dropped("generator"), "lacks the tensor generator"),
            ("without weights", _dropped("model."), "lacks the tensor model"),
            ("without averages", _dropped("average."), "lacks the tensor average"),
            ("without moments", _dropped("optimizer."), "lacks the optimiser's moments"),
            ("full of NaN", _filled(float("nan")), "holds numbers that are not finite"),
        )
    ),
    *(
        Case(
            f"measure a run whose checkpoint is {name}",
            _measured(edit),
            "holds no checkpoint of a run that can be read: ",
        )
        for name, edit in (
            ("text", b"text"),
            ("a dangling link", None),
            ("without metadata", _saying(format="")),
            ("without history", _without("history")),
            ("without records", _saying(history="[]")),
        )
    ),
    *(
        Case(f"load a model file {name}", _loaded(edit), says)
        for name, edit, says in (
            ("that is text", b"text", "is truncated or is not a safetensors file"),
            ("that is empty", b"", "is truncated or is not a safetensors file"),
            ("without model", _without("model"), "lacks its model"),
            ("without config", _without("config"), "lacks its config"),
            ("without command", _without("command"), "lacks its command"),
            ("of another format", _saying(format="x"), "not a model of prior_lab"),
            ("with a config that is no JSON", _saying(model="{"), "is not JSON"),
            ("with a config nested too deep", _deep, "nested too deep"),
            ("with a config too deep", _depth, "encoder_depth is 1000000000; it must be at most 64"),
            ("with a config too large", _huge, "do not fit the model's config"),
            ("full of NaN", _filled(float("nan")), "not all finite numbers"),
            ("full of infinities", _filled(float("inf")), "not all finite numbers"),
            ("of whole numbers", _as_integers, "do not fit the model's config"),
            ("without some weights", _dropped("encoder"), "do not fit the model's config"),
        )
    ),
    *(
        Case(f"{load.__name__} of {str(name)[:20]!r}", lambda _, load=load, name=name: load(name), says)
        for load in (pl.load_model, load_autoencoder, load_contrastive, pl.load_study)
        for name, says in (
            ("household/prior", "no bundled (model|study) 'household/prior'; the nearest are .*, .*, and list_"),
            ("x" * 5000, "There is no bundled"),
            (None, "a text or a path was expected"),
            (3, "a text or a path was expected"),
            (["x"], "a text or a path was expected"),
            ("", "There is no bundled"),
        )
    ),
    *(
        Case(f"load {str(name)[:12]!r}", lambda _, name=name: pl.load_model(name), says)
        for name, says in (
            ("nowhere.safetensors", "There is no model file"),
            ("notes.safetensors", "There is no model file"),
            ("x" * 300 + ".safetensors", "than file systems take"),
            ("text.txt/model.safetensors", "cannot be read"),
            ("a\0.safetensors", "holds a character that no path can hold"),
        )
    ),
    Case(
        "a model that does not decode",
        lambda _: load_autoencoder("household/contrastive/prior-gaussian"),
        "contrastive",
    ),
    Case("an autoencoder as contrastive", lambda ground: load_contrastive("model.safetensors"), "is an autoencoder"),
    *(
        Case(
            f"save_model to {str(path)[:12]!r}",
            lambda ground, path=path: save_model(ground.model, path, config="{}", command=""),
            says,
        )
        for path, says in (
            ("model.pt", r"does not end in .safetensors"),
            ("notes", r"does not end in .safetensors"),
            ("text.txt/model.safetensors", "no folder in which one may write"),
            ("x" * 300 + ".safetensors", "than file systems take"),
            (None, "a text or a path was expected"),
        )
    ),
    Case(
        "save_model of None",
        lambda _: save_model(None, "x.safetensors", config="{}", command=""),
        "an OrderedModel was",
    ),
    *(
        Case(
            f"train into {str(folder)[:12]!r}",
            lambda ground, folder=folder: train(ground.experiment, folder, progress=False),
            says,
        )
        for folder, says in (
            ("text.txt", "cannot be written to"),
            ("text.txt/run", "cannot be written to"),
            ("x" * 300, "than file systems take"),
            ("a\0b", "holds a character that no path can hold"),
            ("", "a text or a pathlib.Path was expected"),
            (None, "a text or a path was expected"),
        )
    ),
    *(
        Case(
            f"train with {name}={value!r}",
            lambda ground, name=name, value=value: train(ground.experiment, "run", **{name: value}),
            says,
        )
        for name, value, says in (
            ("device", "tpu", "one of auto, cpu, cuda, mps was expected"),
            ("device", None, "one of auto"),
            ("devices", 0, "at least 1"),
            ("devices", 1.5, "a whole number"),
            ("compiled", "yes", "True or False"),
            ("monitor", 3, "a function or None"),
            ("progress", None, "True or False"),
        )
    ),
    *(
        Case(
            f"train {name}",
            lambda ground, given=given: train(given, "run", progress=False),
            "an Experiment was expected",
        )
        for name, given in (("None", None), ("a config", pl.AutoencoderConfig()), ("a text", "prior"))
    ),
    *(
        Case(f"run_study of {name}", lambda ground, make=make: pl.run_study(make(ground), "runs", progress=False), says)
        for name, make, says in (
            ("None", lambda ground: None, "a sequence"),
            ("an experiment", lambda ground: ground.experiment, "a sequence"),
            ("none", lambda ground: [], "at least one experiment"),
            ("None in a list", lambda ground: [None], "an Experiment was expected"),
            ("one twice", lambda ground: [ground.experiment, ground.experiment], "are both the run"),
        )
    ),
    *(
        Case(
            f"run_study with {key}={value!r}",
            lambda ground, key=key, value=value: pl.run_study(
                [ground.experiment], **({"folder": "runs", "progress": False} | {key: value})
            ),
            says,
        )
        for key, value, says in (
            ("executor", 3, "an Executor or None was expected"),
            ("retries", -1, "not be negative"),
            ("retries", 1.5, "a whole number"),
            ("device", "tpu", "one of auto"),
            ("name", "../../up", "becomes that of a file"),
            ("name", "", "becomes that of a file"),
            ("name", 3, "a text was expected"),
            ("folder", None, "a text or a path"),
            ("folder", "text.txt", "cannot be written to"),
        )
    ),
    *(
        Case(f"study_from_runs of {name}", lambda _, folders=folders: study_from_runs(folders, name="mine"), says)
        for name, folders, says in (
            ("none", [], "at least one run folder"),
            ("what is no run", [Path("notes")], "holds no finished run"),
            ("a file", [Path("text.txt")], "holds no finished run"),
            ("what is not there", [Path("nowhere")], "holds no finished run"),
            ("a name too long", [Path("x" * 300)], "than file systems take"),
        )
    ),
    Case(
        "study_from_runs with a tap that no prefix has",
        lambda ground: study_from_runs([_run(ground.experiment.path)], name="mine", tap="level"),  # type: ignore[arg-type]
        "read the tap tokens or levels, of whole prefixes; got 'level'",
    ),
    *(
        Case(f"LossPlot of {name}", lambda _, given=given: pl.LossPlot()(given), says)
        for name, given, says in (
            ("None", None, "history"),
            ("text", "loss", "history"),
            ("numbers", [1, 2], "history"),
        )
    ),
]
