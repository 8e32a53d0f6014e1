"""What the budget explorer shows, as a plain object: no widget is needed to test it."""

from dataclasses import dataclass

from prior_lab.figures import require

VIEWS = ("image", "added", "error")


@dataclass
class BudgetState:
    """Budget, view and metric, each checked whenever it is set.

    Attributes
    ----------
    budgets, metrics : what there is.
    budget : tokens in the prefix.
    view : "image", "added" (what the last step of the slider added) or "error" (absolute).
    metric : the curve shown.
    """

    budgets: tuple[int, ...]
    metrics: tuple[str, ...]
    budget: int
    metric: str
    view: str = "image"

    def __setattr__(self, name: str, value: object) -> None:
        """Check before setting."""
        match name:
            case "budget":
                value = require(value, self.budgets, "budget")
            case "view":
                value = require(value, VIEWS, "view", "explorer")
            case "metric":
                value = require(value, self.metrics, "metric")
        super().__setattr__(name, value)
