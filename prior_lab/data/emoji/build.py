"""Render ``emoji`` from the artists' packages and write the bundle.

Needs the extra ``render`` (resvg-py). The pixels are a function of the packages' files and of resvg alone; the file's
bytes also depend on the WebP, xz and zlib encoders, so the card says which versions wrote it.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from tqdm.auto import tqdm

from prior_lab.data.archive import rebuilt_verdict
from prior_lab.data.emoji import drawing
from prior_lab.data.emoji.bundle import (
    Bundle,
    Drawing,
    NearDuplicate,
    bundle_path,
    by_concept,
    encode_images,
    recorded_sha256,
    write_bundle,
)
from prior_lab.data.emoji.duplicates import alike_pairs, families, perceptual_hashes
from prior_lab.data.emoji.matching import match, other_names
from prior_lab.data.emoji.recipe import ARTISTS, DROPPED, FEWEST_ARTISTS, FEWEST_SEEN, HELD_OUT, SPLITS, Artist
from prior_lab.data.emoji.sources import UNICODE_FILE, Concept, Package, read_concepts, read_package
from prior_lab.data.emoji.splits import assign_splits
from prior_lab.data.prompts import mask_gaussians
from prior_lab.errors import InputError
from prior_lab.files import require_writable, sha256, writing


@dataclass(frozen=True)
class Sheet:
    """One drawing on its way to the file: of which concept, by whom, what it is called there, and its pixels."""

    concept: Concept
    artist: Artist
    source: str
    pixels: UInt8[np.ndarray, "height width 4"]


def build_emoji(source: Path, out: Path, *, unicode_file: Path = UNICODE_FILE) -> str:
    """Render all drawings and write the bundle.

    Parameters
    ----------
    source : folder with the npm packages, each unpacked in a folder of its name: ``node_modules/@iconify-json`` after
        npm install.
    out : the file to write; it appears only when it is complete.
    unicode_file : ``emoji-test.txt`` of Unicode 15.0, by default where Debian's package unicode-data has it.

    Returns
    -------
    sha256 : of the written file. Whether it is that of the bundled file is printed.

    Raises
    ------
    InputError : if a package or Unicode's file is missing, altered or of another version, or resvg-py is missing.
    """
    drawing.need_resvg()
    require_writable(out)
    if not source.is_dir():
        raise InputError(f"{source} is no folder; expected the npm packages @iconify-json/* unpacked in it")
    concepts = read_concepts(unicode_file)
    packages = {artist: read_package(source, artist) for artist in ARTISTS}
    sheets = render_all(concepts, packages)
    with writing(out) as part:
        _write(part, packages, sheets)
    digest = sha256(out)
    print(_verdict(out, digest))
    return digest


def render_all(concepts: Sequence[Concept], packages: Mapping[Artist, Package]) -> list[Sheet]:
    """Every drawing that is used, by concept in the order of Unicode's table, and then by artist.

    What `recipe.DROPPED` names, what shows nothing, and an artist's repetition of his drawing for another concept are
    left out; then concepts that too few artists drew.
    """
    names = other_names(concepts, packages.values())
    matched = {artist: match(concepts, package, names) for artist, package in packages.items()}
    sheets: list[Sheet] = []
    repeated: set[tuple[str, bytes]] = set()
    for concept in tqdm(concepts, desc="emoji", unit="concept"):
        drawn = []
        for artist, package in packages.items():
            name = matched[artist].get(concept.code_text)
            if name is None or (artist.name, concept.name) in DROPPED:
                continue
            sheet = Sheet(concept, artist, name, drawing.draw(drawing.svg_text(package, name)))
            known = artist.name, sheet.pixels.tobytes()
            if drawing.mask(sheet.pixels).any() and known not in repeated:
                drawn.append(sheet)
                repeated.add(known)
        seen = [sheet for sheet in drawn if not sheet.artist.is_held_out]
        if len(drawn) >= FEWEST_ARTISTS and len(seen) >= FEWEST_SEEN:
            sheets.extend(drawn)
    return sheets


def _write(path: Path, packages: Mapping[Artist, Package], sheets: Sequence[Sheet]) -> None:
    """Find families and splits, and write what a split shows."""
    images = drawing.compose(np.stack([sheet.pixels for sheet in sheets]))
    pairs = alike_pairs(perceptual_hashes(images))
    codes = [sheet.concept.code_text for sheet in sheets]
    concepts = list(dict.fromkeys(sheet.concept for sheet in sheets))
    family = families(list(dict.fromkeys(codes)), [(codes[one], codes[other]) for one, other, _ in pairs])
    split = assign_splits(concepts, family)
    shown = [
        place for place, sheet in enumerate(sheets)
        if split[codes[place]] == SPLITS[-1] or sheet.artist.name not in HELD_OUT
    ]  # fmt: skip
    rows = {place: _row(sheets[place], packages[sheets[place].artist], split, family) for place in shown}
    places: dict[str, list[int]] = defaultdict(list)
    for place in shown:
        places[codes[place]].append(place)
    masks = drawing.mask(np.stack([sheets[place].pixels for place in shown]))
    write_bundle(
        path,
        list(rows.values()),
        [encode_images(images[members]) for members in tqdm(places.values(), desc="emoji", unit="strip")],
        masks,
        mask_gaussians(masks),
        [_near(rows[one], rows[other], bits) for one, other, bits in pairs.tolist() if {one, other} <= rows.keys()],
    )


def _row(sheet: Sheet, package: Package, split: Mapping[str, str], family: Mapping[str, str]) -> Drawing:
    concept, artist, code = sheet.concept, sheet.artist, sheet.concept.code_text
    return Drawing(
        concept.name, code, concept.group, concept.subgroup, artist.name,
        f"@iconify-json/{artist.package}", artist.version, sheet.source,
        package.author, package.url, package.licence, split[code], family[code],
    )  # fmt: skip


def _near(one: Drawing, other: Drawing, bits: int) -> NearDuplicate:
    return NearDuplicate(one.concept, one.artist, other.concept, other.artist, bits)


def _verdict(out: Path, digest: str) -> str:
    causes = "another version of resvg-py or of Pillow (libwebp)"
    return rebuilt_verdict(out, digest, bundle_path(), causes, lambda: _pixel_verdict(out, digest))


def _pixel_verdict(out: Path, digest: str) -> str:
    """Whether two files that differ hold the same images nevertheless."""
    ours, theirs = Bundle(bundle_path(), recorded_sha256()), Bundle(out, digest)
    concepts = by_concept(ours.drawings())
    if [len(members) for members in concepts] != [len(members) for members in by_concept(theirs.drawings())]:
        return "it holds other drawings"
    suspects = [number for number in range(len(concepts)) if ours.webp(number) != theirs.webp(number)]
    differing = sum((ours.images([number]) != theirs.images([number])).any() for number in suspects)
    return f"{differing} of {len(concepts)} concepts have other pixels"
