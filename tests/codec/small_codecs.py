"""Codecs of small untrained models, made in a moment: whole in everything but what they know of pictures."""

import functools

import pytest
import torch
from torch import Generator, Tensor
from torch.nn import functional

from prior_lab.codec import Codec
from prior_lab.codec import codec as made_of
from prior_lab.models import Autoencoder, AutoencoderConfig
from prior_lab.orderings import OrderingName
from prior_lab.tokens import TokenName

LEVELS, BUDGETS = 4, (1, 3, 7, 15)
FITTED, STEPS = 48, 3


def pictures(count: int, seed: int = 0) -> Tensor:
    """Soft patches of colour."""
    coarse = torch.rand(count, 3, 4, 4, generator=Generator().manual_seed(seed))
    soft = functional.interpolate(coarse, size=(32, 32), mode="bilinear")
    return (255 * soft).round().to(torch.uint8)


@functools.cache
def small_model(ordering: OrderingName = "prior", tokens: TokenName = "ema-vq") -> Autoencoder:
    """Its codebooks, if it has any, have seen pictures."""
    torch.manual_seed(0)
    config = AutoencoderConfig(
        ordering=ordering, tokens=tokens, levels=LEVELS, image_size=32, patch=8, width=32, channels=32,
        encoder_depth=1, decoder_width=32, decoder_depth=1, predictor_depth=1,
    )  # fmt: skip
    model = Autoencoder(config).train()
    with torch.no_grad():
        for seed in range(3):
            features = model.encoder(model.prepare(pictures(64, seed)))
            model.ordering.train_code(features, model.ordering.draw(64, Generator().manual_seed(seed)))
    return model.eval()


@functools.cache
def small_codec(ordering: OrderingName = "prior", tokens: TokenName = "ema-vq") -> Codec:
    """With foresight, where there is something to foresee."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(made_of, "STEPS", STEPS)
        return Codec.fitted(small_model(ordering, tokens), pictures(FITTED))
