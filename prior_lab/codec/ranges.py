"""One stream of a range coder whose prefixes decode: after how many bytes each level is there.

constriction's coder keeps the interval [lower, lower + range) of numbers that decode to what was put in so far. A
stream that is cut and filled up with zeros is a smaller number; it decodes a level as long as it is not below that
level's interval. So one stream serves all prefixes, and levels cost no bytes of their own.
"""

import constriction
import numpy as np
from jaxtyping import Float64, Int32

from prior_lab.errors import InputError

WORD = 32  # bits of a word of the coder; its state has two
FAMILY = constriction.stream.model.Categorical(perfect=False)  # weights of each symbol are handed over with it

Weights = Float64[np.ndarray, "symbol outcome"]  # whole numbers, so that every machine makes the same of them


class Encoder:
    """A stream that is written level by level."""

    def __init__(self) -> None:
        self._coder = constriction.stream.queue.RangeEncoder()
        self._marks: list[tuple[int, tuple[int, int]]] = []

    def put(self, symbols: Int32[np.ndarray, "symbol"], weights: Weights) -> None:
        """The symbols of the next level, and how likely every outcome of each of them is."""
        self._coder.encode(symbols, FAMILY, weights)
        self._marks.append(self._coder.pos())

    def finish(self) -> tuple[bytes, list[int]]:
        """The stream, and after how many of its bytes each level can be decoded."""
        words = self._coder.get_compressed().astype(">u4").tobytes()
        size = max(len(words), 4 * (self._marks[-1][0] + 2))
        written = int.from_bytes(words.ljust(size, b"\0"), "big")
        intervals = [_interval(written, 8 * size - WORD * (count + 2), *state) for count, state in self._marks]
        stream = _shortest(*intervals[-1], size)
        ends, length = [], 0
        for low, _ in intervals:
            while int.from_bytes(stream[:length].ljust(size, b"\0"), "big") < low:
                length += 1
            ends.append(length)
        return stream[:length], ends


class Decoder:
    """A stream that is read level by level, where what is likely depends on what was read."""

    def __init__(self, stream: bytes) -> None:
        words = stream.ljust(-(-len(stream) // 4) * 4 + 8, b"\0")
        self._coder = constriction.stream.queue.RangeDecoder(np.frombuffer(words, ">u4").astype(np.uint32))

    def take(self, weights: Weights) -> Int32[np.ndarray, "symbol"]:
        """The next symbols, one for each row of weights."""
        try:
            return self._coder.decode(FAMILY, weights)
        except AssertionError as error:
            raise InputError("The file is damaged, though its checksums are right: it decodes to no tokens.") from error


def _interval(written: int, shift: int, lower: int, size: int) -> tuple[int, int]:
    """A state's interval as numbers as long as the whole stream; the coder knows the last 64 bits of its lower end."""
    window = written >> shift
    low = window - ((window - lower) % (1 << 2 * WORD))
    return low << shift, (low + size) << shift


def _shortest(low: int, high: int, size: int) -> bytes:
    """The number of an interval that ends in most zeros, without them."""
    for length in range(size + 1):
        rest = 8 * (size - length)
        number = -(-low >> rest) << rest
        if number < high:
            return (number >> rest).to_bytes(length, "big")
    raise AssertionError("an interval of the coder is never empty")
