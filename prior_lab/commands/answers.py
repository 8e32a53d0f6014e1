"""What commands answer: a table for people, or one JSON object for programs."""

import json
import math
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class Command(Protocol):
    """What the command line runs."""

    def run(self, command: str) -> None:
        """Do it.

        Parameters
        ----------
        command : the exact command, as a model file records it.
        """


@dataclass(frozen=True)
class Answer:
    """What a command found out.

    Attributes
    ----------
    values : for programs: names to numbers, texts, lists and further names; NaN becomes null.
    text : for people.
    """

    values: Mapping[str, Any]
    text: str


@dataclass(frozen=True, kw_only=True)
class Answering(ABC):
    """A command that prints its answer, and nothing else, to standard output."""

    json: bool = False
    """Print one JSON object; notes go to standard error."""

    def run(self, command: str) -> None:
        """Find the answer and print it."""
        with redirect_stdout(sys.stderr):
            answer = self.answer(command)
        print(json.dumps(plain(answer.values), allow_nan=False) if self.json else answer.text)

    @abstractmethod
    def answer(self, command: str) -> Answer:
        """The answer, in both forms."""


def plain(values: Any) -> Any:
    """The same with null for NaN, which JSON does not know."""
    if isinstance(values, Mapping):
        return {name: plain(value) for name, value in values.items()}
    if isinstance(values, list | tuple):
        return [plain(value) for value in values]
    return None if isinstance(values, float) and math.isnan(values) else values


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns side by side: the first to the left, the others to the right."""
    lines = [head, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]

    def formatted(line: Sequence[str]) -> str:
        cells = [cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True)]
        return "  ".join([line[0].ljust(widths[0]), *cells]).rstrip()

    return "\n".join(map(formatted, lines))
