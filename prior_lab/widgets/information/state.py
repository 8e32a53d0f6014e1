"""What the information explorer shows, as plain objects: no widget is needed to test it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import get_args

from prior_lab.effective_information import Unit
from prior_lab.figures import require
from prior_lab.widgets.pictures import EVERYTHING


@dataclass(frozen=True)
class Subset:
    """Some tokens of a code.

    Attributes
    ----------
    tokens : their numbers, from 0, in order.
    count : tokens of the whole code.
    prefixes : the lengths that a prefix of the code may have.
    """

    tokens: tuple[int, ...]
    count: int
    prefixes: tuple[int, ...]

    @classmethod
    def of(cls, tokens: Iterable[int], count: int, prefixes: tuple[int, ...]) -> "Subset":
        """Tokens in any order; those that the code does not have are left out."""
        return cls(tuple(sorted({int(token) for token in tokens if 0 <= token < count})), count, prefixes)

    @property
    def budget(self) -> int | None:
        """The length, if this is a prefix that decoding can stop at."""
        return len(self.tokens) if self.tokens and self.prefix == len(self.tokens) else None

    @property
    def prefix(self) -> int:
        """The length of the longest prefix inside that decoding can stop at; 0 if there is none."""
        run = next((place for place, token in enumerate(self.tokens) if token != place), len(self.tokens))
        return max((length for length in self.prefixes if length <= run), default=0)

    def describe(self) -> str:
        """The tokens in words, numbered from 1: "tokens 1 to 3 and 8"."""
        if not self.tokens:
            return "no token"
        runs: list[list[int]] = []
        for token in self.tokens:
            if runs and runs[-1][-1] == token - 1:
                runs[-1][-1] = token
            else:
                runs.append([token, token])
        words = [f"{first + 1}" if first == last else f"{first + 1} to {last + 1}" for first, last in runs]
        listed = ", ".join(words) if len(words) < 3 else f"{', '.join(words[:-1])} and {words[-1]}"
        if len(words) == 2:
            listed = " and ".join(words)
        return f"token{'s' * (len(self.tokens) > 1)} {listed}"

    def decoding(self) -> str:
        """What the pictures are decoded from, in a sentence."""
        if not self.tokens:
            return "No token is selected, so there is nothing to decode."
        if self.budget == self.count:
            return f"Decoded from all {self.count} tokens."
        if self.budget is not None:
            return f"Decoded from {_first(self.budget)}."
        if self.tokens[0] > 0:
            return "Decoding starts at token 1, which is not selected, so there is nothing to decode."
        return f"Decoding cannot stop at this selection; the longest prefix inside it is {_first(self.prefix)}."


def _first(count: int) -> str:
    return "the first token" if count == 1 else f"the first {count} tokens"


@dataclass
class InformationState:
    """Arm, class of images and unit, each checked whenever it is set, and the selected tokens.

    Attributes
    ----------
    arms, choices : what there is.
    arm : label of the model that is shown.
    subset : the selected tokens.
    choice : the label of the images, "taxonomy: label", or "all".
    unit : "bit" or "nat".
    """

    arms: tuple[str, ...]
    choices: tuple[str, ...]
    arm: str
    subset: Subset
    choice: str = EVERYTHING
    unit: Unit = "bit"

    @property
    def tokens(self) -> tuple[int, ...]:
        """The selected tokens, numbered from 0."""
        return self.subset.tokens

    def __setattr__(self, name: str, value: object) -> None:
        """Check before setting."""
        match name:
            case "arm":
                value = require(value, self.arms, "model", "explorer")
            case "choice":
                value = require(value, self.choices, "label", "data set")
            case "unit":
                value = require(value, get_args(Unit), "unit", "explorer")
        super().__setattr__(name, value)
