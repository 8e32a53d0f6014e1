from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from prior_lab.data import ImageDataset, load_dataset
from prior_lab.data.household.taxonomy import SPLITS


@pytest.fixture(scope="session")
def household() -> dict[str, ImageDataset]:
    """All splits of household."""
    return {split: load_dataset("household", split) for split in SPLITS}


@pytest.fixture(scope="session")
def emoji() -> dict[str, ImageDataset]:
    """All splits of emoji."""
    return {split: load_dataset("emoji", split) for split in SPLITS}


@pytest.fixture
def save_image(tmp_path: Path) -> Callable[..., Path]:
    """Writes an image below the test's own folder."""

    def save(name: str, size: tuple[int, int] = (12, 10), mode: str = "RGB", **options: object) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new(mode, size, **{"color": 0} if mode == "P" else {}).save(path, **options)
        return path

    return save
