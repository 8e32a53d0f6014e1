import hashlib
import json
import os
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from prior_lab import InputError
from prior_lab.data.emoji import build, drawing
from prior_lab.data.emoji.bundle import (
    Bundle,
    NearDuplicate,
    by_concept,
    decode_images,
    encode_images,
    recorded_sha256,
    write_bundle,
)
from prior_lab.data.emoji.duplicates import alike_pairs, families, perceptual_hashes
from prior_lab.data.emoji.matching import match, other_names
from prior_lab.data.emoji.reader import open_bundle
from prior_lab.data.emoji.recipe import ARTISTS, FILES, SIZE, Artist
from prior_lab.data.emoji.sources import UNICODE_FILE, Concept, Package, key, read_concepts, read_package
from prior_lab.data.emoji.splits import assign_splits, kept_subgroups

SOURCE = Path(os.environ.get("PRIOR_LAB_EMOJI_SOURCE", "no folder"))
needs_packages = pytest.mark.skipif(
    not SOURCE.is_dir() or not UNICODE_FILE.is_file(),
    reason="PRIOR_LAB_EMOJI_SOURCE names no folder with the npm packages, or Debian's unicode-data is not installed",
)
TABLE = """# Version: 15.0
# group: Animals & Nature
# subgroup: animal-bug
1F577 FE0F ; fully-qualified     # 🕷️ E0.7 spider
1F577      ; unqualified         # 🕷 E0.7 spider
# group: People & Body
# subgroup: person-role
1F9D1 200D 1F680 ; fully-qualified # 🧑‍🚀 E12.1 astronaut
1F9D1 1F3FB 200D 1F680 ; fully-qualified # 🧑🏻‍🚀 E12.1 astronaut: light skin tone
1F468 200D 1F680 ; fully-qualified # 👨‍🚀 E4.0 man astronaut
1F6B6 200D 2640 FE0F ; fully-qualified # 🚶‍♀️ E4.0 woman walking
# group: Symbols
# subgroup: keycap
0031 FE0F 20E3 ; fully-qualified # 1️⃣ E0.6 keycap: 1
# subgroup: other-symbol
00A9 FE0F ; fully-qualified # ©️ E0.6 copyright
# group: Flags
# subgroup: flag
1F3C1 ; fully-qualified # 🏁 E0.6 chequered flag
"""
SQUARE = '<path fill="#f00" d="M0 0h8v16H0z"/>'  # the left half


def _concept(name: str, codes: tuple[int, ...], subgroup: str = "sub") -> Concept:
    return Concept(codes, name, "group", subgroup)


def _package(
    icons: dict[str, dict], aliases: dict[str, dict] | None = None, codes: dict[str, str] | None = None
) -> Package:
    return Package(icons, aliases or {}, codes or {}, (0, 0, 16, 16), "author", "https://example.org", "MIT")


@pytest.fixture
def artist(tmp_path: Path) -> Artist:
    """A set of one drawing that lies in the test's folder as npm would unpack it."""
    folder = tmp_path / "tiny-emoji"
    folder.mkdir()
    icons = {"icons": {"spider": {"body": SQUARE}}, "aliases": {"bug": {"parent": "spider"}}, "width": 16, "height": 16}
    info = {"author": {"name": "Ada", "url": "https://example.org"}, "license": {"spdx": "MIT"}}
    contents = dict(zip(FILES, (icons, {"1f577-fe0f": "spider"}, info), strict=True))
    for name, content in (contents | {"package.json": {"version": "1.0.0"}}).items():
        (folder / name).write_text(json.dumps(content))
    digests = tuple(hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in FILES)
    return Artist("ada", "tiny-emoji", "1.0.0", digests)


def test_unicodes_table_is_read_without_copies_flags_and_letters(tmp_path: Path):
    table = tmp_path / "emoji-test.txt"
    table.write_text(TABLE, encoding="utf-8")
    concepts = read_concepts(table, expected=hashlib.sha256(table.read_bytes()).hexdigest())
    assert [(concept.name, concept.code_text) for concept in concepts] == [
        ("spider", "1f577"),
        ("astronaut", "1f9d1-200d-1f680"),
    ]
    assert concepts[0].group == "Animals & Nature"
    assert concepts[1].subgroup == "person-role"


def test_another_version_of_unicodes_table_is_refused(tmp_path: Path):
    table = tmp_path / "emoji-test.txt"
    table.write_text(TABLE, encoding="utf-8")
    with pytest.raises(InputError, match=r"is not emoji-test.txt of Unicode 15.0"):
        read_concepts(table)
    with pytest.raises(InputError, match=r"is missing; Debian's unicode-data has it"):
        read_concepts(tmp_path / "nothing.txt")


def test_a_package_is_read(tmp_path: Path, artist: Artist):
    package = read_package(tmp_path, artist)
    assert (package.author, package.licence, package.box) == ("Ada", "MIT", (0, 0, 16, 16))
    assert package.by_code == {"1f577": "spider"}


@pytest.mark.parametrize("name", FILES)
def test_a_changed_file_of_a_package_is_told(tmp_path: Path, artist: Artist, name: str):
    path = tmp_path / artist.package / name
    path.write_text(path.read_text() + " ")
    with pytest.raises(InputError, match=rf"{name} is altered: its SHA-256 is"):
        read_package(tmp_path, artist)
    path.unlink()
    with pytest.raises(
        InputError, match=rf"{name} is missing; expected the npm package @iconify-json/tiny-emoji@1.0.0"
    ):
        read_package(tmp_path, artist)


def test_another_version_of_a_package_is_told(tmp_path: Path, artist: Artist):
    with pytest.raises(InputError, match=r"holds version 1.0.0 of @iconify-json/tiny-emoji; expected .*@2.0.0"):
        read_package(tmp_path, replace(artist, version="2.0.0"))
    (tmp_path / artist.package / "package.json").write_text("[]")
    with pytest.raises(InputError, match="cannot be read as an npm package's description"):
        read_package(tmp_path, artist)


def test_drawings_are_matched_by_code_point_name_and_other_names():
    spider, apple, pistol = (
        _concept("spider", (0x1F577,)),
        _concept("red apple", (0x1F34E,)),
        _concept("water pistol", (0x1F52B,)),
    )
    concepts = (spider, apple, pistol)
    coded = _package({"x": {}, "apple-fruit": {}}, codes={"1f577": "x", "1f34e": "apple-fruit"})
    named = _package({"Red_Apple": {}, "pistol": {}, "bug": {}}, aliases={"spider": {"parent": "bug"}})
    other = _package({"applefruit": {}, "bug": {}})
    names = other_names(concepts, (coded, named, other))
    assert match(concepts, coded, names) == {"1f577": "x", "1f34e": "apple-fruit"}
    matched = match(concepts, named, names)
    assert matched["1f34e"] == "Red_Apple"
    assert matched["1f52b"] == "pistol"  # its formal name in Unicode
    assert matched["1f577"] == "spider"
    assert match(concepts, other, names) == {"1f34e": "applefruit", "1f577": "bug"}


def test_a_name_of_two_concepts_tells_of_none_and_a_drawing_is_used_once():
    concepts = (_concept("first", (0x1F600,)), _concept("second", (0x1F601,)))
    ambiguous = _package({}, codes={"1f600": "shared", "1f601": "shared"})
    drawn = _package({"shared": {}})
    assert match(concepts, drawn, other_names(concepts, (ambiguous, drawn))) == {}
    assert match(concepts, ambiguous, other_names(concepts, (ambiguous,))) == {"1f600": "shared"}


def test_the_first_of_numbered_drawings_is_taken():
    concepts = (_concept("girl", (0x1F467,)),)
    package = _package({"girl-2": {}, "girl-1": {}})
    assert match(concepts, package, other_names(concepts, (package,))) == {"1f467": "girl-1"}


def test_names_are_compared_by_letters_and_digits():
    assert key("Mrs. Claus") == key("mrs-claus")
    assert key("piñata") == key("PINATA")
    assert key("man’s shoe") == key("mans-shoe")


@pytest.fixture(scope="module")
def resvg() -> None:
    """Tests that draw need the extra render."""
    pytest.importorskip("resvg_py", reason="rendering needs the extra render")


@pytest.mark.usefixtures("resvg")
def test_a_drawing_fills_the_frame_and_is_turned_as_told():
    package = _package({"half": {"body": SQUARE}}, aliases={"other": {"parent": "half", "hFlip": True}})
    left, right = (drawing.draw(drawing.svg_text(package, name)) for name in ("half", "other"))
    assert left.shape == (SIZE, SIZE, 4)
    assert (left[:, : SIZE // 2] == (255, 0, 0, 255)).all()
    assert (left[:, SIZE // 2 :, 3] == 0).all()
    np.testing.assert_array_equal(right, left[:, ::-1])


@pytest.mark.usefixtures("resvg")
def test_a_drawing_that_is_not_square_is_in_the_middle():
    package = _package({"wide": {"body": '<path d="M0 0h32v16H0z"/>', "width": 32}})
    drawn = drawing.mask(drawing.draw(drawing.svg_text(package, "wide")))
    assert drawn[16:48].all()
    assert not drawn[:16].any()
    assert not drawn[48:].any()


def test_a_drawing_turned_in_another_way_is_refused():
    package = _package({"half": {"body": SQUARE}}, aliases={"other": {"parent": "half", "rotate": 1}})
    with pytest.raises(InputError, match="expected hFlip alone"):
        drawing.svg_text(package, "other")


@pytest.mark.usefixtures("resvg")
def test_an_artists_repetition_and_what_shows_nothing_are_left_out(tmp_path: Path):
    concepts = [_concept(name, (code,)) for code, name in enumerate(("one", "two", "three"), 0x1F600)]
    bodies = {"one": SQUARE, "two": SQUARE, "three": "<g/>"}
    package = _package({name: {"body": body} for name, body in bodies.items()})
    artists = [replace(ARTISTS[0], name=str(number)) for number in range(4)]
    sheets = build.render_all(concepts, dict.fromkeys(artists, package))
    assert [(sheet.concept.name, sheet.artist.name) for sheet in sheets] == [("one", str(n)) for n in range(4)]
    assert build.render_all(concepts, dict.fromkeys(artists[:3], package)) == []  # by too few artists
    unseen = [replace(artist, is_held_out=True) for artist in artists[1:]]
    assert build.render_all(concepts, dict.fromkeys([artists[0], *unseen], package)) == []  # by too few seen ones


def test_hashes_see_composition_and_not_hue():
    chance = np.random.default_rng(0)
    noise = chance.integers(0, 256, (2, SIZE, SIZE, 1), dtype=np.uint8).repeat(3, axis=3)
    darker = (noise[:1] // 2 + 10) * np.array([1, 0, 1], dtype=np.uint8)
    hashes = perceptual_hashes(np.concatenate([noise, darker]))
    assert hashes.shape == (3, 255)
    pairs = alike_pairs(hashes)
    assert pairs[:, :2].tolist() == [[0, 2]]
    assert pairs[0, 2] == (hashes[0] != hashes[2]).sum()
    assert len(alike_pairs(hashes, most=255)) == 3


def test_ties_make_families():
    assert families("abcdef", [("c", "b"), ("e", "c"), ("f", "f")]) == {
        "a": "a", "b": "b", "c": "b", "d": "d", "e": "b", "f": "f",
    }  # fmt: skip


def test_splits_divide_every_subgroup_and_no_family():
    concepts = [
        _concept(f"{subgroup}{n}", (n + 1000 * s,), subgroup) for s, subgroup in enumerate("AB") for n in range(50)
    ]
    codes = [concept.code_text for concept in concepts]
    family = families(codes, pairwise(codes[:6]))
    splits = assign_splits(concepts, family)
    assert len({splits[code] for code in codes[:6]}) == 1
    for part in (codes[:50], codes[50:]):
        counts = [sum(splits[code] == split for code in part) for split in ("train", "validation", "test")]
        assert counts == [34, 6, 10]
    assert kept_subgroups([*concepts, _concept("alone", (9999,), "C")]) == {"A", "B"}
    assert assign_splits(concepts, family) == splits


def test_images_survive_the_file_format():
    images = np.random.default_rng(0).integers(0, 256, (3, SIZE, SIZE, 3), dtype=np.uint8)
    np.testing.assert_array_equal(decode_images(encode_images(images)), images.transpose(0, 3, 1, 2))


def test_the_file_depends_on_its_content_only(tmp_path: Path):
    bundle = open_bundle()
    rows = by_concept(bundle.drawings())[0]
    near = [NearDuplicate("a", "b", "c", "d", 3)]
    for name in ("a.zip", "b.zip"):
        write_bundle(
            tmp_path / name, rows, [bundle.webp(0)], bundle.masks()[: len(rows)], bundle.prompts()[: len(rows)], near
        )
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    digest = hashlib.sha256((tmp_path / "a.zip").read_bytes()).hexdigest()
    copy = Bundle(tmp_path / "a.zip", digest)
    assert copy.drawings() == tuple(rows)
    assert copy.near_duplicates() == tuple(near)
    np.testing.assert_array_equal(copy.images([0]), bundle.images([0]))
    assert "it holds other drawings" in build._verdict(tmp_path / "a.zip", digest)


@needs_packages
@pytest.mark.usefixtures("resvg")
@pytest.mark.parametrize("artist", ["twemoji", "openmoji", "streamline"])
def test_rendering_again_gives_the_bundled_bits(artist: str):
    bundle = open_bundle()
    concepts = by_concept(bundle.drawings())
    package = read_package(SOURCE, next(one for one in ARTISTS if one.name == artist))
    for number in [number for number, members in enumerate(concepts) if members[0].split == "test"][:40]:
        for place, row in enumerate(concepts[number]):
            if row.artist == artist:
                drawn = drawing.compose(drawing.draw(drawing.svg_text(package, row.source)))
                np.testing.assert_array_equal(drawn.transpose(2, 0, 1), bundle.images([number])[place])


@needs_packages
@pytest.mark.usefixtures("resvg")
@pytest.mark.whole
def test_building_again_gives_the_bundled_file(tmp_path: Path, capsys: pytest.CaptureFixture):
    digest = build.build_emoji(SOURCE, tmp_path / "emoji.zip")
    assert digest == recorded_sha256() == hashlib.sha256((tmp_path / "emoji.zip").read_bytes()).hexdigest()
    assert "identical to the bundled file" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["emoji.zip"]
