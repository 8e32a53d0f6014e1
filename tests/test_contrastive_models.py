from dataclasses import replace
from typing import get_args

import pytest
import tiny
import torch
from torch import Generator, Tensor

from prior_lab.errors import InputError
from prior_lab.models import ContrastiveConfig, ContrastiveModel
from prior_lab.orderings import OrderingName
from prior_lab.tokens import TokenName

ARMS = [(ordering, kind) for ordering in get_args(OrderingName) for kind in get_args(TokenName)]


@pytest.fixture
def images(generator: Generator) -> Tensor:
    return torch.rand(6, 3, 32, 32, generator=generator)


@pytest.fixture
def prompts(generator: Generator) -> Tensor:
    return torch.tensor([16.0, 15.0, 7.0, 4.0, 0.3]) + torch.rand(6, 5, generator=generator)


@pytest.mark.parametrize(("ordering", "tokens"), ARMS)
def test_every_arm_projects_each_budget_and_trains_every_parameter(
    ordering: OrderingName, tokens: TokenName, images: Tensor, prompts: Tensor, generator: Generator
) -> None:
    model = tiny.contrastive_model(ordering, tokens)
    projections, code = model(model.encoder.look(images, prompts, generator), model.ordering.draw(6, generator))
    assert len(projections) == len(code.weights)
    loss = sum(weight * head.square().sum() for weight, head in zip(code.weights, projections, strict=True))
    (loss + code.regulariser + code.prediction_error).backward()
    idle = [name for name, parameter in model.named_parameters() if parameter.grad is None]
    assert idle == []
    code = model.eval().encode(images, prompts)
    projected = model.project(code)
    assert projected.shape == (3, 6, 32)
    assert model.project(code[:3]).shape == (2, 6, 32)
    torch.testing.assert_close(model.project(code[:3]), projected[:2])


@pytest.mark.parametrize("ordering", ["prior", "itd"])
def test_a_code_depends_on_its_own_image_only_and_is_the_same_every_time(
    ordering: OrderingName, images: Tensor, prompts: Tensor
) -> None:
    model = tiny.contrastive_model(ordering).eval()
    together = model.encode(images, prompts).values
    torch.testing.assert_close(model.encode(images[2:3], prompts[2:3]).values, together[2:3], atol=1e-5, rtol=1e-5)
    assert torch.equal(model.encode(images, prompts).values, together)


@pytest.mark.parametrize(("ordering", "tap"), [("prior", "levels"), ("prior", "tokens"), ("td", "levels")])
def test_features_of_a_shorter_prefix_are_the_first_of_a_longer_one(
    ordering: OrderingName, tap: str, images: Tensor, prompts: Tensor
) -> None:
    model = tiny.contrastive_model(ordering).eval()
    code = model.encode(images, prompts)
    full = model.features(code, tap)  # type: ignore[arg-type]
    for budget in model.budgets:
        torch.testing.assert_close(model.features(code[:budget], tap), full[:, : 32 * budget])  # type: ignore[arg-type]


def test_an_embedding_that_is_told_sees_where_its_patch_lies(images: Tensor, prompts: Tensor) -> None:
    """One patch moves in the object's frame, its pixels stay: of the embedded patches that one alone changes."""
    config = replace(tiny.contrastive_model().config, places="embedding", encoder_depth=1)
    for encoder, told in ((ContrastiveModel(config).encoder, True), (tiny.contrastive_model().encoder, False)):
        patches = encoder.look(images, prompts)
        seen: list[Tensor] = []
        encoder.layers[0].register_forward_pre_hook(lambda _, given, seen=seen: seen.append(given[0]))
        encoder(patches)
        patches.offsets[4, 7] += 1.0
        encoder(patches)
        changed = (seen[0] != seen[1]).any(dim=-1)
        assert changed.nonzero().tolist() == ([[4, 7]] if told else [])


def test_a_told_embedding_trains_every_parameter_and_survives_its_json(
    images: Tensor, prompts: Tensor, generator: Generator
) -> None:
    config = replace(tiny.contrastive_model().config, places="embedding")
    assert ContrastiveConfig.from_json(config.to_json()) == config
    model = ContrastiveModel(config)
    projections, _ = model(model.encoder.look(images, prompts, generator), model.ordering.draw(6, generator))
    projections[0].square().sum().backward()
    assert all(parameter.grad is not None for parameter in model.encoder.parameters())


def test_levels_are_what_priors_heads_read(images: Tensor, prompts: Tensor) -> None:
    model = tiny.contrastive_model("prior").eval()
    code = model.encode(images, prompts)
    outputs = model.features(code, "levels").unflatten(1, (7, 32))
    states = model.ordering.states(code)
    torch.testing.assert_close(outputs[:, 3:], states[2])
    torch.testing.assert_close(model.ordering.budget_summaries(code)[1], outputs[:, 1:3].mean(dim=1))


def test_the_summary_in_training_is_the_mean_of_the_tokens_that_were_kept(
    images: Tensor, prompts: Tensor, monkeypatch: pytest.MonkeyPatch, generator: Generator
) -> None:
    model = tiny.contrastive_model("td")
    mask = torch.arange(7) >= torch.tensor([[1], [2], [3], [7], [4], [5]])
    monkeypatch.setattr(model.ordering, "mask", lambda batch, generator: mask)
    code = model(model.encoder.look(images, prompts, generator), model.ordering.draw(6, generator))[1]
    kept = [state[~row].mean(dim=0) for state, row in zip(code.states[0], mask, strict=True)]
    torch.testing.assert_close(code.summaries[0], torch.stack(kept))


def test_without_prompts_the_model_looks_at_the_middle(images: Tensor) -> None:
    model = tiny.contrastive_model().eval()
    middle = torch.tensor([16.0, 16.0, 8.0, 8.0, 0.0]).expand(6, -1)
    torch.testing.assert_close(model.encode(images).values, model.encode(images, middle).values)


def test_images_of_any_size_are_read_at_their_own_resolution(generator: Generator) -> None:
    model = tiny.contrastive_model().eval()
    assert len(model.encode(torch.rand(2, 3, 48, 80, generator=generator))) == 7


def test_the_config_survives_its_json() -> None:
    config = ContrastiveConfig(ordering="td", tokens="ema-vq", sides=(1, 2, 16))
    assert ContrastiveConfig.from_json(config.to_json()) == config


def test_wrong_images_and_prompts_are_named(images: Tensor, prompts: Tensor, no_shape_checks: None) -> None:
    model = tiny.contrastive_model()
    with pytest.raises(InputError, match=r"\[batch, 3, height, width\] of 8 pixels or more a side; got \(6, 3, 32\)"):
        model.encode(images[..., 0])
    with pytest.raises(InputError, match=r"got \(6, 3, 4, 32\)"):
        model.encode(images[:, :, :4])
    with pytest.raises(InputError, match="Images must be uint8, or float"):
        model.encode((images * 255).int())
    with pytest.raises(InputError, match=r"here \[6, 5\]; got \(5, 5\)"):
        model.encode(images, prompts[:5])
    with pytest.raises(InputError, match="standard deviations above 0"):
        model.encode(images, prompts * torch.tensor([1.0, 1, 0, 1, 1]))


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"sides": (8, 4)}, r"sides is \(8, 4\); patches need ascending powers of two"),
        ({"sides": (3,)}, r"sides is \(3,\)"),
        ({"patches": 0}, "patches is 0; it must be at least 1"),
        ({"density": 0.0}, "density is 0.0; it must be above 0"),
        ({"width": 40}, "width is 40; it must be a positive multiple of 32"),
        ({"ordering": "random"}, "Unknown ordering 'random'"),
    ],
)
def test_wrong_settings_are_named(settings: dict[str, object], sentence: str, no_shape_checks: None) -> None:
    with pytest.raises(InputError, match=sentence):
        ContrastiveConfig(**settings)  # type: ignore[arg-type]
