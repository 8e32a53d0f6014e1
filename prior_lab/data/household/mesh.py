"""Wavefront OBJ and MTL: from the bytes in a catalogue to a triangle soup with materials and textures.

Only what the catalogues use is read: ``v vt vn f usemtl mtllib`` and ``newmtl Kd Ks d map_Kd``. Colours are turned
from display values into linear light by squaring (a display exponent of 2, so that no libm function is involved).
"""

import posixpath
from dataclasses import dataclass, field
from zipfile import ZipFile

import numpy as np
from jaxtyping import Float64, Int64
from numba import njit

from prior_lab.data.household.catalogue import Piece
from prior_lab.data.household.texture import TextureAtlas, build_atlas


@dataclass
class Material:
    """A surface: display colours in [0, 1], opacity in [0, 1] and the path of its image inside the catalogue, or ''."""

    diffuse: tuple[float, float, float] = (0.8, 0.8, 0.8)
    specular: tuple[float, float, float] = (0.0, 0.0, 0.0)
    opacity: float = 1.0
    image: str = ""


@dataclass(frozen=True)
class Mesh:
    """A triangle soup: every triangle has its own three corners.

    ``points`` [cm, y up, front towards +z]; ``normals`` of unit length; ``uv`` in texture repeats, v upwards;
    ``material`` indexes the rows of ``colour`` (diffuse, linear light), ``opacity``, ``gloss`` (specular reflectance)
    and ``texture`` (index into the atlas, -1 for none).
    """

    points: Float64[np.ndarray, "triangle 3 3"]
    normals: Float64[np.ndarray, "triangle 3 3"]
    uv: Float64[np.ndarray, "triangle 3 2"]
    material: Int64[np.ndarray, "triangle"]
    colour: Float64[np.ndarray, "material 3"]
    opacity: Float64[np.ndarray, "material"]
    gloss: Float64[np.ndarray, "material"]
    texture: Int64[np.ndarray, "material"]
    atlas: TextureAtlas


@dataclass
class _ObjLines:
    """The lines of an OBJ file by kind; ``usemtl`` gives every face line its material name."""

    points: list[bytes] = field(default_factory=list)
    uv: list[bytes] = field(default_factory=list)
    normals: list[bytes] = field(default_factory=list)
    faces: list[bytes] = field(default_factory=list)
    usemtl: list[str] = field(default_factory=list)
    libraries: list[str] = field(default_factory=list)


def load_mesh(archive: ZipFile, piece: Piece) -> Mesh:
    """Read one model, turned upright and scaled to the size that the catalogue states."""
    lines = _split_obj(archive.read(piece.model))
    materials = _read_materials(archive, piece.model, lines.libraries)
    names = list(dict.fromkeys(lines.usemtl))
    used = [materials.get(name) or _unlisted(name) for name in names]
    corners, material = _triangulated(lines, names)
    points = _numbers(lines.points, 3)
    triangles, has_area = _placed(points[corners[:, :, 0]], piece)
    uv = _looked_up(_numbers(lines.uv, 2), corners[:, :, 1])
    normals = _rotated(_looked_up(_numbers(lines.normals, 3), corners[:, :, 2]), piece.rotation)
    images = list(dict.fromkeys(entry.image for entry in used if entry.image))
    return Mesh(
        points=triangles[has_area],
        normals=_unit_normals(normals, triangles)[has_area],
        uv=uv[has_area],
        material=material[has_area],
        colour=np.array([_surface_colour(entry) for entry in used]),
        opacity=np.array([entry.opacity for entry in used]),
        gloss=np.array([min(sum(entry.specular) / 3, 1.0) for entry in used]),
        texture=np.array([images.index(entry.image) if entry.image else -1 for entry in used], dtype=np.int64),
        atlas=build_atlas([archive.read(image) for image in images]),
    )


def _unlisted(name: str) -> Material:
    """What stands in for a material that the library does not list: grey, or glass where the name says so."""
    is_glass = "glass" in name.lower() or "cristal" in name.lower()
    return Material(opacity=0.3) if is_glass else Material()


def _surface_colour(entry: Material) -> tuple[float, ...]:
    """Diffuse colour in linear light; under a texture only its tint, because exporters leave arbitrary greys there."""
    brightest = max(entry.diffuse)
    if entry.image:
        return tuple((c / brightest) ** 2 for c in entry.diffuse) if brightest > 0.05 else (1.0, 1.0, 1.0)
    return tuple(c**2 for c in entry.diffuse)


def _split_obj(data: bytes) -> _ObjLines:
    lines = _ObjLines()
    bins = {b"v": lines.points, b"vt": lines.uv, b"vn": lines.normals}
    current = ""
    for line in data.replace(b"\\\n", b" ").splitlines():
        kind, _, rest = line.strip().replace(b"\t", b" ").partition(b" ")
        if kind in bins:
            bins[kind].append(rest)
        elif kind == b"f":
            lines.faces.append(rest)
            lines.usemtl.append(current)
        elif kind == b"usemtl":
            current = rest.decode("latin-1").strip()
        elif kind == b"mtllib":
            lines.libraries.append(rest.decode("latin-1").strip())
    return lines


def _numbers(lines: list[bytes], width: int) -> Float64[np.ndarray, "row width"]:
    """The first ``width`` numbers of every line."""
    if not lines:
        return np.zeros((0, width))
    values = np.fromstring(b" ".join(lines).decode("ascii"), sep=" ")
    if values.size == len(lines) * width:
        return values.reshape(-1, width)
    return np.array([[float(value) for value in line.split()[:width]] for line in lines])


def _triangulated(lines: _ObjLines, names: list[str]) -> tuple[Int64[np.ndarray, "triangle 3 3"], np.ndarray]:
    """Point, uv and normal index of every triangle corner (-1 where the file gives none), and its material."""
    counts = np.array([len(face.split()) for face in lines.faces])
    indices = _face_indices(lines.faces, counts)
    for column, rows in enumerate((lines.points, lines.uv, lines.normals)):
        values = indices[:, column]
        values[values < 0] += len(rows) + 1
    indices -= 1
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    picked, owner = _triangulate(_numbers(lines.points, 3), indices[:, 0], starts, counts)
    order = {name: number for number, name in enumerate(names)}
    material = np.array([order[name] for name in lines.usemtl], dtype=np.int64)
    return indices[picked], material[owner]


def _face_indices(faces: list[bytes], counts: np.ndarray) -> Int64[np.ndarray, "corner 3"]:
    """``a``, ``a/b``, ``a//c`` and ``a/b/c`` corners as rows (a, b, c), 0 where a number is missing."""
    padded = [_padded(face.replace(b"//", b"/0/"), count) for face, count in zip(faces, counts.tolist(), strict=True)]
    values = np.fromstring(b" ".join(padded).replace(b"/", b" ").decode("ascii"), sep=" ", dtype=np.int64)
    return values.reshape(-1, 3)


def _padded(face: bytes, count: int) -> bytes:
    """A face whose corners all have three numbers."""
    slashes = face.count(b"/")
    if slashes == 2 * count:
        return face
    if slashes == 0:
        return b"/0/0 ".join(face.split()) + b"/0/0"
    return b" ".join(corner + b"/0" * (2 - corner.count(b"/")) for corner in face.split())


@njit(cache=True)
def _triangulate(points, corner, starts, counts):  # pragma: no cover (compiled)
    """Ear clipping of every polygon in the plane its area vector is largest in; returns corner rows and polygon."""
    total = 0
    for count in counts:
        total += max(count - 2, 0)
    picked = np.empty((total, 3), np.int64)
    owner = np.empty(total, np.int64)
    out = 0
    for polygon in range(len(counts)):
        n = counts[polygon]
        if n < 3:
            continue
        rows = starts[polygon] + np.arange(n)
        area = np.zeros(3)
        for i in range(n):
            p, q = points[corner[rows[i]]], points[corner[rows[(i + 1) % n]]]
            area[0] += p[1] * q[2] - p[2] * q[1]
            area[1] += p[2] * q[0] - p[0] * q[2]
            area[2] += p[0] * q[1] - p[1] * q[0]
        axis = np.argmax(np.abs(area))
        u, v = (axis + 1) % 3, (axis + 2) % 3
        sign = 1.0 if area[axis] >= 0 else -1.0
        while n > 2:
            ear = 0
            for i in range(n):
                if n == 3 or _is_ear(points, corner, rows, n, i, u, v, sign):
                    ear = i
                    break
            picked[out, 0], picked[out, 1], picked[out, 2] = rows[(ear + n - 1) % n], rows[ear], rows[(ear + 1) % n]
            owner[out] = polygon
            out += 1
            for i in range(ear, n - 1):
                rows[i] = rows[i + 1]
            n -= 1
    return picked, owner


@njit(cache=True)
def _is_ear(points, corner, rows, n, i, u, v, sign):  # pragma: no cover (compiled)
    """Whether corner ``i`` is convex and no other corner of the polygon lies in its triangle."""
    a, b, c = corner[rows[(i + n - 1) % n]], corner[rows[i]], corner[rows[(i + 1) % n]]
    if _turn(points, a, b, c, u, v) * sign <= 0.0:
        return False
    for j in range(n):
        p = corner[rows[j]]
        if p in (a, b, c):
            continue
        inside = (
            _turn(points, a, b, p, u, v) * sign >= 0.0
            and _turn(points, b, c, p, u, v) * sign >= 0.0
            and _turn(points, c, a, p, u, v) * sign >= 0.0
        )
        if inside:
            return False
    return True


@njit(cache=True)
def _turn(points, a, b, c, u, v):  # pragma: no cover (compiled)
    """Twice the signed area of the triangle a, b, c in the plane (u, v)."""
    return (points[b, u] - points[a, u]) * (points[c, v] - points[a, v]) - (points[b, v] - points[a, v]) * (
        points[c, u] - points[a, u]
    )


def _looked_up(rows: np.ndarray, index: np.ndarray) -> np.ndarray:
    """``rows[index]``, with zeros where the index is -1 or outside."""
    padded = np.concatenate([rows, np.zeros((1, rows.shape[1]))])
    return padded[np.where((index < 0) | (index >= len(rows)), len(rows), index)]


def _rotated(vectors: np.ndarray, rotation: tuple[float, ...]) -> np.ndarray:
    x, y, z = vectors[..., 0], vectors[..., 1], vectors[..., 2]
    r = rotation
    return np.stack([r[i] * x + r[i + 1] * y + r[i + 2] * z for i in (0, 3, 6)], axis=-1)


def _placed(triangles: np.ndarray, piece: Piece) -> tuple[np.ndarray, np.ndarray]:
    """Triangles upright, centred and scaled to the catalogue's size, and which of them have an area at all."""
    upright = _rotated(triangles, piece.rotation)
    low, high = upright.min(axis=(0, 1)), upright.max(axis=(0, 1))
    extent = high - low
    scale = np.where(extent > 0, np.array(piece.size) / np.where(extent > 0, extent, 1.0), 1.0)
    placed = (upright - (low + high) / 2) * scale
    cross = _cross(placed)
    return placed, (cross * cross).sum(axis=1) > 0


def _cross(triangles: np.ndarray) -> np.ndarray:
    a, b = triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]
    ax, ay, az, bx, by, bz = a[:, 0], a[:, 1], a[:, 2], b[:, 0], b[:, 1], b[:, 2]
    return np.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx], axis=1)


def _unit_normals(normals: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Unit normals, the triangle's own where the file gives none."""
    length = np.sqrt(_square(normals))
    flat = np.broadcast_to(_cross(triangles)[:, None], normals.shape)
    chosen = np.where(length[..., None] > 1e-9, normals, flat)
    length = np.sqrt(_square(chosen))
    return chosen / np.where(length > 0, length, 1.0)[..., None]


def _square(vectors: np.ndarray) -> np.ndarray:
    return vectors[..., 0] * vectors[..., 0] + vectors[..., 1] * vectors[..., 1] + vectors[..., 2] * vectors[..., 2]


def _read_materials(archive: ZipFile, model: str, libraries: list[str]) -> dict[str, Material]:
    """Materials by name; an image that is not there is replaced by the folder's only image that nobody names."""
    folder = posixpath.dirname(model)
    inside = {name.lower(): name for name in archive.namelist() if posixpath.dirname(name) == folder}
    materials: dict[str, Material] = {}
    for library in libraries:
        path = inside.get(f"{folder}/{posixpath.basename(library)}".lower())
        if path:
            _parse_mtl(archive.read(path).decode("latin-1"), folder, materials)
    named = {material.image.lower() for material in materials.values()}
    spare = [name for name in inside if name.endswith((".jpg", ".png")) and name not in named]
    for material in materials.values():
        if material.image:
            material.image = inside.get(material.image.lower(), inside[spare[0]] if len(spare) == 1 else "")
    return materials


def _parse_mtl(text: str, folder: str, materials: dict[str, Material]) -> None:
    material = Material()
    for line in text.splitlines():
        kind, _, rest = line.strip().replace("\t", " ").partition(" ")
        if kind == "newmtl":
            material = materials[rest.strip()] = Material()
        elif kind in ("Kd", "Ks"):
            values = [min(max(float(value), 0.0), 1.0) for value in rest.split()[:3]]
            setattr(material, {"Kd": "diffuse", "Ks": "specular"}[kind], tuple(values))
        elif kind == "d":
            material.opacity = min(max(float(rest.split()[-1]), 0.0), 1.0)
        elif kind == "map_Kd":
            material.image = f"{folder}/{posixpath.basename(rest.strip().replace(chr(92), '/'))}"
