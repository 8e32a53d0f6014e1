"""The smallest runs and models that still have everything; what several tests train."""

from pathlib import Path

from prior_lab.models import AutoencoderConfig, ContrastiveConfig, ContrastiveModel
from prior_lab.orderings import OrderingName
from prior_lab.tasks import ContrastiveExperiment, ReconstructionExperiment
from prior_lab.tokens import TokenName


def reconstruction(
    pictures: Path, ordering: OrderingName = "prior", tokens: TokenName = "gaussian"
) -> ReconstructionExperiment:
    model = AutoencoderConfig(
        ordering=ordering, tokens=tokens, levels=3, image_size=32, patch=8, width=32, channels=32,
        encoder_depth=1, decoder_width=32, decoder_depth=1, predictor_depth=1,
    )  # fmt: skip
    return ReconstructionExperiment(
        model, data="folder", path=str(pictures), steps=8, batch_size=4, warmup_steps=2, precision="32-true",
        log_every=2, validate_every=4, validation_images=2,
    )  # fmt: skip


def contrastive_model(ordering: OrderingName = "prior", tokens: TokenName = "gaussian") -> ContrastiveModel:
    config = ContrastiveConfig(
        ordering=ordering, tokens=tokens, levels=3, image_size=32, width=32, channels=32, encoder_depth=1,
        predictor_depth=1, sides=(2, 4, 8), patches=12, registers=2,
    )  # fmt: skip
    return ContrastiveModel(config)


def contrastive(
    pictures: Path, ordering: OrderingName = "prior", tokens: TokenName = "gaussian"
) -> ContrastiveExperiment:
    return ContrastiveExperiment(
        contrastive_model(ordering, tokens).config, data="folder", path=str(pictures), steps=4, batch_size=4,
        warmup_steps=2, precision="32-true", log_every=2, validate_every=2,
    )  # fmt: skip
