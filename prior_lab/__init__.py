"""A laboratory for ordered image representations: codes whose first k tokens are useful for every k.

Everything is imported when it is first used: `import prior_lab` costs nothing, and training needs no notebook packages.

Examples
--------
>>> import prior_lab as pl
>>> model = pl.load_model("household/reconstruction/prior-gaussian")
>>> images = pl.load_dataset("household", split="test").images[:8]
>>> code = model.encode(images)  # 127 tokens, in order
>>> pictures = model.decode(code[:15])  # what 15 of them carry

In Jupyter, `pl.explore(pl.load_study("household-reconstruction"))` slides through all budgets.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from prior_lab.errors import InputError

if TYPE_CHECKING:
    from prior_lab import codec, figures, levels, paper, quality, results, search
    from prior_lab.codec import Codec, compress, decompress
    from prior_lab.data import ImageDataset, list_datasets, load_dataset
    from prior_lab.effective_information import information
    from prior_lab.embedding import Funnel, OrderedEmbedder, features
    from prior_lab.models import Autoencoder, AutoencoderConfig, ContrastiveConfig, ContrastiveModel
    from prior_lab.orderings import Code
    from prior_lab.search import load_search
    from prior_lab.tasks import ContrastiveExperiment, ReconstructionExperiment
    from prior_lab.training import run_study, train, train_ceiling
    from prior_lab.widgets import (
        BudgetExplorer,
        InformationExplorer,
        LossPlot,
        ProbeExplorer,
        SearchExplorer,
        StreamExplorer,
        explore,
        explore_information,
        explore_probes,
        explore_search,
        explore_stream,
    )
    from prior_lab.zoo import list_codecs, list_models, list_searches, list_studies, load_model, load_study

__version__ = "0.1.0"

__all__ = [
    "Autoencoder",
    "AutoencoderConfig",
    "BudgetExplorer",
    "Code",
    "Codec",
    "ContrastiveConfig",
    "ContrastiveExperiment",
    "ContrastiveModel",
    "Funnel",
    "ImageDataset",
    "InformationExplorer",
    "InputError",
    "LossPlot",
    "OrderedEmbedder",
    "ProbeExplorer",
    "ReconstructionExperiment",
    "SearchExplorer",
    "StreamExplorer",
    "codec",
    "compress",
    "decompress",
    "explore",
    "explore_information",
    "explore_probes",
    "explore_search",
    "explore_stream",
    "features",
    "figures",
    "information",
    "levels",
    "list_codecs",
    "list_datasets",
    "list_models",
    "list_searches",
    "list_studies",
    "load_dataset",
    "load_model",
    "load_search",
    "load_study",
    "paper",
    "quality",
    "results",
    "run_study",
    "search",
    "train",
    "train_ceiling",
]

_HOMES = {
    "Autoencoder": "models",
    "AutoencoderConfig": "models",
    "BudgetExplorer": "widgets",
    "Code": "orderings",
    "Codec": "codec",
    "ContrastiveConfig": "models",
    "ContrastiveExperiment": "tasks",
    "ContrastiveModel": "models",
    "Funnel": "embedding",
    "ImageDataset": "data",
    "InformationExplorer": "widgets",
    "LossPlot": "widgets",
    "OrderedEmbedder": "embedding",
    "ProbeExplorer": "widgets",
    "ReconstructionExperiment": "tasks",
    "SearchExplorer": "widgets",
    "StreamExplorer": "widgets",
    "compress": "codec",
    "decompress": "codec",
    "explore": "widgets",
    "explore_information": "widgets",
    "explore_probes": "widgets",
    "explore_search": "widgets",
    "explore_stream": "widgets",
    "features": "embedding",
    "information": "effective_information",
    "list_codecs": "zoo",
    "list_datasets": "data",
    "list_models": "zoo",
    "list_searches": "zoo",
    "list_studies": "zoo",
    "load_dataset": "data",
    "load_model": "zoo",
    "load_search": "search",
    "load_study": "zoo",
    "run_study": "training",
    "train": "training",
    "train_ceiling": "training",
}
_LAB_PACKAGES = {"anywidget", "IPython", "ipywidgets", "plotly", "traitlets"}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'prior_lab' has no attribute {name!r}")
    try:
        module = import_module(f"prior_lab.{_HOMES.get(name, name)}")
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in _LAB_PACKAGES:
            raise
        raise InputError(f"prior_lab.{name} needs {package}: pip install 'prior-lab[lab]' brings it.") from error
    return getattr(module, name) if name in _HOMES else module


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
