"""What models are trained for, a file for each task: its experiment, its batches, its loss and its validation."""

import json

from prior_lab.checks import parse_json
from prior_lab.data.feeding.augmentation import Augmentation
from prior_lab.errors import InputError
from prior_lab.models import AutoencoderConfig, ContrastiveConfig
from prior_lab.tasks.base import Experiment, Record, Task
from prior_lab.tasks.contrastive import ContrastiveExperiment, nt_xent_by_budget
from prior_lab.tasks.reconstruction import ReconstructionExperiment

__all__ = [
    "ContrastiveExperiment",
    "Experiment",
    "ReconstructionExperiment",
    "Record",
    "Task",
    "experiment_from_json",
    "nt_xent_by_budget",
]


def experiment_from_json(text: str) -> Experiment:
    """The experiment that `Experiment.to_json` wrote; settings that are younger than the text have their defaults.

    Raises
    ------
    InputError : if it is not such a text.
    """
    values = parse_json(text, "The experiment")
    try:
        match values.pop("task", "reconstruction"):  # older files name no task: there was one
            case "reconstruction":
                return ReconstructionExperiment(**{**values, "model": AutoencoderConfig(**values["model"])})
            case "contrastive":
                model = ContrastiveConfig.from_json(json.dumps(values["model"]))
                return ContrastiveExperiment(
                    **{**values, "model": model, "augmentation": Augmentation(**values["augmentation"])}
                )
            case task:
                raise InputError(f"There is no task {task!r}; choose reconstruction or contrastive.")
    except (AttributeError, TypeError, KeyError) as error:
        raise InputError(f"This is not the JSON of an experiment: {error}.") from error
