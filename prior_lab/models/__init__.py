"""Models built from one frozen config, a file for each task: encoder, ordering and heads.

The `Autoencoder` reconstructs, the `ContrastiveModel` distinguishes objects. Both give a `Code`.
"""

from prior_lab.models.autoencoder import Autoencoder, AutoencoderConfig
from prior_lab.models.base import ModelConfig, OrderedModel, Tap
from prior_lab.models.contrastive import ContrastiveConfig, ContrastiveModel

__all__ = [
    "Autoencoder",
    "AutoencoderConfig",
    "ContrastiveConfig",
    "ContrastiveModel",
    "ModelConfig",
    "OrderedModel",
    "Tap",
]
