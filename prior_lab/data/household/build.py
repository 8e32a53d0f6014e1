"""Render ``household`` from Debian's ``sweethome3d-furniture`` and write the bundle.

Needs the extra ``render`` (numba). The pixels are a function of the package's files alone, up to the JPEG decoder that
Pillow brings; the file's bytes also depend on the WebP, xz and zlib encoders, so the card says which versions wrote it.
"""

from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from zipfile import ZipFile

import numpy as np
from jaxtyping import Bool, Float32, UInt8
from tqdm.auto import tqdm

from prior_lab.data.archive import rebuilt_verdict
from prior_lab.data.household.bundle import (
    SIZE,
    Bundle,
    ManifestRow,
    bundle_path,
    encode_images,
    recorded_sha256,
    write_bundle,
)
from prior_lab.data.household.catalogue import Piece, read_catalogues
from prior_lab.data.household.taxonomy import Entry, assign_splits, read_table
from prior_lab.data.prompts import mask_gaussians
from prior_lab.errors import InputError
from prior_lab.files import sha256, writing


@dataclass(frozen=True)
class Track:
    """The frames of one object; ``prompts`` are the masks' Gaussians."""

    images: UInt8[np.ndarray, "frame height width 3"]
    masks: Bool[np.ndarray, "frame height width"]
    prompts: Float32[np.ndarray, "frame 5"]


@dataclass(frozen=True)
class _Encoded:
    """One finished object on its way from a worker to the file."""

    images: bytes
    masks: bytes
    prompts: np.ndarray


def build_household(source: Path, out: Path, *, workers: int = 2) -> str:
    """Render all models and write the bundle.

    Parameters
    ----------
    source : folder with the five ``.sh3f`` catalogues, /usr/share/sweethome3d/furniture on Debian.
    out : the file to write; it appears only when it is complete.
    workers : processes that render at the same time.

    Returns
    -------
    sha256 : of the written file. Whether it is that of the bundled file is printed.

    Raises
    ------
    InputError : if a catalogue is missing or unreadable, models and taxonomy table do not match, or numba is missing.
    """
    _need_numba()
    pieces = read_catalogues(Path(source))
    entries = _matched(pieces)
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        jobs = pool.map(_encoded, [str(source)] * len(pieces), pieces, chunksize=4)
        encoded = list(tqdm(jobs, total=len(pieces), desc="household", unit="object"))
    masks = np.unpackbits(np.frombuffer(b"".join(item.masks for item in encoded), dtype=np.uint8))
    rows = [_manifest_row(piece, entry) for piece, entry in zip(pieces, entries, strict=True)]
    prompts = np.concatenate([item.prompts for item in encoded])
    with writing(out) as part:
        write_bundle(part, rows, [item.images for item in encoded], masks, prompts)
    digest = sha256(out)
    print(_verdict(out, digest))
    return digest


def render_track(source: Path, piece: Piece) -> Track:
    """All frames of one piece."""
    from prior_lab.data.household.mesh import load_mesh
    from prior_lab.data.household.render import render
    from prior_lab.data.household.views import plan_track

    mesh = load_mesh(_archive(str(source), piece.catalogue), piece)
    views = plan_track(piece.id, piece.size, frontal=piece.category == "Doors and windows")
    frames = [render(mesh, view, size=SIZE) for view in views]
    masks = np.stack([frame.mask for frame in frames])
    return Track(np.stack([frame.image for frame in frames]), masks, mask_gaussians(masks))


def _need_numba() -> None:
    try:
        import numba  # noqa: F401
    except ImportError as error:
        raise InputError("rendering needs numba: pip install 'prior_lab[render]'") from error


def _matched(pieces: tuple[Piece, ...]) -> tuple[Entry, ...]:
    entries = assign_splits(read_table())
    if [piece.id for piece in pieces] != [entry.object for entry in entries]:
        raise InputError(
            f"the catalogues hold {len(pieces)} models, but not those of the taxonomy table; "
            "expected Debian's sweethome3d-furniture 1.8"
        )
    return entries


def _encoded(source: str, piece: Piece) -> _Encoded:
    track = render_track(Path(source), piece)
    return _Encoded(encode_images(track.images), np.packbits(track.masks).tobytes(), track.prompts)


@cache
def _archive(source: str, catalogue: str) -> ZipFile:
    return ZipFile(Path(source) / f"{catalogue}.sh3f")


def _manifest_row(piece: Piece, entry: Entry) -> ManifestRow:
    return ManifestRow(
        piece.id, piece.name, piece.creator, piece.licence, piece.catalogue, piece.model, piece.category,
        entry.group, entry.split, *entry.labels,
    )  # fmt: skip


def _verdict(out: Path, digest: str) -> str:
    causes = "another version of Pillow (libjpeg, libwebp) or of sweethome3d-furniture"
    return rebuilt_verdict(out, digest, bundle_path(), causes, lambda: _pixel_verdict(out, digest))


def _pixel_verdict(out: Path, digest: str) -> str:
    """Whether two files that differ hold the same images nevertheless."""
    ours, theirs = Bundle(bundle_path(), recorded_sha256()), Bundle(out, digest)
    numbers = range(len(ours.manifest()))
    suspects = [number for number in numbers if ours.webp(number) != theirs.webp(number)]
    differing = sum((ours.images([number]) != theirs.images([number])).any() for number in suspects)
    return f"{differing} of {len(numbers)} objects have other pixels"
