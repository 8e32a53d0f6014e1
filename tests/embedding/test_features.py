"""Features of images: EfficientNet-Lite0 and modules of one's own."""

import importlib.util
from types import SimpleNamespace

import pytest
import torch
from torch import nn

import prior_lab as pl
from prior_lab.embedding import efficientnet, features
from prior_lab.errors import InputError

IMAGES = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
PLACES, TIMM = [512, 405, 403, 423], (6.0, 5.905934, 5.835212, 5.782968)
TIMM_MEAN = 0.353850
installed = pytest.mark.skipif(importlib.util.find_spec(efficientnet.PACKAGE) is None, reason="extra features")


@installed
def test_efficientnet_knows_what_it_knew_when_it_was_checked_against_timm() -> None:
    """Features of smooth images, as timm 1.0.31's tf_efficientnet_lite0 gives them with the same weights."""
    line = torch.linspace(0, 1, 64)
    image = torch.stack([line[None].expand(64, 64), line[:, None].expand(64, 64), torch.full((64, 64), 0.5)])[None]
    told = features("efficientnet-lite0", image, size=None)
    assert told.shape == (1, 1280)
    torch.testing.assert_close(told[0, PLACES], torch.tensor(TIMM), atol=1e-3, rtol=1e-3)
    assert told.mean().item() == pytest.approx(TIMM_MEAN, abs=1e-4)


@installed
def test_drawings_of_one_concept_are_alike() -> None:
    data = pl.load_dataset("emoji", split="validation").select(slice(0, 60))
    told = torch.nn.functional.normalize(features("efficientnet-lite0", data, size=96), dim=1)
    near = (told @ told.T).fill_diagonal_(-2).argmax(dim=1)
    assert (data.objects[near] == data.objects).float().mean() > 0.3  # by chance 0.08


def test_modules_of_ones_own_are_taken_as_they_are() -> None:
    pooled = nn.Sequential(nn.Conv2d(3, 5, 3), nn.Dropout(0.5), nn.AdaptiveAvgPool2d(1), nn.Flatten()).train()
    told = features(pooled, IMAGES, size=16, batch_size=2)
    assert told.shape == (3, 5)
    assert pooled.training
    torch.testing.assert_close(features(pooled, IMAGES, size=16), told)
    assert features(nn.Conv2d(3, 5, 8, 8), (255 * IMAGES).byte(), size=None).shape == (3, 16, 5)


def test_answers_of_transformers_are_their_last_hidden_states() -> None:
    class Model(nn.Module):
        def forward(self, images: torch.Tensor) -> SimpleNamespace:
            return SimpleNamespace(last_hidden_state=images.flatten(2).transpose(1, 2))

    assert features(Model(), IMAGES, size=8).shape == (3, 64, 3)


@pytest.mark.usefixtures("no_shape_checks")
@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: features("resnet", IMAGES), "There is no encoder 'resnet'"),
        (lambda: features(3, IMAGES), "encoder is 3"),
        (lambda: features(nn.Flatten(), IMAGES[:, :1]), r"images have the shape \(3, 1, 32, 32\)"),
        (lambda: features(nn.Flatten(), IMAGES * 3), "Float images must lie in"),
        (lambda: features(nn.Flatten(), IMAGES.int()), "images are torch.int32"),
        (lambda: features(nn.Flatten(0), IMAGES, size=None), "The encoder gives"),
        (lambda: features(nn.Flatten(), IMAGES, size=2), "size is 2"),
    ],
)
def test_wrong_input_is_answered_by_one_sentence(call: object, says: str) -> None:
    with pytest.raises(InputError, match=says) as refused:
        call()
    assert "\n" not in str(refused.value)


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(efficientnet, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'prior-lab\[features\]'"):
        features("efficientnet-lite0", IMAGES)
