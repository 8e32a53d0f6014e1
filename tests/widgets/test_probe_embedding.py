"""Maps, neighbours and confusions of known numbers."""

import numpy as np
import pytest

from prior_lab.widgets.probes.confusion import Confusion
from prior_lab.widgets.probes.embedding import Embedding, nearest, object_means, rotation, standardised


@pytest.fixture
def features():
    """Eight columns of structure among noise: 30 objects with three frames each, not in order."""
    generator = np.random.default_rng(1)
    owners = generator.permutation(np.repeat(np.arange(30), 3))
    codes = generator.normal(size=(30, 40)) * np.linspace(3, 0.5, 40)
    return codes[owners] + 0.3 * generator.normal(size=(90, 40)), owners


def test_objects_lie_in_the_middle_of_their_frames_on_the_principal_axes(features):
    values, owners = features
    found = Embedding.of(values, owners, [10, 40])
    for thing in (0, 17):
        middle = found.images[:, owners == thing].mean(1)
        np.testing.assert_allclose(found.objects[:, thing], middle, atol=1e-5)
    means = object_means(standardised(values), owners)
    means -= means.mean(0)
    covariance = np.linalg.eigvalsh(means.T @ means)[::-1]
    spread = np.linalg.svd(found.objects[1], compute_uv=False) ** 2
    np.testing.assert_allclose(spread[0] / spread[1], covariance[0] / covariance[1], rtol=1e-4)
    np.testing.assert_allclose(np.square(found.objects).sum(2).mean(1), 1, rtol=1e-5)


def test_turning_a_map_onto_the_one_before_never_moves_points_farther(features):
    values, owners = features
    sizes = [2, 5, 10, 20, 40]
    together = Embedding.of(values, owners, sizes).objects
    apart = np.stack([Embedding.of(values, owners, [size]).objects[0] for size in sizes])
    for place in range(1, len(sizes)):
        turned = np.square(together[place] - together[place - 1]).sum()
        for flip in ([1, 1], [1, -1], [-1, 1], [-1, -1]):
            assert turned <= np.square(apart[place] * flip - together[place - 1]).sum() + 1e-4
    # and it is a rotation or a reflection: distances stay
    turn = rotation(apart[2].astype(float), apart[1].astype(float))
    np.testing.assert_allclose(turn @ turn.T, np.eye(2), atol=1e-9)


def test_the_signs_of_features_do_not_matter_nor_does_their_scale(features):
    values, owners = features
    signs = np.where(np.arange(40) % 3, 1, -1)
    first, second = Embedding.of(values, owners, [8, 40]), Embedding.of(5 * signs * values + 2, owners, [8, 40])
    np.testing.assert_allclose(first.images, second.images, atol=1e-4)
    assert np.array_equal(first.neighbours, second.neighbours)


def test_columns_that_are_always_the_same_count_for_nothing():
    values = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
    dull = np.column_stack([values, np.full(6, 1e6, np.float32), np.zeros(6, np.float32)])
    assert np.array_equal(standardised(dull)[:, 3:], np.zeros((6, 2)))
    np.testing.assert_allclose(standardised(dull)[:, :3].std(0), 1, rtol=1e-5)
    found = Embedding.of(np.ones((4, 2), np.float32), np.arange(4), [1, 2])
    assert np.isfinite(found.objects).all()


def test_neighbours_are_those_of_brute_force(features):
    values, owners = features
    means = np.stack([standardised(values)[owners == thing].mean(0) for thing in range(30)])
    found = Embedding.of(values, owners, [6, 40]).neighbours
    for place, size in enumerate((6, 40)):
        for thing in range(30):
            cosines = {
                other: means[thing, :size] @ means[other, :size] / np.linalg.norm(means[other, :size])
                for other in range(30)
                if other != thing
            }
            assert found[place, thing].tolist() == sorted(cosines, key=cosines.__getitem__, reverse=True)[:8]
    assert nearest(means[:4]).shape == (4, 3)  # the others, where there are fewer than eight


# ---------------------------------------------------------------- confusions


def test_confusions_are_those_of_a_hand_count():
    truth, predicted = np.array([0, 0, 0, 1, 1, 2, -1, 2]), np.array([0, 1, 1, 1, 2, 0, 0, -1])
    found = Confusion.of(truth, predicted, parents=np.array([0, 0, 1]))
    assert found.counts.tolist() == [[1, 2, 0], [0, 1, 1], [1, 0, 0]]
    assert (found.correct, found.total, found.near_misses) == (2, 6, 2)
    assert found.rows() == [(0, 1, 2), (1, 2, 1), (2, 0, 1)]
    assert found.rows(1) == [(0, 1, 2)]
    assert found.for_browser()["matrix"] == found.counts.tolist()


def test_many_labels_are_told_as_a_list():
    truth = np.arange(20) % 10
    found = Confusion.of(truth, (truth + (np.arange(20) > 4)) % 10, np.zeros(10, np.int64)).for_browser()
    assert "matrix" not in found
    assert found["rows"][0] == [5, 6, 2, 2]
    assert (found["correct"], found["near"], len(found["rows"])) == (5, 15, 10)
