"""Files that are whole or absent: atomic writing, folders that one process writes to, SHA-256 of what lies on disk.

Only what this program can prove to be its own is ever removed: files whose names hold its marker, this machine and a
process that is gone.
"""

import fcntl
import hashlib
import os
import platform
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from safetensors import SafetensorError

from prior_lab.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

MACHINE = hashlib.sha256(platform.node().encode()).hexdigest()[:8]
PART = re.compile(rf"\.prior-lab-{MACHINE}-(?P<process>\d{{1,9}})-[0-9a-f]{{8}}\.part")
# What reading a safetensors file raises: it is opened as storage of torch, which tells of a file that went meanwhile as
# a RuntimeError.
UNREADABLE = (SafetensorError, OSError, RuntimeError)
LONGEST_NAME = 200  # of what becomes a file's name, perhaps with an ending [byte]
LONGEST_PART, LONGEST_PATH = 255, 4000  # what file systems take [byte]


def part_beside(path: Path) -> Path:
    """A name beside `path` for what is still being written: the marker, this machine, this process, and chance."""
    return path.with_name(f".prior-lab-{MACHINE}-{os.getpid()}-{secrets.token_hex(4)}.part")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path beside `path` to write to; it takes the place of `path` when the block ends without an exception.

    The file is on the disk before it gets its name, so that neither a crash nor a full disk leaves half a file, and
    what lay there before stays until the new file is whole. Missing folders are made.

    Raises
    ------
    OSError : if it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = part_beside(path)
    try:
        yield temporary
        with temporary.open("r+b") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def writing(path: str | Path) -> Iterator[Path]:
    """`replacing` for a path that a user chose.

    Raises
    ------
    InputError : if it cannot be written; what lay there before stays.
    """
    require_writable(path)
    try:
        with replacing(Path(path)) as temporary:
            yield temporary
    except OSError as error:
        raise InputError(f"{str(path)!r} cannot be written ({reason(error)}); nothing there was changed.") from error


def require_file(path: object, noun: str) -> Path:
    """The path of a file that can be read.

    Parameters
    ----------
    noun : what it holds, such as "model file", for the sentence.

    Raises
    ------
    InputError : if it cannot.
    """
    given = as_path(path, f"a {noun}")
    try:
        given.open("rb").close()
    except FileNotFoundError as error:
        raise InputError(f"There is no {noun} {str(path)!r}.") from error
    except OSError as error:
        raise InputError(f"The {noun} {str(path)!r} cannot be read ({reason(error)}).") from error
    return given


def require_writable(path: str | Path, suffix: str = "") -> None:
    """Refuse a path to which no file could be written, before the work of making one.

    Parameters
    ----------
    suffix : how the path has to end; anyhow, if not given.

    Raises
    ------
    InputError : if it ends otherwise, is a folder, or lies where nothing can be written.
    """
    given = as_path(path, "a file to write")
    if not given.name.endswith(suffix):
        raise InputError(f"{str(path)!r} does not end in {suffix}, as such a file does.")
    try:
        if not given.name or given.is_dir():
            raise InputError(f"{str(path)!r} is a folder; the path of a file to write was expected.")
        above = next(folder for folder in given.absolute().parents if folder.exists())
    except OSError as error:
        raise InputError(f"{str(path)!r} cannot be written ({reason(error)}).") from error
    if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
        raise InputError(f"{str(path)!r} cannot be written, for {above} is no folder in which one may write.")


def as_path(path: object, noun: str) -> Path:
    """A path that a user gave.

    Parameters
    ----------
    noun : what lies there, for the sentence.

    Raises
    ------
    InputError : if it is neither text nor a path, is empty, or holds what no path can.
    """
    if not isinstance(path, str | Path) or not str(path):
        raise InputError(f"The path of {noun} is {path!r}; a text or a pathlib.Path was expected.")
    sentence = f"The path of {noun}, {str(path)[:80]!r},"
    try:
        encoded = os.fsencode(path)
    except UnicodeEncodeError as error:
        raise InputError(f"{sentence} holds a character that no path can hold.") from error
    if b"\0" in encoded:
        raise InputError(f"{sentence} holds a character that no path can hold.")
    if len(encoded) > LONGEST_PATH or any(len(part) > LONGEST_PART for part in encoded.split(b"/")):
        raise InputError(f"{sentence} is longer, or holds a longer name, than file systems take.")
    return Path(path)


def write_tensors(path: Path, tensors: "Mapping[str, Tensor]", metadata: dict[str, str]) -> None:
    """Write a safetensors file.

    Its bytes are made in memory: safetensors' own writer puts a file of another name beside it first, which a process
    that is killed leaves behind without our marker.

    Raises
    ------
    OSError : if it cannot be written, because the disk is full for instance.
    """
    from safetensors.torch import save

    path.write_bytes(save(dict(tensors), metadata))


def name_for_file(name: object, noun: str) -> str:
    """The name, if a file or folder can bear it wherever it is put.

    Parameters
    ----------
    noun : what bears the name, for the sentence.

    Raises
    ------
    InputError : if it is no text, empty, too long, begins with a dot, or holds a slash, a control character or what
        UTF-8 cannot encode.
    """
    fits = (
        isinstance(name, str)
        and name.isprintable()
        and not name.startswith((".", " "))
        and not set(name) & set("/\\")
        and 0 < len(name.encode(errors="ignore")) <= LONGEST_NAME
        and name.encode(errors="ignore").decode() == name
    )
    if not fits:
        raise InputError(
            f"{noun} is named {str(name)[:80]!r}; a name becomes that of a file, so it must be printable text of 1 to "
            f"{LONGEST_NAME} bytes without slashes that does not begin with a dot or a space."
        )
    return str(name)


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Keep other processes out of a folder; it is made where it is missing.

    The lock goes with the process, however that ends. What a process of this machine that is gone had begun to write
    with `replacing` is removed; nothing else is.

    Raises
    ------
    InputError : if another process holds it, or nothing can be written there.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / ".lock").open("a")
    except OSError as error:
        raise InputError(f"The folder {str(folder)!r} cannot be written to ({reason(error)}); name another.") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(f"Another process is at work in {folder}; wait, or choose another folder.") from error
        for part in folder.iterdir():
            if _is_abandoned(part):
                part.unlink(missing_ok=True)
        yield


def _is_abandoned(path: Path) -> bool:
    """Whether this program began to write a file, on this machine, in a process that is gone."""
    named = PART.fullmatch(path.name)
    return named is not None and path.is_file() and not path.is_symlink() and not _lives(int(named["process"]))


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # somebody else's
        return True
    return True


def reason(error: OSError) -> str:
    """Why the system refused, in its words."""
    return error.strerror or str(error).partition("\n")[0].rstrip(".")


def sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
