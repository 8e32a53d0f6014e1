"""Information of all 127 tokens over 2,000 encoded images, and against NumPy going token by token.

From the codes to every token's value and standard error over 400 objects and the sums of all seven budgets. The peer
gives values and standard errors over images of single tokens only: `numpy.unique` counts for an index, eq. 8 for
probabilities, the closed form for Gaussian tokens.
"""

import statistics
import time
from collections.abc import Callable

import numpy as np
import pytest
import torch
from bench_training_step import compare
from torch import Generator

from prior_lab.effective_information import Information
from prior_lab.levels import Levels
from prior_lab.tokens import CategoricalPosterior, GaussianPosterior, IndexedPosterior, Posterior, TokenName

IMAGES, TOKENS, CHANNELS, CODES = 2000, 127, 32, 255
LIMIT = 0.3  # seconds: what a linked plot can wait for


def codes(kind: TokenName) -> Posterior:
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


def token_by_token(posterior: Posterior) -> np.ndarray:
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


def median_seconds(run: Callable[[], object], rounds: int = 9) -> tuple[float, float]:
    """By the clock, and of all threads' processor time, after a round of warming up."""
    seconds = []
    for _ in range(rounds + 1):
        start, busy = time.perf_counter(), time.process_time()
        run()
        seconds.append((time.perf_counter() - start, time.process_time() - busy))
    clock, processor = zip(*seconds[1:], strict=True)
    return statistics.median(clock), statistics.median(processor)


@pytest.mark.parametrize("kind", ["gaussian", "categorical", "ema-vq"])
def test_information_of_all_tokens_from_cached_codes(kind: TokenName) -> None:
    posterior, objects, budgets = codes(kind), torch.arange(IMAGES) // 5, Levels().budgets

    def ours() -> None:
        measured = Information(posterior, objects)
        measured.tokens()
        for budget in budgets:
            measured.total(range(budget))

    table = Information(posterior).tokens("nat")
    np.testing.assert_allclose([table.information, table.standard_error], token_by_token(posterior), rtol=1e-4)
    compare(f"information of {kind} tokens, NumPy token by token over ours", ours, lambda: token_by_token(posterior))
    clock, processor = median_seconds(ours)
    threads = torch.get_num_threads()
    print(
        f"information of {kind} tokens: {1000 * clock:.0f} ms, {1000 * processor:.0f} ms processor, {threads} threads"
    )
    assert min(clock, processor) < LIMIT  # an idle machine takes no longer than either
