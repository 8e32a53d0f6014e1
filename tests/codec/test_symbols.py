"""Codes as whole numbers: what tokens send, what a receiver looks up, and that a sender goes on from what arrived."""

import itertools
from typing import get_args

import numpy as np
import pytest
import torch
from small_codecs import BUDGETS, pictures, small_codec, small_model
from torch import Generator, Tensor

from prior_lab.codec.symbols import REACH, Rounding, States, restored
from prior_lab.errors import InputError
from prior_lab.orderings import Flat, Ordering, OrderingName, Residual
from prior_lab.tokens import DiscretePosterior, DiscreteTokens, EMAVQTokens, TokenName

DISCRETE: tuple[TokenName, ...] = ("categorical", "ema-vq", "fsq")
COUNT = 5


@pytest.fixture(params=itertools.product(get_args(OrderingName), DISCRETE), ids="-".join)
def ordering(request: pytest.FixtureRequest) -> Ordering:
    return small_model(*request.param).ordering


@pytest.fixture(params=get_args(OrderingName))
def gaussian(request: pytest.FixtureRequest) -> Ordering:
    return small_model(request.param, "gaussian").ordering


@pytest.fixture
def features() -> Tensor:
    return torch.randn(COUNT, BUDGETS[-1], 32, generator=Generator().manual_seed(0))


def bottlenecks(ordering: Ordering) -> list[tuple[int, DiscreteTokens]]:
    """With how many tokens each has."""
    if isinstance(ordering, Flat):
        return [(ordering.levels.tokens, ordering.tokens)]
    return list(zip(ordering.levels.sizes, ordering.tokens, strict=True))


def test_a_receiver_of_the_states_has_the_values_that_were_sent(ordering: Ordering, features: Tensor) -> None:
    code = ordering.encode(features)
    received = ordering.received(code.posterior.sent())
    assert torch.equal(received.posterior.sent(), code.posterior.sent())
    torch.testing.assert_close(received.values, code.values, atol=1e-6, rtol=1e-6)
    assert received.prefixes == code.prefixes == ordering.prefixes
    for state, same in zip(ordering.states(received), ordering.states(code), strict=True):
        torch.testing.assert_close(state, same, atol=1e-5, rtol=1e-5)


def test_a_receiver_of_the_first_states_has_the_first_values(ordering: Ordering, features: Tensor) -> None:
    index = ordering.encode(features).posterior.sent()
    whole = ordering.received(index)
    for length in ordering.prefixes:
        part = ordering.received(index[:, :length])
        assert len(part) == length
        torch.testing.assert_close(part.values, whole.values[:, :length], atol=1e-6, rtol=1e-6)


def test_of_a_level_that_is_not_whole_a_residual_code_has_nothing(features: Tensor) -> None:
    residual, flat = small_model("prior", "fsq").ordering, small_model("td", "fsq").ordering
    assert len(residual.received(residual.encode(features).posterior.sent()[:, :6])) == 3
    assert len(flat.received(flat.encode(features).posterior.sent()[:, :6])) == 6


def test_every_state_is_received_as_itself(ordering: Ordering) -> None:
    """And unlike every other, but for codes that never lived and for the null state, which others may equal."""
    for size, tokens in bottlenecks(ordering):
        every = torch.arange(tokens.outcomes)[:, None].expand(-1, size)
        posterior = tokens.received(every)
        assert isinstance(posterior, DiscretePosterior)
        assert torch.equal(posterior.sent(), every)
        if not isinstance(tokens, EMAVQTokens):
            assert len(posterior.values()[1:, 0].unique(dim=0)) == tokens.outcomes - 1


def test_the_null_state_is_the_zero_vector(ordering: Ordering) -> None:
    for size, tokens in bottlenecks(ordering):
        if tokens.posterior.__name__ != "IndexedPosterior":
            continue
        assert tokens.received(torch.zeros(1, size, dtype=torch.int64)).values().abs().max() == 0.0


def test_sent_numbers_lie_within_the_outcomes_of_their_tokens(ordering: Ordering, features: Tensor) -> None:
    index, outcomes = ordering.encode(features).posterior.sent(), torch.tensor(ordering.outcomes)
    assert len(outcomes) == BUDGETS[-1]
    assert index.dtype == torch.int64
    assert index.min() >= 0
    assert (index < outcomes).all()


def test_what_was_received_costs_no_more_to_send_again(ordering: Ordering, features: Tensor) -> None:
    """A receiver knows the choice to be sure, so of the same states it measures the entropy of the choices alone."""
    index = ordering.encode(features).posterior.sent()
    usage = ordering.received(index).posterior.usage()
    for token, column in enumerate(index.T):
        share = column.unique(return_counts=True)[1] / COUNT
        assert usage[token].item() == pytest.approx(-(share * share.log()).sum().item(), abs=1e-5)


def test_gaussian_tokens_are_in_no_countable_state(gaussian: Ordering) -> None:
    with pytest.raises(InputError, match="real numbers"):
        _ = gaussian.outcomes
    with pytest.raises(InputError, match="real numbers"):
        gaussian.received(torch.zeros(1, BUDGETS[-1], dtype=torch.int64))


# ------------------------------------------------------------ transmission


def test_what_is_transmitted_unchanged_is_the_code(gaussian: Ordering, features: Tensor) -> None:
    asked: list[slice] = []

    def transmit(values: Tensor, tokens: slice) -> Tensor:
        assert values.shape == (COUNT, tokens.stop - tokens.start, 32)
        asked.append(tokens)
        return values

    assert torch.equal(gaussian.encode(features, transmit=transmit).values, gaussian.encode(features).values)
    expected = gaussian.levels.slices if isinstance(gaussian, Residual) else (slice(0, BUDGETS[-1]),)
    assert tuple(asked) == tuple(expected)


def test_residuals_are_taken_against_what_the_receiver_has(gaussian: Ordering, features: Tensor) -> None:
    """Eq. 4 with what came through in place of what was sent."""
    noise = 0.3 * torch.randn(features.shape, generator=Generator().manual_seed(1))
    code = gaussian.encode(features, transmit=lambda values, tokens: values + noise[:, tokens])
    if not isinstance(gaussian, Residual):
        assert torch.equal(code.values, gaussian.encode(features).values + noise)
        return
    state = torch.zeros(COUNT, 1, 32)
    for level, place in enumerate(gaussian.levels.slices):
        prediction = gaussian.predict(level - 1, state) if level else torch.zeros(COUNT, 1, 32)
        posterior = gaussian.tokens[level](features[:, place] - prediction)
        torch.testing.assert_close(code.values[:, place], posterior.values() + noise[:, place])
        torch.testing.assert_close(code.posterior.mean[:, place], posterior.mean)
        state = prediction + code.values[:, place]
    assert not torch.allclose(code.values[:, 1:], gaussian.encode(features).values[:, 1:] + noise[:, 1:])


# ------------------------------------------------------------ numbers


def test_states_are_a_number_for_each_token(ordering: Ordering) -> None:
    model = next(small_model(name, kind) for name in get_args(OrderingName) for kind in DISCRETE
                 if small_model(name, kind).ordering is ordering)  # fmt: skip
    symbols = States()
    assert symbols.outcomes(model) == ordering.outcomes
    numbers = symbols.encode(model, pictures(COUNT))
    assert torch.equal(numbers, model.encode(pictures(COUNT)).posterior.sent())
    assert symbols.arrays() == {}
    assert restored({}) == symbols


def test_gaussian_tokens_are_a_number_for_each_channel() -> None:
    codec = small_codec("prior", "gaussian")
    symbols = codec.symbols
    assert isinstance(symbols, Rounding)
    assert symbols.parts == 32
    assert symbols.outcomes(codec.model) == (2 * REACH + 1,) * BUDGETS[-1]
    numbers = symbols.encode(codec.model, pictures(COUNT))
    assert numbers.shape == (COUNT, 32 * BUDGETS[-1])
    for length in BUDGETS:
        part = symbols.code(codec.model, numbers[:, : 32 * length])
        assert torch.equal(part.values, codec.encode(pictures(COUNT)).values[:, :length])


def test_dither_fills_a_step_evenly_and_is_kept_nowhere() -> None:
    symbols = small_codec("td", "gaussian").symbols
    assert isinstance(symbols, Rounding)
    arrays = symbols.arrays()
    assert arrays.keys() == {"mean", "step"}
    assert all(array.dtype == np.float16 for array in arrays.values())
    again = restored(arrays)
    numbers = torch.full((1, BUDGETS[-1] * 32), REACH)
    middles = [one.code(small_model("td", "gaussian"), numbers).values[0].double().numpy() for one in (symbols, again)]
    assert np.array_equal(*middles)
    shift = np.sort(((middles[0] - arrays["mean"]) / arrays["step"]).ravel())
    assert np.abs(shift - (np.arange(shift.size) + 0.5) / shift.size + 0.5).max() < 0.01
