"""Small meshes and views whose pictures can be worked out by hand."""

import io

import numpy as np
from PIL import Image

from prior_lab.data.household.mesh import Mesh
from prior_lab.data.household.texture import build_atlas
from prior_lab.data.household.views import View

FRONT = np.eye(3)
BACK = np.diag([-1.0, 1.0, -1.0])


def view(camera: np.ndarray = FRONT, *, fill: float = 0.5, lamp: tuple[float, ...] | None = None) -> View:
    """A centred view, lit from the camera unless told otherwise."""
    return View(camera=camera, lamp=np.array(lamp) if lamp else camera[2], fill=fill, shift=(0.0, 0.0))


def raised_camera(degrees: float) -> np.ndarray:
    """A camera in front of the object, lifted by an angle."""
    s, c = np.sin(np.radians(degrees)), np.cos(np.radians(degrees))
    return np.array([[1.0, 0.0, 0.0], [0.0, c, -s], [0.0, s, c]])


def square(side: float = 2.0, z: float = 0.0) -> np.ndarray:
    """Two triangles that face +z."""
    h = side / 2
    a, b, c, d = (-h, -h, z), (h, -h, z), (h, h, z), (-h, h, z)
    return np.array([[a, b, c], [a, c, d]])


SQUARE_UV = np.array([[[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]], [[0.0, 0.0], [1.0, 1.0], [0.0, 1.0]]])


def mesh(
    points: np.ndarray,
    *,
    material: list[int] | None = None,
    colour: list[tuple[float, float, float]] | None = None,
    opacity: list[float] | None = None,
    image: Image.Image | None = None,
) -> Mesh:
    """A mesh of triangles that face +z; an image is laid on every pair of triangles as on a square."""
    colours = np.array(colour or [(1.0, 1.0, 1.0)])
    return Mesh(
        points=points,
        normals=np.broadcast_to([0.0, 0.0, 1.0], points.shape).copy(),
        uv=np.tile(SQUARE_UV, (len(points) // 2, 1, 1)) if len(points) > 1 else np.zeros((1, 3, 2)),
        material=np.array(material or [0] * len(points)),
        colour=colours,
        opacity=np.array(opacity or [1.0] * len(colours)),
        gloss=np.zeros(len(colours)),
        texture=np.full(len(colours), -1 if image is None else 0),
        atlas=build_atlas([] if image is None else [png(image)]),
    )


def png(image: Image.Image) -> bytes:
    """The image as a PNG file."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def checker(side: int = 64, fields: int = 4, alpha: tuple[int, int] = (255, 255)) -> Image.Image:
    """A checkerboard of red and blue fields, red at the upper left."""
    row, column = np.indices((side, side)) * fields // side
    is_red = (row + column) % 2 == 0
    red, blue = (255, 0, 0, alpha[0]), (0, 0, 255, alpha[1])
    return Image.fromarray(np.where(is_red[..., None], red, blue).astype(np.uint8), "RGBA")
