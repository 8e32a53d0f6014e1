"""What a benchmark yields, how pairs are timed, and how rows look in the table."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

CPU = torch.device("cpu")
FEWEST = 3  # rounds, however slow
COLUMNS = ("ours", "peer", "ratio", "images/s", "MiB", "GFLOP/s", "of product")


@dataclass(frozen=True)
class Goal:
    """What a number should reach; one that is missed is told, and fails nothing.

    Attributes
    ----------
    text : the number, such as `at least 10`.
    met : whether it was reached.
    """

    text: str
    met: bool


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table.

    Attributes
    ----------
    name : what is timed.
    against : what it is timed against, if anything.
    seconds, peer_seconds : medians of one run of either [s].
    ratio : of the times, the peer's over ours: median over pairs.
    images_per_second : of what is timed.
    memory : its peak [MiB].
    flops : its rate [FLOP/s].
    share_of_product : that rate over the rate of a matrix product.
    goal : of the ratio or the time.
    note : anything else.
    failures : checks of correctness that failed, a sentence each.
    """

    name: str
    against: str = ""
    seconds: float | None = None
    peer_seconds: float | None = None
    ratio: float | None = None
    images_per_second: float | None = None
    memory: float | None = None
    flops: float | None = None
    share_of_product: float | None = None
    goal: Goal | None = None
    note: str = ""
    failures: tuple[str, ...] = ()

    def __str__(self) -> str:
        title = f"{self.name} | {self.against}" if self.against else self.name
        cells = [
            _cell(self.seconds, 1e3, ".1f", " ms"),
            _cell(self.peer_seconds, 1e3, ".1f", " ms"),
            _cell(self.ratio, 1, ".2f", "x"),
            _cell(self.images_per_second, 1, ".0f"),
            _cell(self.memory, 1, ".0f"),
            _cell(self.flops, 1e-9, ".0f"),
            _cell(self.share_of_product, 100, ".0f", " %"),
        ]
        goal = f"goal {self.goal.text}: {'met' if self.goal.met else 'MISSED'}" if self.goal else ""
        told = [goal, self.note, *(f"FAILED: {sentence}" for sentence in self.failures)]
        return _line(title, cells, "; ".join(filter(None, told)))


@dataclass(frozen=True)
class Times:
    """Of a pair: medians [s], and the median of the ratios, the peer's time over ours."""

    seconds: float
    peer_seconds: float
    ratio: float


def heading() -> str:
    """The table's first line."""
    return _line("what | against what", COLUMNS, "")


def at_least(least: float, value: float) -> Goal:
    """The goal of a number that should be large."""
    return Goal(f"at least {least:g}", value >= least)


def at_most(most: float, value: float) -> Goal:
    """The goal of a number that should be small."""
    return Goal(f"at most {most:g}", value <= most)


def seconds_of(run: Callable[[], object], device: torch.device = CPU) -> float:
    """How long one run takes, until the device is done [s]."""
    _wait(device)
    start = time.perf_counter()
    run()
    _wait(device)
    return time.perf_counter() - start


def compare(
    ours: Callable[[], object],
    peer: Callable[[], object],
    device: torch.device = CPU,
    *,
    rounds: int = 9,
    limit: float = 8.0,
) -> Times:
    """Time a pair in turn, after a round of warming up.

    Parameters
    ----------
    rounds : at most.
    limit : no round begins after this time [s], but for the first `FEWEST`.
    """
    for run in (ours, peer):
        run()
    pairs: list[tuple[float, float]] = []
    start = time.perf_counter()
    while len(pairs) < rounds and (len(pairs) < FEWEST or time.perf_counter() - start < limit):
        pairs.append((seconds_of(ours, device), seconds_of(peer, device)))
    seconds, peer_seconds = (statistics.median(column) for column in zip(*pairs, strict=True))
    return Times(seconds, peer_seconds, statistics.median(theirs / mine for mine, theirs in pairs))


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _cell(value: float | None, scale: float, form: str, unit: str = "") -> str:
    return "" if value is None else f"{value * scale:{form}}{unit}"


def _line(title: str, cells: tuple[str, ...] | list[str], told: str) -> str:
    return f"{title:<76}{''.join(f'{cell:>12}' for cell in cells)}  {told}".rstrip()
