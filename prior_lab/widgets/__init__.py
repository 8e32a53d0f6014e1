"""The explorers: state in plain objects, thin widgets on them."""

from prior_lab.widgets.explorer import BudgetExplorer, explore
from prior_lab.widgets.information import InformationExplorer, explore_information
from prior_lab.widgets.loss_plot import LossPlot

__all__ = ["BudgetExplorer", "InformationExplorer", "LossPlot", "explore", "explore_information"]
