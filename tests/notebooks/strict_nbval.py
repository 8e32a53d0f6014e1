"""nbval made strict where it is lax, and numerical where it compares characters. A pytest plugin: `-p strict_nbval`.

- A code cell that was never run fails: nbval would run it and compare nothing.
- Numbers with a decimal point or an exponent are compared as `same_number` says; integers and words must be the same.
- HTML, vector graphics and plotly bundles are not compared (they differ between versions of the tools); nbval itself
  skips PNG, JPEG and widget views. So a notebook prints the numbers that its pictures and widgets show.
- Memory addresses, UUIDs and the kernel's temporary paths are struck out, runs of blanks count as one.
"""

import re
from collections.abc import Sequence
from decimal import Decimal
from itertools import zip_longest

import pytest
from nbval.plugin import IPyNbCell

RELATIVE = Decimal("1e-4")
COARSEST = Decimal("0.01")
NOT_COMPARED = ("text/html", "image/svg+xml", "application/vnd.plotly.v1+json")
NUMBER = re.compile(r"(?<![\w.])[-+]?(?:\d+\.\d*|\.\d+|\d+(?=[eE][-+]?\d))(?:[eE][-+]?\d+)?(?![\w])")
STRUCK = (
    (re.compile(r"0x[0-9a-fA-F]{6,}"), "ADDRESS"),
    (re.compile(r"\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b"), "UUID"),
    (re.compile(r"\S*/ipykernel_\d+/\d+\.py"), "CELL"),
    (re.compile(r"[ \t]+"), " "),
)


def same_number(stored: str, found: str) -> bool:
    """Whether two printed numbers may come from one computation on two machines.

    They may differ by 1e-4 of their size. They may also differ by one unit of the last printed place, because a
    difference of 1e-7 can tip the rounding there; but only where that unit is at most 1 % of the number (0.731 may
    become 0.732, 0.1 may not become 0.2), so that no tolerance is ever wider than 1 %.
    """
    left, right = Decimal(stored), Decimal(found)
    size = max(abs(left), abs(right))
    unit = min(Decimal(1).scaleb(int(number.as_tuple().exponent)) for number in (left, right))
    return abs(left - right) <= max(RELATIVE * size, unit if unit <= COARSEST * size else Decimal(0))


def same_text(stored: str, found: str) -> bool:
    """Whether two texts agree in every word, and in every number within its tolerance."""
    for pattern, substitute in STRUCK:
        stored, found = pattern.sub(substitute, stored), pattern.sub(substitute, found)
    if NUMBER.split(stored) != NUMBER.split(found):
        return False
    return all(same_number(*pair) for pair in zip_longest(NUMBER.findall(stored), NUMBER.findall(found)))


class Output(str):
    """An output that nbval compares with `same_text`."""

    __slots__ = ()
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) and same_text(self, other)

    def __ne__(self, other: object) -> bool:
        return not self == other


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    for cell in items:
        if isinstance(cell, IPyNbCell):
            cell.parent.skip_compare = tuple({*cell.parent.skip_compare, *NOT_COMPARED})
            cell.sanitize = lambda value: Output(value) if isinstance(value, str) else value


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> None:
    if isinstance(item, IPyNbCell) and item.cell.source.strip() and item.cell.execution_count is None:
        pytest.fail("This cell was never run, so that nothing would be compared: execute the notebook.", pytrace=False)
