import hashlib
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("numba", reason="rendering needs the extra render")

from prior_lab import InputError
from prior_lab.data.household import build
from prior_lab.data.household.bundle import (
    FRAMES,
    SIZE,
    Bundle,
    backdrop,
    encode_images,
    recorded_sha256,
    write_bundle,
)
from prior_lab.data.household.bundle import decode_images as decode
from prior_lab.data.household.catalogue import read_catalogues
from prior_lab.data.household.reader import open_bundle
from prior_lab.data.household.views import plan_track

SOURCE = Path("/usr/share/sweethome3d/furniture")
needs_models = pytest.mark.skipif(not SOURCE.is_dir(), reason="Debian's sweethome3d-furniture is not installed")


@needs_models
@pytest.mark.parametrize(
    "name", ["BlendSwap-CC-0/teddyBear", "BlendSwap-CC-BY/glass", "KatorLegaz/oriental-rug", "Scopia/palm"]
)
def test_rendering_again_gives_the_bundled_bits(name: str):
    pieces = {piece.id: (number, piece) for number, piece in enumerate(read_catalogues(SOURCE))}
    number, piece = pieces[name]
    track, bundle = build.render_track(SOURCE, piece), open_bundle()
    np.testing.assert_array_equal(track.images.transpose(0, 3, 1, 2), bundle.images([number]))
    np.testing.assert_array_equal(track.masks, bundle.masks([number]))
    np.testing.assert_array_equal(track.prompts, bundle.prompts([number]))


@needs_models
@pytest.mark.whole
def test_building_again_gives_the_bundled_file(tmp_path: Path, capsys: pytest.CaptureFixture):
    digest = build.build_household(SOURCE, tmp_path / "household.zip", workers=2)
    assert digest == recorded_sha256() == hashlib.sha256((tmp_path / "household.zip").read_bytes()).hexdigest()
    assert "identical to the bundled file" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["household.zip"]


@needs_models
def test_licences_follow_the_models_own_files():
    licences = {piece.id: piece.licence for piece in read_catalogues(SOURCE)}
    assert licences["BlendSwap-CC-0/winchesterSofa"] == "CC-BY-3.0"
    assert licences["BlendSwap-CC-0/armchair"] == "CC0-1.0"


def test_a_file_that_differs_is_told(tmp_path: Path):
    path = tmp_path / "other.zip"
    bundle, numbers = open_bundle(), list(range(820))
    images = bundle.images([0]).transpose(0, 2, 3, 1).copy()
    images[0, 0, 0] = 3
    encoded = [encode_images(images)] + [bundle.webp(number) for number in numbers[1:]]
    write_bundle(path, list(bundle.manifest()), encoded, bundle.masks(numbers), bundle.prompts(numbers))
    verdict = build._verdict(path, hashlib.sha256(path.read_bytes()).hexdigest())
    assert "DIFFERS from the bundled file's" in verdict
    assert "1 of 820 objects have other pixels" in verdict


def test_missing_catalogues_are_told(tmp_path: Path):
    with pytest.raises(InputError, match="is no folder"):
        build.build_household(tmp_path / "nowhere", tmp_path / "out.zip")
    with pytest.raises(InputError, match=r"BlendSwap-CC-0\.sh3f is missing"):
        build.build_household(tmp_path, tmp_path / "out.zip")
    (tmp_path / "BlendSwap-CC-0.sh3f").write_text("no zip")
    with pytest.raises(InputError, match="no readable furniture catalogue"):
        build.build_household(tmp_path, tmp_path / "out.zip")


def test_images_survive_the_file_format():
    generator = np.random.default_rng(0)
    images = (generator.integers(0, 86, (FRAMES, SIZE, SIZE, 3)) * 3).astype(np.uint8)
    images[:, :30] = backdrop()[None, :30, None]
    decoded = np.empty((FRAMES, 3, SIZE, SIZE), dtype=np.uint8)
    decode(encode_images(images), decoded)
    np.testing.assert_array_equal(decoded, images.transpose(0, 3, 1, 2))


def test_images_that_the_format_cannot_hold_are_refused():
    with pytest.raises(ValueError, match="neither backdrop nor a multiple"):
        encode_images(np.full((FRAMES, SIZE, SIZE, 3), 100, dtype=np.uint8))


def test_the_file_depends_on_its_content_only(tmp_path: Path):
    bundle = open_bundle()
    rows, masks, prompts = list(bundle.manifest())[:2], bundle.masks([0, 1]), bundle.prompts([0, 1])
    for name in ("a.zip", "b.zip"):
        write_bundle(tmp_path / name, rows, [bundle.webp(0), bundle.webp(1)], masks, prompts)
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    copy = Bundle(tmp_path / "a.zip", hashlib.sha256((tmp_path / "a.zip").read_bytes()).hexdigest())
    assert copy.manifest() == tuple(rows)
    np.testing.assert_array_equal(copy.images([1]), bundle.images([1]))


def test_tracks_turn_all_the_way_round_but_not_behind_a_wall():
    azimuths = _azimuths(plan_track("chair", (50.0, 90.0, 50.0)))
    assert sorted(np.diff(np.sort(azimuths)).round(3).tolist()) == [22.5] * 15
    fronts = _azimuths(plan_track("window", (100.0, 120.0, 40.0), frontal=True))
    assert (np.abs((fronts + 180) % 360 - 180) <= 55.01).all()


def _azimuths(track) -> np.ndarray:
    towards = np.array([view.camera[2] for view in track])
    return np.degrees(np.arctan2(towards[:, 0], towards[:, 2])) % 360
