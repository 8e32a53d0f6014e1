"""EMA vector quantisation against brute force and the textbook's two moving averages."""

import copy
import math

import pytest
import torch
from torch import Generator, Tensor, nn

from prior_lab.tokens import EMAVQTokens, IndexedPosterior


def filled(heads: int, codes: int, channels: int = 32, **settings: float) -> EMAVQTokens:
    """Random codebooks of codes in use, short enough for the null state to be nearest to many a feature."""
    generator = Generator().manual_seed(0)
    tokens = EMAVQTokens(channels, heads=heads, codes=codes, **settings)
    tokens.codes.normal_(generator=generator).mul_(torch.empty(heads, codes, 1).uniform_(0.6, 1.0, generator=generator))
    tokens.counts.uniform_(0.5, 2.0, generator=generator)
    return tokens


def drawn(batch: int, tokens: int, channels: int = 32, seed: int = 1) -> Tensor:
    return torch.randn(batch, tokens, channels, generator=Generator().manual_seed(seed))


@pytest.mark.parametrize("heads", [7, 1])
def test_the_code_is_the_nearest_of_all_codes_and_zero(heads: int) -> None:
    tokens, features = filled(heads, 50).eval(), drawn(64, 7)
    posterior = tokens(features)
    for token in range(7):
        states = torch.cat([torch.zeros(1, 32), tokens.codes[token if heads > 1 else 0]]).double()
        distance = torch.cdist(features[:, token].double(), states, compute_mode="donot_use_mm_for_euclid_dist")
        assert torch.equal(posterior.index[:, token], distance.argmin(dim=1))
        assert torch.equal(posterior.states[:, token], states.float()[posterior.index[:, token]])
        expected = distance.amin(dim=1).square().float() / 32
        torch.testing.assert_close(posterior.cost[:, token], expected)
    assert 0.02 < (posterior.index == 0).float().mean() < 0.98
    assert posterior.outcomes.unique().tolist() == [51]


def test_gradients_of_values_go_straight_through_and_those_of_the_cost_pull_to_the_code() -> None:
    tokens, features = filled(7, 50).eval(), drawn(16, 7).requires_grad_()
    direction = drawn(16, 7, seed=2)
    posterior = tokens(features)
    ((posterior.values() * direction).sum() + 3.0 * tokens.regulariser(posterior)).backward()
    pull = 2.0 * (features - posterior.states).detach() / features.numel()
    torch.testing.assert_close(features.grad, direction + 3.0 * pull)
    torch.testing.assert_close(
        tokens.regulariser(posterior), nn.functional.mse_loss(posterior.states.detach(), features)
    )


def test_masked_tokens_get_no_gradient() -> None:
    tokens, features = filled(7, 50).eval(), drawn(16, 7).requires_grad_()
    mask = torch.rand(16, 7, generator=Generator().manual_seed(3)) < 0.5
    posterior = tokens(features).masked(mask)
    (posterior.values().sum() + tokens.regulariser(posterior)).backward()
    assert features.grad is not None
    assert features.grad[mask].abs().max() == 0.0
    assert features.grad[~mask].abs().amin() > 0.0


class Textbook:
    """One codebook by the book: moving averages of counts and of sums, the codes their ratio after smoothing."""

    def __init__(self, codes: Tensor, counts: Tensor, decay: float, smoothing: float) -> None:
        self.decay, self.smoothing = decay, smoothing
        self.counts = counts.double()
        self.sums = codes.double() * self.smoothed()[:, None]

    def smoothed(self) -> Tensor:
        total = self.counts.sum()
        return (self.counts + self.smoothing) / (total + len(self.counts) * self.smoothing) * total

    def codes(self) -> Tensor:
        return self.sums / self.smoothed()[:, None]

    def step(self, vectors: Tensor) -> None:
        states = torch.cat([torch.zeros(1, vectors.shape[1]).double(), self.codes()])
        chosen = torch.cdist(vectors.double(), states, compute_mode="donot_use_mm_for_euclid_dist").argmin(dim=1)
        for code in range(len(self.counts)):
            own = vectors[chosen == code + 1].double()
            self.counts[code] = self.decay * self.counts[code] + (1 - self.decay) * len(own)
            self.sums[code] = self.decay * self.sums[code] + (1 - self.decay) * own.sum(dim=0)


@pytest.mark.parametrize(("heads", "smoothing"), [(7, 1e-5), (7, 0.5), (1, 1e-5), (1, 0.5)])
def test_codebooks_follow_the_two_moving_averages_of_the_textbook(heads: int, smoothing: float) -> None:
    tokens = filled(heads, 20, decay=0.8, smoothing=smoothing, dead_below=0.0).train()
    before = tokens.codes.clone()
    books = [Textbook(tokens.codes[head], tokens.counts[head], 0.8, smoothing) for head in range(heads)]
    for step in range(6):
        features = drawn(24, 7, seed=10 + step)
        tokens(features)
        for head, book in enumerate(books):
            book.step(features[:, head] if heads > 1 else features.flatten(0, 1))
            torch.testing.assert_close(tokens.counts[head].double(), book.counts, atol=1e-5, rtol=1e-5)
            torch.testing.assert_close(tokens.codes[head].double(), book.codes(), atol=1e-5, rtol=1e-4)
    assert (tokens.codes - before).abs().mean() > 0.1
    assert tokens.revived.tolist() == [0] * heads


def test_batched_codebooks_equal_one_module_per_token() -> None:
    together = EMAVQTokens(32, heads=7, codes=20).train()
    alone = [EMAVQTokens(32, heads=1, codes=20).train() for _ in range(7)]
    for step in range(6):
        features = drawn(24, 7, seed=10 + step)
        posterior = together(features)
        for token, tokens in enumerate(alone):
            own = tokens(features[:, token : token + 1])
            assert torch.equal(own.index, posterior.index[:, token : token + 1])
            torch.testing.assert_close(own.states, posterior.states[:, token : token + 1])
            torch.testing.assert_close(own.cost, posterior.cost[:, token : token + 1])
    torch.testing.assert_close(torch.cat([tokens.codes for tokens in alone]), together.codes)
    assert [tokens.revived.item() for tokens in alone] == together.revived.tolist()


def test_a_shared_codebook_sees_the_tokens_as_so_many_images_more() -> None:
    shared, flat = (EMAVQTokens(32, heads=1, codes=20).train() for _ in range(2))
    for step in range(4):
        features = drawn(24, 4, seed=10 + step)
        index = shared(features).index
        assert torch.equal(index.flatten(), flat(features.flatten(0, 1)[:, None]).index.flatten())
    assert torch.equal(shared.codes, flat.codes)


@pytest.mark.parametrize("dead_below", [0.1, 0.0])
def test_a_codebook_starts_at_vectors_of_the_first_batch(dead_below: float) -> None:
    tokens, features = EMAVQTokens(32, heads=7, codes=20, dead_below=dead_below).train(), drawn(24, 7)
    first = tokens(features)
    assert first.index.abs().max() == 0
    for token in range(7):
        match = (tokens.codes[token][:, None] == features[:, token]).all(dim=-1)
        assert torch.equal(match.sum(dim=1), torch.ones(20, dtype=torch.int64))
        assert match.sum(dim=0).max() == 1
    assert (tokens.eval()(features).index > 0).sum() >= 7 * 20


@pytest.mark.parametrize("heads", [7, 1])
def test_of_more_dead_codes_than_vectors_each_starts_at_another_and_the_rest_wait(heads: int) -> None:
    """Copies of a code would tie: rounding would choose, and the index would tell what is not there."""
    tokens = EMAVQTokens(32, heads=heads, codes=255).train()
    alive = 0
    for step in range(4):
        posterior = tokens(drawn(3, 7, seed=step))
        alive += 3 * 7
        living = tokens.codes.flatten(0, 1)[tokens.counts.flatten() > 0]
        assert len(living) == len(living.unique(dim=0)) == alive == int(tokens.revived.sum())
    assert tokens.codes.flatten(0, 1)[tokens.counts.flatten() == 0].abs().max() == 0.0  # never chosen: as near as null
    again = tokens.eval()(drawn(3, 7, seed=3))
    assert (again.index > 0).all()
    assert torch.equal(again.states, drawn(3, 7, seed=3))
    assert again.index.shape == posterior.index.shape


def test_dead_codes_start_anew_and_are_counted() -> None:
    tokens = filled(7, 20).train()
    tokens.counts.fill_(10.0)
    tokens(drawn(200, 7))
    assert tokens.revived.tolist() == [0] * 7
    dead = torch.zeros(7, 20, dtype=torch.bool)
    dead[2, 5], dead[2, 6], dead[4, 0] = True, True, True
    tokens.codes[dead] = 1000.0
    tokens.counts.masked_fill_(dead, 1e-3)
    features = drawn(200, 7, seed=2)
    tokens(features)
    assert tokens.revived.tolist() == [0, 0, 2, 0, 1, 0, 0]
    for head, code in dead.nonzero().tolist():
        assert (tokens.codes[head, code] == features[:, head]).all(dim=-1).sum() == 1
    assert not torch.equal(tokens.codes[2, 5], tokens.codes[2, 6])
    assert tokens.codes.abs().max() < 10.0
    tokens(drawn(200, 7, seed=3))
    assert tokens.revived.sum() == 3


def test_codes_that_too_few_vectors_choose_die_after_some_steps() -> None:
    """Counts fall as decay^t towards nothing: from an even share to a tenth of it in log(0.1) / log(0.9) = 22 steps."""
    tokens = filled(1, 10, decay=0.9).train()
    centres = 5.0 * torch.eye(32)[:10]
    tokens.codes.copy_(centres[None])
    tokens.counts.fill_(4.0)
    generator, died = Generator().manual_seed(0), []
    for _ in range(30):
        choice = torch.randint(0, 9, (40,), generator=generator)
        tokens((centres[choice] + 0.1 * torch.randn(40, 32, generator=generator))[:, None])
        died.append(tokens.revived.item())
    assert died.index(1) + 1 == math.ceil(math.log(0.1) / math.log(0.9))
    assert died[-1] == 1


def test_codebooks_are_frozen_in_evaluation() -> None:
    tokens = filled(7, 20)
    before = copy.deepcopy(tokens.state_dict())
    tokens.eval()(drawn(24, 7))
    assert all(torch.equal(value, before[name]) for name, value in tokens.state_dict().items())
    tokens.train()(drawn(24, 7))
    assert not torch.equal(tokens.codes, before["codes"])


def test_codes_settle_in_the_centres_of_clusters_and_zero_in_the_null_state() -> None:
    """Eight clusters of spread 0.1, ten apart, one at zero.

    Several codes may share a cluster; their mean by counts is its centre, known per channel to 0.1 / sqrt(16 vectors of
    each of 199 batches in the averages' memory) = 0.0018. A code that has just started anew in a cluster is still at
    one vector and weighs up to a sixteenth of it: 0.006. Five times that is 0.03.
    """
    generator = Generator().manual_seed(0)
    centres = torch.cat([torch.zeros(1, 32), 10 * torch.eye(32)[:7]])
    tokens = EMAVQTokens(32, heads=1, codes=32).train()

    def batch() -> tuple[Tensor, IndexedPosterior]:
        choice = torch.randint(0, 8, (128,), generator=generator)
        return choice, tokens((centres[choice] + 0.1 * torch.randn(128, 32, generator=generator))[:, None])

    for _ in range(600):
        batch()
    tokens.eval()
    distance, nearest = torch.cdist(tokens.codes[0], centres).min(dim=1)
    assert distance.max() < 1.0
    for centre in range(1, 8):
        weights = tokens.counts[0] * (nearest == centre)
        mean = (weights[:, None] * tokens.codes[0]).sum(dim=0) / weights.sum()
        assert (mean - centres[centre]).abs().max() < 0.03
    choice, posterior = batch()
    assert (posterior.states[:, 0] - centres[choice]).abs().max() < 1.0
    assert posterior.cost.mean() < 0.1**2 * 1.1


def test_vectors_that_are_all_zero_leave_everything_finite() -> None:
    for dead_below in (0.1, 0.0):
        tokens = EMAVQTokens(32, heads=7, codes=20, dead_below=dead_below).train()
        for _ in range(5):
            assert tokens(torch.zeros(24, 7, 32)).index.abs().max() == 0
        tokens(drawn(24, 7))
        assert tokens.codes.isfinite().all()
        assert tokens.counts.isfinite().all()


def test_codes_in_bfloat16_are_those_of_the_rounded_features_in_float32() -> None:
    tokens, features = filled(7, 50).eval(), drawn(16, 7).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        rounded = tokens(features.requires_grad_())
    whole = tokens(features.float())
    assert torch.equal(rounded.index, whole.index)
    assert torch.equal(rounded.states, whole.states)
    rounded.values().sum().backward()
    assert features.grad is not None
    assert features.grad.dtype == torch.bfloat16
