"""What training minimises: the task's objective, weighted over heads, with the regulariser and the refinement loss.

    J = sum_h w_h J_h  +  rate_weight * R_tokens  +  prediction_weight * R_pred

J_h is the mean absolute error of a reconstruction, or NT-Xent (eq. 9) of what a head projects. The w_h are eq. 6 for
PRIOR and 1 for a masking ordering's single head, R_tokens is the token regulariser of table 1 and R_pred is eq. 5. The
paper states neither weight. That of eq. 5 decides whether PRIOR wins in reconstruction: R_pred is about 1 where the
reconstruction error is about 0.05, and its gradient reaches the coarse tokens through y^_{l-1}, so at weight 1 the
coarse levels are trained to be predictable instead of useful; 0.02 keeps the two in balance.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from prior_lab.orderings import TrainingCode
from prior_lab.processes import joined, process_rank


@dataclass(frozen=True, eq=False)
class Loss:
    """The terms of a training step; `total` is what is minimised.

    Attributes
    ----------
    objective : the task's, weighted over heads: mean absolute error [intensity in 0..1], or NT-Xent [nat].
    rate : token regulariser, unweighted; for Gaussian tokens nats per token above the free ones.
    prediction : refinement loss of eq. 5, unweighted [squared feature units].
    """

    total: Float[Tensor, ""]
    objective: Float[Tensor, ""]
    rate: Float[Tensor, ""]
    prediction: Float[Tensor, ""]


def total_loss(
    heads: Float[Tensor, "head"],
    code: TrainingCode,
    *,
    rate_weight: float | Float[Tensor, ""],
    prediction_weight: float,
) -> Loss:
    """The loss of one step; see the module's text.

    Parameters
    ----------
    heads : J_h of every head, in the order of `code.weights`.
    rate_weight : weight of the token regulariser (warmed up by the trainer).
    prediction_weight : weight of eq. 5.
    """
    objective = (heads * code.weights).sum()
    total = objective + rate_weight * code.regulariser + prediction_weight * code.prediction_error
    return Loss(total, objective, code.regulariser, code.prediction_error)


def absolute_errors(
    images: Float[Tensor, "batch 3 height width"], reconstructions: Sequence[Float[Tensor, "_ 3 height width"]]
) -> Float[Tensor, "head"]:
    """Mean absolute error of every head's reconstructions.

    Parameters
    ----------
    reconstructions : of every head, unclamped; where a head read several states of each image, stacked along the batch.
    """
    stacked = [image.float().unflatten(0, (-1, len(images))) for image in reconstructions]
    return torch.stack([(image - images).abs().mean() for image in stacked])


def nt_xent(
    projections: Float[Tensor, "*head view channel"], temperature: float, *, joint: bool = False
) -> Float[Tensor, "*head"]:
    """Normalised temperature-scaled cross entropy, eq. 9, of any number of heads in one batched product [nat].

    Parameters
    ----------
    projections : of 2B views; views 2i and 2i + 1 show the same object.
    temperature : tau.
    joint : where several processes train together, add the other ones' views to the denominator, with gradients; the
        mean of what the processes return is then the loss of the joint batch.

    Returns
    -------
    The mean over views.
    """
    views = functional.normalize(projections.float(), dim=-1)
    everyone = joined(views, dim=-2) if joint else views
    logits = views @ everyone.mT / temperature
    place = torch.arange(views.shape[-2], device=views.device)
    first = process_rank() * len(place) if joint else 0
    own = place + first
    logits = logits.masked_fill(own[:, None] == torch.arange(everyone.shape[-2], device=views.device), -torch.inf)
    partner = (place ^ 1) + first
    agreement = logits.gather(-1, partner[:, None].expand(*logits.shape[:-1], 1))[..., 0]
    return (logits.logsumexp(dim=-1) - agreement).mean(dim=-1)
