from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from prior_lab import InputError
from prior_lab.data import load_dataset


def _pattern(path: Path, size: tuple[int, int] = (12, 10), **options: object) -> np.ndarray:
    pixels = np.random.default_rng(len(path.name)).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return pixels


def test_flat_folder_has_one_object_per_image(tmp_path: Path):
    first = _pattern(tmp_path / "a.png")
    _pattern(tmp_path / "bb.webp", lossless=True)
    _pattern(tmp_path / "ccc.JPG")
    (tmp_path / "notes.txt").write_text("not an image")
    data = load_dataset("folder", path=tmp_path)
    assert data.object_names == ("a.png", "bb.webp", "ccc.JPG")
    assert data.objects.tolist() == [0, 1, 2]
    np.testing.assert_array_equal(data.images[0].numpy(), first.transpose(2, 0, 1))
    assert data.masks is None
    assert data.labels.shape == (3, 0)
    assert str(data).startswith("folder, split all: 3 images of 3 objects, 12 x 10 RGB\nlabel levels: none")


def test_tracks_have_one_object_per_subfolder(tmp_path: Path):
    for name in ("mug/1.png", "mug/2.png", "chair/1.png"):
        _pattern(tmp_path / name)
    data = load_dataset("folder", path=str(tmp_path))
    assert data.object_names == ("chair", "mug")
    assert data.objects.tolist() == [0, 1, 1]


def test_splits_divide_the_objects(tmp_path: Path):
    for number in range(20):
        _pattern(tmp_path / f"{number:02d}.png")
    held = [
        set(load_dataset("folder", split, path=tmp_path).objects.tolist()) for split in ("train", "validation", "test")
    ]
    assert [len(objects) for objects in held] == [14, 3, 3]
    assert set.union(*held) == set(range(20))


def test_too_few_objects_for_a_split(save_image):
    path = save_image("only.png").parent
    with pytest.raises(InputError, match="1 objects are too few for a split 'test'"):
        load_dataset("folder", "test", path=path)


def test_resizes_and_crops_the_middle_on_request_only(tmp_path: Path):
    left, middle, right = (np.full((20, 20, 3), value, dtype=np.uint8) for value in (0, 128, 255))
    Image.fromarray(np.concatenate([left, middle, right], axis=1)).save(tmp_path / "wide.png")
    assert load_dataset("folder", path=tmp_path).images.shape == (1, 3, 20, 60)
    small = load_dataset("folder", path=tmp_path, size=10).images
    assert small.shape == (1, 3, 10, 10)
    assert (small[..., 2:8] == 128).all()


def test_camera_orientation_is_honoured_when_resizing(tmp_path: Path):
    pixels = np.zeros((20, 20, 3), dtype=np.uint8)
    pixels[:10] = 255
    exif = Image.Exif()
    exif[0x0112] = 3
    Image.fromarray(pixels).save(tmp_path / "upside_down.png", exif=exif)
    image = load_dataset("folder", path=tmp_path, size=20).images[0, 0]
    assert image[2, 0] == 0
    assert image[-2, 0] == 255


def test_different_sizes_are_told(save_image):
    save_image("a.png", (12, 10))
    path = save_image("b.png", (20, 30)).parent
    with pytest.raises(InputError, match=r"different sizes: 12x10 \(1\), 20x30 \(1\); pass size="):
        load_dataset("folder", path=path)
    assert load_dataset("folder", path=path, size=8).images.shape == (2, 3, 8, 8)


@pytest.mark.parametrize(
    ("mode", "kind"),
    [
        ("L", "greyscale"),
        ("RGBA", "RGB with alpha"),
        ("P", "of mode P"),
        ("LA", "greyscale with alpha"),
        ("I;16", "I;16"),
    ],
)
def test_other_modes_are_converted_on_request_only(save_image, mode: str, kind: str):
    path = save_image("image.png", mode=mode)
    with pytest.raises(InputError, match=f"image.png is not RGB but .*{kind}.*pass convert='rgb'"):
        load_dataset("folder", path=path.parent)
    assert load_dataset("folder", path=path.parent, convert="rgb").images.shape == (1, 3, 10, 12)


def test_translucent_images_are_laid_on_white(tmp_path: Path):
    Image.new("RGBA", (4, 4), (255, 0, 0, 0)).save(tmp_path / "clear.png")
    assert (load_dataset("folder", path=tmp_path, convert="rgb").images == 255).all()


def test_a_text_file_named_png_is_told(tmp_path: Path):
    (tmp_path / "note.png").write_text("hello")
    with pytest.raises(InputError, match=r"note\.png is no readable image") as told:
        load_dataset("folder", path=tmp_path)
    assert "\n" not in str(told.value)


def test_a_truncated_image_is_told(tmp_path: Path):
    _pattern(tmp_path / "whole.png", (40, 40))
    data = (tmp_path / "whole.png").read_bytes()
    (tmp_path / "whole.png").write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match=r"whole\.png is no readable image"):
        load_dataset("folder", path=tmp_path)


def test_missing_empty_and_mixed_folders_are_told(tmp_path: Path, save_image):
    with pytest.raises(InputError, match="nowhere is no folder"):
        load_dataset("folder", path=tmp_path / "nowhere")
    with pytest.raises(InputError, match="has no images"):
        load_dataset("folder", path=tmp_path)
    with pytest.raises(InputError, match="needs path="):
        load_dataset("folder")
    save_image("a.png")
    save_image("object/b.png")
    with pytest.raises(InputError, match="both images"):
        load_dataset("folder", path=tmp_path)


def test_unknown_split_size_and_conversion_are_told(save_image, no_shape_checks):
    path = save_image("a.png").parent
    with pytest.raises(InputError, match="no split 'dev'; there are all, train, validation, test"):
        load_dataset("folder", "dev", path=path)
    with pytest.raises(InputError, match="size is 0; it must be at least 1"):
        load_dataset("folder", path=path, size=0)
    with pytest.raises(InputError, match="convert is 'grey'; one of rgb or None was expected"):
        load_dataset("folder", path=path, convert="grey")
