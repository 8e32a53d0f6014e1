"""Linear probes at every budget against scikit-learn's `LogisticRegression`, timed one after the other in one process.

4,000 training and 1,000 test images, 127 tokens of 128 channels, four taxonomies, seven budgets, one penalty: 28 fits.
The peer has its default solver and tolerance, and reads features of the same precision, standardised beforehand; the
standardisation is within our time, as are predictions and intervals.
"""

import sys
import time
from pathlib import Path

import torch
from sklearn.linear_model import LogisticRegression

sys.path.insert(0, str(Path(__file__).parents[1] / "probes"))
from probe_samples import ordered_samples, select

from prior_lab.probes import linear_probes
from prior_lab.probes.linear import standardise

TAXONOMIES, LABELS, CHANNELS = ("coarse", "group", "fine", "class"), (7, 24, 58, 89), 128
STRENGTH = 0.025
WIDTHS = {2**level - 1: CHANNELS * (2**level - 1) for level in range(1, 8)}


def test_28_linear_probes_against_scikit_learn() -> None:
    samples = ordered_samples(1250, 4, levels=7, channels=CHANNELS, counts=LABELS)
    train, test = select(samples, slice(0, 4000)), select(samples, slice(4000, 5000))
    start = time.perf_counter()
    table = linear_probes(train, test, test, widths=WIDTHS, taxonomies=TAXONOMIES, strengths=[STRENGTH])
    ours = time.perf_counter() - start

    seen, unseen = standardise([train.features, test.features])
    theirs = 0.0
    for budget, width in WIDTHS.items():
        columns, held_back = seen[:width].T.contiguous().numpy(), unseen[:width].T.contiguous().numpy()
        for taxonomy, labels, truth in zip(TAXONOMIES, train.labels.T, test.labels.T, strict=True):
            start = time.perf_counter()
            probe = LogisticRegression(C=1 / (STRENGTH * len(labels)), max_iter=1000).fit(columns, labels.numpy())
            predicted = probe.predict(held_back)
            theirs += time.perf_counter() - start
            weights, bias = torch.from_numpy(probe.coef_).double(), torch.from_numpy(probe.intercept_).double()
            logits = torch.from_numpy(columns).double() @ weights.T + bias
            loss = torch.nn.functional.cross_entropy(logits, torch.searchsorted(labels.unique(), labels.contiguous()))
            objective = (loss + STRENGTH / 2 * weights.square().sum()).item()
            accuracy = (torch.from_numpy(predicted) == truth).double().mean().item()
            found = table.sel(budget=budget, taxonomy=taxonomy)
            assert abs(float(found.objective) / objective - 1) < 1e-3
            assert abs(float(found.accuracy) - accuracy) <= 0.003
    print(f"\n28 linear probes, scikit-learn over ours: {theirs / ours:.2f}x ({theirs:.1f} s over {ours:.1f} s)")
    assert theirs / ours >= 10.0
