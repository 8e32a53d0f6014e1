"""Information of all 127 tokens over 2,000 encoded images, and against NumPy going token by token.

From the codes to every token's value and standard error over 400 objects and the sums of all seven budgets. The peer
gives values and standard errors over images of single tokens only: `numpy.unique` counts for an index, eq. 8 for
probabilities, the closed form for Gaussian tokens.
"""

from collections.abc import Iterator

import numpy as np
import torch
from timing import Goal, Row, compare
from torch import Generator

from prior_lab.effective_information import Information
from prior_lab.levels import Levels
from prior_lab.tokens import CategoricalPosterior, GaussianPosterior, IndexedPosterior, Posterior

IMAGES, TOKENS, CHANNELS, CODES = 2000, 127, 32, 255
LIMIT = 0.3  # seconds: what a linked plot can wait for
KINDS = ("gaussian", "categorical", "ema-vq")


def information(device: torch.device) -> Iterator[Row]:
    """Every kind of token, from cached codes on the CPU, where explorers keep them."""
    objects, budgets = torch.arange(IMAGES) // 5, Levels().budgets
    for kind in KINDS:
        posterior = _codes(kind)

        def ours(posterior: Posterior = posterior) -> None:
            measured = Information(posterior, objects)
            measured.tokens()
            for budget in budgets:
                measured.total(range(budget))

        def theirs(posterior: Posterior = posterior) -> np.ndarray:
            return _token_by_token(posterior)

        table = Information(posterior).tokens("nat")
        same = np.allclose([table.information, table.standard_error], theirs(), rtol=1e-4)
        times = compare(ours, theirs)
        yield Row(
            name=f"information, {TOKENS} {kind} tokens, {IMAGES} images",
            against="NumPy, token by token",
            **vars(times),
            goal=Goal(f"at most {LIMIT} s", times.seconds <= LIMIT),
            failures=() if same else ("values or standard errors are not NumPy's",),
        )


def _codes(kind: str) -> Posterior:
    generator = Generator().manual_seed(0)
    numbers = torch.randn(IMAGES, TOKENS, CHANNELS, generator=generator)
    match kind:
        case "gaussian":
            return GaussianPosterior(numbers, torch.randn(numbers.shape, generator=generator) - 4)
        case "categorical":
            return CategoricalPosterior((3 * numbers).softmax(dim=-1), torch.zeros(IMAGES, TOKENS, dtype=torch.bool))
        case _:
            index = torch.randint(0, CODES + 1, (IMAGES, TOKENS), generator=generator)
            return IndexedPosterior(numbers, index, numbers[..., 0], torch.full_like(index, CODES + 1))


def _token_by_token(posterior: Posterior) -> np.ndarray:
    """Value and standard error of every token [nat]."""
    told = []
    for token in range(TOKENS):
        match posterior:
            case GaussianPosterior():
                mean, log_variance = posterior.mean[:, token].numpy(), posterior.log_variance[:, token].numpy()
                rows = 0.5 * (mean**2 + np.exp(log_variance) - 1 - log_variance).sum(axis=1)
            case CategoricalPosterior():
                q = posterior.probabilities[:, token].numpy()
                rows = (q * (np.log(q) - np.log(q.mean(axis=0)))).sum(axis=1)
            case IndexedPosterior():
                _, place, counts = np.unique(posterior.index[:, token], return_inverse=True, return_counts=True)
                rows = -np.log(counts / IMAGES)[place]
        told.append((rows.mean(), rows.std(ddof=1) / np.sqrt(IMAGES)))
    return np.array(told).T
