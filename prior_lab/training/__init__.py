"""Training: the one loop and what it stands on, and runs of it, one or many, up to a study.

`loop` trains; `hardware`, `optimizers` and `checkpoints` are what it stands on. `runs` trains many on any executor and
`progress` shows them; `study` measures what is finished, and `ceiling` what the same encoder learns from the labels.
"""

from prior_lab.training.ceiling import train_ceiling
from prior_lab.training.loop import NotFiniteError, Trained, train
from prior_lab.training.runs import run_study
from prior_lab.training.study import bundle_study, study_from_runs

__all__ = ["NotFiniteError", "Trained", "bundle_study", "run_study", "study_from_runs", "train", "train_ceiling"]
