"""Drawings that look alike, found by a perceptual hash, and the families of concepts that they tie together.

The hash is that of Zauner (2010), *Implementation and benchmarking of perceptual image hash functions*, with 16 x 16
frequencies: a bit tells whether a coefficient of the grey drawing's cosine transform is above their median. It sees
composition and not hue, so that hearts of different colours are alike. Everything is whole numbers, so that no machine
gets another bit.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Bool, Int64, UInt8

SIDE = 32
FREQUENCIES = 16
ALIKE = 20  # of 255 bits that may differ
GREY = (299, 587, 114)
UNIT = 2**14  # of the whole numbers that stand for cosines


def perceptual_hashes(images: UInt8[np.ndarray, "image height width 3"]) -> Bool[np.ndarray, "image 255"]:
    """Hashes of square images, whose side is a multiple of 32 pixels; bits are in the order of rising rows."""
    grey = images.astype(np.int64) @ np.array(GREY)
    factor = grey.shape[1] // SIDE
    small = grey.reshape(-1, SIDE, factor, SIDE, factor).sum(axis=(2, 4))
    place, frequency = 2 * np.arange(SIDE) + 1, np.arange(FREQUENCIES)[:, None]
    waves = np.rint(UNIT * np.cos(np.pi * place * frequency / (2 * SIDE))).astype(np.int64)
    coefficients = (waves @ small @ waves.T).reshape(len(images), -1)[:, 1:]  # without the mean
    return coefficients > np.sort(coefficients, axis=1)[:, coefficients.shape[1] // 2, None]


def alike_pairs(hashes: Bool[np.ndarray, "image 255"], *, most: int = ALIKE) -> Int64[np.ndarray, "pair 3"]:
    """First and second position, and how many bits differ, of all images whose hashes differ in so many bits or fewer.

    Parameters
    ----------
    most : number of bits that may differ.
    """
    signs = np.where(hashes, 1, -1).astype(np.float32)  # sums of 255 signs are exact
    pairs = []
    for start in range(0, len(signs), 1024):
        differing = (signs.shape[1] - signs[start : start + 1024] @ signs.T).astype(np.int64) // 2
        first, second = np.nonzero(differing <= most)
        later = second > first + start
        rows = [first[later] + start, second[later], differing[first[later], second[later]]]
        pairs.append(np.stack(rows, axis=1))
    return np.concatenate(pairs) if pairs else np.empty((0, 3), dtype=np.int64)


def families(names: Sequence[str], ties: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The first member, in the order of the names, of the family that ties make a name belong to."""
    neighbours: dict[str, set[str]] = defaultdict(set)
    for one, other in ties:
        neighbours[one].add(other)
        neighbours[other].add(one)
    family: dict[str, str] = {}
    for name in names:
        waiting = [] if name in family else [name]
        while waiting:
            member = waiting.pop()
            if member not in family:
                family[member] = name
                waiting.extend(neighbours[member])
    return family
