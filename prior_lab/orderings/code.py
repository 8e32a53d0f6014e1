"""What an ordering gives: a `Code`, and what a training step sees of one."""

import math
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from prior_lab.checks import whole_number
from prior_lab.errors import InputError
from prior_lab.tokens import Posterior


@dataclass(frozen=True, eq=False)
class Code:
    """An ordered sequence of tokens for a batch of images; `code[:k]` is the prefix that a budget of k tokens sends.

    Attributes
    ----------
    values : the transmitted tokens: all that decoding needs.
    posterior : their distribution, from which information is measured.
    prefixes : the lengths a prefix may have: whole levels for PRIOR, any length for masking orderings.
    made_by : the model that made it, as `OrderedModel.fingerprint` has it; other models refuse it. With None any model
        that it fits reads it: `dataclasses.replace(code, made_by=None)` for one that decodes it on purpose.

    Examples
    --------
    >>> import torch
    >>> import prior_lab as pl
    >>> code = pl.Autoencoder(pl.AutoencoderConfig()).encode(torch.zeros(4, 3, 64, 64))
    >>> code[:15]
    Code(4 images, 15 Gaussian tokens of 32 channels)
    >>> code.prefixes
    (1, 3, 7, 15, 31, 63, 127)
    >>> code[:16]
    Traceback (most recent call last):
        ...
    prior_lab.errors.InputError: A budget of 16 tokens is no prefix of this code of 127; choose one of 1, 3, 7, 15, ...
    """

    values: Float[Tensor, "batch token channel"]
    posterior: Posterior
    prefixes: tuple[int, ...]
    made_by: str | None = None

    def __len__(self) -> int:
        """Number of tokens."""
        return self.values.shape[1]

    def __getitem__(self, prefix: slice) -> "Code":
        """The first k tokens, `code[:k]`.

        Raises
        ------
        InputError : if the slice is no prefix, or its length is none that this ordering can stop at.
        """
        if not isinstance(prefix, slice) or prefix.start not in (None, 0) or prefix.step not in (None, 1):
            raise InputError("A code is cut to a prefix: write code[:k], without a start or a step.")
        length = len(self) if prefix.stop is None else whole_number("A budget", prefix.stop)
        if length not in self.prefixes or length > len(self):
            raise InputError(
                f"A budget of {length} tokens is no prefix of this code of {len(self)}; {self._available()}."
            )
        return replace(self, values=self.values[:, :length], posterior=self.posterior.prefix(length))

    def __repr__(self) -> str:
        """Shape and kind, not the numbers."""
        batch, tokens, channels = self.values.shape
        kind = type(self.posterior).__name__.removesuffix("Posterior")
        return f"Code({batch} images, {tokens} {kind} tokens of {channels} channels)"

    def select(self, images: Int64[Tensor, "selected"]) -> "Code":
        """The code of some of the images."""
        return replace(self, values=self.values[images], posterior=self.posterior.select(images))

    def to_numpy(self, budget: int | None = None) -> Float[np.ndarray, "image column"]:
        """The token values of a prefix as float32, flattened: what shorter prefixes give are its first columns.

        Parameters
        ----------
        budget : tokens of the prefix; all, if not given.

        Raises
        ------
        InputError : if it is none that this ordering can stop at.
        """
        return self[:budget].values.detach().float().flatten(1).cpu().numpy()

    @property
    def information(self) -> Float[Tensor, "token"]:
        """b(u) of eq. 8 over these images, in nats per token."""
        return self.posterior.usage()

    @property
    def nbytes(self) -> float:
        """Bytes per image that an ideal coder spends on this code: its information divided by 8 ln 2."""
        return self.information.sum().item() / (8 * math.log(2))

    def _available(self) -> str:
        lengths = [length for length in self.prefixes if length <= len(self)]
        if lengths == list(range(1, len(self) + 1)):
            return f"choose any length from 1 to {len(self)}"
        return f"choose one of {', '.join(map(str, lengths))}"


@dataclass(eq=False)
class Draws:
    """What chance decides about the code of a training batch, so that a step is a function of tensors alone.

    Attributes
    ----------
    noise : for the values of tokens; nothing for token kinds without.
    mask : which tokens are masked; nothing for orderings that mask none.
    blank : noise for the values of tokens that are left out, where that is not the same.
    """

    noise: Float[Tensor, "batch token channel"] | None = None
    mask: Bool[Tensor, "batch token"] | None = None
    blank: Float[Tensor, "batch token channel"] | None = None


@dataclass(eq=False)
class TrainingCode:
    """What a training step sees of a code; not frozen, for Fabric rebuilds what a forward pass returns field by field.

    Attributes
    ----------
    states : what each head reads, coarse to fine (a single one for flat orderings). A head that reads several states of
        each image has them stacked along the batch.
    summaries : the mean token of each state, of those tokens that are not masked.
    weights : the weight of each head's objective; they sum to one (eq. 6).
    regulariser : the token regulariser of table 1, the mean over tokens and images.
    prediction_error : the refinement loss of eq. 5, the squared error per channel; zero where nothing is predicted.
    """

    states: list[Float[Tensor, "_ _ channel"]]
    summaries: list[Float[Tensor, "_ channel"]]
    weights: Float[Tensor, "head"]
    regulariser: Float[Tensor, ""]
    prediction_error: Float[Tensor, ""]
