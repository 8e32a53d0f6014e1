"""What sets the orderings apart: the masks of eq. 1 and 2, the residual pass of eq. 4, and the two controls.

What they have in common is in `test_conformance.py`.
"""

import math
from typing import cast, get_args

import pytest
import torch
from torch import Generator, Tensor

from prior_lab.errors import InputError
from prior_lab.levels import Levels
from prior_lab.orderings import (
    Flat,
    IndependentTailDrop,
    Masking,
    Matryoshka,
    Ordering,
    OrderingName,
    Prior,
    PriorWithoutPrediction,
    Residual,
    TailDrop,
    TrainingCode,
    Unordered,
)
from prior_lab.tokens import GaussianPosterior, Posterior, TokenName, Tokens, make_tokens

LEVELS = Levels(5)
CHANNELS = 32


def make(name: OrderingName, kind: TokenName = "gaussian") -> Ordering:
    torch.manual_seed(0)
    flat = {"td": TailDrop, "itd": IndependentTailDrop, "matryoshka": Matryoshka, "unordered": Unordered}
    if name in flat:
        return flat[name](LEVELS, CHANNELS, make_tokens(kind, CHANNELS, tokens=LEVELS.tokens, shared=False))
    bottlenecks = [make_tokens(kind, CHANNELS, tokens=size, shared=True) for size in LEVELS.sizes]
    if name == "prior":
        return Prior(LEVELS, CHANNELS, bottlenecks, depth=1)
    return PriorWithoutPrediction(LEVELS, CHANNELS, bottlenecks)


def train_code(ordering: Ordering, features: Tensor, seed: int) -> TrainingCode:
    return ordering.train_code(features, ordering.draw(len(features), Generator().manual_seed(seed)))


def drawn(batch: int, seed: int = 1) -> Tensor:
    return torch.randn(batch, LEVELS.tokens, CHANNELS, generator=Generator().manual_seed(seed))


@pytest.fixture
def features() -> Tensor:
    return drawn(4)


def test_a_code_is_cut_only_where_its_ordering_can_stop(features: Tensor) -> None:
    prior, masking = make("prior").encode(features), make("td").encode(features)
    assert len(masking[:20]) == 20
    with pytest.raises(InputError, match=r"A budget of 20 tokens .* choose one of 1, 3, 7, 15, 31"):
        prior[:20]
    with pytest.raises(InputError, match=r"A budget of 0 .* choose any length from 1 to 31"):
        masking[:0]
    with pytest.raises(InputError, match=r"budget of 31 .* code of 7"):
        prior[:7][:31]
    with pytest.raises(InputError, match=r"write code\[:k\]"):
        masking[3:7]


def test_a_code_tells_its_size(features: Tensor) -> None:
    code = make("prior").encode(features)
    assert code.nbytes == pytest.approx(code.information.sum().item() / math.log(2) / 8)
    assert "4 images, 31 Gaussian tokens of 32 channels" in repr(code)


def test_tail_drop_cuts_where_equation_1_says() -> None:
    """Chi-square of the cutoff's distribution, P(c) = log((c+1)/c)/log(N+1), at a false-alarm rate of 1e-6.

    Told apart at that rate are cutoffs of which a twentieth is even over 1..N, and cutoffs one token later.
    """
    count, tokens = 40_000, LEVELS.tokens
    mask = cast(Masking, make("td")).mask(count, Generator().manual_seed(0))
    cutoff = (~mask).sum(dim=1)
    assert torch.equal(mask, torch.arange(tokens) >= cutoff[:, None])
    assert cutoff.min() >= 1
    observed = torch.bincount(cutoff, minlength=tokens + 1)[1:]

    def p_value(expected: Tensor) -> float:
        chi_square = ((observed - expected).square() / expected).sum()
        return torch.special.gammaincc(torch.tensor((tokens - 1) / 2).double(), chi_square / 2).item()

    steps = torch.arange(1, tokens + 1, dtype=torch.float64)
    right = torch.log1p(1 / steps) / math.log(tokens + 1)
    uniform = torch.full_like(steps, 1 / tokens)
    assert p_value(count * right) > 1e-6
    for wrong in (0.95 * right + 0.05 * uniform, right.roll(1)):
        assert p_value(count * wrong) < 1e-6


def test_independent_tail_drop_masks_as_often_as_equation_2_says() -> None:
    """Every token's rate and every pair's covariance within 5.5 and 6 standard errors: false alarms are below 1e-5.

    With log(i + 1) / log(N) instead, the rate of the last token would be off by 19 standard errors.
    """
    count, tokens = 40_000, LEVELS.tokens
    mask = cast(Masking, make("itd")).mask(count, Generator().manual_seed(0))
    expected = torch.log(torch.arange(1, tokens + 1.0)) / math.log(tokens + 1)
    error = (mask.float().mean(0) - expected).abs()
    assert not mask[:, 0].any()
    assert bool((error <= 5.5 * (expected * (1 - expected) / count).sqrt()).all())
    centred = mask[:, 1:].float() - expected[1:]
    covariance = (centred.T @ centred / count).fill_diagonal_(0.0).abs().max().item()
    assert covariance < 6 * 0.25 / math.sqrt(count)


@pytest.mark.parametrize("name", ["td", "itd"])
@pytest.mark.parametrize("kind", get_args(TokenName))
def test_training_masks_what_the_mask_says_and_counts_the_rest(name: OrderingName, kind: TokenName) -> None:
    ordering, features = cast(Masking, make(name, kind)), drawn(64)
    train_code(ordering, features, 9)  # starts codebooks
    ordering.eval()
    code = train_code(ordering, features, 3)
    posterior, mask = ordering.tokens(features), ordering.mask(64, Generator().manual_seed(3))
    masked = posterior.masked(mask)
    torch.testing.assert_close(code.regulariser, ordering.tokens.regulariser(masked))
    if kind != "gaussian":
        assert torch.equal(code.states[0][mask], masked.values()[mask])
    if kind in ("ema-vq", "fsq"):
        assert torch.equal(code.states[0][~mask], posterior.values()[~mask])


@pytest.mark.parametrize("name", ["td", "itd", "matryoshka"])
def test_what_training_leaves_out_of_gaussian_codes_is_drawn_from_the_prior(name: OrderingName) -> None:
    """Mean 0 and variance 1 within 5 standard errors, a false alarm in 1e6 seeds; kept tokens have a variance of 5."""
    ordering = cast(Flat, make(name))
    with torch.no_grad():
        ordering.tokens.get_parameter("linear.weight")[..., :CHANNELS].mul_(5**0.5)
    features = drawn(500)
    state = train_code(ordering, features, 3).states[0]
    if isinstance(ordering, Masking):
        mask = ordering.mask(500, Generator().manual_seed(3))
    else:
        state, mask = state[500:1000], torch.arange(LEVELS.tokens).expand(500, -1) >= LEVELS.budgets[1]
    left_out, kept = state[mask], state[~mask]
    assert left_out.mean().item() == pytest.approx(0.0, abs=5 / math.sqrt(left_out.numel()))
    assert left_out.var().item() == pytest.approx(1.0, abs=5 * math.sqrt(2 / left_out.numel()))
    assert kept.var().item() == pytest.approx(5.0, rel=0.1)


@pytest.mark.parametrize("kind", ["ema-vq", "fsq"])
def test_matryoshka_trains_on_the_states_of_all_budgets(kind: TokenName) -> None:
    """Where neither values nor masked states are drawn, these are the states that the heads read of each prefix."""
    ordering, features = make("matryoshka", kind), drawn(64)
    train_code(ordering, features, 9)  # starts codebooks
    ordering.eval()
    code = ordering.encode(features)
    assert (code.values.abs().amax(dim=2) > 0.0).float().mean() > 0.9  # few values look like masked ones
    expected = torch.cat([ordering.states(code[:budget])[0] for budget in LEVELS.budgets])
    assert torch.equal(train_code(ordering, features, 0).states[0], expected)


def test_matryoshka_draws_once_and_supervises_every_prefix(features: Tensor) -> None:
    ordering = cast(Flat, make("matryoshka"))
    features.requires_grad_()
    code = train_code(ordering, features, 0)
    draw = ordering.tokens(features).values(ordering.draw(len(features), Generator().manual_seed(0)).noise)
    states = code.states[0].unflatten(0, (len(LEVELS.budgets), -1))
    for budget, state in zip(LEVELS.budgets, states, strict=True):
        assert torch.equal(state[:, :budget], draw[:, :budget])
        assert (state[:, budget:] != draw[:, budget:]).all()
        (gradient,) = torch.autograd.grad(state.sum(), features, retain_graph=True)
        reached = gradient.abs().amax(dim=(0, 2)) > 0.0
        assert torch.equal(reached, torch.arange(LEVELS.tokens) < budget)
    torch.testing.assert_close(code.regulariser, ordering.tokens.regulariser(ordering.tokens(features)))


@pytest.mark.parametrize("kind", get_args(TokenName))
def test_unordered_trains_the_whole_sequence_and_nothing_else(kind: TokenName) -> None:
    ordering, features = cast(Flat, make("unordered", kind)), drawn(64)
    train_code(ordering, features, 9)  # starts codebooks
    ordering.eval()
    code, whole = train_code(ordering, features, 0), ordering.encode(features, Generator().manual_seed(0))
    assert torch.equal(code.states[0], ordering.states(whole)[0])
    torch.testing.assert_close(code.regulariser, ordering.tokens.regulariser(whole.posterior))


@pytest.mark.parametrize("name", ["prior", "prior-without-prediction"])
@pytest.mark.parametrize("kind", get_args(TokenName))
def test_each_level_encodes_the_residual_against_its_prediction(name: OrderingName, kind: TokenName) -> None:
    """Eq. 4 written out: y^_l = f(y^_{l-1}) + Q_l(y_l - f(y^_{l-1})), y^pred_0 = 0; without prediction, f doubles."""
    ordering, features = cast(Residual, make(name, kind)), drawn(64)
    for _ in range(3):
        train_code(ordering, features, 9)  # starts codebooks
    ordering.eval()
    code, state, costs = ordering.encode(features), torch.zeros(64, 1, CHANNELS), torch.zeros(())
    for level, place in enumerate(LEVELS.slices):
        prediction = torch.zeros(64, 1, CHANNELS)
        if level and isinstance(ordering, Prior):
            prediction = ordering.predictors[level - 1](state)
        elif level:
            prediction = torch.stack([state[:, token // 2] for token in range(LEVELS.sizes[level])], dim=1)
        tokens = cast(Tokens, ordering.tokens[level])
        posterior = tokens(features[:, place] - prediction)
        torch.testing.assert_close(code.values[:, place], posterior.values())
        state = prediction + posterior.values()
        torch.testing.assert_close(ordering.states(code[: LEVELS.budgets[level]])[-1], state)
        costs = costs + tokens.regulariser(posterior) * LEVELS.sizes[level] / LEVELS.tokens
    training = train_code(ordering, features, 0)
    torch.testing.assert_close(training.weights, LEVELS.weights())
    if kind in ("ema-vq", "fsq"):
        torch.testing.assert_close(training.regulariser, costs)
        torch.testing.assert_close(training.states[-1], state)


class Lossless(Tokens):
    """Tokens that say all."""

    def forward(self, features: Tensor) -> GaussianPosterior:
        return GaussianPosterior(features, torch.full_like(features, -12.0))

    def regulariser(self, posterior: Posterior) -> Tensor:
        return posterior.pointwise().mean()


def test_lossless_tokens_leave_nothing_to_correct(features: Tensor) -> None:
    """Every level's output is then its features, and doubling leaves nothing to say where all features are alike."""
    bottlenecks = [Lossless() for _ in LEVELS.sizes]
    prior = Prior(LEVELS, CHANNELS, bottlenecks, depth=1)
    without = PriorWithoutPrediction(LEVELS, CHANNELS, bottlenecks)
    for ordering in (prior, without):
        for state, place in zip(ordering.states(ordering.encode(features)), LEVELS.slices, strict=True):
            torch.testing.assert_close(state, features[:, place], atol=1e-5, rtol=1e-5)
    alike = features[:, :1].expand(-1, LEVELS.tokens, -1)
    assert without.encode(alike).values[:, 1:].abs().max() == 0.0
    assert prior.encode(alike).values[:, 1:].abs().amax(dim=(0, 2)).min() > 0.0


def test_the_refinement_loss_is_the_squared_error_of_the_predictions(features: Tensor) -> None:
    """Eq. 5: the mean over levels 1..L-1 of the mean squared error per channel."""
    prior = cast(Prior, make("prior"))
    code = train_code(prior, features, 0)
    errors = [
        torch.nn.functional.mse_loss(prior.predictors[level](state), features[:, LEVELS.slices[level + 1]])
        for level, state in enumerate(code.states[:-1])
    ]
    torch.testing.assert_close(code.prediction_error, torch.stack(errors).mean())


def test_averaged_over_tokens_the_refinement_loss_weighs_levels_by_their_tokens(features: Tensor) -> None:
    bottlenecks = [Lossless() for _ in LEVELS.sizes]
    by_token = Prior(LEVELS, CHANNELS, bottlenecks, depth=1, average="tokens")
    code = train_code(by_token, features, 0)
    errors = torch.stack([
        torch.nn.functional.mse_loss(by_token.predictors[level](state), features[:, LEVELS.slices[level + 1]])
        for level, state in enumerate(code.states[:-1])
    ])  # fmt: skip
    sizes = torch.tensor(LEVELS.sizes[1:], dtype=errors.dtype)
    torch.testing.assert_close(code.prediction_error, (errors * sizes).sum() / sizes.sum())
