"""The furniture catalogues of Debian's ``sweethome3d-furniture``: which models there are, whose, and where.

A catalogue is a zip file (``.sh3f``) with one ``PluginFurnitureCatalog.properties`` (Java properties, latin-1) that
lists the pieces by number, and one folder per piece with an OBJ mesh, its materials and its image textures.
"""

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile, ZipFile

from prior_lab.errors import InputError

ATTRIBUTION = b"creativecommons.org/licenses/by/3.0"
PROPERTIES = "PluginFurnitureCatalog.properties"
LICENCES = {
    "BlendSwap-CC-0": "CC0-1.0",
    "BlendSwap-CC-BY": "CC-BY-3.0",
    "KatorLegaz": "CC-BY-3.0-US",
    "Reallusion": "CC-BY-3.0-US",
    "Scopia": "CC-BY-3.0",
}


@dataclass(frozen=True)
class Piece:
    """One model of a catalogue.

    ``size`` is width, height and depth [cm]; ``rotation`` the nine entries, row by row, of the matrix that turns the
    mesh upright with its front towards +z.
    """

    id: str
    name: str
    catalogue: str
    model: str
    category: str
    tags: str
    creator: str
    licence: str
    size: tuple[float, float, float]
    rotation: tuple[float, ...]


def read_catalogues(source: Path) -> tuple[Piece, ...]:
    """All pieces of the five catalogues in a folder, sorted by catalogue and then in catalogue order.

    Raises
    ------
    InputError : if the folder or one of the catalogues is missing, or a catalogue cannot be read.
    """
    if not source.is_dir():
        raise InputError(f"{source} is no folder; expected the .sh3f files of Debian's sweethome3d-furniture in it")
    return tuple(piece for catalogue in sorted(LICENCES) for piece in _read_catalogue(source, catalogue))


def _read_catalogue(source: Path, catalogue: str) -> Iterator[Piece]:
    path = source / f"{catalogue}.sh3f"
    if not path.is_file():
        raise InputError(f"{path} is missing; expected the catalogues {', '.join(sorted(LICENCES))} in {source}")
    try:
        with ZipFile(path) as archive:
            text = archive.read(PROPERTIES).decode("latin-1")
            attributed = _attributed_folders(archive)
    except (BadZipFile, KeyError) as error:
        raise InputError(f"{path} is no readable furniture catalogue: {error}") from error
    entries = dict(re.findall(r"^(\w+#\d+)=(.*)$", text, flags=re.MULTILINE))
    for number in range(1, sum(key.startswith("id#") for key in entries) + 1):
        entry = {key.split("#")[0]: value for key, value in entries.items() if key.endswith(f"#{number}")}
        yield _piece(catalogue, entry, attributed)


def _attributed_folders(archive: ZipFile) -> set[str]:
    """Folders whose own licence file asks for attribution; two models of the CC0 catalogue are such."""
    texts = [name for name in archive.namelist() if name.lower().endswith((".html", ".txt"))]
    return {posixpath.dirname(name) for name in texts if ATTRIBUTION in archive.read(name).lower()}


def _piece(catalogue: str, entry: dict[str, str], attributed: set[str]) -> Piece:
    text = {key: _unescape(value.strip()) for key, value in entry.items()}
    model, licence = text["model"].lstrip("/"), LICENCES[catalogue]
    if licence == "CC0-1.0" and posixpath.dirname(model) in attributed:
        licence = "CC-BY-3.0"
    return Piece(
        id=f"{catalogue}/{text['id'].split('#', 1)[1]}",
        name=text["name"],
        catalogue=catalogue,
        model=model,
        category=text["category"],
        tags=text.get("tags", ""),
        creator=text.get("creator", ""),
        licence=licence,
        size=(float(text["width"]), float(text["height"]), float(text["depth"])),
        rotation=tuple(float(value) for value in text.get("modelRotation", "1 0 0 0 1 0 0 0 1").split()),
    )


def _unescape(value: str) -> str:
    return re.sub(r"\\u([0-9a-fA-F]{4})", lambda match: chr(int(match[1], 16)), value)
