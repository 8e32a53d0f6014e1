"""The bytes around the stream: what is cut off or changed is told of, and never becomes other tokens."""

import functools

import numpy as np
import pytest
import torch
from small_codecs import LEVELS, pictures, small_codec

from prior_lab.codec import Received
from prior_lab.codec.container import HEADER, Chunk, identity_of, join, split
from prior_lab.errors import InputError

LENGTHS = (0, 1, 63, 64, 127, 128, 8191, 8192, 10_000)
TRIES = 1000


def some_chunks(lengths: tuple[int, ...] = LENGTHS, seed: int = 0) -> tuple[Chunk, ...]:
    chance = np.random.default_rng(seed)
    return tuple(Chunk(chance.bytes(length), number % 2 > 0) for number, length in enumerate(lengths))


@functools.cache
def originals() -> tuple[list[bytes], list[Received]]:
    """Real files, and what they hold."""
    codec = small_codec()
    files = codec.pack(codec.encode(pictures(8, seed=9)))
    return files, codec.unpack(files)


def unpacked(files: list[bytes]) -> tuple[list[Received], list[int]]:
    """What files hold that are not refused, and which these are; what is refused is told of in one sentence."""
    kept = []
    for number, file in enumerate(files):
        try:
            whole_levels = split(file, LEVELS).chunks if identity_of(file) == small_codec().identity else ()
        except InputError:
            whole_levels = ()
        if whole_levels:
            kept.append(number)
            continue
        with pytest.raises(InputError, match=r"^[^\n]+$"):
            small_codec().unpack([file])
    return small_codec().unpack([files[number] for number in kept]), kept


def is_prefix(received: Received, original: Received) -> bool:
    values = received.code.values
    same = torch.equal(values, original.code.values[:, : values.shape[1]])
    return same and received.ends == original.ends[: received.levels]


def test_what_is_joined_is_split_again() -> None:
    chunks = some_chunks()
    file = join(b"abcd", chunks)
    found = split(file, len(chunks))
    assert identity_of(file) == b"abcd"
    assert found.chunks == chunks
    assert found.ends[-1] == len(file)
    assert (found.note, found.is_damaged) == ("", False)


def test_flags_are_kept_whatever_the_length() -> None:
    for flags in ((False, False), (True, False), (False, True), (True, True)):
        chunks = tuple(Chunk(b"x" * length, flag) for length, flag in zip((63, 64), flags, strict=True))
        assert split(join(bytes(4), chunks), 2).chunks == chunks


def test_a_level_costs_three_bytes_more_than_its_stream_and_from_64_bytes_four() -> None:
    for length, cost in ((0, 3), (63, 3), (64, 4), (8191, 4), (8192, 5)):
        assert len(join(bytes(4), [Chunk(bytes(length), True)])) == HEADER + length + cost


def test_a_file_is_read_as_far_as_it_goes() -> None:
    """At every place of a cut: whole levels before it are there, and the sentence tells of the next."""
    chunks = some_chunks((0, 5, 63, 64, 200))
    file = join(b"abcd", chunks)
    ends = split(file, 5).ends
    for cut in range(HEADER, len(file) + 1):
        found = split(file[:cut], 5)
        whole = sum(end <= cut for end in ends)
        assert found.chunks == chunks[:whole]
        assert found.ends == ends[:whole]
        assert not found.is_damaged
        at_an_end = cut in (HEADER, *ends)
        assert found.note == ("" if at_an_end else f"level {whole} is cut off: {cut - (HEADER, *ends)[whole]} of its "
                              "bytes are there")  # fmt: skip


def test_bytes_after_the_last_level_are_told_of() -> None:
    file = join(b"abcd", some_chunks((5, 6)))
    found = split(file + b"more", 2)
    assert len(found.chunks) == 2
    assert found.is_damaged
    assert found.note == "4 bytes follow the last level"


def test_every_changed_bit_is_found() -> None:
    chunks = some_chunks((0, 5, 70))
    file = join(b"abcd", chunks)
    ends = (HEADER, *split(file, 3).ends)
    for bit in range(8 * HEADER, 8 * len(file)):
        changed = bytearray(file)
        changed[bit // 8] ^= 1 << bit % 8
        found = split(bytes(changed), 3)
        assert len(found.chunks) == sum(8 * end <= bit for end in ends) - 1
        assert found.chunks == chunks[: len(found.chunks)]
        assert found.note


def test_a_level_that_is_missing_or_of_another_file_is_found() -> None:
    """Each checksum knows all of the file before it."""
    one, other = join(b"abcd", some_chunks((5, 6, 7))), join(b"abcd", some_chunks((5, 6, 7), seed=1))
    first, second, _ = split(one, 3).ends
    for changed in (one[:first] + one[second:], one[:first] + other[first:], one[:HEADER] + one[first:]):
        found = split(changed, 3)
        assert found.is_damaged
        assert len(found.chunks) == (changed[:first] == one[:first])


@pytest.mark.parametrize(
    ("file", "says"),
    [
        (b"", "These 0 bytes are no file of prior_lab"),
        (b"P", "no file of prior_lab, which begins with PO"),
        (b"PO\1ab", "cut within its header: 5 of 7 bytes"),
        (b"PO\2abcd", "of version 2; this prior_lab reads version 1"),
        (b"\x89PNG\r\n\x1a\n", "no file of prior_lab"),
    ],
)
def test_what_is_no_file_is_refused(file: bytes, says: str) -> None:
    with pytest.raises(InputError, match=says):
        identity_of(file)


def test_a_file_cut_anywhere_gives_the_first_levels() -> None:
    files, whole = originals()
    chance = np.random.default_rng(0)
    numbers = chance.integers(len(files), size=TRIES)
    cuts = [int(chance.integers(len(files[number]))) for number in numbers]
    found, kept = unpacked([files[number][:cut] for number, cut in zip(numbers, cuts, strict=True)])
    assert kept == [try_ for try_ in range(TRIES) if cuts[try_] >= whole[numbers[try_]].ends[0]]
    assert len(kept) > TRIES / 3
    for one, try_ in zip(found, kept, strict=True):
        ends, cut = whole[numbers[try_]].ends, cuts[try_]
        assert is_prefix(one, whole[numbers[try_]])
        assert one.levels == sum(end <= cut for end in ends)
        assert (one.note == "") == (cut in ends)
        assert not one.is_damaged


def test_a_changed_bit_never_makes_other_tokens() -> None:
    files, whole = originals()
    chance = np.random.default_rng(0)
    numbers, changed = chance.integers(len(files), size=TRIES), []
    for number in numbers:
        content = bytearray(files[number])
        bit = int(chance.integers(8 * len(content)))
        content[bit // 8] ^= 1 << bit % 8
        changed.append(bytes(content))
    found, kept = unpacked(changed)
    assert len(kept) > TRIES / 3
    for one, try_ in zip(found, kept, strict=True):
        assert is_prefix(one, whole[numbers[try_]])
        assert one.levels < whole[numbers[try_]].levels
        assert one.note


def test_a_file_whose_checksums_are_right_and_whose_stream_is_not_is_refused() -> None:
    codec = small_codec()
    with pytest.raises(InputError, match="damaged"):
        codec.unpack([join(codec.identity, [Chunk(b"\xff" * 16, False)])])
    with pytest.raises(InputError, match="damaged"):
        codec.unpack([join(codec.identity, [Chunk(b"\x10" * 16, True)])])
