"""Orderings: features in, ordered code out, and back to the states that heads read (eq. 1 to 6).

`TailDrop` (MBOP-TD) and `IndependentTailDrop` (MBOP-ITD) put pressure on the order by masking late tokens in training;
`Prior` predicts each level from the one above and encodes the residual. Three more are not in the paper. Two show what
the ingredients of PRIOR add: `Matryoshka` supervises every prefix without masking and without prediction, and
`PriorWithoutPrediction` has residual levels over plain upsampling. `Unordered` shows what order costs.

A new ordering is one class (a subclass of `Masking` that draws another mask, of `Flat` or `Residual` for another way to
train their codes, or of `Ordering`) and its name in `OrderingName`, `LABELS` and `make_ordering`.
"""

from typing import Literal

from prior_lab.levels import Levels
from prior_lab.orderings.base import Ordering
from prior_lab.orderings.code import Code, Draws, TrainingCode
from prior_lab.orderings.flat import Flat, IndependentTailDrop, Masking, Matryoshka, TailDrop, Unordered
from prior_lab.orderings.residual import PredictionAverage, Prior, PriorWithoutPrediction, Residual
from prior_lab.tokens import TokenName, Tokens, make_tokens

__all__ = [
    "LABELS",
    "Code",
    "Draws",
    "Flat",
    "IndependentTailDrop",
    "Masking",
    "Matryoshka",
    "Ordering",
    "OrderingName",
    "PredictionAverage",
    "Prior",
    "PriorWithoutPrediction",
    "Residual",
    "TailDrop",
    "TrainingCode",
    "Unordered",
    "make_ordering",
]

OrderingName = Literal["prior", "itd", "td", "matryoshka", "prior-without-prediction", "unordered"]
LABELS = {
    "prior": "PRIOR",
    "itd": "MBOP-ITD",
    "td": "MBOP-TD",
    "matryoshka": "Matryoshka",
    "prior-without-prediction": "PRIOR without prediction",
    "unordered": "Unordered",
}


def make_ordering(
    name: OrderingName,
    levels: Levels,
    *,
    tokens: TokenName,
    channels: int,
    predictor_depth: int,
    prediction_average: PredictionAverage,
    free_nats: float,
    log_variance_gain: float,
    batch_entropy: float,
) -> Ordering:
    """An untrained ordering: masking orderings have parameters for every token, residual ones for every level."""

    def bottleneck(count: int, *, shared: bool) -> Tokens:
        options = {"free_nats": free_nats, "log_variance_gain": log_variance_gain, "batch_entropy": batch_entropy}
        return make_tokens(tokens, channels, tokens=count, shared=shared, **options)

    def every_level() -> list[Tokens]:
        return [bottleneck(size, shared=True) for size in levels.sizes]

    match name:
        case "prior":
            return Prior(levels, channels, every_level(), depth=predictor_depth, average=prediction_average)
        case "prior-without-prediction":
            return PriorWithoutPrediction(levels, channels, every_level())
        case "itd":
            return IndependentTailDrop(levels, channels, bottleneck(levels.tokens, shared=False))
        case "td":
            return TailDrop(levels, channels, bottleneck(levels.tokens, shared=False))
        case "matryoshka":
            return Matryoshka(levels, channels, bottleneck(levels.tokens, shared=False))
        case "unordered":
            return Unordered(levels, channels, bottleneck(levels.tokens, shared=False))
