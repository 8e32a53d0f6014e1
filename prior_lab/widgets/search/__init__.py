"""The search explorer: what was tried, what the surrogate makes of it, and where it would look next."""

from prior_lab.widgets.search.explorer import SearchExplorer, explore_search

__all__ = ["SearchExplorer", "explore_search"]
