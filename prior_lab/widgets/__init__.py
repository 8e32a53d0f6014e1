"""The explorers, a folder each: state in plain objects, thin widgets on them.

`base`, `canvas`, `export`, `page.html` and `parts/` are what they share; a new explorer is a folder with its state, its
drawing and an `Explorer` that joins them.
"""

from prior_lab.widgets.budgets import BudgetExplorer, explore
from prior_lab.widgets.information import InformationExplorer, explore_information
from prior_lab.widgets.loss_plot import LossPlot
from prior_lab.widgets.probes import ProbeExplorer, explore_probes
from prior_lab.widgets.search import SearchExplorer, explore_search
from prior_lab.widgets.stream import StreamExplorer, explore_stream

__all__ = [
    "BudgetExplorer",
    "InformationExplorer",
    "LossPlot",
    "ProbeExplorer",
    "SearchExplorer",
    "StreamExplorer",
    "explore",
    "explore_information",
    "explore_probes",
    "explore_search",
    "explore_stream",
]
