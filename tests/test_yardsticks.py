"""What pictures are worth without a learnt code."""

import numpy as np
import pytest
import torch
from torch import Tensor

from prior_lab import yardsticks
from prior_lab.quality import quality
from prior_lab.yardsticks import measure_codecs, measure_yardsticks


@pytest.fixture(scope="module")
def pictures() -> Tensor:
    """Smooth pictures of three waves each: a hundred of them lie in a space of few dimensions."""
    generator = torch.Generator().manual_seed(0)
    place = torch.linspace(0, 3.14, 32)
    waves = torch.stack([torch.outer((a * place).cos(), (b * place).cos()) for a, b in ((0, 1), (1, 0), (1, 2))])
    parts = torch.rand(100, 3, 3, generator=generator) - 0.5
    return (127 + 80 * torch.einsum("ncw,wxy->ncxy", parts, waves)).round().to(torch.uint8)


def test_yardsticks_are_what_their_names_say(pictures: Tensor) -> None:
    told = measure_yardsticks(pictures[:80], pictures[80:], (1, 3, 7), 3)
    assert told.dims == ("yardstick", "metric", "budget", "image")
    mean = pictures[80:].float().mean(dim=(2, 3), keepdim=True).expand(-1, -1, 32, 32) / 255
    one = told.sel(yardstick="mean colour")
    np.testing.assert_allclose(one.sel(budget=1), quality(pictures[80:], mean), rtol=1e-3)
    assert np.ptp(one.values, axis=1).max() == 0  # more numbers do not help it
    errors = told.sel(metric="L1").mean("image")
    assert errors.sel(yardstick="PCA", budget=7) < 0.01 < errors.sel(yardstick="PCA", budget=1)  # nine directions
    assert (errors.sel(yardstick="fewer pixels").diff("budget") <= 0).all()


def test_more_numbers_than_directions_are_no_error(pictures: Tensor) -> None:
    told = measure_yardsticks(pictures[:5], pictures[80:], (1, 127), 32)
    assert np.isfinite(told.values).all()


def test_codecs_are_real_files(pictures: Tensor) -> None:
    told = measure_codecs(pictures[:8])
    assert {"WebP", "JPEG", "JPEG 2000"} <= set(told.codec.values)
    for name in told.codec.values:
        one = told.sel(codec=name)
        assert (one.codec_bits.diff("setting") >= 0).all()
        assert (one.codec_bits >= one.codec_header_bits).all()
        assert one.codec_quality.sel(metric="PSNR")[-1] > one.codec_quality.sel(metric="PSNR")[0]
        assert one.codec_quality.sel(metric="SSIM")[-1] > 0.9


def test_a_codec_that_is_not_installed_is_left_out(pictures: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pillow_jxl", None)
    monkeypatch.setattr(yardsticks, "CODECS", yardsticks.CODECS[-2:])
    assert measure_codecs(pictures[:2]).codec.values.tolist() == ["JPEG 2000"]
