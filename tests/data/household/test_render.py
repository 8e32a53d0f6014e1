import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("numba", reason="the renderer needs the extra render")

import meshes

from prior_lab.data.household import render as renderer
from prior_lab.data.household.bundle import backdrop
from prior_lab.data.household.render import render

SIZE = 64


def test_square_covers_exactly_the_pixels_it_should():
    frame = render(meshes.mesh(meshes.square()), meshes.view(fill=0.5), size=SIZE)
    expected = np.zeros((SIZE, SIZE), dtype=bool)
    expected[16:48, 16:48] = True
    np.testing.assert_array_equal(frame.mask, expected)


def test_backdrop_is_untouched_beside_the_object():
    frame = render(meshes.mesh(meshes.square()), meshes.view(), size=SIZE)
    behind = np.broadcast_to(backdrop(SIZE)[:, None], frame.image.shape)
    np.testing.assert_array_equal(frame.image[~frame.mask], behind[~frame.mask])


def test_triangle_area_within_its_outline():
    triangle = np.array([[(-1.0, -1.0, 0.0), (1.0, -1.0, 0.0), (-1.0, 1.0, 0.0)]])
    frame = render(meshes.mesh(triangle), meshes.view(fill=0.5), size=SIZE)
    assert frame.mask.sum() == pytest.approx(32 * 32 / 2, abs=32 / 2)


def test_brightness_of_a_white_surface_facing_camera_and_lamp():
    diffuse = 0.32 + 0.82 + 0.18
    value = (0.022 + 0.9) * diffuse + 0.05
    shade = 255 * np.sqrt(0.7 + 0.3 * (value - 0.7) / (value - 0.7 + 0.3))
    image = render(meshes.mesh(meshes.square(0.02)), meshes.view(), size=SIZE).image
    assert image[32, 32, 0] == pytest.approx(shade, abs=2)


@pytest.mark.parametrize("degrees", [0.0, 30.0, 55.0])
def test_texture_lies_where_perspective_puts_it(degrees: float):
    camera = meshes.raised_camera(degrees)
    frame = render(meshes.mesh(meshes.square(), image=meshes.checker()), meshes.view(camera, fill=0.9), size=SIZE)
    place = _seen_places(camera)
    inside = (np.abs(place) < 0.97).all(axis=-1)
    fields = (place + 1) * 2
    clear = inside & (np.abs(fields - np.round(fields)) > 0.2).all(axis=-1)
    from_left, from_top = np.floor(fields[..., 0]), 3 - np.floor(fields[..., 1])
    is_red = (from_left + from_top) % 2 == 0
    seen_red = frame.image[..., 0] > frame.image[..., 2]
    assert clear.sum() > 400
    np.testing.assert_array_equal(seen_red[clear], is_red[clear])


def _seen_places(camera: np.ndarray, fill: float = 0.9) -> np.ndarray:
    """Where the ray through every pixel meets the plane z = 0, worked out without the renderer."""
    distance = renderer.DISTANCE * np.sqrt(2.0)
    corners = meshes.square().reshape(-1, 3) @ camera.T
    slopes = corners[:, :2] / (distance - corners[:, 2:])
    low, high = slopes.min(axis=0), slopes.max(axis=0)
    zoom = SIZE * fill / (high - low).max()
    y, x = np.indices((SIZE, SIZE)) + 0.5
    slope = np.stack([(x - SIZE / 2) / zoom, -(y - SIZE / 2) / zoom], axis=-1) + (low + high) / 2
    ray = slope[..., :1] * camera[0] + slope[..., 1:] * camera[1] - camera[2]
    eye = camera[2] * distance
    return (eye - ray * (eye[2] / ray[..., 2:]))[..., :2]


def test_surface_is_lit_from_both_sides():
    plain = meshes.mesh(meshes.square(), colour=[(0.4, 0.3, 0.2)])
    front = render(plain, meshes.view(meshes.FRONT), size=SIZE)
    back = render(plain, meshes.view(meshes.BACK), size=SIZE)
    np.testing.assert_array_equal(front.image, back.image)


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (2, 3, 0, 1)])
def test_nearer_surface_hides_the_farther(order: tuple[int, ...]):
    points = np.concatenate([meshes.square(1.0, z=0.5), meshes.square(2.0, z=-0.5)])
    material = np.array([0, 0, 1, 1])
    colours = [(1.0, 0.0, 0.0), (0.0, 0.0, 1.0)]
    drawn = meshes.mesh(points[list(order)], material=material[list(order)].tolist(), colour=colours)
    image = render(drawn, meshes.view(fill=0.9), size=SIZE).image
    assert image[32, 32, 0] > 200 > 100 > image[32, 32, 2]
    assert image[6, 6, 2] > 200 > 100 > image[6, 6, 0]


def test_glass_lets_the_backdrop_through_and_belongs_to_the_mask():
    colour = [(0.0, 1.0, 0.0)]
    solid = render(meshes.mesh(meshes.square(), colour=colour), meshes.view(), size=SIZE)
    glass = render(meshes.mesh(meshes.square(), colour=colour, opacity=[0.5]), meshes.view(), size=SIZE)
    np.testing.assert_array_equal(solid.mask, glass.mask)
    mixed = (solid.image[32, 32].astype(float) ** 2 + backdrop(SIZE)[32].astype(float) ** 2) / 2
    np.testing.assert_allclose(glass.image[32, 32], np.sqrt(mixed), atol=2)


def test_holes_of_a_texture_are_not_in_the_mask():
    image = meshes.checker(fields=2, alpha=(255, 0))
    frame = render(meshes.mesh(meshes.square(), image=image), meshes.view(fill=1.0), size=SIZE)
    assert frame.mask[:28, :28].all()
    assert frame.mask[36:, 36:].all()
    assert not frame.mask[4:28, 36:60].any()


def test_fine_texture_is_averaged_instead_of_speckled():
    image = meshes.checker(side=512, fields=256)
    frame = render(meshes.mesh(meshes.square(), image=image), meshes.view(fill=0.9), size=SIZE)
    inner = frame.image[12:52, 12:52].astype(int)
    assert (inner.max(axis=(0, 1)) - inner.min(axis=(0, 1))).max() < 20
    assert inner[..., 0].mean() == pytest.approx(inner[..., 2].mean(), abs=3)


def test_black_object_keeps_apart_from_black_and_white_from_the_backdrop():
    black = render(meshes.mesh(meshes.square(), colour=[(0.0, 0.0, 0.0)]), meshes.view(), size=SIZE).image[32, 32]
    white = render(meshes.mesh(meshes.square()), meshes.view(), size=SIZE).image[32, 32]
    behind = backdrop(SIZE)[32].astype(int)
    assert black.min() > 20
    assert (behind - black).min() > 60
    assert (white - behind).min() > 30


def test_picture_is_the_same_again_and_for_any_unit_of_length():
    tilted = meshes.view(meshes.raised_camera(35.0), lamp=(0.6, 0.48, 0.64))
    first = render(meshes.mesh(meshes.square(), image=meshes.checker()), tilted, size=SIZE)
    again = render(meshes.mesh(meshes.square(), image=meshes.checker()), tilted, size=SIZE)
    larger = render(meshes.mesh(meshes.square() * 64.0, image=meshes.checker()), tilted, size=SIZE)
    np.testing.assert_array_equal(first.image, again.image)
    np.testing.assert_array_equal(first.image, larger.image)


@pytest.mark.slow
def test_kernels_use_no_fused_multiply_add(tmp_path: Path):
    code = """
import meshes
from prior_lab.data.household import render

render.render(meshes.mesh(meshes.square(), image=meshes.checker()), meshes.view(), size=64)
for kernel in (render._shade, render._rasterise, render._texture_levels, render._resolve):
    print(*kernel.inspect_asm().values())
"""
    result = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path), "PYTHONPATH": str(Path(__file__).parent)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert len(result.stdout) > 10_000
    assert "fmadd" not in result.stdout
    assert "fmla" not in result.stdout
