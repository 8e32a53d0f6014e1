"""The budget explorer: images at every budget beside their quality curves."""

from prior_lab.widgets.budgets.explorer import BudgetExplorer, explore

__all__ = ["BudgetExplorer", "explore"]
