"""Every ordering: the budget invariant, the masks of eq. 1 and 2, the residual pass of eq. 4 and 5."""

import math

import pytest
import torch
from torch import Tensor

from prior_lab.errors import InputError
from prior_lab.levels import Levels
from prior_lab.orderings import IndependentTailDrop, Ordering, Prior, TailDrop
from prior_lab.tokens import GaussianTokens

LEVELS = Levels(5)
CHANNELS = 32


def make(kind: type[Ordering]) -> Ordering:
    torch.manual_seed(0)
    if kind is Prior:
        return Prior(LEVELS, [GaussianTokens(CHANNELS, heads=1) for _ in LEVELS.sizes], channels=CHANNELS, depth=1)
    return kind(LEVELS, GaussianTokens(CHANNELS, heads=LEVELS.tokens))  # type: ignore[call-arg]


@pytest.fixture(params=[TailDrop, IndependentTailDrop, Prior])
def ordering(request: pytest.FixtureRequest) -> Ordering:
    return make(request.param)


@pytest.fixture
def features() -> Tensor:
    return torch.randn(4, LEVELS.tokens, CHANNELS, generator=torch.Generator().manual_seed(1))


def test_nothing_after_a_prefix_changes_what_heads_read(ordering: Ordering, features: Tensor) -> None:
    code = ordering.encode(features)
    for budget in LEVELS.budgets:
        altered = code.values.clone()
        altered[:, budget:] = torch.randn(altered[:, budget:].shape)
        other = type(code)(altered, code.posterior, code.prefixes)
        for state, same in zip(ordering.states(code[:budget]), ordering.states(other[:budget]), strict=True):
            assert torch.equal(state, same)


def test_a_prefix_equals_the_same_budget_of_the_stacked_pass(ordering: Ordering, features: Tensor) -> None:
    code = ordering.encode(features)
    stacked = [part for state in ordering.budget_states(code) for part in state.split(len(features))]
    assert len(stacked) == len(LEVELS.budgets)
    for budget, state in zip(LEVELS.budgets, stacked, strict=True):
        torch.testing.assert_close(ordering.states(code[:budget])[-1], state)


def test_encoding_is_deterministic_and_sampling_follows_its_generator(ordering: Ordering, features: Tensor) -> None:
    assert torch.equal(ordering.encode(features).values, ordering.encode(features).values)
    draws = [ordering.encode(features, torch.Generator().manual_seed(seed)).values for seed in (0, 0, 1)]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


def test_training_reaches_every_parameter_and_weights_sum_to_one(ordering: Ordering, features: Tensor) -> None:
    code = ordering.train_code(features.requires_grad_(), torch.Generator().manual_seed(0))
    assert code.weights.sum().item() == pytest.approx(1.0)
    total = sum(state.square().sum() for state in code.states) + code.regulariser + code.prediction_error
    total.backward()
    missing = [name for name, parameter in ordering.named_parameters() if parameter.grad is None]
    assert missing == []
    assert features.grad is not None


def test_a_code_is_cut_only_where_its_ordering_can_stop(features: Tensor) -> None:
    prior, masking = make(Prior).encode(features), make(TailDrop).encode(features)
    assert len(masking[:20]) == 20
    with pytest.raises(InputError, match=r"A budget of 20 tokens .* choose one of 1, 3, 7, 15, 31"):
        prior[:20]
    with pytest.raises(InputError, match=r"A budget of 0 .* choose any length from 1 to 31"):
        masking[:0]
    with pytest.raises(InputError, match=r"budget of 31 .* code of 7"):
        prior[:7][:31]
    with pytest.raises(InputError, match=r"write code\[:k\]"):
        masking[3:7]


def test_a_codes_information_is_the_rate_of_its_tokens(ordering: Ordering, features: Tensor) -> None:
    code = ordering.encode(features)
    assert code.information.shape == (31,)
    assert torch.equal(code[:7].information, code.information[:7])
    assert code.nbytes == pytest.approx(code.information.sum().item() / math.log(2) / 8)
    assert "4 images, 31 Gaussian tokens of 32 channels" in repr(code)


def test_tail_drop_cuts_where_equation_1_says() -> None:
    """Chi-square of the cutoff's distribution, P(c) = log((c+1)/c)/log(N+1), at a false-alarm rate below 1e-6."""
    count, tokens = 40_000, LEVELS.tokens
    mask = make(TailDrop).mask(count, torch.Generator().manual_seed(0))  # type: ignore[operator]
    cutoff = (~mask).sum(dim=1)
    assert torch.equal(mask, torch.arange(tokens) >= cutoff[:, None])
    assert cutoff.min() >= 1
    steps = torch.arange(1, tokens + 1, dtype=torch.float64)
    expected = count * torch.log1p(1 / steps) / math.log(tokens + 1)
    observed = torch.bincount(cutoff, minlength=tokens + 1)[1:]
    chi_square = ((observed - expected).square() / expected).sum().item()
    assert chi_square < 30 + 6 * math.sqrt(60)


def test_independent_tail_drop_masks_as_often_as_equation_2_says() -> None:
    count, tokens = 40_000, LEVELS.tokens
    mask = make(IndependentTailDrop).mask(count, torch.Generator().manual_seed(0))  # type: ignore[operator]
    expected = torch.log(torch.arange(1, tokens + 1.0)) / math.log(tokens + 1)
    error = (mask.float().mean(0) - expected).abs()
    assert not mask[:, 0].any()
    assert bool((error <= 5.5 * (expected * (1 - expected) / count).sqrt()).all())
    centred = mask[:, 1:].float() - expected[1:]
    correlation = (centred.T @ centred / count).fill_diagonal_(0.0).abs().max().item()
    assert correlation < 6 * 0.25 / math.sqrt(count)


def test_masked_tokens_cost_no_rate(features: Tensor) -> None:
    ordering = make(TailDrop)
    generator = torch.Generator().manual_seed(3)
    mask = ordering.mask(len(features), torch.Generator().manual_seed(3))  # type: ignore[operator]
    code = ordering.train_code(features, generator)
    divergence = ordering.encode(features).posterior.masked(mask).divergence()  # type: ignore[attr-defined]
    torch.testing.assert_close(code.regulariser, divergence.mean())


def test_prior_encodes_the_residual_against_its_own_prediction(features: Tensor) -> None:
    """Eq. 4 written out: y^_l = f(y^_{l-1}) + Q_l(y_l - f(y^_{l-1})), with y^pred_0 = 0."""
    prior = make(Prior)
    assert isinstance(prior, Prior)
    code, state = prior.encode(features), None
    for level, place in enumerate(LEVELS.slices):
        prediction = torch.zeros_like(features[:, place]) if state is None else prior.predictors[level - 1](state)
        value = prior.tokens[level](features[:, place] - prediction).values()
        torch.testing.assert_close(code.values[:, place], value)
        state = prediction + value
        torch.testing.assert_close(prior.states(code[: LEVELS.budgets[level]])[-1], state)


def test_the_refinement_loss_does_not_reach_the_encoder_through_its_target(features: Tensor) -> None:
    """Eq. 5 stops the gradient at y_l: the finest features, which nothing is predicted from, get none."""
    features = features.requires_grad_()
    make(Prior).train_code(features, torch.Generator().manual_seed(0)).prediction_error.backward()
    assert features.grad is not None
    assert torch.equal(features.grad[:, LEVELS.slices[-1]], torch.zeros_like(features[:, LEVELS.slices[-1]]))
    assert features.grad[:, LEVELS.slices[0]].abs().sum() > 0


def test_predictors_of_width_128_have_the_size_of_table_2() -> None:
    prior = Prior(Levels(7), [GaussianTokens(128, heads=1) for _ in range(7)], channels=128, depth=3)
    assert sum(parameter.numel() for parameter in prior.predictors.parameters()) == 3_778_176
