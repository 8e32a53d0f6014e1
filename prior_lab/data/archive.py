"""Bundled zip files: members without a date, so that bytes depend on content alone, and opening with a check."""

import hashlib
import io
from collections.abc import Callable
from pathlib import Path
from zipfile import BadZipFile, ZipFile, ZipInfo

from prior_lab.errors import InputError

EPOCH = (1980, 1, 1, 0, 0, 0)


def add_member(archive: ZipFile, name: str, data: bytes, method: int) -> None:
    """Write a member that tells nothing of when and where it was written."""
    info = ZipInfo(name, EPOCH)
    info.compress_type = method
    info.create_system = 3
    archive.writestr(info, data)


def recorded_sha256(path: Path) -> str:
    """SHA-256 of a bundled file, from the record that lies beside it."""
    return path.with_name(f"{path.name}.sha256").read_text(encoding="ascii").split()[0]


def rebuilt_verdict(out: Path, digest: str, bundled: Path, causes: str, other: Callable[[], str] | None = None) -> str:
    """Whether a file that was made anew is the bundled one, in a sentence.

    Parameters
    ----------
    digest : SHA-256 of the new file.
    causes : what makes them differ, most likely.
    other : what is to be said of files that differ.
    """
    made = f"{out}: SHA-256 {digest}"
    if not bundled.is_file():
        return made
    recorded = recorded_sha256(bundled)
    if digest == recorded:
        return f"{made}, identical to the bundled file"
    difference = f"{other()}; " if other else ""
    return f"{made} DIFFERS from the bundled file's {recorded}; {difference}{causes} is the likely cause"


def open_archive(path: Path, sha256: str, name: str) -> ZipFile:
    """A bundled data set, read into memory.

    Parameters
    ----------
    sha256 : what the file's SHA-256 must be.
    name : of the data set, for the sentence.

    Raises
    ------
    InputError : if the file is missing, truncated or altered.
    """
    if not path.is_file():
        raise InputError(f"{path} is missing; reinstall prior_lab, or run python -m prior_lab data build {name}")
    data = path.read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise InputError(
            f"{path} is truncated or altered: its SHA-256 is {found}, expected {sha256}; reinstall prior_lab"
        )
    try:
        return ZipFile(io.BytesIO(data))
    except BadZipFile as error:
        raise InputError(f"{path} is no bundle of images: {error}") from error
