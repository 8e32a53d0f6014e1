"""Reader of the bundled ``emoji``: every object is a concept, and its frames are what the artists drew for it."""

from collections import Counter
from pathlib import Path

import numpy as np
import torch

from prior_lab.data.blocks import shrunk
from prior_lab.data.dataset import ImageDataset
from prior_lab.data.emoji.bundle import Bundle, Drawing, bundle_path, by_concept, recorded_sha256
from prior_lab.data.emoji.recipe import ARTIST_NAMES, FEWEST_CONCEPTS, LEVELS, SIZE, SPLITS
from prior_lab.errors import InputError

DESCRIPTION = "1,363 emoji concepts, each drawn by three to nine artists, 64 x 64 RGB, with masks and labels; bundled"
SIZES = (64, 32, 16, 8)


def load_emoji(split: str = "train", *, path: Path | None = None, size: int | None = None) -> ImageDataset:
    """Read one split of the bundle.

    Parameters
    ----------
    split : train, validation or test; concepts, and families of near-duplicates, are in one of them only. The artists
        openmoji and fxemoji are in test only; ``data.labels[:, data.taxonomies.index("artist")]`` tells whose a
        drawing is.
    path : another bundle, for example a rebuilt one, whose SHA-256 must be the recorded one; the bundled by default.
    size : side of the images [pixel]: 64, or 32, 16 or 8 by averaging blocks.

    Raises
    ------
    InputError : for an unknown split or size, and if the file is missing, truncated or altered.
    """
    if split not in SPLITS:
        raise InputError(f"emoji has no split {split!r}; there are {', '.join(SPLITS)}")
    size = SIZE if size is None else size
    if size not in SIZES:
        raise InputError(f"emoji cannot be read at {size} pixels; sizes are {', '.join(map(str, SIZES))}")
    bundle = open_bundle(path)
    drawings = bundle.drawings()
    concepts = by_concept(drawings)
    chosen = [number for number, members in enumerate(concepts) if members[0].split == split]
    here = np.array([drawing.split == split for drawing in drawings])
    names = label_names(drawings)
    scale = np.array([size / SIZE] * 4 + [1], dtype=np.float32)
    return ImageDataset(
        name="emoji",
        split=split,
        images=torch.from_numpy(shrunk(bundle.images(chosen), size)),
        objects=torch.tensor(chosen).repeat_interleave(torch.tensor([len(concepts[number]) for number in chosen])),
        object_names=tuple(members[0].concept for members in concepts),
        masks=torch.from_numpy(shrunk(bundle.masks()[here], size)),
        prompts=torch.from_numpy(bundle.prompts()[here] * scale),
        taxonomies=LEVELS,
        labels=_labels([drawing for drawing in drawings if drawing.split == split], names),
        label_names=names,
    )


def open_bundle(path: Path | None = None) -> Bundle:
    """The bundled file, or another one that must equal it; checked by its SHA-256."""
    return Bundle(path or bundle_path(), recorded_sha256())


def label_names(drawings: tuple[Drawing, ...]) -> tuple[tuple[str, ...], ...]:
    """Groups and those subgroups that enough concepts have, in alphabetical order, and the artists."""
    subgroups = [members[0].subgroup for members in by_concept(drawings)]
    kept = {subgroup for subgroup, count in Counter(subgroups).items() if count >= FEWEST_CONCEPTS}
    return tuple(sorted({drawing.group for drawing in drawings})), tuple(sorted(kept)), ARTIST_NAMES


def _labels(drawings: list[Drawing], names: tuple[tuple[str, ...], ...]) -> torch.Tensor:
    places = [{name: place for place, name in enumerate(level)} for level in names]
    rows = [(drawing.group, drawing.subgroup, drawing.artist) for drawing in drawings]
    return torch.tensor([[where.get(label, -1) for where, label in zip(places, row, strict=True)] for row in rows])
