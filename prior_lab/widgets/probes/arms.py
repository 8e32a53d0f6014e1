"""Arms of a contrastive study: what their probes predict, and where their models put the images."""

from functools import cached_property, lru_cache

import numpy as np
import torch
import xarray as xr

from prior_lab import zoo
from prior_lab.effective_information import encode_images
from prior_lab.errors import InputError
from prior_lab.widgets.probes.confusion import Confusion
from prior_lab.widgets.probes.embedding import Embedding
from prior_lab.widgets.probes.images import ProbedImages, parents


class ProbedArm:
    """One arm on the test images; its model is loaded when its embedding is first asked for.

    Parameters
    ----------
    node : of the study.
    images : that it was tested on.
    """

    def __init__(self, node: xr.DataTree, images: ProbedImages) -> None:
        self.label, self.node, self._images = str(node.attrs["ordering"]), node, images
        self.budgets = tuple(int(budget) for budget in node["budget"].to_numpy())
        self.confusion = lru_cache(maxsize=None)(self._confusion)

    @property
    def has_model(self) -> bool:
        """Whether the study names a model."""
        return bool(self.node.attrs.get("model"))

    @property
    def whose(self) -> str:
        """Whose predictions are shown: those of the first seed, where there are several."""
        return f"{self.label}, first seed" if self.node.sizes["seed"] > 1 else self.label

    @property
    def is_embedded(self) -> bool:
        """Whether the embedding is there already."""
        return "embedding" in self.__dict__

    @cached_property
    def embedding(self) -> Embedding:
        """Of the model's features at every budget; this takes seconds, once.

        Raises
        ------
        InputError : if the model cannot be loaded, or has fewer tokens than the study's budgets.
        """
        model = zoo.load_contrastive(self.node.attrs["model"])
        with torch.inference_mode():
            code = encode_images(model, self._images.dataset)
            features = model.features(code, self.node.attrs.get("tap", "tokens")).cpu().numpy()
        if len(code) < max(self.budgets):
            raise InputError(f"The model of {self.label} has {len(code)} tokens, and the study {max(self.budgets)}.")
        width = features.shape[1] // len(code)
        sizes = [width * budget for budget in self.budgets]
        images = self._images
        return Embedding.of(features, images.owners, sizes, images.source_of, len(images.sources))

    @cached_property
    def predicted(self) -> np.ndarray:
        """What the first seed's probes predict, by (taxonomy, budget, image), of the images that are shown."""
        return self._answers[..., self._images.shown]

    @cached_property
    def _answers(self) -> np.ndarray:
        """The same of all images that were probed."""
        return self.node["predicted"].transpose("taxonomy", "budget", "image").values.astype(np.int16)

    def predictions(self, thing: int, taxonomy: str, budget: int) -> list[tuple[str, int]]:
        """What the probe predicts for an object's frames, the most frequent first: label and frames."""
        column = self._images.taxonomies.index(taxonomy)
        predicted = self.predicted[column, self.budgets.index(budget), self._images.frames(thing)]
        labels, counts = np.unique(predicted[predicted >= 0], return_counts=True)
        order = np.argsort(-counts, kind="stable")
        return [(self._images.label_names[column][labels[place]], int(counts[place])) for place in order]

    def _confusion(self, taxonomy: str, budget: int) -> Confusion:
        column = self._images.taxonomies.index(taxonomy)
        truth = self._images.probed_labels
        above = parents(truth, [len(names) for names in self._images.label_names])[column]
        return Confusion.of(truth[:, column], self._answers[column, self.budgets.index(budget)], above)
