"""What the probe explorer shows, as plain objects: no widget is needed to test it."""

from dataclasses import dataclass
from typing import Literal, get_args

from prior_lab.checks import described, whole_number
from prior_lab.errors import InputError
from prior_lab.figures import require

View = Literal["objects", "pictures", "frames"]


@dataclass
class ProbeState:
    """Group and arm, label level, budget, object and view of the map, each checked whenever it is set.

    Attributes
    ----------
    groups : the arms of each group.
    taxonomies, budgets : what there is.
    objects : how many there are.
    group, arm : the arm that is shown; arms go by their ordering.
    taxonomy : label level.
    budget : tokens in the prefix.
    selected : number of the object whose neighbours are shown.
    view : what the map is made of.
    paper : whether the paper's numbers stand beside.
    sources : where images come from; none where they all come from one place.
    source : among whose images the selected object is sought; "" without sources.
    """

    groups: dict[str, tuple[str, ...]]
    taxonomies: tuple[str, ...]
    budgets: tuple[int, ...]
    objects: int
    group: str
    arm: str
    taxonomy: str
    budget: int
    selected: int = 0
    view: View = "objects"
    paper: bool = False
    sources: tuple[str, ...] = ()
    source: str = ""

    def __setattr__(self, name: str, value: object) -> None:
        """Check before setting."""
        match name:
            case "group":
                value = require(value, self.groups, "group of arms")
            case "arm":
                value = require(value, self.groups[self.group], "model", "group")
            case "taxonomy":
                value = require(value, self.taxonomies, "label level")
            case "budget":
                value = require(value, self.budgets, "budget")
            case "view":
                value = require(value, get_args(View), "view", "explorer")
            case "selected":
                value = whole_number("the number of an object", value)
                if not 0 <= value < self.objects:
                    raise InputError(
                        f"There is no object {value}; these images show the objects 0 to {self.objects - 1}."
                    )
            case "source" if value or self.sources:
                value = require(value, self.sources, "source of images", "data set")
            case "paper":
                if not isinstance(value, bool):
                    raise InputError(f"paper is {described(value)}; True or False was expected.")
        super().__setattr__(name, value)

    def arm_in(self, group: str) -> str:
        """The arm to show in a group: of the same ordering as now, if there is one."""
        group = require(group, self.groups, "group of arms")
        return self.arm if self.arm in self.groups[group] else self.groups[group][0]
