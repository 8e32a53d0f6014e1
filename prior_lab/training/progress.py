"""A table of runs while they go on: in a notebook, in a terminal, or as a line for every change of state."""

import html
import shutil
import sys
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

COLUMNS = ("run", "state", "step", "validation", "seconds")


@dataclass(frozen=True)
class RunLine:
    """How far a run is.

    Attributes
    ----------
    step : optimiser steps done, as the run's folder records.
    validation : the newest validation, for a person to read.
    seconds : time spent on training [s].
    """

    name: str
    state: Literal["waiting", "training", "finished", "failed"]
    step: int
    steps: int
    validation: str
    seconds: float

    @property
    def cells(self) -> tuple[str, str, str, str, str]:
        """The line as texts, one for each of `COLUMNS`."""
        return self.name, self.state, f"{self.step} of {self.steps}", self.validation, f"{self.seconds:.0f}"


class ProgressTable(ABC):
    """A line for each run, shown anew when something has changed."""

    def __init__(self) -> None:
        self._shown: list[RunLine] = []

    def show(self, lines: Sequence[RunLine]) -> None:
        """Bring the table up to date."""
        if list(lines) != self._shown:
            self._draw(lines)
            self._shown = list(lines)

    @abstractmethod
    def _draw(self, lines: Sequence[RunLine]) -> None:
        """Show lines that differ from those in `_shown`."""


class HiddenTable(ProgressTable):
    """Shows nothing."""

    def _draw(self, lines: Sequence[RunLine]) -> None:
        pass


class LogTable(ProgressTable):
    """Prints a run's line when its state changes."""

    def _draw(self, lines: Sequence[RunLine]) -> None:
        before = {line.name: line.state for line in self._shown}
        for line in lines:
            if line.state != before.get(line.name, "waiting"):
                name, state, step, validation, seconds = line.cells
                print("  ".join(filter(None, (name, state, f"step {step}", validation, f"{seconds} s"))), flush=True)


class TerminalTable(ProgressTable):
    """Draws the table over what it drew before."""

    def _draw(self, lines: Sequence[RunLine]) -> None:
        rows = [COLUMNS, *(line.cells for line in lines)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        room = shutil.get_terminal_size().columns - 1  # a line that wraps would be two
        texts = ["  ".join(map(str.ljust, row, widths))[:room] for row in rows]
        upwards = f"\x1b[{len(self._shown) + 1}F\x1b[J" if self._shown else ""
        print(upwards + "\n".join(texts), flush=True)


class NotebookTable(ProgressTable):
    """An HTML table in a cell's output, updated in place."""

    def __init__(self) -> None:
        super().__init__()
        self._handle: Any = None

    def _draw(self, lines: Sequence[RunLine]) -> None:
        from IPython.display import HTML, display

        head = "".join(f"<th>{name}</th>" for name in COLUMNS)
        rows = ("".join(f"<td>{html.escape(cell)}</td>" for cell in line.cells) for line in lines)
        body = "".join(f"<tr>{row}</tr>" for row in rows)
        table = HTML(f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>")
        if self._handle is None:
            self._handle = display(table, display_id=True)
        else:
            self._handle.update(table)


def progress_table(runs: int) -> ProgressTable:
    """The table that suits where this process prints.

    Parameters
    ----------
    runs : how many there are; a table higher than the terminal cannot be redrawn in place.
    """
    if _in_notebook():
        return NotebookTable()
    fits = runs + 1 < shutil.get_terminal_size().lines
    return TerminalTable() if sys.stdout.isatty() and fits else LogTable()


def _in_notebook() -> bool:
    ipython = sys.modules.get("IPython")
    return ipython is not None and hasattr(ipython.get_ipython(), "kernel")
