"""One stream of levels: what goes in comes out, of every prefix, for as many bits as it must cost."""

import contextlib

import numpy as np
import pytest

from prior_lab.codec.ranges import Decoder, Encoder, Weights
from prior_lab.errors import InputError

Levels = list[tuple[np.ndarray, Weights]]


def uneven(chance: np.random.Generator, count: int, outcomes: int) -> Weights:
    """Whole numbers from 1 to 2**30, most of them small."""
    return np.floor(2.0 ** chance.uniform(0, 30, (count, outcomes)))


def drawn(seed: int, sizes: tuple[int, ...], outcomes: int) -> Levels:
    """Symbols as likely as their weights say."""
    chance, levels = np.random.default_rng(seed), []
    for size in sizes:
        weights = uneven(chance, size, outcomes)
        steps = weights.cumsum(axis=1) / weights.sum(axis=1, keepdims=True)
        symbols = (chance.uniform(size=(size, 1)) > steps).sum(axis=1)
        levels.append((symbols.astype(np.int32), weights))
    return levels


def surprising(seed: int, sizes: tuple[int, ...], outcomes: int) -> Levels:
    """Symbols that have nothing to do with their weights."""
    chance = np.random.default_rng(seed)
    return [(chance.integers(0, outcomes, size).astype(np.int32), uneven(chance, size, outcomes)) for size in sizes]


def skewed(sizes: tuple[int, ...], symbol: int) -> Levels:
    """The same symbol, always; of three outcomes the middle one takes all but one part in 2**30 on either side."""
    weights = np.array([[1.0, 2.0**30, 1.0]])
    return [(np.full(size, symbol, np.int32), weights.repeat(size, axis=0)) for size in sizes]


SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
CASES = {
    **{f"drawn {seed}": drawn(seed, SIZES, 5) for seed in range(4)},
    **{f"many outcomes {seed}": drawn(seed, SIZES[:6], 1025) for seed in range(2)},
    **{f"surprising {seed}": surprising(seed, SIZES, 7) for seed in range(4)},
    "always the likeliest": skewed(SIZES, 1),
    "always the first, of weight 1": skewed(SIZES, 0),
    "always the last, of weight 1": skewed(SIZES, 2),
    "levels without symbols": [(np.zeros(0, np.int32), np.ones((0, 3))), *skewed((3,), 0)],
    "long": drawn(9, (20_000, 1, 20_000), 3),
}
either = pytest.mark.parametrize("levels", [pytest.param(levels, id=name) for name, levels in CASES.items()])


def written(levels: Levels) -> tuple[bytes, list[int]]:
    encoder = Encoder()
    for symbols, weights in levels:
        encoder.put(symbols, weights)
    return encoder.finish()


def is_read(stream: bytes, levels: Levels) -> bool:
    """Whether all of these levels come out of a stream; some streams are none that the weights could give."""
    decoder = Decoder(stream)
    with contextlib.suppress(AssertionError, InputError):
        return all(np.array_equal(decoder.take(weights), symbols) for symbols, weights in levels)
    return False


def ideal_bits(levels: Levels) -> float:
    shares = (weights / weights.sum(axis=1, keepdims=True) for _, weights in levels)
    return -sum(
        float(np.log2(np.take_along_axis(share, symbols[:, None].astype(int), axis=1)).sum())
        for share, (symbols, _) in zip(shares, levels, strict=True)
    )


@either
def test_levels_come_out_as_they_went_in(levels: Levels) -> None:
    stream, ends = written(levels)
    assert is_read(stream, levels)
    assert ends == sorted(ends)
    assert ends[-1] == len(stream)


@either
def test_a_prefix_decodes_its_levels_with_zeros_or_nothing_after_it(levels: Levels) -> None:
    stream, ends = written(levels)
    for count, end in enumerate(ends, start=1):
        for rest in (0, 1, 2, 3, 50):
            assert is_read(stream[:end] + bytes(rest), levels[:count])


@either
def test_a_stream_that_goes_on_decodes_its_first_levels(levels: Levels) -> None:
    stream, ends = written(levels)
    for count, end in enumerate(ends, start=1):
        for more in range(end, min(end + 9, len(stream))):
            assert is_read(stream[:more], levels[:count])


@pytest.mark.parametrize("seed", range(4))
def test_no_byte_less_is_enough(seed: int) -> None:
    """Ends are where levels first decode; a byte that is zero is not missed."""
    levels = surprising(seed, SIZES, 7)
    stream, ends = written(levels)
    for count, end in enumerate(ends, start=1):
        if end and stream[end - 1]:
            assert not is_read(stream[: end - 1], levels[:count])
    assert sum(stream[end - 1] > 0 for end in ends) > len(ends) / 2


@pytest.mark.parametrize("name", [name for name in CASES if not name.startswith("always")])
def test_the_stream_is_hardly_longer_than_an_ideal_one(name: str) -> None:
    """Nor is a prefix, where what follows is as likely as its weights say."""
    levels = CASES[name]
    stream, ends = written(levels)
    assert len(stream) <= 1.01 * ideal_bits(levels) / 8 + 2
    if not name.startswith("surprising"):
        for count, end in enumerate(ends, start=1):
            assert end <= 1.01 * ideal_bits(levels[:count]) / 8 + 2


def test_the_likeliest_symbols_cost_nothing_and_the_unlikeliest_30_bits() -> None:
    assert len(written(skewed((10_000,), 1))[0]) <= 3
    for symbol in (0, 2):
        assert len(written(skewed((64,), symbol))[0]) <= 64 * 30 / 8 + 2


def test_levels_depend_on_what_was_read_before() -> None:
    """As with foresight: the weights of a level are known only when the one before is decoded."""
    chance, encoder, levels = np.random.default_rng(0), Encoder(), []
    tables = uneven(chance, 16, 16)
    before = np.zeros(8, np.int32)
    for _ in range(6):
        symbols = chance.integers(0, 16, 8).astype(np.int32)
        encoder.put(symbols, tables[before])
        levels.append(symbols)
        before = symbols
    decoder, before = Decoder(encoder.finish()[0]), np.zeros(8, np.int32)
    for symbols in levels:
        before = decoder.take(tables[before])
        assert np.array_equal(before, symbols)


@pytest.mark.parametrize("seed", range(8))
def test_a_carry_runs_through_the_whole_stream(seed: int) -> None:
    """Symbols of numbers just below and just above a round one: their intervals hold both, words and words long."""
    chance = np.random.default_rng(seed)
    first, length = bytes(chance.integers(1, 255, 4, dtype=np.uint8)), 48
    below = (int.from_bytes(first, "big") << 8 * length) - 1
    levels: list[Levels] = []
    for number in (below, below + 1):
        decoder, chosen = Decoder(number.to_bytes(4 + length, "big")), np.random.default_rng(seed)
        weights = [chosen.integers(1, 9, (1, 5)).astype(float) for _ in range(300)]
        levels.append([(decoder.take(one), one) for one in weights])
    shared = next(place for place in range(300) if levels[0][place][0] != levels[1][place][0])
    assert ideal_bits(levels[0][:shared]) > 8 * length - 32
    for one in levels:
        stream, ends = written(one)
        assert is_read(stream, one)
        assert all(is_read(stream[: ends[count - 1]], one[:count]) for count in range(30, 301, 30))
