"""The probe explorer: how accuracies, neighbours and mistakes sharpen from coarse to fine as the budget grows."""

from prior_lab.widgets.probes.explorer import ProbeExplorer, explore_probes

__all__ = ["ProbeExplorer", "explore_probes"]
