"""What the labels themselves bring: the encoder of a contrastive run trained on them, the ceiling of its probes.

Encoder, pairs of views, steps, optimiser and schedule are those of the run's experiment. In place of tokens and
projection heads a linear map for every label level reads all tokens of the encoder, as a probe of the whole code does,
and the mean cross-entropy of the levels is minimised. Of the moving averages of the weights at every validation the one
is kept that classifies most images of the validation split correctly; it is measured on the test split, once.

It is the ceiling of what the encoder learns in as many steps, not of the data: where the steps are few it may lie below
the probes of a wide code, which are solved to the end, and then it says that the steps are too few.
"""

import copy
import math
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import tqdm.auto
import xarray as xr
from jaxtyping import Float, Int64
from torch import Generator, Tensor, nn
from torch.nn import functional

from prior_lab import results
from prior_lab.checks import entry_point
from prior_lab.data import ImageDataset
from prior_lab.data.feeding.augmentation import PairSampler
from prior_lab.encoders import Patches
from prior_lab.errors import InputError
from prior_lab.files import held, require_file, writing
from prior_lab.models import ContrastiveConfig, ContrastiveModel
from prior_lab.tasks import ContrastiveExperiment, experiment_from_json
from prior_lab.training.hardware import DeviceName, make_fabric
from prior_lab.training.loop import NotFiniteError, follow, make_optimizer, scheduled_rate

CEILING_FILE = "ceiling.nc"
BATCH = 256  # images that are told at once


class Labeller(nn.Module):
    """The encoder of a contrastive model, and a linear map of all its tokens for every label level.

    Parameters
    ----------
    labels : how many there are at each level.
    """

    def __init__(self, config: ContrastiveConfig, labels: Sequence[int]) -> None:
        super().__init__()
        self.encoder = ContrastiveModel(config).encoder
        self.maps = nn.ModuleList(nn.Linear((2**config.levels - 1) * config.channels, count) for count in labels)

    def forward(self, patches: Patches) -> list[Float[Tensor, "batch label"]]:
        """Logits at every level."""
        tokens = self.encoder(patches)
        features = tokens.flatten(1) / math.sqrt(tokens.shape[1])  # a step moves logits as if there were one token
        return [one(features) for one in self.maps]


@entry_point
def train_ceiling(
    experiment: ContrastiveExperiment, folder: Path, *, device: DeviceName = "auto", progress: bool = True
) -> xr.Dataset:
    """Train the encoder of a contrastive experiment on the labels and tell its accuracy on the test split.

    Parameters
    ----------
    experiment : as of the run whose probes it is to stand beside.
    folder : where `ceiling.nc` is written, the run's folder for `measure` to find it; what is there of the same
        experiment is read instead. Training that stops begins anew.
    progress : show a bar.

    Returns
    -------
    Dataset with `correct_by_object` (taxonomy, object), the share of every test object's images that is told right,
    NaN for those without a label; `validation` (step), the mean accuracy of the levels on the validation split; and
    the attributes `experiment` (JSON), `step` (which was kept), `seconds` and `commit`.

    Raises
    ------
    InputError : if the data have no labels or do not fit, another process trains there, or nothing can be written.
    NotFiniteError : if the loss becomes NaN or infinite.

    Examples
    --------
    Two steps of a very small encoder, which learn nothing:

    >>> import tempfile
    >>> from pathlib import Path
    >>> import prior_lab as pl
    >>> shape = pl.ContrastiveConfig(
    ...     levels=1, width=32, encoder_depth=1, sides=(8,), patches=4, registers=1, image_size=16
    ... )
    >>> experiment = pl.ContrastiveExperiment(shape, steps=2, batch_size=4)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     ceiling = pl.train_ceiling(experiment, Path(folder), progress=False)
    >>> dict(ceiling["correct_by_object"].sizes)
    {'taxonomy': 4, 'object': 130}
    """
    with held(folder):
        path = folder / CEILING_FILE
        if path.is_file():
            return read_ceiling(path, experiment)
        ceiling = _trained(experiment, device, progress=progress)
        contents = ceiling.to_netcdf(engine="h5netcdf")
        with writing(path) as temporary:
            temporary.write_bytes(contents)
        return ceiling


def read_ceiling(path: Path, experiment: ContrastiveExperiment) -> xr.Dataset:
    """What `train_ceiling` wrote for an experiment.

    Raises
    ------
    InputError : if the file cannot be read, or is of another experiment.
    """
    path = require_file(path, "ceiling")
    try:
        with xr.open_dataset(path, engine="h5netcdf") as file:
            ceiling = file.load()
        told, _ = experiment_from_json(ceiling.attrs["experiment"]), ceiling["correct_by_object"]
    except (OSError, ValueError, KeyError, RuntimeError, TypeError, AttributeError) as error:
        raise InputError(f"{str(path)!r} is not a whole file of a ceiling; remove it to train it anew.") from error
    if told != experiment:
        raise InputError(f"{str(path)!r} is the ceiling of another experiment; remove it to train it anew.")
    return ceiling


def _trained(experiment: ContrastiveExperiment, device: DeviceName, *, progress: bool) -> xr.Dataset:
    fabric = make_fabric(device, 1, experiment.precision)
    train, validation, test = (experiment.load(split) for split in ("train", "validation", "test"))
    if not train.taxonomies:
        raise InputError(f"{experiment.data} has no labels to train on; a folder brings them in labels.csv.")
    names = train.object_taxonomies()
    train, validation, test = (data.with_taxonomies(names) for data in (train, validation, test))
    sampler = PairSampler(
        train, experiment.batch_size, experiment.augmentation, fabric.device, seed=experiment.seed,
        pairing=experiment.pairs,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(experiment.seed)
        labeller = Labeller(experiment.model, [len(names) for names in train.label_names]).to(fabric.device)
    average = copy.deepcopy(labeller).requires_grad_(False).eval()
    model, optimizer = fabric.setup(labeller, make_optimizer(labeller, experiment))
    generator = Generator(fabric.device).manual_seed(experiment.seed)
    started, curve, best = time.perf_counter(), {}, (-1.0, 0, average.state_dict())
    bar = tqdm.auto.trange(experiment.steps, unit="step", disable=not progress, desc="ceiling")
    for step in bar:
        optimizer.set_rate(scheduled_rate(experiment, step))
        patches = labeller.encoder.look(*sampler.draw(step, generator), generator)
        loss = _cross_entropy(model(patches), train.labels[sampler.choose(step)].to(fabric.device))
        optimizer.zero_grad()
        fabric.backward(loss)
        optimizer.step()
        follow(average, labeller, experiment.average_decay, step)
        if (step + 1) % experiment.validate_every == 0 or step + 1 == experiment.steps:
            if not loss.isfinite():
                raise NotFiniteError(f"The loss of the ceiling became NaN or infinite before step {step + 1}.")
            worth = float(np.nanmean(_told_right(average, validation)))
            curve[step + 1] = worth
            bar.set_postfix_str(f"validation {worth:.3f}")
            if worth > best[0]:
                best = (worth, step + 1, copy.deepcopy(average.state_dict()))
    average.load_state_dict(best[2])
    seconds = time.perf_counter() - started
    return _dataset(test, _told_right(average, test), curve, experiment, step=best[1], seconds=seconds)


def _cross_entropy(
    logits: Sequence[Float[Tensor, "view label"]], labels: Int64[Tensor, "view taxonomy"]
) -> Float[Tensor, ""]:
    """The mean over levels of the mean over views that have a label there [nat]."""
    sums = [
        functional.cross_entropy(one.float(), known, ignore_index=-1, reduction="sum") / (known >= 0).sum().clamp_min(1)
        for one, known in zip(logits, labels.T, strict=True)
    ]
    return torch.stack(sums).mean()


@torch.inference_mode()
def _told_right(model: Labeller, data: ImageDataset) -> Float[np.ndarray, "taxonomy image"]:
    """1 for every image whose label is told right, 0 for others, NaN for those without one."""
    device, prompts, parts = next(model.parameters()).device, data.prompts_or_centred(), []
    for chosen in torch.arange(len(data)).split(BATCH):
        pixels = data.images[chosen].to(device).float() / 255
        logits = model(model.encoder.look(pixels, prompts[chosen].to(device)))
        parts.append(torch.stack([one.argmax(dim=1) for one in logits]).cpu())
    right = (torch.cat(parts, dim=1) == data.labels.T).double()
    return right.masked_fill(data.labels.T < 0, torch.nan).numpy()


def _dataset(
    test: ImageDataset,
    right: Float[np.ndarray, "taxonomy image"],
    curve: dict[int, float],
    experiment: ContrastiveExperiment,
    *,
    step: int,
    seconds: float,
) -> xr.Dataset:
    objects = xr.DataArray(test.objects.numpy(), dims="image", name="object")
    by_object = xr.DataArray(right, dims=("taxonomy", "image"), coords={"taxonomy": list(test.taxonomies)})
    by_object = by_object.groupby(objects).mean("image")
    names = [test.object_names[index] for index in by_object["object"].values.tolist()]
    attrs = {
        "experiment": experiment.to_json(),
        "step": step,
        "seconds": seconds,
        "commit": results.provenance().commit,
    }
    told = {
        "correct_by_object": by_object.assign_coords(object=names).assign_attrs(units="1"),
        "validation": xr.DataArray(list(curve.values()), {"step": list(curve)}, dims="step", attrs={"units": "1"}),
    }
    return xr.Dataset(told, attrs=attrs)
