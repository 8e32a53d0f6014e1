"""Votes of neighbours against loops, rankings against scikit-learn and an example by hand."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
import xarray as xr
from probe_samples import TAXONOMIES, WIDTHS, select, shares
from torch import Tensor

from prior_lab.probes import Samples, nearest_neighbours, retrieval

OPTIONS = {"widths": WIDTHS, "taxonomies": TAXONOMIES}


def cosine(one: Tensor, other: Tensor) -> float:
    return float(one.double() @ other.double() / (one.double().norm() * other.double().norm()))


def vote(gallery: Samples, query: Tensor, own: int, column: int, k: int, temperature: float) -> int:
    """Image by image."""
    near = [
        (cosine(query, gallery.features[i]), int(gallery.labels[i, column]))
        for i in range(len(gallery))
        if gallery.objects[i] != own and gallery.labels[i, column] >= 0
    ]
    tally: dict[int, float] = {}
    for similarity, label in sorted(near, reverse=True)[:k]:
        tally[label] = tally.get(label, 0.0) + math.exp(similarity / temperature)
    return max(tally, key=tally.__getitem__)


@pytest.mark.parametrize(("k", "temperature"), [(1, 0.07), (7, 0.07), (20, 1.0)])
def test_neighbours_vote_as_they_do_one_by_one(splits, k, temperature):
    gallery, queries = select(splits[0], slice(0, 120)), select(splits[2], slice(0, 60))
    widths = {1: 24, 7: 168}
    options = {"widths": widths, "taxonomies": TAXONOMIES, "k": k, "temperature": temperature}
    for rows in (queries, gallery):
        table = nearest_neighbours(gallery, rows, **options)
        for budget, width in widths.items():
            cut = replace(gallery, features=gallery.features[:, :width])
            for image in range(0, len(rows), 7):
                for column in torch.nonzero(rows.labels[image] >= 0).flatten().tolist():
                    own, query = int(rows.objects[image]), rows.features[image, :width]
                    expected = vote(cut, query, own, column, k, temperature)
                    assert table.predicted.sel(budget=budget)[column, image] == expected
        np.testing.assert_allclose(table.accuracy, shares(table, rows))


def test_frames_of_the_same_object_are_no_neighbours():
    """Every image has one twin, of its own object, and otherwise only strangers of the other label."""
    features = torch.eye(2).repeat_interleave(2, dim=0)
    samples = Samples(features, torch.tensor([[0], [0], [1], [1]]), torch.tensor([0, 0, 1, 1]))
    options = {"widths": {1: 2}, "taxonomies": ["label"], "k": 1}
    assert nearest_neighbours(samples, samples, **options).accuracy == 0.0
    strangers = replace(samples, objects=torch.tensor([2, 2, 3, 3]))
    assert nearest_neighbours(strangers, samples, **options).accuracy == 1.0


def test_an_image_without_neighbours_is_not_told():
    samples = Samples(torch.eye(3), torch.tensor([[0], [0], [-1]]), torch.tensor([0, 0, 1]))
    table = nearest_neighbours(samples, samples, widths={1: 3}, taxonomies=["label"])
    assert table.predicted.values.ravel().tolist() == [-1, -1, -1]
    assert table.accuracy == 0.0


def test_neighbours_equally_near_all_vote(generator):
    """Codes of one of two states: the order of a hundred equal images must not decide."""
    features = torch.tensor([[1.0, 0.0], [0.6, 0.8]])[torch.arange(200) % 2]
    labels = torch.where(torch.arange(200) % 20 < 12, 0, 1)[:, None]
    gallery = Samples(features, labels, torch.arange(200))
    query = Samples(features[:2], labels[:2], torch.tensor([500, 501]))
    order = torch.randperm(200, generator=generator)
    for rows in (slice(None), order, order.flip(0), labels[:, 0].argsort(descending=True)):
        told = nearest_neighbours(select(gallery, rows), query, widths={1: 2}, taxonomies=["label"], k=3)
        assert told.predicted.values.ravel().tolist() == [0, 0]


def test_average_precision_is_that_of_an_example_by_hand():
    """Images on a circle; that at 0.15 has no label, those at 0.0 and 0.01 show the same object."""
    angles = torch.tensor([0.0, 0.1, 0.2, 0.3, 0.01, 0.15, 0.4])
    features = torch.stack([angles.cos(), angles.sin()], dim=1)
    labels = torch.tensor([[0], [0], [1], [0], [0], [-1], [1]])
    samples = Samples(features, labels, torch.tensor([0, 1, 2, 3, 0, 4, 5]))
    told = retrieval(samples, widths={1: 2}, taxonomies=["label"])
    by_object = told.average_precision_by_object.squeeze().values
    assert by_object[0] == pytest.approx((1 / 1 + 2 / 3) / 2)  # both images: 0.1 right, 0.2 wrong, 0.3 right, 0.4 wrong
    assert by_object[1] == pytest.approx((1 / 1 + 2 / 3 + 3 / 4) / 3)  # 0.01 right, 0.0 right and 0.2 wrong, 0.3 right
    assert by_object[2] == pytest.approx(1 / 5)  # 0.1 and 0.3, 0.01, 0.0 and 0.4, of which only the last is right
    assert np.isnan(by_object[4])
    assert told.mean_average_precision.item() == pytest.approx(np.nanmean(by_object))


@pytest.mark.parametrize("states", [None, 5], ids=["all different", "many equal"])
def test_average_precision_is_that_of_scikit_learn(splits, generator, states):
    metrics = pytest.importorskip("sklearn.metrics")
    samples = splits[2]
    if states is not None:
        codes = torch.randn(states, 360, generator=generator)
        samples = replace(samples, features=codes[torch.randint(states, (160,), generator=generator)])
    told = retrieval(samples, **OPTIONS)
    for budget, width in WIDTHS.items():
        unit = torch.nn.functional.normalize(samples.features[:, :width].double(), dim=1)
        similarities = (unit @ unit.T).round(decimals=6)
        for column, taxonomy in enumerate(TAXONOMIES):
            precisions: dict[int, list[float]] = {}
            for image, own in enumerate(samples.objects.tolist()):
                others = (samples.objects != own) & (samples.labels[:, column] >= 0)
                found = samples.labels[others, column] == samples.labels[image, column]
                if samples.labels[image, column] >= 0 and found.any():
                    precision = metrics.average_precision_score(found, similarities[image, others])
                    precisions.setdefault(own, []).append(precision)
            expected = np.mean([np.mean(rows) for rows in precisions.values()])
            assert float(told.mean_average_precision.sel(budget=budget, taxonomy=taxonomy)) == pytest.approx(
                expected, abs=2e-3 if states is None else 1e-6
            )


def test_images_in_chunks_are_told_as_all_at_once(monkeypatch, splits):
    ways = [lambda: nearest_neighbours(splits[0], splits[2], **OPTIONS), lambda: retrieval(splits[2], **OPTIONS)]
    whole = [way() for way in ways]
    monkeypatch.setattr("prior_lab.probes.neighbours.CHUNK", 33)
    for one, way in zip(whole, ways, strict=True):
        xr.testing.assert_allclose(one, way())


@pytest.mark.gpu
def test_an_accelerator_finds_the_same(splits):
    there = [Samples(split.features.cuda(), split.labels.cuda(), split.objects.cuda()) for split in splits]
    xr.testing.assert_allclose(retrieval(there[2], **OPTIONS), retrieval(splits[2], **OPTIONS), atol=1e-3)
    one, other = (nearest_neighbours(gallery, queries, **OPTIONS) for gallery, _, queries in (there, splits))
    assert (one.predicted == other.predicted).mean() > 0.99
