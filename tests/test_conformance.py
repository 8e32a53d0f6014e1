"""What every ordering does with every token kind: five orderings times four kinds, one suite.

The truth about a single kind is in `tests/tokens`, about a single ordering in `test_orderings.py`.
"""

import copy
import functools
import itertools
from typing import get_args

import pytest
import torch
from torch import Generator, Tensor, nn

from prior_lab.models import Autoencoder, AutoencoderConfig
from prior_lab.orderings import Flat, Ordering, OrderingName, TrainingCode
from prior_lab.tokens import GaussianPosterior, IndexedPosterior, Posterior, TokenName, Tokens

PAIRS = list(itertools.product(get_args(OrderingName), get_args(TokenName)))
SIZES, BUDGETS = (1, 2, 4, 8, 16), (1, 3, 7, 15, 31)
BATCH, COUNT, CHANNELS = 12, 31, 32


def clustered(batch: int, seed: int = 0) -> Tensor:
    """Features of tokens that are each in one of five places, and a little beside it."""
    places = torch.randn(COUNT, 5, CHANNELS, generator=Generator().manual_seed(99))
    generator = Generator().manual_seed(seed)
    choice = torch.randint(0, 5, (batch, COUNT), generator=generator)
    noise = torch.randn(batch, COUNT, CHANNELS, generator=generator)
    return places[torch.arange(COUNT), choice] + 0.1 * noise


def images() -> Tensor:
    return torch.rand(BATCH, 3, 32, 32, generator=Generator().manual_seed(0))


@functools.cache
def prepared(ordering: OrderingName, kind: TokenName) -> Autoencoder:
    """A small model whose codebooks, if it has any, have seen features."""
    torch.manual_seed(0)
    config = AutoencoderConfig(
        ordering=ordering, tokens=kind, levels=5, image_size=32, patch=8, width=32, channels=CHANNELS,
        encoder_depth=1, decoder_width=32, decoder_depth=1, predictor_depth=1,
    )  # fmt: skip
    model = Autoencoder(config).train()
    with torch.no_grad():
        for seed in range(3):
            both = torch.cat([clustered(64, seed), model.encoder(images())])
            train_code(model.ordering, both, seed)
    return model


def train_code(ordering: Ordering, features: Tensor, seed: int) -> TrainingCode:
    return ordering.train_code(features, ordering.draw(len(features), Generator().manual_seed(seed)))


@pytest.fixture(params=PAIRS, ids="-".join)
def model(request: pytest.FixtureRequest) -> Autoencoder:
    return copy.deepcopy(prepared(*request.param)).eval()


@pytest.fixture
def features() -> Tensor:
    return clustered(BATCH)


def bottlenecks(model: Autoencoder) -> list[tuple[slice, Tokens]]:
    """Every token bottleneck, with the tokens it makes."""
    ordering = model.ordering
    if isinstance(ordering, Flat):
        return [(slice(0, COUNT), ordering.tokens)]
    return list(zip(ordering.levels.slices, ordering.tokens, strict=True))


def fields(posterior: Posterior) -> dict[str, Tensor]:
    return dict(vars(posterior))


def assert_same(one: Posterior, other: Posterior) -> None:
    assert type(one) is type(other)
    assert fields(one).keys() == fields(other).keys()
    for name, value in fields(one).items():
        torch.testing.assert_close(value, fields(other)[name], msg=lambda text, name=name: f"{name}: {text}")


def test_a_code_has_a_value_a_distribution_and_a_usage_for_every_token(model: Autoencoder, features: Tensor) -> None:
    code = model.ordering.encode(features)
    assert code.values.shape == (BATCH, COUNT, CHANNELS)
    assert code.values.dtype == torch.float32
    assert all(value.shape[:2] == (BATCH, COUNT) for value in fields(code.posterior).values())
    assert set(BUDGETS) <= set(code.prefixes)
    assert (code.prefixes == BUDGETS) != isinstance(model.ordering, Flat)
    posterior = code.posterior
    assert posterior.pointwise().shape == (BATCH, COUNT)
    for measure in (posterior.usage(), posterior.bias(), posterior.used()):
        assert measure.shape == (COUNT,)
        assert measure.dtype == torch.float32
        assert measure.isfinite().all()
        assert measure.min() >= 0.0
    assert posterior.used().max() <= 1.0
    assert posterior.usage().sum() > 1.0


def test_states_have_the_shapes_that_their_heads_read(model: Autoencoder, features: Tensor) -> None:
    flat = isinstance(model.ordering, Flat)
    code = model.ordering.encode(features)
    assert [len(centres) for centres in model.ordering.state_centres] == ([COUNT] if flat else list(SIZES))
    assert [part.stop - part.start for part in model.ordering.readout_slices] == ([COUNT] if flat else list(SIZES))
    for number, budget in enumerate(BUDGETS, start=1):
        heads = [COUNT] if flat else SIZES[:number]
        states = model.ordering.states(code[:budget])
        assert [state.shape for state in states] == [(BATCH, length, CHANNELS) for length in heads]
        stacked = model.ordering.budget_states(code[:budget])
        copies = number if flat else 1
        assert [state.shape for state in stacked] == [(copies * BATCH, length, CHANNELS) for length in heads]


def test_training_gives_every_head_its_states_and_weights_that_sum_to_one(model: Autoencoder, features: Tensor) -> None:
    code = train_code(model.train().ordering, features, 0)
    heads = [COUNT] if isinstance(model.ordering, Flat) else list(SIZES)
    assert [state.shape[1:] for state in code.states] == [(length, CHANNELS) for length in heads]
    assert all(state.shape[0] % BATCH == 0 for state in code.states)
    assert code.weights.shape == (len(heads),)
    assert code.weights.sum().item() == pytest.approx(1.0)
    assert code.regulariser.shape == code.prediction_error.shape == ()
    assert code.regulariser.dtype == torch.float32


def test_the_gradient_reaches_every_parameter_and_every_token(model: Autoencoder) -> None:
    """In 512 images the last token of TD stays in 5 on average: it is masked in all of them once in 112 draws."""
    features = clustered(512).requires_grad_()
    code = train_code(model.ordering, features, 1)
    generator = Generator().manual_seed(2)
    total = sum((state * torch.randn(state.shape, generator=generator)).sum() for state in code.states)
    (total + code.regulariser + code.prediction_error).backward()
    for name, parameter in model.ordering.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.flatten(1).abs().amax(dim=1).min() > 0.0, name
    assert features.grad is not None
    assert features.grad.abs().amax(dim=(0, 2)).min() > 0.0


def test_the_refinement_loss_stops_at_its_target(model: Autoencoder, features: Tensor) -> None:
    """Eq. 5: nothing is predicted from the finest features, so they get no gradient; the coarser ones get theirs."""
    code = train_code(model.ordering, features.requires_grad_(), 0)
    if model.config.ordering != "prior":
        assert not code.prediction_error.requires_grad
        assert code.prediction_error.item() == 0.0
        return
    code.prediction_error.backward()
    assert features.grad is not None
    assert features.grad[:, BUDGETS[-2] :].abs().max() == 0.0
    assert features.grad[:, : BUDGETS[-2]].abs().amax(dim=(0, 2)).min() > 0.0


def test_encoding_is_deterministic_and_draws_follow_their_generator(model: Autoencoder, features: Tensor) -> None:
    def encoded(seed: int | None) -> Tensor:
        return model.ordering.encode(features, None if seed is None else Generator().manual_seed(seed)).values

    def trained(seed: int) -> Tensor:
        ordering = copy.deepcopy(model).train().ordering
        return torch.cat([state.flatten() for state in train_code(ordering, features, seed).states])

    torch.manual_seed(1)
    first, draw, step = encoded(None), encoded(0), trained(0)
    torch.manual_seed(2)
    assert torch.equal(encoded(None), first)
    assert torch.equal(encoded(0), draw)
    assert torch.equal(trained(0), step)
    drawn_by = model.config.tokens in ("gaussian", "categorical")
    assert torch.equal(encoded(1), draw) != drawn_by
    assert torch.equal(trained(1), step) != (drawn_by or model.config.ordering in ("td", "itd"))


def test_a_saved_state_codes_and_decodes_as_the_model_did(model: Autoencoder) -> None:
    torch.manual_seed(1)
    other = Autoencoder(AutoencoderConfig.from_json(model.config.to_json())).eval()
    code = model.encode(images())
    assert not torch.equal(other.encode(images()).values, code.values)
    other.load_state_dict(model.state_dict())
    again = other.encode(images())
    assert torch.equal(again.values, code.values)
    for name, value in fields(code.posterior).items():
        assert torch.equal(fields(again.posterior)[name], value), name
    assert torch.equal(other.decode(again[:7]), model.decode(code[:7]))


def test_masked_tokens_are_in_the_state_of_table_1(model: Autoencoder, features: Tensor) -> None:
    mask = torch.rand(BATCH, COUNT, generator=Generator().manual_seed(0)) < 0.5
    posterior = model.ordering.encode(features).posterior
    masked = posterior.masked(mask)
    if isinstance(masked, GaussianPosterior):
        assert masked.mean[mask].abs().max() == 0.0
        assert masked.log_variance[mask].abs().max() == 0.0
    expected = 1 / CHANNELS if model.config.tokens == "categorical" else 0.0
    assert masked.values()[mask].unique().tolist() == pytest.approx([expected])
    if isinstance(masked, IndexedPosterior):
        assert masked.index[mask].abs().max() == 0
    assert torch.equal(masked.values()[~mask], posterior.values()[~mask])
    for name, value in fields(masked).items():
        assert torch.equal(value[~mask], fields(posterior)[name][~mask]), name


def test_masked_tokens_carry_no_information_and_cost_nothing(model: Autoencoder, features: Tensor) -> None:
    for place, tokens in bottlenecks(model):
        posterior = tokens(features[:, place])
        mask = torch.zeros(BATCH, place.stop - place.start, dtype=torch.bool)
        mask[:, ::2] = True
        masked = posterior.masked(mask)
        assert masked.usage()[::2].abs().max().item() == pytest.approx(0.0, abs=1e-6)
        torch.testing.assert_close(masked.usage()[1::2], posterior.usage()[1::2])
        assert tokens.regulariser(masked.masked(~mask)).item() == pytest.approx(0.0, abs=1e-6)
        if mask.shape[1] > 1:
            rest = tokens.regulariser(type(masked)(*(field[:, 1::2] for field in fields(masked).values())))
            share = mask.shape[1] // 2 / mask.shape[1]
            assert tokens.regulariser(masked).item() == pytest.approx(share * rest.item(), rel=1e-4, abs=1e-7)


def test_nothing_after_a_prefix_changes_what_heads_read_or_show(model: Autoencoder) -> None:
    code = model.encode(images())
    for budget in {*BUDGETS, code.prefixes[len(code.prefixes) // 3]}:
        altered = code.values.clone()
        altered[:, budget:] = 100.0 * torch.randn(altered[:, budget:].shape, generator=Generator().manual_seed(budget))
        other = type(code)(altered, code.posterior, code.prefixes)
        for state, same in zip(
            model.ordering.states(code[:budget]), model.ordering.states(other[:budget]), strict=True
        ):
            assert torch.equal(state, same)
        assert torch.equal(model.decode(code[:budget]), model.decode(other[:budget]))
        if budget < COUNT:
            assert not torch.equal(model.decode(code), model.decode(other))


def test_a_prefix_equals_the_same_budget_of_the_stacked_pass(model: Autoencoder) -> None:
    code = model.encode(images())
    stacked = [part for state in model.ordering.budget_states(code) for part in state.split(BATCH)]
    shown = model.decode_budgets(code)
    assert len(stacked) == len(shown) == len(BUDGETS)
    for number, budget in enumerate(BUDGETS):
        torch.testing.assert_close(model.ordering.states(code[:budget])[-1], stacked[number], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(model.decode(code[:budget]), shown[number], atol=1e-5, rtol=1e-4)


def test_batched_heads_equal_a_loop_over_tokens(model: Autoencoder, features: Tensor) -> None:
    for place, tokens in bottlenecks(model):
        together = tokens(features[:, place])
        for token in range(place.stop - place.start):
            alone = head(tokens, token)(features[:, place][:, token : token + 1])
            assert_same(alone, type(together)(*(field[:, token : token + 1] for field in fields(together).values())))


def head(tokens: Tokens, token: int) -> Tokens:
    """The bottleneck of one token: where each token has a head of its own, a copy that has this one alone."""
    alone = copy.deepcopy(tokens)
    for module in alone.modules():
        for name, parameter in module.named_parameters(recurse=False):
            if len(parameter) == COUNT:
                setattr(module, name, nn.Parameter(parameter[token : token + 1]))
        for name, buffer in module.named_buffers(recurse=False):
            if buffer.ndim and len(buffer) == COUNT:
                setattr(module, name, buffer[token : token + 1])
    return alone


def test_posteriors_come_apart_and_together_again(model: Autoencoder, features: Tensor) -> None:
    posterior, images = model.ordering.encode(features).posterior, torch.arange(BATCH)
    kind = type(posterior)
    assert_same(kind.stack([posterior.select(images[:5]), posterior.select(images[5:])]), posterior)
    parts = [kind(*(field[:, place] for field in fields(posterior).values())) for place in model.ordering.levels.slices]
    joined = kind.join(parts)
    assert_same(joined, posterior)
    for name in ("usage", "bias", "used"):
        expected = torch.cat([getattr(part, name)() for part in parts])
        torch.testing.assert_close(getattr(posterior, name)(), expected)
    for level, budget in enumerate(BUDGETS):
        assert_same(posterior.prefix(budget), kind.join(parts[: level + 1]))
    assert_same(posterior.prefix(7).select(images[3:6]), posterior.select(images[3:6]).prefix(7))


def test_a_code_is_selected_and_cut_as_its_parts_are(model: Autoencoder, features: Tensor) -> None:
    code, chosen = model.ordering.encode(features), torch.tensor([4, 0, 4])
    part = code.select(chosen)[:7]
    assert torch.equal(part.values, code.values[chosen, :7])
    assert torch.equal(part.values, part.posterior.values())
    assert_same(part.posterior, code[:7].select(chosen).posterior)
    torch.testing.assert_close(code[:7].information, code.information[:7])


def test_usage_is_the_mean_of_what_the_images_contribute(model: Autoencoder, features: Tensor) -> None:
    posterior = model.ordering.encode(features).posterior
    torch.testing.assert_close(posterior.usage(), posterior.pointwise().mean(dim=0).clamp_min(0.0))
    order = torch.randperm(BATCH, generator=Generator().manual_seed(0))
    torch.testing.assert_close(posterior.select(order).pointwise(), posterior.pointwise()[order])
    twice = torch.arange(BATCH).repeat(2)
    torch.testing.assert_close(posterior.select(twice).usage(), posterior.usage(), atol=1e-6, rtol=1e-5)


def test_autocast_does_not_round_costs_and_information(model: Autoencoder, features: Tensor) -> None:
    for place, tokens in bottlenecks(model):
        posterior = tokens(features[:, place])
        cost, usage = tokens.regulariser(posterior), posterior.usage()
        with torch.autocast("cpu", torch.bfloat16):
            assert torch.equal(tokens.regulariser(posterior), cost)
            assert torch.equal(posterior.usage(), usage)
            assert tokens(features[:, place]).usage().dtype == torch.float32
            assert tokens.regulariser(tokens(features[:, place])).dtype == torch.float32
