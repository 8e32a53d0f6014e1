"""A headless software renderer: z-buffer rasteriser over real meshes, 16 samples a pixel, bit-reproducible.

The compiled kernels use float64 and nothing but ``+ - * /``, ``sqrt`` and ``floor``, without fast-math, so that two
machines get the same bits. Display values are square roots of linear light. Translucent surfaces are drawn by
alpha-to-coverage: a sample is covered when the opacity exceeds its entry in a 4x4 ordered-dither matrix, which needs no
sorting. Surfaces are lit from both sides. Needs the extra ``render`` (numba).
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, UInt8
from numba import njit

from prior_lab.data.household.bundle import STEP, backdrop
from prior_lab.data.household.mesh import Mesh
from prior_lab.data.household.views import View

SAMPLES = 4
DISTANCE = 4.0
CLEAREST_GLASS = 0.45
BAYER = np.array([[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]], dtype=np.int64)


@dataclass(frozen=True)
class Frame:
    """A rendered image and which pixels the object covers by more than half."""

    image: UInt8[np.ndarray, "height width 3"]
    mask: Bool[np.ndarray, "height width"]


class _Scene(NamedTuple):
    """A mesh as one camera sees it, in arrays that a kernel can read.

    Corners have a place on the ``screen`` [sample] and the ``inverse`` of their distance, triangles an ``opacity`` and
    the ``level`` of their texture's pyramid; ``eye`` is where the camera is.
    """

    screen: np.ndarray
    inverse: np.ndarray
    points: np.ndarray
    normals: np.ndarray
    uv: np.ndarray
    material: np.ndarray
    opacity: np.ndarray
    level: np.ndarray
    colour: np.ndarray
    gloss: np.ndarray
    texture: np.ndarray
    texels: np.ndarray
    start: np.ndarray
    width: np.ndarray
    height: np.ndarray
    translucent: np.ndarray
    eye: np.ndarray
    lamp: np.ndarray


def render(mesh: Mesh, view: View, *, size: int) -> Frame:
    """Draw a mesh in front of the plain backdrop, fitted to the frame.

    Parameters
    ----------
    size : side of the square image [pixel].
    """
    fine = size * SAMPLES
    scene = _scene(mesh, view, fine)
    owner, touched = _rasterise(scene, BAYER, fine)
    behind = backdrop(size)
    linear = _shade(scene, owner, (behind / 255.0) * (behind / 255.0), SAMPLES)
    image, coverage = _resolve(linear, touched, behind, SAMPLES, STEP)
    return Frame(image, coverage * 2 > SAMPLES * SAMPLES)


def _scene(mesh: Mesh, view: View, fine: int) -> _Scene:
    atlas = mesh.atlas
    screen, inverse, eye = _project(mesh.points, view, fine)
    return _Scene(
        screen=screen,
        inverse=inverse,
        points=mesh.points,
        normals=mesh.normals,
        uv=mesh.uv,
        material=mesh.material,
        opacity=_facing_opacity(mesh.points, mesh.material, mesh.opacity, view.camera[2], CLEAREST_GLASS),
        level=_texture_levels(screen, mesh.uv, mesh.material, mesh.texture, atlas.width, atlas.height),
        colour=mesh.colour,
        gloss=mesh.gloss,
        texture=mesh.texture,
        texels=atlas.texels,
        start=atlas.start,
        width=atlas.width,
        height=atlas.height,
        translucent=atlas.translucent,
        eye=eye,
        lamp=view.lamp,
    )


def _project(points: np.ndarray, view: View, fine: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Screen positions [sample], reciprocal distances, and the camera's position, all for a mesh of any unit."""
    radius = np.sqrt((points[..., 0] ** 2 + points[..., 1] ** 2 + points[..., 2] ** 2).max())
    right, up, back = (
        points[..., 0] * axis[0] + points[..., 1] * axis[1] + points[..., 2] * axis[2] for axis in view.camera
    )
    inverse = 1.0 / (DISTANCE * radius - back)
    x, y = right * inverse, -up * inverse
    width, height = x.max() - x.min(), y.max() - y.min()
    zoom = fine * view.fill / max(width, height)
    room_x, room_y = fine - zoom * width, fine - zoom * height
    slack = fine * (1 - view.fill)
    left = room_x / 2 + 0.5 * view.shift[0] * min(room_x, slack)
    top = room_y / 2 + 0.5 * view.shift[1] * min(room_y, slack)
    screen = np.stack([(x - x.min()) * zoom + left, (y - y.min()) * zoom + top], axis=-1)
    return screen, inverse, view.camera[2] * (DISTANCE * radius)


@njit(cache=True)
def _texture_levels(screen, uv, material, texture, widths, heights):  # pragma: no cover (compiled)
    """Pyramid level of every triangle: the one whose texels are about as large as the samples."""
    levels = np.zeros(len(screen), np.int64)
    for t in range(len(screen)):
        image = texture[material[t]]
        if image < 0:
            continue
        drawn = abs(_area(screen[t]))
        texels = abs(_area(uv[t])) * widths[image, 0] * heights[image, 0]
        level = 0
        while texels > 2.0 * drawn and level + 1 < widths.shape[1] and widths[image, level + 1] > 0:
            texels *= 0.25
            level += 1
        levels[t] = level
    return levels


@njit(cache=True)
def _facing_opacity(points, material, opacity, back, clearest):  # pragma: no cover (compiled)
    """Opacity of every triangle; glass is at least a little visible, and more so where it is seen edge-on."""
    result = np.ones(len(points))
    for t in range(len(points)):
        base = opacity[material[t]]
        if base >= 0.999:
            continue
        base = max(base, clearest)
        nx, ny, nz = _face_normal(points[t])
        nx, ny, nz = _unit(nx, ny, nz)
        away = 1.0 - abs(nx * back[0] + ny * back[1] + nz * back[2])
        result[t] = base + (1.0 - base) * 0.7 * away * away
    return result


@njit(cache=True)
def _rasterise(scene, bayer, fine):  # pragma: no cover (compiled)
    """The nearest triangle of every sample, -1 for none, and whether any surface, clear or not, covers the sample."""
    owner = np.full((fine, fine), -1, np.int64)
    touched = np.zeros((fine, fine), np.bool_)
    nearest = np.zeros((fine, fine))
    for t in range(len(scene.screen)):
        p, z = scene.screen[t], scene.inverse[t]
        area = _area(p)
        if area == 0.0:
            continue
        image = scene.texture[scene.material[t]]
        is_leafy = image >= 0 and scene.translucent[image] == 1
        is_solid = scene.opacity[t] >= 1.0 and not is_leafy
        x_low, x_high = _span(p[:, 0], fine)
        y_low, y_high = _span(p[:, 1], fine)
        for row in range(y_low, y_high):
            for column in range(x_low, x_high):
                a, b, c = _weights(p, area, column + 0.5, row + 0.5)
                if a < 0.0 or b < 0.0 or c < 0.0:
                    continue
                inverse = a * z[0] + b * z[1] + c * z[2]
                is_nearer = inverse > nearest[row, column]
                if touched[row, column] and not is_nearer:
                    continue
                if not is_solid:
                    alpha = _alpha(scene, t, a, b, c, inverse) if is_leafy else 1.0
                    limit = ((bayer[row % 4, column % 4] ^ (scene.material[t] * 5 % 16)) + 0.5) / 16.0
                    touched[row, column] |= alpha > limit
                    is_nearer = is_nearer and alpha * scene.opacity[t] > limit
                else:
                    touched[row, column] = True
                if is_nearer:
                    nearest[row, column] = inverse
                    owner[row, column] = t
    return owner, touched


@njit(cache=True)
def _span(coordinate, fine):  # pragma: no cover (compiled)
    """First sample and the one after the last that a triangle can cover along one axis."""
    low = int(np.floor(min(coordinate[0], coordinate[1], coordinate[2])))
    high = int(np.floor(max(coordinate[0], coordinate[1], coordinate[2]))) + 1
    return max(low, 0), min(high, fine)


@njit(cache=True)
def _area(corner):  # pragma: no cover (compiled)
    """Twice the signed area of a triangle in the plane."""
    return (corner[1, 0] - corner[0, 0]) * (corner[2, 1] - corner[0, 1]) - (corner[1, 1] - corner[0, 1]) * (
        corner[2, 0] - corner[0, 0]
    )


@njit(cache=True)
def _weights(p, area, x, y):  # pragma: no cover (compiled)
    """Barycentric weights of a screen position."""
    a = ((p[1, 0] - x) * (p[2, 1] - y) - (p[1, 1] - y) * (p[2, 0] - x)) / area
    b = ((p[2, 0] - x) * (p[0, 1] - y) - (p[2, 1] - y) * (p[0, 0] - x)) / area
    c = ((p[0, 0] - x) * (p[1, 1] - y) - (p[0, 1] - y) * (p[1, 0] - x)) / area
    return a, b, c


@njit(cache=True)
def _alpha(scene, t, a, b, c, inverse):  # pragma: no cover (compiled)
    """Opacity that the texture gives a place on a triangle."""
    z = scene.inverse[t]
    return _texel(scene, t, a * z[0] / inverse, b * z[1] / inverse, c * z[2] / inverse)[3]


@njit(cache=True)
def _texel(scene, t, wa, wb, wc):  # pragma: no cover (compiled)
    """Bilinear sample of a triangle's repeating texture, v upwards: red, green, blue (times alpha) and alpha."""
    image, level, uv = scene.texture[scene.material[t]], scene.level[t], scene.uv[t]
    u = uv[0, 0] * wa + uv[1, 0] * wb + uv[2, 0] * wc
    v = uv[0, 1] * wa + uv[1, 1] * wb + uv[2, 1] * wc
    width, height, start = scene.width[image, level], scene.height[image, level], scene.start[image, level]
    x = (u - np.floor(u)) * width - 0.5
    y = (1.0 - (v - np.floor(v))) * height - 0.5
    x0, y0 = int(np.floor(x)), int(np.floor(y))
    fx, fy = x - x0, y - y0
    upper, lower = start + (y0 % height) * width, start + ((y0 + 1) % height) * width
    left, right = x0 % width, (x0 + 1) % width
    nw, ne, sw, se = (
        scene.texels[upper + left],
        scene.texels[upper + right],
        scene.texels[lower + left],
        scene.texels[lower + right],
    )
    return (
        _blend(nw[0], ne[0], sw[0], se[0], fx, fy),
        _blend(nw[1], ne[1], sw[1], se[1], fx, fy),
        _blend(nw[2], ne[2], sw[2], se[2], fx, fy),
        _blend(nw[3], ne[3], sw[3], se[3], fx, fy),
    )


@njit(cache=True)
def _blend(nw, ne, sw, se, fx, fy):  # pragma: no cover (compiled)
    """Bilinear interpolation."""
    return (nw * (1.0 - fx) + ne * fx) * (1.0 - fy) + (sw * (1.0 - fx) + se * fx) * fy


@njit(cache=True)
def _shade(scene, owner, behind, samples):  # pragma: no cover (compiled)
    """Linear light of every sample: ambient from above, a key lamp, light from the camera, a gloss and a soft rim."""
    fine = owner.shape[0]
    linear = np.empty((fine, fine, 3))
    position, normal = np.empty(3), np.empty(3)
    for row in range(fine):
        for column in range(fine):
            t = owner[row, column]
            if t < 0:
                linear[row, column] = behind[row // samples]
                continue
            p, z, m = scene.screen[t], scene.inverse[t], scene.material[t]
            a, b, c = _weights(p, _area(p), column + 0.5, row + 0.5)
            inverse = a * z[0] + b * z[1] + c * z[2]
            wa, wb, wc = a * z[0] / inverse, b * z[1] / inverse, c * z[2] / inverse
            for i in range(3):
                position[i] = scene.points[t, 0, i] * wa + scene.points[t, 1, i] * wb + scene.points[t, 2, i] * wc
                normal[i] = scene.normals[t, 0, i] * wa + scene.normals[t, 1, i] * wb + scene.normals[t, 2, i] * wc
            diffuse, shine, edge = _light(scene.points[t], position, normal, scene.eye, scene.lamp)
            texel = _texel(scene, t, wa, wb, wc) if scene.texture[m] >= 0 else (1.0, 1.0, 1.0, 1.0)
            alpha = max(texel[3], 1.0 / 256.0)
            shine *= 0.05 + 0.3 * scene.gloss[m]
            linear[row, column, 0] = _shoulder(_albedo(scene.colour[m, 0], texel[0], alpha) * diffuse + shine + edge)
            linear[row, column, 1] = _shoulder(_albedo(scene.colour[m, 1], texel[1], alpha) * diffuse + shine + edge)
            linear[row, column, 2] = _shoulder(_albedo(scene.colour[m, 2], texel[2], alpha) * diffuse + shine + edge)
    return linear


@njit(cache=True)
def _albedo(colour, texel, alpha):  # pragma: no cover (compiled)
    """Share of the light that is reflected: never quite none, so that black things keep their shape."""
    return 0.022 + 0.9 * colour * texel / alpha


@njit(cache=True)
def _light(corner, position, normal, eye, lamp):  # pragma: no cover (compiled)
    """Diffuse irradiance, gloss and rim at a point of a two-sided surface."""
    vx, vy, vz = _unit(eye[0] - position[0], eye[1] - position[1], eye[2] - position[2])
    gx, gy, gz = _face_normal(corner)
    side = 1.0 if gx * vx + gy * vy + gz * vz >= 0.0 else -1.0
    agree = 1.0 if gx * normal[0] + gy * normal[1] + gz * normal[2] >= 0.0 else -1.0
    nx, ny, nz = _unit(side * agree * normal[0], side * agree * normal[1], side * agree * normal[2])
    hx, hy, hz = _unit(lamp[0] + vx, lamp[1] + vy, lamp[2] + vz)
    facing = max(nx * vx + ny * vy + nz * vz, 0.0)
    key = max((nx * lamp[0] + ny * lamp[1] + nz * lamp[2] + 0.25) / 1.25, 0.0)
    shine = max(nx * hx + ny * hy + nz * hz, 0.0)
    for _ in range(5):
        shine = shine * shine
    away = 1.0 - facing
    diffuse = 0.32 + 0.12 * ny + 0.82 * key * key + 0.18 * facing
    return diffuse, shine, 0.07 * (away * away * away)


@njit(cache=True)
def _unit(x, y, z):  # pragma: no cover (compiled)
    """The vector scaled to length 1."""
    length = max(np.sqrt(x * x + y * y + z * z), 1e-12)
    return x / length, y / length, z / length


@njit(cache=True)
def _face_normal(p):  # pragma: no cover (compiled)
    """Cross product of two sides of a triangle."""
    ax, ay, az = p[1, 0] - p[0, 0], p[1, 1] - p[0, 1], p[1, 2] - p[0, 2]
    bx, by, bz = p[2, 0] - p[0, 0], p[2, 1] - p[0, 1], p[2, 2] - p[0, 2]
    return ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx


@njit(cache=True)
def _shoulder(value):  # pragma: no cover (compiled)
    """Highlights approach 1 smoothly instead of being clipped."""
    over = value - 0.7
    return value if over <= 0.0 else 0.7 + 0.3 * over / (over + 0.3)


@njit(cache=True)
def _resolve(linear, touched, behind, samples, step):  # pragma: no cover (compiled)
    """Average the samples of every pixel; returns display values (multiples of ``step``, or backdrop) and coverage."""
    size = linear.shape[0] // samples
    image = np.empty((size, size, 3), np.uint8)
    coverage = np.zeros((size, size), np.int64)
    for row in range(size):
        for column in range(size):
            y, x = row * samples, column * samples
            coverage[row, column] = touched[y : y + samples, x : x + samples].sum()
            for i in range(3):
                total = 0.0
                for j in range(samples):
                    for k in range(samples):
                        total += linear[y + j, x + k, i]
                shade = np.sqrt(total / (samples * samples)) * (255.0 / step)
                image[row, column, i] = int(np.floor(shade + 0.5)) * step
            if coverage[row, column] == 0:
                image[row, column] = behind[row]
    return image, coverage
