"""Labels and splits of ``household``: from the curated table to what is kept and which object goes where.

The table ``taxonomy.csv`` gives every object its place in a tree of four levels, as deep as it makes sense,
and names its group of near-duplicates, if it has any (colour variants, one design in several sizes). A group is never
divided between splits.
"""

import csv
import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from importlib.resources import files

LEVELS = ("coarse", "mid", "fine", "class")
SPLITS = ("train", "validation", "test")
SHARES = (0.70, 0.15, 0.15)
FEWEST_OBJECTS = 4
FEWEST_PER_SPLIT = (2, 1, 1)


@dataclass(frozen=True)
class Entry:
    """One object: its group of near-duplicates, its split and its labels, '' where it has none at a level."""

    object: str
    group: str
    labels: tuple[str, ...]
    split: str = ""


def read_table() -> tuple[Entry, ...]:
    """The curated table; an object without near-duplicates is a group of its own."""
    text = files("prior_lab.data.household").joinpath("taxonomy.csv").read_text(encoding="utf-8")
    rows = csv.DictReader(text.splitlines())
    return tuple(
        Entry(row["object"], row["group"] or row["object"], tuple(row[level] for level in LEVELS)) for row in rows
    )


def assign_splits(entries: Iterable[Entry]) -> tuple[Entry, ...]:
    """Entries with a split, about 70/15/15 within every stratum, and with too rare labels masked.

    A stratum is the finest label with at least 4 objects in at least 3 groups; what is left over is pooled at the next
    coarser level. Deterministic: order comes from group sizes and from SHA-256 of the group's name.
    """
    entries = tuple(entries)
    split_of: dict[str, str] = {}
    for stratum in _strata(entries):
        split_of.update(_divided(stratum))
    return _masked(tuple(replace(entry, split=split_of[entry.group]) for entry in entries))


def _strata(entries: tuple[Entry, ...]) -> list[dict[str, int]]:
    """Groups with their sizes, one dictionary a stratum; a group belongs where its first member does."""
    sizes = Counter(entry.group for entry in entries)
    left = {entry.group: entry.labels for entry in reversed(entries)}
    strata = []
    for depth in range(len(LEVELS), 0, -1):
        pools: dict[tuple[str, ...], dict[str, int]] = defaultdict(dict)
        for group, labels in left.items():
            pools[labels[:depth]][group] = sizes[group]
        for path, pool in pools.items():
            enough = path[-1] and len(pool) >= len(SPLITS) and sum(pool.values()) >= FEWEST_OBJECTS
            if enough or depth == 1:
                strata.append(pool)
                left = {group: labels for group, labels in left.items() if group not in pool}
    return strata


def _divided(stratum: dict[str, int]) -> dict[str, str]:
    """Groups of one stratum to splits: the two smallest groups to test and validation, then nearest to the shares."""
    order = sorted(stratum, key=lambda group: (-stratum[group], hashlib.sha256(group.encode()).digest()))
    total = sum(stratum.values())
    held = [0, 0, 0]
    chosen: dict[str, str] = {}
    if len(order) >= len(SPLITS):
        for split in (2, 1):
            group = order.pop()
            chosen[group], held[split] = SPLITS[split], stratum[group]
    for group in order:
        misses = [
            sum((count + stratum[group] * (split == other) - share * total) ** 2
                for other, (count, share) in enumerate(zip(held, SHARES, strict=True)))
            for split in range(len(SPLITS))
        ]  # fmt: skip
        split = misses.index(min(misses))
        chosen[group] = SPLITS[split]
        held[split] += stratum[group]
    return chosen


def _masked(entries: tuple[Entry, ...]) -> tuple[Entry, ...]:
    """Entries with every label emptied that has too few objects, all in all or in one of the splits."""
    counts = Counter((depth, label, entry.split) for entry in entries for depth, label in enumerate(entry.labels))

    def is_kept(depth: int, label: str) -> bool:
        per_split = [counts[depth, label, split] for split in SPLITS]
        enough = all(count >= least for count, least in zip(per_split, FEWEST_PER_SPLIT, strict=True))
        return bool(label) and enough and sum(per_split) >= FEWEST_OBJECTS

    return tuple(
        replace(entry, labels=tuple(label if is_kept(depth, label) else "" for depth, label in enumerate(entry.labels)))
        for entry in entries
    )
