"""Bundled weights, studies and searches by name, checked by SHA-256, and model files of one's own.

Weights are safetensors in half precision. The file's metadata say what it is (`format`), the model's shape (`model`),
the experiment that trained it (`config`) and the exact command that made it (`command`): nothing is unpickled.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
import xarray as xr
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor

from prior_lab import results
from prior_lab.checks import described, entry_point, nearest
from prior_lab.errors import InputError
from prior_lab.files import UNREADABLE, replacing, require_file, require_writable, sha256, write_tensors, writing
from prior_lab.models import Autoencoder, AutoencoderConfig, ContrastiveConfig, ContrastiveModel, OrderedModel

BUNDLED = Path(__file__).parent / "bundled"
FORMATS = {"prior-lab/autoencoder": Autoencoder, "prior-lab/contrastive": ContrastiveModel}
Kind = Literal["models", "studies", "searches", "codecs"]
ENDINGS = {"models": ".safetensors", "studies": ".nc", "searches": ".nc", "codecs": ".npz"}
NOUNS = {"models": "model", "studies": "study", "searches": "search", "codecs": "codec"}


@dataclass(frozen=True)
class ModelRecord:
    """What a model file says of itself.

    Attributes
    ----------
    format : the kind of model, one of `FORMATS`.
    model : JSON of the model's config, as `ModelConfig.to_json` writes it.
    config : JSON of the experiment that trained it.
    command : the command that made it.
    """

    format: str
    model: str
    config: str
    command: str


def list_models() -> list[str]:
    """Names of the bundled models.

    Examples
    --------
    >>> import prior_lab as pl
    >>> [name for name in pl.list_models() if name.startswith("fashion")]
    ['fashion/contrastive/prior-ema-vq', 'fashion/contrastive/prior-gaussian', 'fashion/contrastive/td-gaussian']
    """
    return sorted(_index()["models"])


def list_studies() -> list[str]:
    """Names of the bundled studies.

    Examples
    --------
    >>> import prior_lab as pl
    >>> "household-reconstruction" in pl.list_studies()
    True
    """
    return sorted(_index()["studies"])


def list_searches() -> list[str]:
    """Names of the bundled searches.

    Examples
    --------
    >>> import prior_lab as pl
    >>> len([name for name in pl.list_searches() if name.startswith("household-reconstruction")])
    7
    """
    return sorted(_index()["searches"])


def list_codecs() -> list[str]:
    """Names of the models whose codecs are bundled.

    Examples
    --------
    >>> import prior_lab as pl
    >>> [name for name in pl.list_codecs() if name.startswith("emoji")]
    ['emoji/reconstruction/prior-ema-vq', 'emoji/reconstruction/td-ema-vq']
    """
    return sorted(_index().get("codecs", {}))


@entry_point
def load_model(name: str | Path) -> OrderedModel:
    """A trained model, in evaluation mode on the CPU, its weights frozen (`requires_grad_()` thaws them).

    Parameters
    ----------
    name : one of `list_models()`, or the path of a `.safetensors` file that `save_model` wrote.

    Raises
    ------
    InputError : if there is no such model, or the file is truncated, altered, or no model of prior_lab.

    Examples
    --------
    >>> import prior_lab as pl
    >>> model = pl.load_model("household/reconstruction/prior-gaussian")
    >>> model.config.ordering, model.config.tokens, model.budgets[-1]
    ('prior', 'gaussian', 127)
    """
    path = _model_path(name)
    record = _read_record(path)
    with torch.device("meta"):  # a config may ask for more than any memory holds
        wanted = _untrained(record).state_dict()
    try:
        stored = load_file(path)
    except UNREADABLE as error:
        raise InputError(f"{path.name!r} is truncated or is not a safetensors file: {error}.") from error
    if wanted.keys() != stored.keys() or any(not _is_like(stored[key], wanted[key]) for key in wanted):
        raise InputError(f"The weights in {path.name!r} do not fit the model's config that it holds.")
    if not all(weight.isfinite().all() for weight in stored.values()):
        raise InputError(f"The weights in {path.name!r} are not all finite numbers; the file is damaged.")
    model = _untrained(record)
    expected = model.state_dict()
    model.load_state_dict({key: stored[key].to(expected[key].dtype) for key in expected})
    return model.eval().requires_grad_(False)


@entry_point
def load_autoencoder(name: str | Path) -> Autoencoder:
    """`load_model` of a model that reconstructs.

    Raises
    ------
    InputError : as `load_model`, and if the model has no decoder.
    """
    model = load_model(name)
    if not isinstance(model, Autoencoder):
        raise InputError(f"The model {str(name)!r} is contrastive: it encodes objects but has no decoder.")
    return model


@entry_point
def load_contrastive(name: str | Path) -> ContrastiveModel:
    """`load_model` of a contrastive model.

    Raises
    ------
    InputError : as `load_model`, and if the model is an autoencoder.
    """
    model = load_model(name)
    if not isinstance(model, ContrastiveModel):
        raise InputError(f"The model {str(name)!r} is an autoencoder; a contrastive model was expected.")
    return model


@entry_point
def model_record(name: str | Path) -> ModelRecord:
    """The configs and the command behind a model that `load_model` takes.

    Raises
    ------
    InputError : as `load_model`.
    """
    return _read_record(_model_path(name))


@entry_point
def save_model(model: OrderedModel, path: str | Path, *, config: str, command: str) -> None:
    """Write a model's weights in half precision: the file is whole, or what was there before stays.

    Parameters
    ----------
    path : ends in `.safetensors`.
    config : JSON of the experiment that trained it.
    command : the exact command that made it.

    Raises
    ------
    InputError : if a weight is not finite in half precision, the path has another ending, or it cannot be written.
    """
    require_writable(path, ".safetensors")
    halves = {}
    for key, weight in model.state_dict().items():
        dtype = torch.float16 if weight.is_floating_point() else weight.dtype
        halves[key] = weight.detach().to("cpu", dtype).contiguous()
        if not torch.isfinite(halves[key]).all():
            raise InputError(f"The weight {key} is not finite in half precision; the model is not saved.")
    kind = next(name for name, kind in FORMATS.items() if isinstance(model, kind))
    metadata = {"format": kind, "model": model.config.to_json(), "config": config, "command": command}
    with writing(path) as temporary:
        write_tensors(temporary, halves, metadata)


@entry_point
def load_study(name: str | Path) -> xr.DataTree:
    """A study as `prior_lab.results` describes it.

    Parameters
    ----------
    name : one of `list_studies()`, or the path of a `.nc` file that `results.save` wrote.

    Raises
    ------
    InputError : if there is no such study, or the file is truncated, altered, or of another schema version.

    Examples
    --------
    >>> import prior_lab as pl
    >>> study = pl.load_study("household-reconstruction")
    >>> ssim = study["prior-gaussian"]["quality"].sel(metric="SSIM").mean("seed")
    >>> [round(float(value), 2) for value in ssim]
    [0.72, 0.73, 0.75, 0.77, 0.79, 0.86, 0.89]
    >>> study.attrs["task"], study["prior-gaussian"].attrs["model"]
    ('reconstruction', 'household/reconstruction/prior-gaussian')
    """
    return results.load(Path(name) if str(name).endswith(".nc") else bundled_file("studies", str(name)))


def named_models(arms: Mapping[str, xr.DataTree]) -> dict[str, str]:
    """The models that a study names for its arms, as `load_model` takes them; arms without one are left out.

    Raises
    ------
    InputError : if none has one.
    """
    models = {label: str(arm.attrs["model"]) for label, arm in arms.items() if arm.attrs.get("model")}
    if not models:
        raise InputError(
            f"The study names no model for {', '.join(arms)}; give models and images instead of the study."
        )
    return models


def register(kind: Kind, name: str, file: str | Path) -> None:
    """Enter a file that lies under `prior_lab/bundled` in the index, or bring its entry up to date (for maintainers).

    Raises
    ------
    InputError : if the file is missing or lies elsewhere.
    """
    path = Path(file).resolve()
    if not path.is_file() or not path.is_relative_to(BUNDLED.resolve()):
        raise InputError(f"{str(file)!r} is not a file under {BUNDLED.name!r}.")
    index = _index()
    relative = path.relative_to(BUNDLED.resolve()).as_posix()
    index.setdefault(kind, {})[name] = {"file": relative, "sha256": sha256(path), "bytes": path.stat().st_size}
    with replacing(BUNDLED / "index.json") as temporary:
        temporary.write_text(json.dumps(index, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _index() -> dict[str, dict[str, dict[str, str | int]]]:
    return json.loads((BUNDLED / "index.json").read_text(encoding="utf-8"))


def _model_path(name: str | Path) -> Path:
    if not str(name).endswith(".safetensors"):
        return bundled_file("models", str(name))
    return require_file(name, "model file")


def bundled_file(kind: Kind, name: str) -> Path:
    """The path of a bundled file whose bytes are those that were registered."""
    entries = _index().get(kind, {})
    if name not in entries:
        raise InputError(
            f"There is no bundled {NOUNS[kind]} {described(name)}; the nearest are {nearest(name, entries)}, and "
            f"list_{kind}() names all; a file ends in {ENDINGS[kind]}."
        )
    path = BUNDLED / str(entries[name]["file"])
    found = sha256(path) if path.is_file() else "nothing"
    if found != entries[name]["sha256"]:
        raise InputError(
            f"The bundled file {entries[name]['file']!r} is damaged: its SHA-256 should be {entries[name]['sha256']}, "
            f"found {found}; install prior-lab again."
        )
    return path


def _untrained(record: ModelRecord) -> OrderedModel:
    if FORMATS[record.format] is Autoencoder:
        return Autoencoder(AutoencoderConfig.from_json(record.model))
    return ContrastiveModel(ContrastiveConfig.from_json(record.model))


def _is_like(stored: Tensor, wanted: Tensor) -> bool:
    """Whether a tensor of a file can become a weight: of its shape and type, whatever the precision."""
    alike = stored.is_floating_point() if wanted.is_floating_point() else stored.dtype == wanted.dtype
    return alike and stored.shape == wanted.shape


def _read_record(path: Path) -> ModelRecord:
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
    except UNREADABLE as error:
        raise InputError(f"{path.name!r} is truncated or is not a safetensors file: {error}.") from error
    if metadata.get("format") not in FORMATS:
        raise InputError(f"{path.name!r} holds safetensors, but not a model of prior_lab.")
    missing = [name for name in ("model", "config", "command") if name not in metadata]
    if missing:
        raise InputError(f"The model file {path.name!r} lacks its {', '.join(missing)}.")
    return ModelRecord(metadata["format"], metadata["model"], metadata["config"], metadata["command"])
