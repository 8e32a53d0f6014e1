"""Reader of the bundled ``household``: turntable tracks of 820 furniture models."""

from pathlib import Path

import numpy as np
import torch

from prior_lab.data.blocks import shrunk
from prior_lab.data.dataset import ImageDataset
from prior_lab.data.household.bundle import FRAMES, SIZE, Bundle, ManifestRow, bundle_path, recorded_sha256
from prior_lab.data.household.taxonomy import LEVELS, SPLITS
from prior_lab.errors import InputError

DESCRIPTION = "16 rendered views each of 820 furniture models, 64 x 64 RGB, with masks and four label levels; bundled"
SIZES = (64, 32, 16, 8)


def load_household(split: str = "train", *, path: Path | None = None, size: int | None = None) -> ImageDataset:
    """Read one split of the bundle.

    Parameters
    ----------
    split : train, validation or test; objects, and groups of near-duplicates, are in one of them only.
    path : another bundle, for example a rebuilt one, whose SHA-256 must be the recorded one; the bundled by default.
    size : side of the images [pixel]: 64, or 32, 16 or 8 by averaging blocks.

    Raises
    ------
    InputError : for an unknown split or size, and if the file is missing, truncated or altered.
    """
    if split not in SPLITS:
        raise InputError(f"household has no split {split!r}; there are {', '.join(SPLITS)}")
    size = SIZE if size is None else size
    if size not in SIZES:
        raise InputError(f"household cannot be read at {size} pixels; sizes are {', '.join(map(str, SIZES))}")
    bundle = open_bundle(path)
    rows = bundle.manifest()
    chosen = [number for number, row in enumerate(rows) if row.split == split]
    images, masks, prompts = bundle.images(chosen), bundle.masks(chosen), bundle.prompts(chosen)
    names = label_names(rows)
    table = np.array([[_index(names[level], label) for level, label in enumerate(_labels(row))] for row in rows])
    return ImageDataset(
        name="household",
        split=split,
        images=torch.from_numpy(shrunk(images, size)),
        objects=torch.tensor(chosen).repeat_interleave(FRAMES),
        object_names=tuple(row.object for row in rows),
        masks=torch.from_numpy(shrunk(masks, size)),
        prompts=torch.from_numpy(prompts * np.array([size / SIZE] * 4 + [1], dtype=np.float32)),
        taxonomies=LEVELS,
        labels=torch.from_numpy(table[chosen]).repeat_interleave(FRAMES, dim=0),
        label_names=names,
    )


def open_bundle(path: Path | None = None) -> Bundle:
    """The bundled file, or another one that must equal it; checked by its SHA-256."""
    return Bundle(path or bundle_path(), recorded_sha256())


def label_names(rows: tuple[ManifestRow, ...]) -> tuple[tuple[str, ...], ...]:
    """Labels of every level in alphabetical order."""
    columns = zip(*(_labels(row) for row in rows), strict=True)
    return tuple(tuple(sorted(set(column) - {""})) for column in columns)


def _labels(row: ManifestRow) -> tuple[str, ...]:
    return row.coarse, row.mid, row.fine, row.class_


def _index(names: tuple[str, ...], label: str) -> int:
    return names.index(label) if label else -1
