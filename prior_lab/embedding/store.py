"""Codes on disk, laid out level by level, so that a prefix of all items is read without the rest.

A file is safetensors: `level.0`, `level.1`, ... are [item, column] in the smallest type that holds them, `norms.0`, ...
a byte an item: the length of what the prefix that ends there says, on a logarithmic scale. Small tensors say what a
column is worth: `table.0` [column, state, out] where tokens are indices into codebooks, `map.0` [column, out] where
columns are numbers. What a prefix says of an item is the sum over its columns,

    read = bias + sum_c table[c, index_c]    or    bias + sum_c column_c * map[c]

so its product with a query is a sum of numbers that a small table for the query holds. Everything large is
memory-mapped.
"""

import itertools
import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor

from prior_lab.checks import parse_json
from prior_lab.embedding.arrays import as_features
from prior_lab.embedding.bottleneck import blank_of
from prior_lab.embedding.embedder import OrderedEmbedder
from prior_lab.errors import InputError
from prior_lab.files import require_file, require_writable, writing
from prior_lab.levels import Levels
from prior_lab.orderings import Code, Flat
from prior_lab.tokens import IndexedPosterior, Tokens

FORMAT = "prior-lab/codes/1"
BLOCK = 1 << 14  # items that are written at once
NORM_STEP = 1 / 32  # of the logarithm to base 2: the lengths that a byte tells lie 2.2 % apart
TYPES = {"U8": np.uint8, "U16": np.uint16, "I8": np.int8, "F16": np.float16, "F32": np.float32}
NAMES = {np.dtype(kind): name for name, kind in TYPES.items()}


@dataclass(frozen=True, eq=False)
class Level:
    """The columns that a level adds to codes.

    Attributes
    ----------
    columns : of every item; memory-mapped where they come from a file.
    norms : the length of what the prefix up to here says; see `length_of`.
    worth : [column, state, out] of indices, [column, out] of numbers.
    """

    columns: np.ndarray
    norms: np.ndarray
    worth: Float[Tensor, "column *state out"]

    @property
    def nbytes(self) -> int:
        """Bytes an item."""
        return self.columns.shape[1] * self.columns.itemsize

    @property
    def indexed(self) -> bool:
        """Whether columns are indices into codebooks."""
        return self.worth.ndim == 3

    def terms(self, queries: Float32[Tensor, "query out"]) -> Float32[Tensor, "entry query"]:
        """What each state of each column, or each unit of it, adds to the product with a query."""
        return (self.worth.flatten(0, -2) @ queries.T).contiguous()

    def products_of(self, rows: np.ndarray, terms: Float32[Tensor, "entry"]) -> Float32[Tensor, "row"]:
        """The same for some items and one query."""
        columns = torch.from_numpy(self.columns[rows])
        if not self.indexed:
            return columns.float() @ terms
        return terms[self._entries(columns)].sum(dim=1)

    def _entries(self, columns: Tensor) -> Tensor:
        states = self.worth.shape[1]
        return columns.to(torch.int32) + states * torch.arange(columns.shape[1], dtype=torch.int32)


class Prefix:
    """Products of items with queries by a prefix of their codes.

    Parameters
    ----------
    levels : those of the prefix.
    terms : what `Level.terms` gives for each.
    base : the product of each query with the bias.
    """

    def __init__(
        self,
        levels: Sequence[Level],
        terms: Sequence[Float32[Tensor, "_ query"]],
        base: Float32[Tensor, "query"],
    ) -> None:
        self._levels, self._base, self._joint = levels, base, torch.cat(list(terms))
        self._indexed = all(level.indexed for level in levels)
        if self._indexed:  # one state of the first column holds for every item: the base goes there
            self._joint[: levels[0].worth.shape[1]] += base
            sizes = [level.worth.shape[1] for level in levels for _ in range(level.columns.shape[1])]
            self._first = torch.tensor([0, *sizes[:-1]], dtype=torch.int32).cumsum(0, dtype=torch.int32)

    def products(self, rows: slice) -> Float32[Tensor, "row query"]:
        """Of consecutive items."""
        parts = [np.asarray(level.columns[rows]) for level in self._levels]
        if not self._indexed:
            return torch.from_numpy(np.concatenate(parts, axis=1)).float() @ self._joint + self._base
        entries = torch.from_numpy(np.concatenate([part.astype(np.int32) for part in parts], axis=1)) + self._first
        ends = torch.arange(0, entries.numel(), entries.shape[1], dtype=torch.int32)
        return torch.nn.functional.embedding_bag(entries.flatten(), self._joint, ends, mode="sum")


def length_of(norms: np.ndarray) -> Float32[Tensor, "*row"]:
    """Lengths from what a byte tells of them."""
    return torch.exp2((torch.from_numpy(np.array(norms)).float() - 128) * NORM_STEP)


@dataclass(frozen=True, eq=False)
class CodeStore:
    """Codes laid out level by level, in memory or on disk.

    Attributes
    ----------
    levels : from coarse to fine.
    bias : what codes say without any token.
    """

    levels: tuple[Level, ...]
    bias: Float[Tensor, "out"]

    def __len__(self) -> int:
        """Number of items."""
        return len(self.levels[0].columns)

    def __repr__(self) -> str:
        """Size, not the numbers."""
        sizes = ", ".join(str(level.nbytes) for level in self.levels)
        return f"CodeStore({len(self):,} items, levels of {sizes} bytes)"

    @property
    def nbytes(self) -> int:
        """Bytes an item, all levels and the length of the whole."""
        return sum(level.nbytes for level in self.levels) + 1

    @classmethod
    def of_vectors(cls, vectors: Any, widths: Sequence[int]) -> "CodeStore":
        """Vectors whose leading columns are useful alone, such as Matryoshka embeddings, as float16.

        Parameters
        ----------
        vectors : NumPy or torch, [item, column].
        widths : how many leading columns each stage reads.

        Raises
        ------
        InputError : if they are no such vectors, or a width does not grow.
        """
        given = as_features(vectors, "vectors")
        stops = [0, *widths]
        if given.ndim != 2 or any(a >= b for a, b in itertools.pairwise(stops)) or stops[-1] > given.shape[1]:
            raise InputError(
                f"widths are {list(widths)}; growing numbers up to {given.shape[-1]}, the columns, were expected."
            )
        unit = torch.nn.functional.normalize(given, dim=1)
        out = torch.eye(stops[-1])
        levels = []
        for start, stop in itertools.pairwise(stops):
            columns = unit[:, start:stop].numpy().astype(np.float16)
            norms = _norm_bytes(unit[:, :stop].norm(dim=1))
            levels.append(Level(columns, norms, out[start:stop]))
        return cls(tuple(levels), torch.zeros(stops[-1]))

    @classmethod
    def of_code(cls, embedder: OrderedEmbedder, code: Code) -> "CodeStore":
        """A code of an embedder, in memory."""
        reader = _Reader(embedder)
        columns, norms = reader.columns(code)
        return cls(tuple(map(Level, columns, norms, reader.worths)), reader.bias)


def write_codes(embedder: OrderedEmbedder, features: Iterable[Any], path: str | Path) -> CodeStore:
    """Encode features part by part and lay their codes out on disk; the file is whole, or is not there.

    Parameters
    ----------
    features : parts of the items, each as `OrderedEmbedder.encode` takes them; one array is one part.
    path : ends in `.safetensors`.

    Raises
    ------
    InputError : if the embedder is not fitted, features do not fit it, or the file cannot be written.
    """
    require_writable(path, ".safetensors")
    reader = _Reader(embedder)
    worths, bias = reader.worths, reader.bias
    parts = [features] if isinstance(features, np.ndarray | Tensor) else features
    with writing(path) as temporary:
        folded = [reader.columns(embedder.encode(part)) for part in _blocks(parts)]
        if not folded:
            raise InputError("There are no items to write.")
        columns = [np.concatenate([one[0][level] for one in folded]) for level in range(len(worths))]
        norms = [np.concatenate([one[1][level] for one in folded]) for level in range(len(worths))]
        tensors: dict[str, np.ndarray] = {"bias": bias.numpy()}
        for level, worth in enumerate(worths):
            kind = "table" if worth.ndim == 3 else "map"
            tensors |= {
                f"{kind}.{level}": worth.numpy(),
                f"level.{level}": columns[level],
                f"norms.{level}": norms[level],
            }
        _write(temporary, tensors)
    return open_codes(path)


def _blocks(parts: Iterable[Any]) -> Iterator[Any]:
    for part in parts:
        for start in range(0, len(part), BLOCK):
            yield part[start : start + BLOCK]


def _write(path: Path, tensors: dict[str, np.ndarray]) -> None:
    """A safetensors file, tensor by tensor: the library's own writer would hold all of it a second time."""
    header: dict[str, Any] = {"__metadata__": {"format": FORMAT}}
    offset = 0
    for name, array in tensors.items():
        place = [offset, offset + array.nbytes]
        header[name] = {"dtype": NAMES[array.dtype], "shape": list(array.shape), "data_offsets": place}
        offset += array.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 64)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for array in tensors.values():
            np.ascontiguousarray(array).tofile(file)


def open_codes(path: str | Path) -> CodeStore:
    """Codes that `write_codes` wrote, memory-mapped: what is not asked for is not read.

    Raises
    ------
    InputError : if there is no such file, or it is damaged, of another version, or holds no codes.
    """
    given = require_file(path, "file of codes")
    sentence = f"{given.name!r} holds no codes, or is damaged or of another version; write it anew."
    size = given.stat().st_size
    with given.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = parse_json(file.read(length), f"The header of {given.name!r}") if 0 < length < size else None
    if not isinstance(header, dict) or header.get("__metadata__", {}).get("format") != FORMAT:
        raise InputError(sentence)
    try:
        mapped = {
            name: _mapped(given, 8 + length, entry, size) for name, entry in header.items() if name != "__metadata__"
        }
        count = sum(name.startswith("level.") for name in mapped)
        worths = [mapped.get(f"table.{level}", mapped.get(f"map.{level}")) for level in range(count)]
        levels = [
            Level(mapped[f"level.{level}"], mapped[f"norms.{level}"], torch.from_numpy(np.array(worths[level])))
            for level in range(count)
        ]
        return CodeStore(tuple(levels), torch.from_numpy(np.array(mapped["bias"])))
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(sentence) from error


def _mapped(path: Path, first: int, entry: dict[str, Any], size: int) -> np.ndarray:
    kind, shape, (start, stop) = TYPES[entry["dtype"]], tuple(entry["shape"]), entry["data_offsets"]
    if stop - start != math.prod(shape) * np.dtype(kind).itemsize or first + stop > size:
        raise ValueError("truncated")
    return np.memmap(path, dtype=kind, mode="r", offset=first + start, shape=shape)


def _worths(embedder: OrderedEmbedder) -> tuple[list[Tensor], Tensor]:
    """What the columns of each level are worth, and the bias."""
    embedder._require_fitted()
    bottleneck = embedder.bottleneck_
    config, ordering = bottleneck.config, bottleneck.ordering
    maps = bottleneck.sum_map.unflatten(0, (-1, config.channels))  # token, channel, out
    worths = []
    for level, place in enumerate(Levels(config.levels).slices):
        tokens = ordering.get_submodule("tokens" if isinstance(ordering, Flat) else f"tokens.{level}")
        assert isinstance(tokens, Tokens)
        vectors = tokens.vectors()
        if vectors is None:
            worths.append((maps[place] * bottleneck.largest / 127).flatten(0, 1))
            continue
        own = vectors[place] if len(vectors) > 1 else vectors.expand(place.stop - place.start, -1, -1)
        worths.append(torch.einsum("tsc,tco->tso", own, maps[place]))
    return worths, bottleneck.sum_bias


class _Reader:
    """Codes to columns and norms."""

    def __init__(self, embedder: OrderedEmbedder) -> None:
        self.worths, self.bias = _worths(embedder)
        self._largest = float(embedder.bottleneck_.largest)

    def columns(self, code: Code) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Of every level."""
        columns, norms = [], []
        read = self.bias.expand(len(code.values), -1)
        for worth, place in zip(self.worths, Levels(len(self.worths)).slices, strict=True):
            columns.append(_stored(code, place, worth, self._largest))
            level, nothing = Level(columns[-1], np.empty(0), worth), torch.zeros(worth.shape[-1])
            read = read + Prefix([level], [worth.flatten(0, -2)], nothing).products(slice(None))
            norms.append(_norm_bytes(read.norm(dim=1)))
        return columns, norms


def _stored(code: Code, place: slice, worth: Tensor, largest: float) -> np.ndarray:
    if isinstance(code.posterior, IndexedPosterior):
        kind = np.uint8 if worth.shape[1] <= 256 else np.uint16
        return code.posterior.index[:, place].cpu().numpy().astype(kind)
    return (
        ((code.values[:, place] - blank_of(code)).flatten(1) * (127 / largest))
        .round()
        .clamp(-127, 127)
        .cpu()
        .numpy()
        .astype(np.int8)
    )


def _norm_bytes(norms: Float[Tensor, "item"]) -> np.ndarray:
    steps = norms.clamp_min(1e-12).log2() / NORM_STEP + 128
    return steps.round().clamp(0, 255).numpy().astype(np.uint8)
