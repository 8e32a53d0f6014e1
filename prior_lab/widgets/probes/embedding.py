"""Where images lie in a map of their features at every budget, and which objects are next to each other.

A map shows the two principal axes of the objects' mean features, and frames are drawn on the axes of the objects. The
axes of one budget have nothing to do with those of another, so each map is turned, and mirrored where that helps, onto
the one before (orthogonal Procrustes; Schoenemann 1966, Psychometrika 31:1): what still moves is the embedding.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from jaxtyping import Float, Int

NEIGHBOURS = 8
FOUND = 8  # images of a source that are shown
ROWS = 1000  # objects that are compared with all others at once
SMALL = 600  # objects or features up to which principal axes come from a full decomposition
SUBSPACE, ITERATIONS = 12, 24

Features = Float[np.ndarray, "image feature"]
Owners = Int[np.ndarray, "image"]


@dataclass(frozen=True, eq=False)
class Embedding:
    """Maps and neighbours at every budget.

    Attributes
    ----------
    objects, images : places; objects lie in the middle of their frames, one root mean square from the origin.
    neighbours : the objects next to each object, the nearest first: fewer than eight where there are few objects.
    found : what the first image of each object finds among the images of each source, the most similar first; -1 where
        there are fewer.
    """

    objects: Float[np.ndarray, "budget object 2"]
    images: Float[np.ndarray, "budget image 2"]
    neighbours: Int[np.ndarray, "budget object neighbour"]
    found: Int[np.ndarray, "budget source object rank"]

    @classmethod
    def of(
        cls, features: Features, owners: Owners, sizes: Sequence[int], sources: Owners | None = None, count: int = 0
    ) -> Self:
        """The embedding of features whose first columns are those of a shorter prefix.

        Parameters
        ----------
        owners : the object of every image, from 0, each with a frame at least.
        sizes : columns of each budget, ascending.
        sources : where each image comes from, from 0.
        count : how many sources there are.
        """
        firsts = np.unique(owners, return_index=True)[1]
        origins = np.zeros_like(owners) if sources is None else sources
        found = [find_among(features[:, :size], firsts, origins, count) for size in sizes]
        features = standardised(features)
        means = object_means(features, owners)
        places: list[tuple[np.ndarray, np.ndarray]] = []
        near = []
        for size in sizes:
            spread, flat = _map(features[:, :size], means[:, :size])
            turn = rotation(flat, places[-1][0]) if places else _upright(flat)
            places.append((flat @ turn, spread @ turn))
            near.append(nearest(means[:, :size]))
        objects, images = (np.stack(found).astype(np.float32) for found in zip(*places, strict=True))
        return cls(objects, images, np.stack(near).astype(np.int32), np.stack(found).astype(np.int32))


def standardised(features: Features) -> Features:
    """Every column with mean 0 and variance 1; one that is always the same with 0."""
    centred = features - features.mean(0)
    spread = centred.std(0)
    return centred / np.where(spread > 1e-6 * np.abs(features).max(0), spread, np.inf)


def object_means(features: Features, owners: Owners) -> Float[np.ndarray, "object feature"]:
    """The mean over each object's frames."""
    order = np.argsort(owners, kind="stable")
    _, starts, counts = np.unique(owners[order], return_index=True, return_counts=True)
    return np.add.reduceat(features[order], starts) / counts[:, None].astype(features.dtype)


def nearest(means: Float[np.ndarray, "object feature"], count: int = NEIGHBOURS) -> Int[np.ndarray, "object neighbour"]:
    """The other objects whose features have the largest cosine with an object's, the nearest first."""
    units = _units(means)
    count = min(count, len(means) - 1)
    near = np.empty((len(means), count), np.int64)
    for start in range(0, len(means), ROWS):
        cosine = units[start : start + ROWS] @ units.T
        cosine[np.arange(len(cosine)), np.arange(start, start + len(cosine))] = -np.inf
        near[start : start + ROWS] = _largest(cosine, count)
    return near


def find_among(
    features: Features, queries: Int[np.ndarray, "object"], sources: Owners, count: int
) -> Int[np.ndarray, "source object rank"]:
    """The images of each source with the largest cosine to those of the queries, as `probes.matching` ranks them."""
    units = _units(features)
    found = np.full((count, len(queries), FOUND), -1)
    for source in range(count):
        there = np.flatnonzero(sources == source)
        order = _largest(units[queries] @ units[there].T, min(FOUND, len(there)))
        found[source, :, : order.shape[1]] = there[order]
    return found


def _units(rows: Float[np.ndarray, "row feature"]) -> Float[np.ndarray, "row feature"]:
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(norms > 0, norms, 1)


def _largest(values: Float[np.ndarray, "row column"], count: int) -> Int[np.ndarray, "row count"]:
    """The columns of each row's largest values, the largest first and of equal ones the first."""
    if not count:
        return np.empty((len(values), 0), np.int64)
    least = -np.partition(-values, count - 1, axis=1)[:, count - 1]
    largest = np.empty((len(values), count), np.int64)
    for row, (numbers, bound) in enumerate(zip(values, least, strict=True)):
        there = np.flatnonzero(numbers >= bound)
        largest[row] = there[np.argsort(-numbers[there], kind="stable")[:count]]
    return largest


def rotation(places: Float[np.ndarray, "object 2"], onto: Float[np.ndarray, "object 2"]) -> Float[np.ndarray, "2 2"]:
    """The rotation, with or without a reflection, that brings places nearest to others."""
    left, _, right = np.linalg.svd(places.T @ onto)
    return left @ right


def _map(features: Features, means: Float[np.ndarray, "object feature"]) -> tuple[np.ndarray, np.ndarray]:
    """Places of images and of objects on the objects' first two principal axes, in one scale."""
    middle = means.mean(0)
    axes = _principal_axes(means - middle)
    flat = (means - middle) @ axes.T
    scale = np.sqrt(np.square(flat).sum(1).mean())
    scale = scale if scale > 0 else 1.0
    return (features - middle) @ axes.T / scale, flat / scale


def _principal_axes(centred: Float[np.ndarray, "object feature"]) -> Float[np.ndarray, "2 feature"]:
    """The first two; of many objects and features by iterating on a subspace, which is exact to what a map shows."""
    if min(centred.shape) <= SMALL:
        _, _, axes = np.linalg.svd(centred, full_matrices=False)
        return np.pad(axes[:2], ((0, 2 - len(axes[:2])), (0, 0)))
    guess = np.random.default_rng(0).standard_normal((centred.shape[1], SUBSPACE)).astype(centred.dtype)
    for _ in range(ITERATIONS):
        guess, _ = np.linalg.qr(centred.T @ (centred @ guess))
    _, _, turn = np.linalg.svd(centred @ guess, full_matrices=False)
    return (guess @ turn.T).T[:2]


def _upright(places: Float[np.ndarray, "object 2"]) -> Float[np.ndarray, "2 2"]:
    """Signs of the axes that do not depend on those of features: what lies farthest out is at the right and on top."""
    farthest = np.abs(places).argmax(0)
    return np.diag(np.where(places[farthest, [0, 1]] < 0, -1, 1)).astype(places.dtype)
