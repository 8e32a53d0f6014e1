"""The explorers: state in plain objects, thin widgets on them."""

from prior_lab.widgets.explorer import BudgetExplorer, explore
from prior_lab.widgets.information import InformationExplorer, explore_information
from prior_lab.widgets.loss_plot import LossPlot
from prior_lab.widgets.probes import ProbeExplorer, explore_probes

__all__ = [
    "BudgetExplorer",
    "InformationExplorer",
    "LossPlot",
    "ProbeExplorer",
    "explore",
    "explore_information",
    "explore_probes",
]
