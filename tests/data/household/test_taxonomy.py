from collections import Counter

import pytest

from prior_lab.data.household.taxonomy import Entry, assign_splits, read_table


def _entries(label: str, count: int, *, group_size: int = 1) -> list[Entry]:
    return [
        Entry(f"{label}{number}", f"{label} group {number // group_size}", ("thing", "thing", label, label))
        for number in range(count)
    ]


def test_labels_are_divided_seventy_fifteen_fifteen():
    counts = Counter(entry.split for entry in assign_splits(_entries("chair", 40)))
    assert counts == {"train": 28, "validation": 6, "test": 6}


@pytest.mark.parametrize("count", [4, 5, 7, 9])
def test_small_labels_are_in_every_split(count: int):
    counts = Counter(entry.split for entry in assign_splits(_entries("lamp", count)))
    assert counts["train"] >= 2
    assert counts["validation"] >= 1
    assert counts["test"] >= 1


def test_groups_stay_together():
    entries = assign_splits(_entries("plate", 12, group_size=3))
    splits = {(entry.group, entry.split) for entry in entries}
    assert len(splits) == 4
    assert {split for _, split in splits} == {"train", "validation", "test"}


def test_rare_labels_are_masked_and_common_parents_kept():
    entries = assign_splits([*_entries("chair", 10), *_entries("ladder", 3)])
    ladders = [entry.labels for entry in entries if entry.object.startswith("ladder")]
    assert ladders == [("thing", "thing", "", "")] * 3


def test_a_label_within_two_groups_is_masked():
    entries = assign_splits([*_entries("chair", 10), *_entries("door", 6, group_size=3)])
    assert all(entry.labels[3] == "" for entry in entries if entry.object.startswith("door"))


def test_assignment_does_not_depend_on_chance_or_on_what_is_elsewhere():
    alone = {entry.object: entry.split for entry in assign_splits(_entries("chair", 17))}
    together = {entry.object: entry.split for entry in assign_splits([*_entries("lamp", 9), *_entries("chair", 17)])}
    assert alone.items() <= together.items()


def test_table_has_every_object_once():
    objects = [entry.object for entry in read_table()]
    assert len(objects) == len(set(objects)) == 820
