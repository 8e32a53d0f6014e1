"""Files that are whole or absent: atomic writing, folders that one process writes to, SHA-256 of what lies on disk."""

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from prior_lab.errors import InputError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path beside `path` to write to; it takes the place of `path` when the block ends without an exception.

    The file is on the disk before it gets its name, so that neither a crash nor a full disk leaves half a file, and
    what lay there before stays until the new file is whole. Missing folders are made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        yield temporary
        with temporary.open("r+b") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Keep other processes out of a folder; it is made where it is missing.

    The lock goes with the process, however that ends. What a process that was killed had begun to write with
    `replacing` is removed.

    Raises
    ------
    InputError : if another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(f"Another process is at work in {folder}; wait, or choose another folder.") from error
        for begun in folder.glob(".[0-9]*.*"):
            begun.unlink()
        yield


def sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
