"""Reading what ``emoji`` is rendered from: Iconify's packages and Unicode's table, each checked by its SHA-256."""

import json
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from prior_lab.data.emoji.recipe import (
    FILES,
    LEFT_OUT,
    LEFT_OUT_GROUPS,
    LEFT_OUT_SUBGROUPS,
    MAN_AND_WOMAN,
    UNICODE_SHA256,
    UNICODE_VERSION,
    Artist,
)
from prior_lab.errors import InputError
from prior_lab.files import sha256

UNICODE_FILE = Path("/usr/share/unicode/emoji/emoji-test.txt")
SKIN_TONES = range(0x1F3FB, 0x1F400)
JOINER = 0x200D
PRESENTATION = 0xFE0F  # asks for the coloured picture; sets name code points with and without it


@dataclass(frozen=True)
class Concept:
    """One emoji of Unicode's table: an idea that artists draw.

    Attributes
    ----------
    codes : its code points without the presentation selector.
    name : Unicode's (CLDR) name.
    """

    codes: tuple[int, ...]
    name: str
    group: str
    subgroup: str

    @property
    def code_text(self) -> str:
        """The code points in hexadecimal, joined by hyphens."""
        return "-".join(f"{code:x}" for code in self.codes)


@dataclass(frozen=True)
class Package:
    """An artist's set: SVG bodies with the box that each is drawn in, and the names under which one can ask for them.

    Attributes
    ----------
    icons : the set's own name of a drawing -> what Iconify says of it.
    aliases : other names -> the set's own name, with Iconify's word on how the drawing is turned.
    by_code : code points in hexadecimal -> name, where the package tells.
    box : default left, top, width and height of a drawing [unit of its SVG].
    """

    icons: Mapping[str, Mapping[str, object]]
    aliases: Mapping[str, Mapping[str, object]]
    by_code: Mapping[str, str]
    box: tuple[int, int, int, int]
    author: str
    url: str
    licence: str


def read_concepts(path: Path = UNICODE_FILE, *, expected: str = UNICODE_SHA256) -> tuple[Concept, ...]:
    """Unicode's emojis in its order, without skin tones, gendered copies, flags, letters, digits and keycaps.

    Parameters
    ----------
    path : ``emoji-test.txt`` of Unicode 15.0, by default where Debian's package unicode-data has it.
    expected : its SHA-256.

    Raises
    ------
    InputError : if the file is missing or is that of another version.
    """
    if not path.is_file():
        raise InputError(
            f"{path} is missing; Debian's unicode-data has it (apt-get install unicode-data), or pass --unicode FILE, "
            f"emoji-test.txt of Unicode {UNICODE_VERSION}"
        )
    if sha256(path) != expected:
        raise InputError(f"{path} is not emoji-test.txt of Unicode {UNICODE_VERSION}: its SHA-256 is {sha256(path)}")
    concepts, group, subgroup = [], "", ""
    for line in path.read_text(encoding="utf-8").splitlines():
        head, _, tail = line.partition(":")
        if head == "# group":
            group = tail.strip()
        elif head == "# subgroup":
            subgroup = tail.strip()
        elif "; fully-qualified" in line and group not in LEFT_OUT_GROUPS and subgroup not in LEFT_OUT_SUBGROUPS:
            codes = tuple(int(code, 16) for code in line.partition(";")[0].split())
            name = line.split("#", 1)[1].split(maxsplit=2)[2]
            if not _is_copy(codes) and name not in LEFT_OUT:
                concepts.append(Concept(_plain(codes), name, group, subgroup))
    return tuple(concepts)


def read_package(source: Path, artist: Artist) -> Package:
    """An artist's set.

    Parameters
    ----------
    source : the folder that holds the unpacked packages, each under its name.

    Raises
    ------
    InputError : if the package is missing, of another version, or altered.
    """
    folder = source / artist.package
    wanted = f"@iconify-json/{artist.package}@{artist.version}"
    for name in ("package.json", *FILES):
        if not (folder / name).is_file():
            raise InputError(f"{folder / name} is missing; expected the npm package {wanted}, unpacked in {folder}")
    version = _version(folder / "package.json")
    if version != artist.version:
        raise InputError(f"{folder} holds version {version} of @iconify-json/{artist.package}; expected {wanted}")
    for name, expected in zip(FILES, artist.sha256, strict=True):
        found = sha256(folder / name)
        if found != expected:
            raise InputError(f"{folder / name} is altered: its SHA-256 is {found}, that of {wanted} is {expected}")
    icons, chars, info = (json.loads((folder / name).read_text(encoding="utf-8")) for name in FILES)
    size = icons.get("width", 16), icons.get("height", 16)
    return Package(
        icons=icons["icons"],
        aliases=icons.get("aliases", {}),
        by_code={_code_text(code): name for code, name in chars.items()},
        box=(icons.get("left", 0), icons.get("top", 0), *size),
        author=info["author"]["name"],
        url=info["author"]["url"],
        licence=info["license"]["spdx"],
    )


def _is_copy(codes: tuple[int, ...]) -> bool:
    """Whether an emoji is another one with a skin tone, or with a man or a woman in place of a person."""
    return any(code in SKIN_TONES for code in codes) or (JOINER in codes and not MAN_AND_WOMAN.isdisjoint(codes))


def _version(path: Path) -> str:
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["version"])
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} cannot be read as an npm package's description") from error


def key(name: str) -> str:
    """A name as it is compared: its letters and digits without accents, in lower case."""
    plain = unicodedata.normalize("NFKD", name.replace("&", "and")).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]", "", plain.lower())


def _plain(codes: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(code for code in codes if code != PRESENTATION)


def _code_text(text: str) -> str:
    return "-".join(f"{code:x}" for code in _plain(tuple(int(code, 16) for code in text.split("-"))))
