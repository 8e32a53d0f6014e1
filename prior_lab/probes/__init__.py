"""Frozen probes of ordered codes at every budget: linear probes, nearest neighbours, retrieval and matching."""

from prior_lab.probes.linear import linear_probes
from prior_lab.probes.matching import matching
from prior_lab.probes.neighbours import nearest_neighbours, retrieval
from prior_lab.probes.samples import Samples

__all__ = ["Samples", "linear_probes", "matching", "nearest_neighbours", "retrieval"]
