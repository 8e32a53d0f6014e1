from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from prior_lab import InputError
from prior_lab.data import load_dataset
from prior_lab.data.prompts import mask_gaussians


def _save(path: Path, mask: np.ndarray, mode: str = "L") -> None:
    """An image and its mask."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", mask.shape[::-1]).save(path)
    values = {"L": (mask * 255).astype(np.uint8), "1": mask, "I;16": (mask * 65535).astype(np.uint16)}[mode]
    picture = Image.fromarray(values)
    assert picture.mode == mode
    picture.save(path.with_name(path.stem + ".mask.png"))


def _rectangle(height: int, width: int, top: int, left: int, bottom: int, right: int) -> np.ndarray:
    mask = np.zeros((height, width), dtype=bool)
    mask[top:bottom, left:right] = True
    return mask


@pytest.mark.parametrize("mode", ["L", "1", "I;16"])
def test_masks_and_prompts_of_tracks(tmp_path: Path, mode: str):
    masks = [_rectangle(10, 12, *corners) for corners in ((1, 2, 5, 9), (0, 0, 10, 3))]
    _save(tmp_path / "mug" / "1.jpg", masks[0], mode)
    _save(tmp_path / "mug" / "2.jpg", masks[1], mode)
    data = load_dataset("folder", path=tmp_path)
    assert len(data) == 2
    np.testing.assert_array_equal(data.masks.numpy(), np.stack(masks))
    np.testing.assert_array_equal(data.prompts.numpy(), mask_gaussians(np.stack(masks)))
    assert "with masks and prompts" in str(data)


def test_masks_of_a_flat_folder_are_no_objects(tmp_path: Path):
    _save(tmp_path / "a.png", _rectangle(10, 12, 1, 2, 5, 9))
    data = load_dataset("folder", path=tmp_path)
    assert data.object_names == ("a.png",)
    assert data.masks.sum() == 4 * 7


def test_a_folder_of_masks_only_has_no_images(tmp_path: Path):
    _save(tmp_path / "a.png", _rectangle(10, 12, 1, 2, 5, 9))
    (tmp_path / "a.png").unlink()
    with pytest.raises(InputError, match="has no images"):
        load_dataset("folder", path=tmp_path)


def test_masks_are_cropped_and_resized_with_their_images(tmp_path: Path):
    _save(tmp_path / "a.png", _rectangle(40, 80, 0, 20, 20, 40))
    data = load_dataset("folder", path=tmp_path, size=20)
    np.testing.assert_array_equal(data.masks[0].numpy(), _rectangle(20, 20, 0, 0, 10, 10))
    np.testing.assert_allclose(data.prompts[0, :2], [5, 5])


def test_a_pixel_is_object_where_more_than_half_of_it_is_covered(tmp_path: Path):
    half, most = _rectangle(8, 8, 0, 0, 8, 2), _rectangle(8, 8, 0, 0, 8, 3)
    _save(tmp_path / "half.png", half | _rectangle(8, 8, 4, 4, 8, 8))
    _save(tmp_path / "most.png", most)
    masks = load_dataset("folder", path=tmp_path, size=2).masks
    assert masks.tolist() == [[[False, False], [False, True]], [[True, False], [True, False]]]


def test_above_half_is_object(tmp_path: Path, save_image):
    save_image("a.png", (2, 1))
    Image.fromarray(np.array([[127, 128]], dtype=np.uint8)).save(tmp_path / "a.mask.png")
    assert load_dataset("folder", path=tmp_path).masks.tolist() == [[[False, True]]]


def test_with_a_size_a_mask_is_of_the_image_as_it_is_shown(tmp_path: Path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    Image.new("RGB", (40, 20)).save(tmp_path / "a.jpg", exif=exif)
    Image.fromarray(_rectangle(40, 20, 10, 0, 30, 10)).save(tmp_path / "a.mask.png")
    masks = load_dataset("folder", path=tmp_path, size=20).masks
    np.testing.assert_array_equal(masks[0].numpy(), _rectangle(20, 20, 0, 0, 20, 10))


def test_masks_belong_to_the_objects_of_the_split(tmp_path: Path):
    for number in range(20):
        _save(tmp_path / f"{number:02d}.png", _rectangle(10, 30, 0, number, 10, number + 1))
    data = load_dataset("folder", "test", path=tmp_path)
    assert torch.equal(data.masks.any(1).long().argmax(1), data.objects)
    np.testing.assert_allclose(data.prompts[:, 0], data.objects + 0.5)


def test_masks_of_some_images_only_are_told(tmp_path: Path, save_image):
    _save(tmp_path / "a" / "1.jpg", _rectangle(10, 12, 1, 2, 5, 9))
    save_image("a/2.jpg")
    with pytest.raises(
        InputError, match=r"1 of 2 images have none; expected 2\.mask\.png beside .*2\.jpg, or no masks"
    ):
        load_dataset("folder", path=tmp_path)


def test_masks_of_other_names_are_told(tmp_path: Path, save_image):
    save_image("1.jpg")
    save_image("1.jpg.mask.png", mode="L")
    with pytest.raises(InputError, match=r"1 of 1 images have none; expected 1\.mask\.png beside"):
        load_dataset("folder", path=tmp_path)


@pytest.mark.parametrize("size", [None, 8])
def test_a_mask_of_another_size_is_told(tmp_path: Path, save_image, size: int | None):
    save_image("a.png", (12, 10))
    save_image("a.mask.png", (10, 12), "L")
    with pytest.raises(InputError, match=r"a\.mask\.png is a mask of another size than its image, 10x12 .* 12x10"):
        load_dataset("folder", path=tmp_path, size=size)


@pytest.mark.parametrize(("mode", "kind"), [("RGB", "of mode RGB"), ("RGBA", "RGB with alpha"), ("P", "of mode P")])
def test_a_mask_in_colour_is_told(tmp_path: Path, save_image, mode: str, kind: str):
    save_image("a.png")
    save_image("a.mask.png", mode=mode)
    with pytest.raises(InputError, match=f"the mask .*is {kind}.*; expected greyscale or black and white"):
        load_dataset("folder", path=tmp_path)


def test_an_empty_mask_is_told(tmp_path: Path, save_image):
    save_image("a.png")
    save_image("a.mask.png", mode="L")
    with pytest.raises(InputError, match=r"a\.mask\.png is empty: at 12x10 nothing of it is above half"):
        load_dataset("folder", path=tmp_path)


def test_a_mask_that_is_cropped_away_is_told(tmp_path: Path):
    _save(tmp_path / "a.png", _rectangle(20, 60, 0, 0, 20, 10))
    assert load_dataset("folder", path=tmp_path).masks.any()
    with pytest.raises(InputError, match=r"a\.mask\.png is empty: at 10x10"):
        load_dataset("folder", path=tmp_path, size=10)


def test_an_unreadable_mask_is_told(tmp_path: Path, save_image):
    save_image("a.png")
    (tmp_path / "a.mask.png").write_text("hello")
    with pytest.raises(InputError, match=r"a\.mask\.png is no readable image"):
        load_dataset("folder", path=tmp_path)


def test_the_prompt_of_a_large_mask_is_exact():
    """Squares of its sums leave 64-bit integers."""
    prompt = mask_gaussians(np.ones((1, 2000, 2000), dtype=bool))[0]
    np.testing.assert_allclose(prompt[:4], [1000, 1000, *2 * [2000 / 12**0.5]], rtol=1e-6)


def test_a_mask_one_pixel_wide_has_the_width_of_a_pixel(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    mask = np.zeros((8, 8), dtype=np.uint8)
    mask[:, 3] = 255
    Image.fromarray(mask).save(tmp_path / "a.mask.png")
    prompt = load_dataset("folder", path=tmp_path).prompts[0].tolist()
    assert prompt[:2] == [3.5, 4.0]
    assert prompt[3] == pytest.approx(12**-0.5)
    assert prompt[2] > 2.0
