"""The written schema of results (`schema.py`): build, validate, save and load studies, a file for each task's arms.

Examples
--------
Is one arm ahead of another, on the same objects and over the training runs?

>>> import prior_lab as pl
>>> study = pl.load_study("household-reconstruction")
>>> prior, masked = (
...     study[f"{name}-gaussian"]["quality_by_object"].sel(metric="SSIM", budget=127) for name in ("prior", "td")
... )
>>> print(pl.results.lead(prior, masked))
+0.14... (+0.1... to +0.1...)
>>> pl.results.lead(prior, masked).verdict
'holds here'
"""

from prior_lab.results.arm import ArmRecord
from prior_lab.results.contrastive import ContrastiveRun, build_contrastive_arm, leads_over, matching_baselines
from prior_lab.results.reconstruction import ReconstructionRun, build_reconstruction_arm, build_yardsticks
from prior_lab.results.schema import Provenance, build_study, load, provenance, save, validate
from prior_lab.results.statistics import Lead, bootstrap_interval, lead, lead_of_peaks, verdict_of_all

__all__ = [
    "ArmRecord",
    "ContrastiveRun",
    "Lead",
    "Provenance",
    "ReconstructionRun",
    "bootstrap_interval",
    "build_contrastive_arm",
    "build_reconstruction_arm",
    "build_study",
    "build_yardsticks",
    "lead",
    "lead_of_peaks",
    "leads_over",
    "load",
    "matching_baselines",
    "provenance",
    "save",
    "validate",
    "verdict_of_all",
]
