from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest

pytest.importorskip("numba", reason="the mesh reader needs the extra render")

import meshes

from prior_lab.data.household.catalogue import Piece
from prior_lab.data.household.mesh import Mesh, load_mesh
from prior_lab.data.household.texture import build_atlas

UPRIGHT = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
CUBE_CORNERS = "v 0 0 0\nv 2 0 0\nv 2 2 0\nv 0 2 0\nv 0 0 2\nv 2 0 2\nv 2 2 2\nv 0 2 2\n"


def _load(tmp_path: Path, obj: str, mtl: str = "", *, size=(2.0, 2.0, 2.0), rotation=UPRIGHT, images=None) -> Mesh:
    with ZipFile(tmp_path / "catalogue.zip", "w") as archive:
        archive.writestr("thing/thing.obj", obj)
        archive.writestr("thing/thing.mtl", mtl)
        for name, data in (images or {}).items():
            archive.writestr(f"thing/{name}", data)
    piece = Piece("c/thing", "Thing", "c", "thing/thing.obj", "Misc", "", "", "CC0-1.0", size, rotation)
    with ZipFile(tmp_path / "catalogue.zip") as archive:
        return load_mesh(archive, piece)


def _area(mesh: Mesh) -> float:
    a, b = mesh.points[:, 1] - mesh.points[:, 0], mesh.points[:, 2] - mesh.points[:, 0]
    return float(np.linalg.norm(np.cross(a, b), axis=1).sum() / 2)


def test_quads_become_triangles_of_the_same_area(tmp_path: Path):
    faces = "f 1 2 3 4\nf 5 6 7 8\nf 1 2 6 5\nf 4 3 7 8\nf 1 4 8 5\nf 2 3 7 6\n"
    mesh = _load(tmp_path, CUBE_CORNERS + faces)
    assert len(mesh.points) == 12
    assert _area(mesh) == pytest.approx(24.0)
    np.testing.assert_allclose(np.linalg.norm(mesh.normals, axis=-1), 1.0)


def test_concave_polygon_keeps_its_notch(tmp_path: Path):
    corners = "v 0 0 0\nv 4 0 0\nv 4 4 0\nv 2 1 0\nv 0 4 0\n"
    mesh = _load(tmp_path, corners + "f 1 2 3 4 5\n", size=(4.0, 4.0, 1.0))
    assert len(mesh.points) == 3
    assert _area(mesh) == pytest.approx(16 - 6)


@pytest.mark.parametrize("face", ["f 1 2 3", "f 1/1 2/2 3/3", "f 1//1 2//1 3//1", "f 1/1/1 2/2/1 3/3/1", "f -3 -2 -1"])
def test_every_way_to_write_a_face(tmp_path: Path, face: str):
    rest = "v 0 0 0\nv 2 0 0\nv 0 2 0\nvt 0 0\nvt 1 0\nvt 0 1\nvn 0 0 1\n"
    mesh = _load(tmp_path, rest + face + "\n")
    first = np.flatnonzero((mesh.points[0] == [-1, -1, 0]).all(axis=1))[0]
    np.testing.assert_allclose(np.roll(mesh.points[0], -first, axis=0), [[-1, -1, 0], [1, -1, 0], [-1, 1, 0]])
    np.testing.assert_allclose(mesh.normals[0], [[0, 0, 1]] * 3)
    expected = [[0, 0], [1, 0], [0, 1]] if "/1 2/2" in face or "/1/1" in face else [[0, 0]] * 3
    np.testing.assert_allclose(np.roll(mesh.uv[0], -first, axis=0), expected)


def test_mixed_faces_in_one_file(tmp_path: Path):
    mesh = _load(tmp_path, CUBE_CORNERS + "vt 0.5 0.5\nf 1 2 3\nf 5/1 6/1 7/1\nf 1 5 8 4\n")
    assert len(mesh.points) == 4
    assert mesh.uv[1].tolist() == [[0.5, 0.5]] * 3


def test_model_is_turned_upright_centred_and_scaled(tmp_path: Path):
    lying = (1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, -1.0, 0.0)
    mesh = _load(tmp_path, "v 1 1 1\nv 2 1 1\nv 1 1 5\nf 1 2 3\n", size=(10.0, 20.0, 3.0), rotation=lying)
    np.testing.assert_allclose(mesh.points.min(axis=(0, 1)), [-5, -10, 0])
    np.testing.assert_allclose(mesh.points.max(axis=(0, 1)), [5, 10, 0])


def test_materials_and_their_images(tmp_path: Path):
    mtl = "newmtl a\nKd 0.5 0 1\nKs 0.3 0.3 0.3\nd 0.25\nnewmtl b\nKd 0.4 0.4 0.4\nmap_Kd C:\\elsewhere\\Wood.PNG\n"
    faces = "usemtl a\nf 1 2 3\nusemtl b\nf 5 6 7\nusemtl some_glass\nf 1 2 6\nusemtl x\nf 3 4 8\n"
    obj = f"mtllib thing.mtl\n{CUBE_CORNERS}{faces}"
    mesh = _load(tmp_path, obj, mtl, images={"wood.png": meshes.png(meshes.checker(fields=1))})
    assert mesh.material.tolist() == [0, 1, 2, 3]
    np.testing.assert_allclose(mesh.colour[0], [0.25, 0, 1])
    np.testing.assert_allclose(mesh.colour[1], [1, 1, 1])
    assert mesh.opacity.tolist() == [0.25, 1, 0.3, 1]
    np.testing.assert_allclose(mesh.gloss, [0.3, 0, 0, 0])
    assert mesh.texture.tolist() == [-1, 0, -1, -1]
    np.testing.assert_allclose(mesh.atlas.texels[0], [1, 0, 0, 1])


def test_missing_image_is_replaced_by_the_only_one_nobody_names(tmp_path: Path):
    mtl = "newmtl rug\nKd 1 1 1\nmap_Kd lost.jpg\n"
    obj = f"mtllib thing.mtl\n{CUBE_CORNERS}usemtl rug\nf 1 2 3\n"
    found = _load(tmp_path, obj, mtl, images={"rug.png": meshes.png(meshes.checker())})
    lost = _load(tmp_path, obj, mtl)
    assert found.texture.tolist() == [0]
    assert lost.texture.tolist() == [-1]


def test_triangles_without_area_are_dropped(tmp_path: Path):
    assert len(_load(tmp_path, CUBE_CORNERS + "f 1 2 3\nf 1 1 2\nf 1 2 2\n").points) == 1


def test_pyramid_averages_the_texture_down_to_one_texel():
    atlas = build_atlas([meshes.png(meshes.checker(side=64, fields=2))])
    assert atlas.width[0].tolist() == [64, 32, 16, 8, 4, 2, 1]
    np.testing.assert_allclose(atlas.texels[atlas.start[0, -1]], [0.5, 0, 0.5, 1])
    assert atlas.translucent.tolist() == [0]
