"""Static tables: what occurred often is likely, and nothing is impossible."""

import numpy as np
import pytest

from prior_lab.codec.tables import BEHIND, Tables


@pytest.fixture
def symbols() -> np.ndarray:
    """Three symbols: one that is always 2, one even over 0..4, and one that is 0 or 4."""
    chance = np.random.default_rng(0)
    return np.stack([np.full(5000, 2), chance.integers(0, 5, 5000), 4 * chance.integers(0, 2, 5000)], axis=1)


def shares(weights: np.ndarray) -> np.ndarray:
    return weights / weights.sum(axis=1, keepdims=True)


def test_shares_are_those_of_the_training_images_and_a_little_of_the_levels(symbols: np.ndarray) -> None:
    tables = Tables.fitted([(symbols, 6)], by_spread=False)
    counts = np.stack([np.bincount(column, minlength=6) for column in symbols.T])
    level = (counts.sum(axis=0) + 0.5) / (counts.sum() + 3)
    expected = (counts + BEHIND * level) / (5000 + BEHIND)
    np.testing.assert_allclose(shares(tables.weights[0]), expected, rtol=1e-12)
    assert (tables.weights[0] >= 1).all()


def test_weights_are_whole_numbers_that_a_float_holds_exactly(symbols: np.ndarray) -> None:
    weights = Tables.fitted([(symbols, 6)], by_spread=False).weights[0]
    assert np.array_equal(weights, np.rint(weights))
    assert weights.max() < 2**53


def test_symbols_that_spread_alike_share_a_row() -> None:
    chance = np.random.default_rng(0)
    spread = np.array([1, 1, 1, 40, 40, 5])
    symbols = np.clip(127 + np.rint(spread * chance.normal(size=(2000, 6))), 0, 254).astype(np.int64)
    tables = Tables.fitted([(symbols, 255)], by_spread=True)
    assert len(set(tables.rows[0].tolist())) == 3
    assert tables.rows[0].tolist() == [0, 0, 0, 2, 2, 1]
    assert tables.counts[0].sum(axis=1).tolist() == [6000, 2000, 4000]


@pytest.mark.parametrize("by_spread", [False, True])
def test_a_file_keeps_them(by_spread: bool, symbols: np.ndarray) -> None:
    tables = Tables.fitted([(symbols[:, :1], 6), (symbols[:, 1:], 9)], by_spread=by_spread)
    again = Tables.restored(tables.arrays())
    for one, other in zip(tables.weights, again.weights, strict=True):
        assert np.array_equal(one, other)
