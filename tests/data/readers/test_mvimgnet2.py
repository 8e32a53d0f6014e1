from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from prior_lab import InputError
from prior_lab.data import list_datasets, load_dataset
from prior_lab.data.readers import mvimgnet2


def _save(path: Path, size: tuple[int, int] = (12, 20), mode: str = "RGB", value: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    colour = (value, value, value) if mode == "RGB" else value
    Image.new(mode, size, colour).save(path, lossless=True)


def _instance(root: Path, name: str, frames: int = 2, masks: str | None = None) -> None:
    """Frames 001.png and so on whose value is their number, and white masks in the place given."""
    for number in range(1, frames + 1):
        _save(root / name / "images" / f"{number:03d}.png", value=number)
        if masks is not None:
            _save(root / masks.format(name=name, number=number), mode="L", value=255)
    (root / name / "sparse" / "0").mkdir(parents=True)
    (root / name / "sparse" / "0" / "cameras.bin").write_bytes(b"\0")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Twenty instances of class 0 and ten of class 12, two frames each."""
    for label, count in (("0", 20), ("12", 10)):
        for number in range(count):
            _instance(tmp_path, f"{label}/{number:08x}")
    return tmp_path


def test_an_instance_is_an_object_and_its_folder_the_class(root: Path):
    data = load_dataset("mvimgnet2", "all", path=str(root))
    assert data.images.shape == (60, 3, 64, 64)
    assert data.object_names[:2] == ("0/00000000", "0/00000001")
    assert data.objects.tolist() == [number for number in range(30) for _ in range(2)]
    assert data.taxonomies == ("class",)
    assert data.label_names == (("0", "12"),)
    assert data.labels[:, 0].tolist() == [0] * 40 + [1] * 20
    assert data.images[:4, 0, 0, 0].tolist() == [1, 2, 1, 2]
    assert data.masks is data.prompts is None


def test_splits_divide_the_instances_of_every_class(root: Path):
    splits = {split: load_dataset("mvimgnet2", split, path=root) for split in ("train", "validation", "test")}
    held = [set(data.objects.tolist()) for data in splits.values()]
    assert set.union(*held) == set(range(30))
    assert sum(map(len, held)) == 30
    assert [data.labels[::2, 0].bincount().tolist() for data in splits.values()] == [[14, 7], [3, 1], [3, 2]]
    assert load_dataset("mvimgnet2", path=root).split == "train"


def test_frames_are_evenly_spread_over_long_tracks(tmp_path: Path):
    _instance(tmp_path, "0/a", frames=40)
    _instance(tmp_path, "0/b", frames=3)
    data = load_dataset("mvimgnet2", "all", path=tmp_path, size=2)
    spread = [1 + index * 40 // 16 for index in range(16)]
    assert data.images[:, 0, 0, 0].tolist() == [*spread, 1, 2, 3]
    data = load_dataset("mvimgnet2", "all", path=tmp_path, size=2, frames=4)
    assert data.images[:, 0, 0, 0].tolist() == [1, 11, 21, 31, 1, 2, 3]


def test_the_middle_of_an_image_is_cropped_and_resized(tmp_path: Path):
    pixels = np.zeros((30, 10, 3), dtype=np.uint8)
    pixels[10:20] = 200
    (tmp_path / "0" / "a" / "images").mkdir(parents=True)
    Image.fromarray(pixels).save(tmp_path / "0" / "a" / "images" / "001.png")
    assert (load_dataset("mvimgnet2", path=tmp_path, size=10).images == 200).all()


@pytest.mark.parametrize(
    "place",
    ["{name}/masks/{number:03d}.png", "{name}/masks/{number:03d}.webp", "masks/{name}/{number:03d}.png.png"],
)
def test_masks_in_the_places_of_both_versions(tmp_path: Path, place: str):
    for name in ("0/a", "12/b"):
        _instance(tmp_path, name, masks=place.replace("webp", "png"))
    data = load_dataset("mvimgnet2", "all", path=tmp_path, size=8)
    assert data.object_names == ("0/a", "12/b")
    assert data.masks.shape == (4, 8, 8)
    assert data.masks.all()
    np.testing.assert_allclose(data.prompts[:, :2], 4)


def test_masks_of_jpeg_frames_have_their_name_or_end_in_png(tmp_path: Path):
    for name, mask in (("0/a", "001.jpg"), ("0/b", "001.png"), ("0/c", "../../../masks/0/c/001.jpg.png")):
        _save(tmp_path / name / "images" / "001.jpg")
        (tmp_path / name / "masks").mkdir()
        _save(tmp_path / name / "masks" / mask, mode="L", value=255)
    assert load_dataset("mvimgnet2", "all", path=tmp_path).masks.all()


def test_label_levels_of_the_classes(root: Path):
    (root / "labels.csv").write_text(
        "class,coarse,class\n0,artefact,bag\n5,artefact,train\n192,food,apple\n12,,remote\n"
    )
    data = load_dataset("mvimgnet2", "all", path=root, size=2)
    assert data.taxonomies == ("coarse", "class")
    assert data.label_names == (("artefact", "food"), ("apple", "bag", "remote", "train"))
    assert data.labels.unique(dim=0).tolist() == [[-1, 2], [0, 1]]
    assert data.labels[0].tolist() == [0, 1]


def test_a_class_without_a_row_has_no_labels(root: Path):
    (root / "labels.csv").write_text("class,coarse\n0,artefact\n")
    assert load_dataset("mvimgnet2", "all", path=root, size=2).labels[:, 0].tolist() == [0] * 40 + [-1] * 20


def test_grey_images_are_converted(tmp_path: Path):
    _save(tmp_path / "0" / "a" / "images" / "001.jpg", mode="L", value=80)
    assert (load_dataset("mvimgnet2", path=tmp_path).images == 80).all()


def test_what_is_no_instance_is_passed_over(root: Path):
    (root / "README.txt").write_text("hello")
    (root / "0" / "notes.txt").write_text("hello")
    (root / "0" / "incomplete").mkdir()
    (root / "empty").mkdir()
    (root / "0" / "00000003" / "images" / "poses.npy").write_bytes(b"\0")
    assert len(load_dataset("mvimgnet2", "all", path=root, size=2)) == 60


def test_an_instance_without_images_is_no_obstacle(root: Path):
    (root / "0" / "zero" / "images").mkdir(parents=True)
    data = load_dataset("mvimgnet2", "all", path=root, size=2)
    assert len(data) == 60
    assert "0/zero" in data.object_names


def test_unreadable_frames_are_named_or_skipped(root: Path):
    (root / "0" / "00000003" / "images" / "002.png").write_text("hello")
    with pytest.raises(InputError, match=r"00000003/images/002\.png is no readable image"):
        load_dataset("mvimgnet2", "all", path=root)
    with pytest.warns(UserWarning, match="1 of 60 images"):
        data = load_dataset("mvimgnet2", "all", path=root, unreadable="skip")
    assert len(data) == 59


def test_it_is_listed():
    assert any(line.startswith("mvimgnet2: ") for line in list_datasets())


def test_other_folders_are_told(tmp_path: Path, root: Path):
    with pytest.raises(InputError, match="needs path="):
        load_dataset("mvimgnet2")
    with pytest.raises(InputError, match=r"nowhere is no folder; expected CLASS/INSTANCE/images/001\.jpg and so on"):
        load_dataset("mvimgnet2", path=tmp_path / "nowhere")
    with pytest.raises(InputError, match="has no instances of MVImgNet 2.0; expected CLASS/INSTANCE/images"):
        load_dataset("mvimgnet2", path=root / "0")


def test_empty_splits_are_told(tmp_path: Path):
    (tmp_path / "0" / "a" / "images").mkdir(parents=True)
    with pytest.raises(InputError, match="has too few instances for a split 'test': 1 in 1 classes"):
        load_dataset("mvimgnet2", "test", path=tmp_path)
    with pytest.raises(InputError, match="has no images in the split 'train'; expected CLASS/INSTANCE/images"):
        load_dataset("mvimgnet2", path=tmp_path)


def test_unknown_split_size_number_and_conversion_are_told(root: Path):
    with pytest.raises(InputError, match="mvimgnet2 has no split 'dev'; there are train, validation, test, all"):
        load_dataset("mvimgnet2", "dev", path=root)
    with pytest.raises(InputError, match="size is 0; it must be at least 1"):
        load_dataset("mvimgnet2", path=root, size=0)
    with pytest.raises(InputError, match="frames is 0; it must be at least 1"):
        load_dataset("mvimgnet2", path=root, frames=0)
    with pytest.raises(InputError, match="mvimgnet2 is RGB; convert= is for the data set folder"):
        load_dataset("mvimgnet2", path=root, convert="rgb")
    with pytest.raises(InputError, match="folder is read with all its frames; frames= is for the data set mvimgnet2"):
        load_dataset("folder", path=root, frames=4)


def test_wrong_labels_are_told(root: Path):
    (root / "labels.csv").write_text("class,coarse\nbag,artefact\nmug,artefact\n")
    with pytest.raises(
        InputError, match=r"has none of the classes that are here \(0, 12\) but bag, mug; expected names"
    ):
        load_dataset("mvimgnet2", path=root)
    (root / "labels.csv").write_text("object,coarse\n0,artefact\n")
    with pytest.raises(InputError, match="has no first column class but 'object'; expected the header class,LEVEL1"):
        load_dataset("mvimgnet2", path=root)


def test_masks_of_some_frames_only_are_told(tmp_path: Path):
    _instance(tmp_path, "0/a", frames=3, masks="{name}/masks/{number:03d}.png")
    (tmp_path / "0" / "a" / "masks" / "002.png").unlink()
    with pytest.raises(InputError, match=r"has masks, but 1 of 3 images have none, for example .*0/a/images/002\.png"):
        load_dataset("mvimgnet2", path=tmp_path)


def test_a_mask_of_another_size_is_told(tmp_path: Path):
    _save(tmp_path / "0" / "a" / "images" / "001.jpg")
    _save(tmp_path / "0" / "a" / "masks" / "001.jpg", (6, 10), "L", 255)
    with pytest.raises(InputError, match=r"masks/001\.jpg is a mask of another size than its image, 6x10 .* 12x20"):
        load_dataset("mvimgnet2", path=tmp_path)


def test_an_empty_mask_is_told(tmp_path: Path):
    _instance(tmp_path, "0/a", masks="{name}/masks/{number:03d}.png")
    _save(tmp_path / "0" / "a" / "masks" / "002.png", mode="L")
    with pytest.raises(InputError, match=r"masks/002\.png is empty: at 64x64 nothing of it is above half"):
        load_dataset("mvimgnet2", path=tmp_path)
    with pytest.warns(UserWarning, match="1 of 2 images"):
        assert len(load_dataset("mvimgnet2", path=tmp_path, unreadable="skip")) == 1


def test_the_default_is_sixteen_frames_of_sixty_four_pixels():
    assert (mvimgnet2.FRAMES, mvimgnet2.SIZE) == (16, 64)
