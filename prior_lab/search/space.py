"""What a search may vary: settings with bounds, and their places in the unit cube where strategies think."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float64
from torch import Tensor

from prior_lab.checks import check_fields
from prior_lab.errors import InputError


@dataclass(frozen=True)
class Setting:
    """A number that a search may vary.

    Parameters
    ----------
    name : of a field of an experiment, or of its model as `model.free_nats`.
    low, high : the bounds; both belong to it.
    log : look evenly over its logarithm, as suits weights; otherwise over itself.
    """

    name: str
    low: float
    high: float
    log: bool = True

    def __post_init__(self) -> None:
        check_fields(self, "setting")
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise InputError(f"{self.name} is to lie in {self.low:g}..{self.high:g}; its bounds must be ascending.")
        if self.log and self.low <= 0:
            raise InputError(f"{self.name} starts at {self.low:g}, which has no logarithm; a bound above 0 is needed.")

    def place(self, value: float) -> float:
        """Where a value lies between the bounds, in 0..1."""
        value, low, high = (math.log(x) if self.log else x for x in (value, self.low, self.high))
        return (value - low) / (high - low)

    def value(self, place: float) -> float:
        """The value at a place in 0..1."""
        if not 0 < place < 1:
            return self.low if place <= 0 else self.high
        low, high = (math.log(x) if self.log else x for x in (self.low, self.high))
        value = low + place * (high - low)
        return min(max(math.exp(value) if self.log else value, self.low), self.high)


@dataclass(frozen=True)
class Space:
    """Settings that are searched together; a point holds a place in 0..1 for each."""

    settings: tuple[Setting, ...] = field(default_factory=tuple)

    def __post_init__(self) -> None:
        names = [setting.name for setting in self.settings]
        if not names:
            raise InputError("A search needs at least one setting that may vary.")
        if len(set(names)) < len(names):
            raise InputError(f"The settings are {', '.join(names)}; each may be named once.")

    @classmethod
    def of(cls, bounds: Mapping[str, tuple[float, float]] | Iterable[Setting]) -> "Space":
        """A space from bounds by name, all of them searched by their logarithms, or from settings."""
        if isinstance(bounds, Mapping):
            return cls(tuple(Setting(name, *ends) for name, ends in bounds.items()))
        return cls(tuple(bounds))

    def __len__(self) -> int:
        return len(self.settings)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the settings, in order."""
        return tuple(setting.name for setting in self.settings)

    def values(self, point: Float64[Tensor, "setting"]) -> dict[str, float]:
        """The settings at a point."""
        return {one.name: one.value(place) for one, place in zip(self.settings, point.tolist(), strict=True)}

    def points(self, values: Sequence[Mapping[str, float]]) -> Float64[Tensor, "point setting"]:
        """The points of settings."""
        places = [[setting.place(one[setting.name]) for setting in self.settings] for one in values]
        return torch.tensor(places, dtype=torch.float64).reshape(-1, len(self))
