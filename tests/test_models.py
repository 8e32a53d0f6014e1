"""The autoencoder: the budget invariant end to end, sizes, and what it says to wrong input."""

import copy
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from prior_lab.errors import InputError
from prior_lab.models import Autoencoder, AutoencoderConfig
from prior_lab.orderings import OrderingName
from prior_lab.zoo import load_autoencoder, save_model

ORDERINGS: tuple[OrderingName, ...] = ("prior", "itd", "td")


def tiny(ordering: OrderingName) -> Autoencoder:
    torch.manual_seed(0)
    config = AutoencoderConfig(
        ordering=ordering, levels=4, image_size=32, patch=8, width=32, channels=32,
        encoder_depth=1, decoder_width=32, decoder_depth=1, predictor_depth=1,
    )  # fmt: skip
    return Autoencoder(config).eval()


@pytest.fixture(params=ORDERINGS)
def model(request: pytest.FixtureRequest) -> Autoencoder:
    return tiny(request.param)


@pytest.fixture
def images() -> torch.Tensor:
    return torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_decoding_needs_the_code_only(model: Autoencoder, images: torch.Tensor) -> None:
    code = model.encode(images)
    before = model.decode(code[:7])
    for parameter in model.encoder.parameters():
        torch.nn.init.constant_(parameter, float("nan"))
    with pytest.raises(InputError, match=r"This code was made by .*, and this model is .*weights"):
        model.decode(code[:7])
    assert torch.equal(model.decode(replace(code[:7], made_by=None)), before)


def test_a_model_is_known_by_its_weights(model: Autoencoder, images: torch.Tensor, tmp_path: Path) -> None:
    save_model(model, tmp_path / "model.safetensors", config="{}", command="")
    loaded = load_autoencoder(tmp_path / "model.safetensors")
    assert loaded.fingerprint == model.fingerprint == copy.deepcopy(model).fingerprint
    assert loaded.decode(model.encode(images)).shape == images.shape
    before = model.fingerprint
    with torch.no_grad():
        next(model.parameters()).add_(1.0)
    assert model.fingerprint != before


def test_one_image_is_coded_as_it_is_in_a_batch(model: Autoencoder, images: torch.Tensor) -> None:
    together, alone = model.encode(images), model.encode(images[2:3])
    torch.testing.assert_close(alone.values[0], together.values[2], atol=1e-5, rtol=1e-4)


def test_float_and_byte_images_are_the_same_images(model: Autoencoder, images: torch.Tensor) -> None:
    assert torch.equal(model.encode(images).values, model.encode(images.float() / 255).values)


def test_features_are_the_tokens_or_the_state_that_the_head_reads(images: torch.Tensor) -> None:
    prior, masking = tiny("prior"), tiny("td")
    for model in (prior, masking):
        code = model.encode(images)
        assert torch.equal(model.features(code[:7]), code.values[:, :7].flatten(1))
    assert prior.features(prior.encode(images)[:7], "level").shape == (4, 4 * 32)
    masked = masking.features(masking.encode(images)[:7], "level").view(4, 15, 32)
    assert torch.equal(masked[:, 7:], torch.zeros(4, 8, 32))


@pytest.mark.parametrize(("ordering", "printed"), [("prior", 11.761e6), ("itd", 11.479e6), ("td", 11.479e6)])
def test_the_paper_preset_has_the_papers_size_at_full_budget(ordering: OrderingName, printed: float) -> None:
    with torch.device("meta"):
        model = Autoencoder(AutoencoderConfig.preset("paper", ordering=ordering))
    assert model.full_budget_parameters() == pytest.approx(printed, rel=0.005)


@pytest.mark.parametrize("ordering", ORDERINGS)
def test_the_laptop_preset_has_one_to_about_two_million_parameters(ordering: OrderingName) -> None:
    model = Autoencoder(AutoencoderConfig.preset("laptop", ordering=ordering))
    assert model.budgets == (1, 3, 7, 15, 31, 63, 127)
    assert 1e6 <= model.full_budget_parameters() <= sum(p.numel() for p in model.parameters()) <= 2.2e6


def test_coarse_levels_have_decoders_on_the_grid_that_is_asked_for(images: torch.Tensor) -> None:
    """32 pixels in patches of 8 are 4 x 4 places: from 2 x 2 on for the first levels, or everywhere."""
    config = tiny("prior").config
    for side, counts in ((2, [3, 1]), (4, [4])):
        model = Autoencoder(replace(config, coarsest_side=side)).eval()
        assert model.decoders.counts == counts
        assert model.decode(model.encode(images)[:1]).shape == images.shape


def test_a_config_from_before_the_grid_could_be_chosen_has_coarse_grids() -> None:
    written = json.loads(AutoencoderConfig().to_json())
    del written["coarsest_side"]
    former, now = AutoencoderConfig.from_json(json.dumps(written)), AutoencoderConfig()
    assert replace(former, coarsest_side=now.coarsest_side) == now
    assert [Autoencoder(config).decoders.counts for config in (former, now)] == [[5, 2], [7]]


def test_a_config_survives_json(model: Autoencoder) -> None:
    again = Autoencoder(AutoencoderConfig.from_json(model.config.to_json()))
    assert again.config == model.config
    again.load_state_dict(model.state_dict())


@pytest.mark.usefixtures("no_shape_checks")
def test_wrong_images_are_refused_in_one_sentence(model: Autoencoder, images: torch.Tensor) -> None:
    with pytest.raises(InputError, match=r"\[batch, 3, 32, 32\]; got \(1, 3, 48, 48\)"):
        model.encode(torch.zeros(1, 3, 48, 48))
    with pytest.raises(InputError, match=r"got \(4, 1, 32, 32\)"):
        model.encode(images[:, :1])
    with pytest.raises(InputError, match=r"uint8, or float in \[0, 1\]; got torch.int64"):
        model.encode(images.long())
    with pytest.raises(InputError, match=r"must lie in \[0, 1\]; these run from 0 to 255"):
        model.encode(images.float())
    with pytest.raises(InputError, match="tensor"):
        model.encode(images.numpy())  # type: ignore[arg-type]


def test_a_budget_of_20_is_refused_by_prior_alone(images: torch.Tensor) -> None:
    with pytest.raises(InputError, match=r"20 tokens .* choose one of 1, 3, 7, 15"):
        tiny("prior").encode(images)[:20]
    assert tiny("td").decode(tiny("td").encode(images)[:10]).shape == (4, 3, 32, 32)


@pytest.mark.usefixtures("no_shape_checks")
def test_an_impossible_config_is_refused_in_one_sentence() -> None:
    with pytest.raises(InputError, match="Unknown ordering 'random'; choose one of prior, itd, td"):
        AutoencoderConfig(ordering="random")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="image_size 48 with patch 8: both must be powers of two"):
        AutoencoderConfig(image_size=48)
    with pytest.raises(InputError, match="width is 50; it must be a positive multiple of 32"):
        AutoencoderConfig(width=50)
    with pytest.raises(InputError, match="Unknown preset 'huge'; choose laptop or paper"):
        AutoencoderConfig.preset("huge")
    with pytest.raises(InputError, match="may have no other fields than"):
        AutoencoderConfig.from_json('{"colour": "red"}')
    with pytest.raises(InputError, match="not JSON"):
        AutoencoderConfig.from_json("{")
