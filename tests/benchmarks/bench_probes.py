"""Linear probes at every budget against scikit-learn's `LogisticRegression`.

4,000 training and 1,000 test images, 127 tokens of 128 channels, four taxonomies, seven budgets, one penalty: 28 fits.
The peer has its default solver and tolerance, and reads features of the same precision, standardised beforehand; the
standardisation is within our time, as are predictions and intervals. The penalty lies on the default path of every
budget. Data and penalty are chosen so that the peer is done in a minute or two: with columns as correlated as those of
learnt codes, or weaker penalties, it needs 65 to 280 iterations a fit and ten minutes for all.
"""

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from numpy.typing import NDArray
from timing import Row, at_least
from torch import Tensor
from torch.nn import functional

from prior_lab.probes import Samples, linear_probes
from prior_lab.probes.linear import standardise

if TYPE_CHECKING:
    from sklearn.linear_model import LogisticRegression

sys.path.insert(0, str(Path(__file__).parents[1] / "probes"))
from probe_samples import ordered_samples, select

TAXONOMIES, LABELS, CHANNELS = ("coarse", "mid", "fine", "class"), (4, 8, 16, 24), 128
STRENGTH, NOISE = 0.5, 3.0
WIDTHS = {2**level - 1: CHANNELS * (2**level - 1) for level in range(1, 8)}
OBJECTIVE, ACCURACY = 1e-3, 0.003 + 1e-9  # largest differences: relative, and of shares


def probes(device: torch.device) -> Iterator[Row]:
    """All fits of ours at once, then the peer's one after the other; once, for they take long."""
    from sklearn.linear_model import LogisticRegression

    samples = ordered_samples(1250, 4, levels=7, channels=CHANNELS, counts=LABELS, noise=NOISE)
    train, test = (_moved(select(samples, slice(*ends)), device) for ends in ((0, 4000), (4000, 5000)))
    start = time.perf_counter()
    table = linear_probes(train, test, test, widths=WIDTHS, taxonomies=TAXONOMIES, strengths=[STRENGTH])
    seconds, theirs, failures = time.perf_counter() - start, 0.0, []
    seen, unseen = (rows.cpu() for rows in standardise([train.features, test.features]))
    for budget, width in WIDTHS.items():
        columns, held_back = (rows[:width].T.contiguous().numpy() for rows in (seen, unseen))
        for taxonomy, labels, truth in zip(TAXONOMIES, samples.labels[:4000].T, samples.labels[4000:].T, strict=True):
            peer = LogisticRegression(C=1 / (STRENGTH * len(labels)), max_iter=1000)
            start = time.perf_counter()
            predicted = torch.from_numpy(peer.fit(columns, labels.numpy()).predict(held_back))
            theirs += time.perf_counter() - start
            found = table.sel(budget=budget, taxonomy=taxonomy)
            objective = float(found.objective) / _objective(peer, columns, labels) - 1
            accuracy = float(found.accuracy) - (predicted == truth).double().mean().item()
            if not (abs(objective) < OBJECTIVE and abs(accuracy) <= ACCURACY):
                failures.append(f"{budget} tokens, {taxonomy}: objective {objective:+.1e}, accuracy {accuracy:+.4f}")
    yield Row(
        name=f"{len(WIDTHS) * len(TAXONOMIES)} linear probes, {len(train)} images, 127 tokens of {CHANNELS} channels",
        against="scikit-learn",
        seconds=seconds,
        peer_seconds=theirs,
        ratio=theirs / seconds,
        goal=at_least(10, theirs / seconds),
        note="timed once",
        failures=tuple(failures),
    )


def _moved(samples: Samples, device: torch.device) -> Samples:
    return Samples(samples.features.to(device), samples.labels.to(device), samples.objects.to(device))


def _objective(peer: "LogisticRegression", columns: NDArray, labels: Tensor) -> float:
    """What the peer's solution reaches of the objective, in double precision [nat]."""
    weights, bias = torch.from_numpy(peer.coef_).double(), torch.from_numpy(peer.intercept_).double()
    logits = torch.from_numpy(columns).double() @ weights.T + bias
    loss = functional.cross_entropy(logits, torch.searchsorted(labels.unique(), labels.contiguous()))
    return (loss + STRENGTH / 2 * weights.square().sum()).item()
