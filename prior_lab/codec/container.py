"""The bytes of a file: a header that names the model, then a chunk for each level, each with a checksum.

    "PO" | version | identity of the codec, 4 bytes | chunk of level 0 | chunk of level 1 | ...
    chunk: 2 * length + foreseen, in groups of 7 bits | as many bytes of the stream | CRC-16 of all before but checksums

A checksum covers everything before it, so no level is read after one that is damaged, missing, or of another file; were
the checksums covered too, each would cancel what it has summed up. A file that is cut, or that was written to hold
fewer levels, is a prefix.
"""

from binascii import crc_hqx
from collections.abc import Sequence
from dataclasses import dataclass

from prior_lab.errors import InputError

MAGIC, VERSION, IDENTITY = b"PO", 1, 4
HEADER = len(MAGIC) + 1 + IDENTITY
CHECK = 2  # bytes of a checksum


@dataclass(frozen=True)
class Chunk:
    """What one level adds.

    Attributes
    ----------
    stream : the bytes that the range coder needs for this level, beyond those of the levels before.
    is_foreseen : whether the level was encoded with probabilities that depend on the levels before.
    """

    stream: bytes
    is_foreseen: bool


@dataclass(frozen=True)
class Contents:
    """What could be read of a file.

    Attributes
    ----------
    chunks : whole levels whose checksums are right.
    ends : where each of them ends in the file [byte].
    note : why there are no more, in a sentence; empty if the file ends with a whole level.
    is_damaged : whether bytes were changed, and not only cut off.
    """

    chunks: tuple[Chunk, ...]
    ends: tuple[int, ...]
    note: str
    is_damaged: bool


def join(identity: bytes, chunks: Sequence[Chunk]) -> bytes:
    """A file."""
    file = MAGIC + bytes([VERSION]) + identity
    check = crc_hqx(file, 0)
    for chunk in chunks:
        body = _varint(2 * len(chunk.stream) + chunk.is_foreseen) + chunk.stream
        check = crc_hqx(body, check)
        file += body + check.to_bytes(CHECK, "big")
    return file


def identity_of(file: bytes) -> bytes:
    """Which codec wrote a file.

    Raises
    ------
    InputError : if it is no such file, or of another version.
    """
    if not isinstance(file, bytes | bytearray | memoryview):
        raise InputError(f"A file is {type(file).__name__}; the bytes that compress gave were expected.")
    head = bytes(file[:HEADER])
    if not head.startswith(MAGIC):
        raise InputError(f"These {len(file)} bytes are no file of prior_lab, which begins with {MAGIC.decode()}.")
    if len(head) < HEADER:
        raise InputError(f"The file is cut within its header: {len(head)} of {HEADER} bytes are there.")
    if head[len(MAGIC)] != VERSION:
        raise InputError(f"The file is of version {head[len(MAGIC)]}; this prior_lab reads version {VERSION}.")
    return head[-IDENTITY:]


def split(file: bytes, most: int) -> Contents:
    """The whole levels of a file whose header is right.

    Parameters
    ----------
    most : levels of a whole code.
    """
    chunks: list[Chunk] = []
    ends: list[int] = []
    place, note, is_damaged = HEADER, "", False
    check = crc_hqx(file[:HEADER], 0)
    while place < len(file) and not note:
        level = len(chunks)
        number, start = _read_varint(file, place)
        stop = start + number // 2
        if level == most:
            note, is_damaged = f"{len(file) - place} bytes follow the last level", True
        elif stop + CHECK > len(file):
            note = f"level {level} is cut off: {len(file) - place} of its bytes are there"
        elif (summed := crc_hqx(file[place:stop], check)) != int.from_bytes(file[stop : stop + CHECK], "big"):
            note, is_damaged = f"level {level} is damaged: its checksum is wrong", True
        else:
            chunks.append(Chunk(bytes(file[start:stop]), bool(number % 2)))
            place, check = stop + CHECK, summed
            ends.append(place)
    return Contents(tuple(chunks), tuple(ends), note, is_damaged)


def _varint(number: int) -> bytes:
    groups = [number & 127]
    while number := number >> 7:
        groups.append(number & 127 | 128)
    return bytes(reversed(groups))


def _read_varint(file: bytes, place: int) -> tuple[int, int]:
    """The number, and where it ends; one that does not end is as long as nothing could be."""
    number = 0
    for offset, byte in enumerate(file[place : place + 4]):
        number = number << 7 | byte & 127
        if byte < 128:
            return number, place + offset + 1
    return 2 * len(file), place
