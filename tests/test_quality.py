"""Metrics against their definitions, and streamed over budgets."""

import numpy as np
import pytest
import torch

from prior_lab.errors import InputError
from prior_lab.models import Autoencoder, AutoencoderConfig
from prior_lab.quality import MS_SSIM_SIDE, quality, quality_by_budget


@pytest.fixture
def images(generator):
    return torch.rand(5, 3, 32, 32, generator=generator)


def test_errors_are_those_of_their_definitions(images):
    measured = quality(images, (images * 0.5 + 0.25))
    error = (images * 0.5 - 0.25).numpy().reshape(5, -1)
    np.testing.assert_allclose(measured.sel(metric="L1"), np.abs(error).mean(1), rtol=1e-5)
    np.testing.assert_allclose(measured.sel(metric="L2"), (error**2).mean(1), rtol=1e-5)
    np.testing.assert_allclose(measured.sel(metric="PSNR"), -10 * np.log10((error**2).mean(1)), rtol=1e-5)


def test_a_constant_shift_has_the_ssim_of_its_luminance_term():
    """Two flat images have no contrast, so that SSIM is (2ab + c) / (a^2 + b^2 + c) with c = 0.01^2.

    In single precision their variances cancel to about 1e-7, which the contrast term sees against (0.03^2).
    """
    a, b = torch.full((1, 3, 16, 16), 0.4), torch.full((1, 3, 16, 16), 0.6)
    expected = (2 * 0.4 * 0.6 + 1e-4) / (0.4**2 + 0.6**2 + 1e-4)
    assert quality(a, b).sel(metric="SSIM").item() == pytest.approx(expected, abs=5e-4)


def test_identical_images_are_perfect_and_finite(images):
    measured = quality(images, images)
    assert (measured.sel(metric=["L1", "L2"]) == 0).all()
    assert (measured.sel(metric="PSNR") == 100).all()
    np.testing.assert_allclose(measured.sel(metric="SSIM"), 1, atol=1e-6)
    assert measured.unit.sel(metric="PSNR") == "dB"


def test_bytes_and_floats_measure_alike(generator):
    pixels = torch.randint(0, 256, (2, 2, 3, 16, 16), dtype=torch.uint8, generator=generator)
    np.testing.assert_allclose(quality(*pixels), quality(*(pixels.float() / 255)), rtol=1e-6)


def test_ms_ssim_is_there_from_the_side_that_it_needs(generator):
    large = torch.rand(2, 3, MS_SSIM_SIDE, MS_SSIM_SIDE, generator=generator)
    noisy = (large + 0.1 * torch.rand(large.shape, generator=generator)).clamp(0, 1)
    assert quality(large, noisy).metric.values.tolist() == ["L1", "L2", "PSNR", "SSIM", "MS-SSIM"]
    smaller = quality(large[..., 1:], noisy[..., 1:])
    assert smaller.metric.values.tolist() == ["L1", "L2", "PSNR", "SSIM"]


def test_budgets_are_streamed_and_agree_with_decoding_one_budget(generator):
    config = AutoencoderConfig(levels=3, image_size=32, width=32, encoder_depth=1, decoder_width=32, decoder_depth=1)
    torch.manual_seed(0)
    model = Autoencoder(config).eval()
    images = torch.randint(0, 256, (5, 3, 32, 32), dtype=torch.uint8, generator=generator)
    measured = quality_by_budget(model, images, batch_size=2)
    assert measured.sizes == {"metric": 4, "budget": 3, "image": 5}
    assert measured.budget.values.tolist() == [1, 3, 7]
    with torch.no_grad():
        alone = quality(images, model.decode(model.encode(images)[:3]))
    np.testing.assert_allclose(measured.sel(budget=3), alone, rtol=2e-3, atol=1e-5)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (torch.zeros(1, 1, 32, 32), r"\[image, 3, height, width\]; got \(1, 1, 32, 32\)"),
        (torch.zeros(3, 32, 32), r"got \(3, 32, 32\)"),
        (np.zeros((1, 3, 32, 32)), "is a ndarray"),
        (torch.full((1, 3, 32, 32), 255.0), r"must lie in \[0, 1\]; these run from 255 to 255"),
        (torch.full((1, 3, 32, 32), float("nan")), r"must lie in \[0, 1\]"),
        (torch.zeros(1, 3, 32, 32, dtype=torch.int64), "uint8, or float"),
        (torch.zeros(1, 3, 8, 8), "SSIM needs 11 or more"),
        (torch.zeros(1, 3, 48, 48), "they must be alike|the images"),
    ],
)
@pytest.mark.usefixtures("no_shape_checks")
def test_wrong_images_are_told_in_a_sentence(wrong, sentence):
    with pytest.raises(InputError, match=sentence):
        quality(torch.zeros(1, 3, 32, 32), wrong)
