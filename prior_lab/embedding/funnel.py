"""A funnel over ordered codes: scan a short prefix of all, then re-rank fewer and fewer by longer ones.

Scores are cosines between a query and what a prefix says of an item, up to the query's own length. They add up over
levels (`store`), so a stage reads only the columns that it adds, and only of those that are left.
"""

import itertools
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Self

import numpy as np
import torch
from jaxtyping import Float32, Int64
from torch import Tensor

from prior_lab.checks import Above, Count, Within, entry_point
from prior_lab.embedding.arrays import as_features
from prior_lab.embedding.store import BLOCK, CodeStore, Prefix, length_of
from prior_lab.errors import InputError

QUERIES = 32  # at once: their scores of a million items take 128 MB
ALONE = 256  # bytes in a row that take as long as a row that is read alone, and its arithmetic
SAMPLE = 16_384  # scores from which it is told how high the best are
Recall = Annotated[float, Above(0), Within(0, 1)]


@dataclass(frozen=True)
class Stage:
    """A step of a funnel: read codes up to a level, keep the best.

    Attributes
    ----------
    level : the last level that is read, from 0.
    keep : how many items go on.
    """

    level: int
    keep: int


@dataclass(frozen=True)
class StageReport:
    """What a stage took, per query.

    Attributes
    ----------
    level : the last level that it read.
    items : how many items it read.
    nbytes : how many bytes.
    seconds : how long.
    """

    level: int
    items: float
    nbytes: float
    seconds: float


@dataclass(frozen=True, eq=False)
class Found:
    """What a search found.

    Attributes
    ----------
    items : the best of each query, best first.
    scores : their scores.
    stages : what each stage took, per query.
    full_nbytes : what a scan of the whole codes reads, per query.
    """

    items: Int64[Tensor, "query place"]
    scores: Float32[Tensor, "query place"]
    stages: tuple[StageReport, ...]
    full_nbytes: int

    @property
    def nbytes(self) -> float:
        """Bytes that were read, per query."""
        return sum(stage.nbytes for stage in self.stages)

    @property
    def seconds(self) -> float:
        """Time that it took, per query."""
        return sum(stage.seconds for stage in self.stages)

    def recall(self, wanted: Int64[Tensor, "query wanted"]) -> float:
        """Share of the items that were wanted of each query that is among those found."""
        return (wanted[:, :, None] == self.items[:, None]).any(dim=2).float().mean().item()

    def __str__(self) -> str:
        """A line for each stage."""
        lines = [
            f"level {stage.level}: {stage.items:,.0f} items, {stage.nbytes:,.0f} bytes, {1e3 * stage.seconds:.2f} ms"
            for stage in self.stages
        ]
        share = self.nbytes / self.full_nbytes
        return "\n".join([*lines, f"{share:.1%} of the bytes of a full scan, {1e3 * self.seconds:.2f} ms a query"])


@dataclass(frozen=True, eq=False)
class _Left:
    """Items that are left for a query: their products with it so far, and their scores."""

    rows: Int64[Tensor, "item"]
    products: Float32[Tensor, "item"]
    scores: Float32[Tensor, "item"]

    @classmethod
    def joined(cls, parts: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> Self:
        """From rows, products and scores of consecutive blocks."""
        return cls(*(torch.from_numpy(np.concatenate(part)) for part in zip(*parts, strict=True)))

    def best(self, keep: int) -> Self:
        """Those with the best scores, best first."""
        chosen = self.scores.topk(min(keep, len(self.scores))).indices
        return type(self)(self.rows[chosen], self.products[chosen], self.scores[chosen])


class Funnel:
    """Search that reads a short prefix of all codes, and longer ones of those that are left.

    Parameters
    ----------
    codes : laid out by `write_codes` or `CodeStore`.
    schedule : its stages; one scan of everything, if not given, until `choose` finds better ones.

    Examples
    --------
    >>> import torch
    >>> import prior_lab as pl
    >>> from prior_lab.embedding import CodeStore
    >>> chance = torch.Generator().manual_seed(0)
    >>> vectors = torch.randn(2000, 32, generator=chance) * torch.linspace(2, 0.1, 32)
    >>> funnel = pl.Funnel(CodeStore.of_vectors(vectors, [8, 16, 32])).choose(vectors[:100], recall=0.95)
    >>> found = funnel.search(vectors[100:200], 10)
    >>> found.recall(funnel.scan(vectors[100:200], 10).items) > 0.9, found.nbytes < found.full_nbytes
    (True, True)
    """

    @entry_point
    def __init__(self, codes: CodeStore, schedule: Sequence[Stage] | None = None) -> None:
        self.codes = codes
        last = len(codes.levels) - 1
        self.schedule = tuple(schedule) if schedule is not None else (Stage(last, len(codes)),)
        levels = [stage.level for stage in self.schedule]
        if not levels or levels != sorted(set(levels)) or levels[0] < 0 or levels[-1] != last:
            raise InputError(f"The stages read up to the levels {levels}; growing ones up to {last} were expected.")
        if any(stage.keep < 1 for stage in self.schedule):
            raise InputError("A stage keeps at least one item.")

    @entry_point
    def search(self, queries: Any, k: Count = 10) -> Found:
        """The best items of each query, through the funnel.

        Parameters
        ----------
        queries : what search compares, such as `OrderedEmbedder.transform` gives, [query, out].
        k : how many to find.

        Raises
        ------
        InputError : if the queries do not fit the codes, or there are not as many items.
        """
        return self._run(self._queries(queries, k), k, self.schedule)

    @entry_point
    def scan(self, queries: Any, k: Count = 10) -> Found:
        """The best items of each query by their whole codes, all of which are read."""
        return self._run(self._queries(queries, k), k, (Stage(len(self.codes.levels) - 1, len(self.codes)),))

    @entry_point
    def choose(self, queries: Any, recall: Recall = 0.99, k: Count = 10) -> "Funnel":
        """The funnel that reads fewest bytes of those that find a share of what a full scan finds.

        Parameters
        ----------
        queries : of a validation split, not those that are reported.
        recall : the share of a full scan's best `k` that has to be found.

        Raises
        ------
        InputError : as `search`.
        """
        given = self._queries(queries, k)
        best = self.scan(given, k).items
        last = len(self.codes.levels) - 1
        ranks = [self._ranks(given, best, level) for level in range(last)]
        plans = [
            self._plan(levels, ranks, recall, k)
            for count in range(last + 1)
            for levels in itertools.combinations(range(last), count)
        ]
        return Funnel(self.codes, min(plans, key=self._cost))

    def _plan(self, levels: Sequence[int], ranks: Sequence[Tensor], recall: float, k: int) -> tuple[Stage, ...]:
        """Stages at some levels that keep enough; what may be lost is shared among them."""
        lost = (1 - recall) / max(1, len(levels))
        stages, before = [], len(self.codes)
        for level in levels:
            enough = int(ranks[level].float().quantile(1 - lost).ceil()) + 1
            before = min(before, max(k, enough + enough // 10))
            stages.append(Stage(level, before))
        return (*stages, Stage(len(self.codes.levels) - 1, k))

    def _cost(self, plan: Sequence[Stage]) -> float:
        """Bytes that a plan reads; a row that is read alone costs a line of the cache, at least."""
        items, total, level = len(self.codes), 0.0, -1
        for stage in plan:
            width = self._width(level, stage.level) + 1
            total += items * (width if level < 0 else max(width, ALONE))
            items, level = stage.keep, stage.level
        return total

    def _width(self, before: int, level: int) -> int:
        return sum(one.nbytes for one in self.codes.levels[before + 1 : level + 1])

    def _queries(self, queries: Any, k: int) -> Float32[Tensor, "query out"]:
        given = as_features(queries, "queries")
        if given.ndim != 2 or given.shape[1] != len(self.codes.bias):
            raise InputError(
                f"queries have the shape {tuple(given.shape)}; [query, {len(self.codes.bias)}] fits these codes."
            )
        if k > len(self.codes):
            raise InputError(f"k is {k}; there are {len(self.codes)} items.")
        return torch.nn.functional.normalize(given, dim=1)

    def _run(self, queries: Float32[Tensor, "query out"], k: int, schedule: Sequence[Stage]) -> Found:
        items, scores, reports = [], [], []
        for part in queries.split(QUERIES):
            found, best, report = self._search(part, k, schedule)
            items.append(found)
            scores.append(best)
            reports.append(report)
        stages = tuple(
            StageReport(
                stage.level, *(sum(report[number][what] for report in reports) / len(queries) for what in range(3))
            )
            for number, stage in enumerate(schedule)
        )
        return Found(torch.cat(items), torch.cat(scores), stages, len(self.codes) * self.codes.nbytes)

    def _search(
        self, queries: Float32[Tensor, "query out"], k: int, schedule: Sequence[Stage]
    ) -> tuple[Tensor, Tensor, list[tuple[float, float, float]]]:
        """Items, scores, and what each stage read and took, for all of these queries together."""
        clock = time.perf_counter()
        first, last = schedule[0], schedule[-1]
        terms = [level.terms(queries) for level in self.codes.levels]
        left = self._scan(first.level, terms, queries @ self.codes.bias, k if first is last else max(k, first.keep))
        read = len(queries) * len(self.codes)
        report = [(float(read), float(read * (self._width(-1, first.level) + 1)), time.perf_counter() - clock)]
        by_query = [term.T.contiguous() for term in terms[first.level + 1 :]]
        for before, stage in itertools.pairwise(schedule):
            clock = time.perf_counter()
            read = sum(len(one.rows) for one in left)
            for query, one in enumerate(left):
                new = [by_query[level - first.level - 1][query] for level in range(before.level + 1, stage.level + 1)]
                left[query] = self._again(one, before.level, stage.level, new).best(k if stage is last else stage.keep)
            wide = self._width(before.level, stage.level) + 1
            report.append((float(read), float(read * wide), time.perf_counter() - clock))
        best = [one.best(k) for one in left]
        return torch.stack([one.rows for one in best]), torch.stack([one.scores for one in best]), report

    def _again(self, left: _Left, before: int, level: int, terms: Sequence[Float32[Tensor, "_"]]) -> _Left:
        """The items that are left, with the scores of a longer prefix."""
        rows = left.rows.numpy()
        products = left.products
        for number, term in enumerate(terms):
            products = products + self.codes.levels[before + 1 + number].products_of(rows, term)
        return _Left(left.rows, products, products / length_of(self.codes.levels[level].norms[rows]))

    def _scan(self, level: int, terms: Sequence[Tensor], base: Float32[Tensor, "query"], keep: int) -> list[_Left]:
        """The best items of every query by a prefix; perhaps some more, for a sample tells how high the best are."""
        count = len(self.codes)
        step = max(1, count // SAMPLE)
        prefix = self._prefix(level, terms, base)
        sample, _ = self._block(level, slice(0, count, step), prefix)
        rank = keep / step
        place = min(len(sample), math.ceil(rank + 3 * math.sqrt(rank)) + 3)
        bounds = sample.topk(place, dim=0).values[-1] if place < len(sample) else torch.full_like(base, -math.inf)
        found: list[list[tuple[np.ndarray, np.ndarray, np.ndarray]]] = []
        for block in self._blocks():
            scores, lengths = self._block(level, block, prefix)
            place_of, query_of = np.divmod(np.flatnonzero(scores.numpy() >= bounds.numpy()), len(base))
            order = np.argsort(query_of, kind="stable")
            place_of, query_of = place_of[order], query_of[order]
            told = scores.numpy()[place_of, query_of]
            cuts = np.searchsorted(query_of, np.arange(1, len(base)))
            parts = (place_of + block.start, told * lengths.numpy()[place_of], told)
            found.append(list(zip(*(np.split(part, cuts) for part in parts), strict=True)))
        left = [_Left.joined([block[query] for block in found]) for query in range(len(base))]
        if min(len(one.rows) for one in left) < min(keep, count):  # a sample that misled: order everything
            return self._scan_all(level, prefix)
        return left if keep > len(sample) // 16 else [one.best(keep) for one in left]

    def _scan_all(self, level: int, prefix: Prefix) -> list[_Left]:
        """Every item for every query."""
        blocks = [self._block(level, block, prefix) for block in self._blocks()]
        scores, lengths = torch.cat([one[0] for one in blocks]), torch.cat([one[1] for one in blocks])
        rows = torch.arange(len(self.codes))
        return [_Left(rows, column * lengths, column) for column in scores.T]

    def _block(
        self, level: int, rows: slice, prefix: Prefix
    ) -> tuple[Float32[Tensor, "item query"], Float32[Tensor, "item"]]:
        """Scores of some items by a prefix, and the lengths of what it says."""
        lengths = length_of(self.codes.levels[level].norms[rows])
        return prefix.products(rows).div_(lengths[:, None]), lengths

    def _blocks(self) -> Iterator[slice]:
        for start in range(0, len(self.codes), BLOCK):
            yield slice(start, min(start + BLOCK, len(self.codes)))

    def _prefix(self, level: int, terms: Sequence[Tensor], base: Float32[Tensor, "query"]) -> Prefix:
        return Prefix(self.codes.levels[: level + 1], terms[: level + 1], base)

    def _ranks(
        self, queries: Float32[Tensor, "query out"], wanted: Int64[Tensor, "query place"], level: int
    ) -> Int64[Tensor, "_"]:
        """How many items are ahead of each wanted one by a prefix."""
        ranks = []
        for part, items in zip(queries.split(QUERIES), wanted.split(QUERIES), strict=True):
            terms, base = [one.terms(part) for one in self.codes.levels[: level + 1]], part @ self.codes.bias
            own = torch.stack([self._own(level, one, query, terms, base) for query, one in enumerate(items)])
            ahead, prefix = torch.zeros_like(own, dtype=torch.int64), self._prefix(level, terms, base)
            for block in self._blocks():
                scores, _ = self._block(level, block, prefix)
                ahead += torch.stack([(scores > place).sum(dim=0) for place in own.T], dim=1)
            ranks.append(ahead.flatten())
        return torch.cat(ranks)

    def _own(
        self, level: int, items: Int64[Tensor, "place"], query: int, terms: Sequence[Tensor], base: Tensor
    ) -> Float32[Tensor, "place"]:
        """Scores of some items for a query, by a prefix."""
        start = _Left(items, base[query].expand(len(items)), items.float())
        return self._again(start, -1, level, [term[:, query].contiguous() for term in terms]).scores
