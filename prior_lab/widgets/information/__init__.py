"""The information explorer: which tokens tell how much, and what they reconstruct."""

from prior_lab.widgets.information.explorer import InformationExplorer, explore_information

__all__ = ["InformationExplorer", "explore_information"]
