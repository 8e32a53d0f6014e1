"""What training minimises: reconstruction, weighted over heads, with the regulariser and the refinement loss.

    J = sum_h w_h mean |x - x^_h|  +  rate_weight * R_tokens  +  prediction_weight * R_pred

The w_h are eq. 6 for PRIOR and 1 for a masking ordering's single head, R_tokens is the token regulariser of table 1 and
R_pred is eq. 5. The paper states neither weight. That of eq. 5 decides whether PRIOR wins: R_pred is about 1 where the
reconstruction error is about 0.05, and its gradient reaches the coarse tokens through y^_{l-1}, so at weight 1 the
coarse levels are trained to be predictable instead of useful; 0.02 keeps the two in balance.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from prior_lab.orderings import TrainingCode


@dataclass(frozen=True, eq=False)
class Loss:
    """The terms of a training step; `total` is what is minimised.

    Attributes
    ----------
    reconstruction : weighted mean absolute error [intensity in 0..1].
    rate : token regulariser, unweighted; for Gaussian tokens nats per token above the free ones.
    prediction : refinement loss of eq. 5, unweighted [squared feature units].
    """

    total: Float[Tensor, ""]
    reconstruction: Float[Tensor, ""]
    rate: Float[Tensor, ""]
    prediction: Float[Tensor, ""]


def autoencoding_loss(
    images: Float[Tensor, "batch 3 height width"],
    reconstructions: Sequence[Float[Tensor, "_ 3 height width"]],
    code: TrainingCode,
    *,
    rate_weight: float,
    prediction_weight: float,
) -> Loss:
    """The loss of one step; see the module's text.

    Parameters
    ----------
    reconstructions : the images of every head, unclamped, in the order of `code.weights`; where a head read several
        states of each image, they are stacked along the batch.
    rate_weight : weight of the token regulariser (warmed up by the trainer).
    prediction_weight : weight of eq. 5.
    """
    stacked = [image.float().unflatten(0, (-1, len(images))) for image in reconstructions]
    errors = torch.stack([(image - images).abs().mean() for image in stacked])
    reconstruction = (errors * code.weights).sum()
    total = reconstruction + rate_weight * code.regulariser + prediction_weight * code.prediction_error
    return Loss(total, reconstruction, code.regulariser, code.prediction_error)
