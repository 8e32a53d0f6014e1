"""What the search explorer shows, as a plain object: no widget is needed to test it."""

from dataclasses import dataclass
from typing import Literal, get_args

from prior_lab.checks import whole_number
from prior_lab.errors import InputError
from prior_lab.figures import require

View = Literal["expected", "uncertainty", "promise"]


@dataclass
class SearchState:
    """Two settings whose plane is shown, what of it, at which price of a bit, and one of the trials.

    Parameters
    ----------
    settings : names of all settings that were searched.
    prices : that trials can be judged at.
    trials : their numbers.
    """

    settings: tuple[str, ...]
    prices: tuple[float, ...]
    trials: tuple[int, ...]
    across: str
    up: str
    price: float
    trial: int
    view: View = "expected"

    def __setattr__(self, name: str, value: object) -> None:
        match name:
            case "across" | "up":
                value = require(value, self.settings, "setting", "search")
                other = getattr(self, "up" if name == "across" else "across", None)
                if value == other and len(self.settings) > 1:  # the two change places
                    object.__setattr__(self, "up" if name == "across" else "across", getattr(self, name, other))
            case "price":
                value = require(value, self.prices, "price", "explorer")
            case "trial":
                if whole_number("trial", value) not in self.trials:
                    raise InputError(f"There is no trial {value}; the search has the trials 0 to {max(self.trials)}.")
                value = int(value)  # type: ignore[call-overload]
            case "view":
                value = require(value, get_args(View), "view", "explorer")
        object.__setattr__(self, name, value)
