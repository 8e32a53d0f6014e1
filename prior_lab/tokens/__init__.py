"""What a token is: its posterior, its masked state, its regulariser and its usage (table 1, eq. 8), for every kind.

A kind is one class pair in one file. A `Tokens` module turns features into a `Posterior`; the posterior is what a code
carries: it gives the transmitted values, the masked state and the usage b(u). To add a kind, write its file beside
these and name it below.
"""

from typing import Literal

from prior_lab.tokens.base import DiscretePosterior, DiscreteTokens, Posterior, Tokens
from prior_lab.tokens.categorical import CategoricalPosterior, CategoricalTokens
from prior_lab.tokens.ema_vq import EMAVQTokens
from prior_lab.tokens.fsq import FSQTokens
from prior_lab.tokens.gaussian import GaussianPosterior, GaussianTokens
from prior_lab.tokens.indexed import IndexedPosterior

__all__ = [
    "TOKEN_LABELS",
    "CategoricalPosterior",
    "CategoricalTokens",
    "DiscretePosterior",
    "DiscreteTokens",
    "EMAVQTokens",
    "FSQTokens",
    "GaussianPosterior",
    "GaussianTokens",
    "IndexedPosterior",
    "Posterior",
    "TokenName",
    "Tokens",
    "make_tokens",
]

TokenName = Literal["gaussian", "categorical", "ema-vq", "fsq"]
TOKEN_LABELS = {"gaussian": "Gaussian", "categorical": "Categorical", "ema-vq": "EMA-VQ", "fsq": "FSQ"}


def make_tokens(
    kind: TokenName,
    channels: int,
    *,
    tokens: int,
    shared: bool,
    free_nats: float = 0.0,
    log_variance_gain: float = 1.0,
    batch_entropy: float = 1.0,
) -> Tokens:
    """A bottleneck of a number of tokens, with separate parameters for each or shared ones.

    EMA codebooks have 255 codes per token, or 16 per token less the null state where tokens share one: with seven
    levels these are the counts of table 2.
    """
    heads = 1 if shared else tokens
    match kind:
        case "gaussian":
            return GaussianTokens(channels, heads=heads, free_nats=free_nats, log_variance_gain=log_variance_gain)
        case "categorical":
            return CategoricalTokens(channels, heads=heads, batch_entropy=batch_entropy)
        case "ema-vq":
            return EMAVQTokens(channels, heads=heads, codes=16 * tokens - 1 if shared else 255)
        case "fsq":
            return FSQTokens(channels, heads=heads)
