"""Features as a user has them, checked: NumPy or torch, [item, feature] or [item, place, feature]."""

from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, Int64
from torch import Tensor

from prior_lab.embedding.fitting import Groups
from prior_lab.errors import InputError

LARGEST = 1e15  # of features: sums of their squares stay within float32
FEWEST = 2


def as_features(given: Any, noun: str = "X") -> Float32[Tensor, "item *place feature"]:
    """Features as float32 on the CPU.

    Parameters
    ----------
    given : an array, a tensor, or what NumPy makes one of.
    noun : what it is, for the sentence.

    Raises
    ------
    InputError : if they are not numbers, not of two or three axes, empty, not finite or too large.
    """
    array = _as_array(given, noun)
    if array.ndim == 1:
        raise InputError(
            f"Expected 2D array, got 1D array instead: {noun} has the shape {array.shape}. Reshape your data either "
            "with array.reshape(-1, 1) if it has a single feature or with array.reshape(1, -1) if it is a single item."
        )
    if array.ndim not in (2, 3):
        raise InputError(f"{noun} has the shape {array.shape}; features are [item, feature] or [item, place, feature].")
    if 0 in array.shape[1:]:
        raise InputError(f"0 feature(s) (shape={array.shape}) while a minimum of 1 is required in {noun}.")
    if not len(array):
        raise InputError(f"0 item(s), 0 sample(s) (shape={array.shape}) while a minimum of 1 is required in {noun}.")
    features = torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))
    if not features.isfinite().all():
        raise InputError(f"{noun} holds NaN or infinite numbers (inf); features must be finite.")
    if features.abs().max() > LARGEST:
        raise InputError(f"{noun} reaches {features.abs().max():.1e}; features go up to {LARGEST:.0e}.")
    return features


def _as_array(given: Any, noun: str) -> np.ndarray:
    if isinstance(given, Tensor):
        if given.is_complex() or given.layout is not torch.strided or given.is_meta:
            raise InputError(f"{noun} is a tensor of {given.dtype}; dense real numbers were expected.")
        return given.detach().cpu().to(torch.float32).numpy()
    if hasattr(given, "toarray"):
        raise InputError(f"{noun} is a sparse matrix; Sparse data is not read, make it dense: {noun}.toarray().")
    try:
        array = np.asarray(given)
        if array.dtype.kind == "c":
            raise InputError(f"Complex data not supported: {noun} holds complex numbers.")
        if array.dtype.kind not in "biuf":
            array = array.astype(np.float64)
    except InputError:
        raise
    except (TypeError, ValueError) as error:
        raise _not_numbers(error, noun) from error
    return array


def _not_numbers(error: Exception, noun: str) -> Exception:
    """A sentence; what is no number at all stays a TypeError, as scikit-learn has it."""
    sentence = f"{noun} is not an array of numbers ({str(error)[:120]}); argument must be features as numbers."
    return _WrongTypeError(sentence) if isinstance(error, TypeError) else InputError(sentence)


class _WrongTypeError(InputError, TypeError):
    """Both an `InputError` and what scikit-learn's checks look for."""


def as_groups(count: int, pairs: Any, y: Any) -> Groups:
    """What belongs together: pairs of items, or all items of one label.

    Raises
    ------
    InputError : if there are neither pairs nor labels, or they are not of these items.
    """
    if pairs is not None:
        return _from_pairs(count, pairs)
    if y is None:
        raise InputError("The objective pairs needs pairs of items, or y, a label for each item.")
    labels = np.asarray(y)
    if labels.shape != (count,):
        raise InputError(f"y has the shape {labels.shape}; a label for each of the {count} items was expected.")
    _, numbers, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    order = np.argsort(numbers, kind="stable")
    kept = np.repeat(sizes > 1, sizes)
    if (sizes > 1).sum() < FEWEST:
        raise InputError("Fewer than 2 labels of y have two items or more; pairs are two items of one label.")
    return _groups(torch.from_numpy(order[kept]), torch.from_numpy(sizes[sizes > 1]))


def _from_pairs(count: int, pairs: Any) -> Groups:
    try:
        table = torch.as_tensor(pairs if isinstance(pairs, Tensor) else np.asarray(pairs))
    except (TypeError, ValueError) as error:
        raise InputError(f"pairs are no array of whole numbers ({str(error)[:120]}).") from error
    if table.ndim != 2 or table.shape[1] != 2 or table.dtype == torch.bool or table.is_floating_point():
        what = f"{table.dtype} of shape {tuple(table.shape)}"
        raise InputError(f"pairs are {what}; whole numbers [pair, 2] were expected.")
    if len(table) < FEWEST:
        raise InputError(f"pairs has {len(table)} rows; at least {FEWEST} are needed, for one learns from the others.")
    table = table.to(torch.int64)
    if int(table.min()) < 0 or int(table.max()) >= count:
        outside = int(table.min()) if int(table.min()) < 0 else int(table.max())
        raise InputError(f"pairs name the item {outside}; there are {count} items, numbered from 0.")
    if (table[:, 0] == table[:, 1]).any():
        same = int(table[table[:, 0] == table[:, 1]][0, 0])
        raise InputError(f"pairs hold the item {same} with itself; a pair is two items.")
    return _groups(table.flatten(), torch.full((len(table),), 2))


def _groups(items: Int64[Tensor, "member"], count: Int64[Tensor, "group"]) -> Groups:
    return Groups(items, count.cumsum(0) - count, count)
