"""The contrastive model (section 2.4 of the paper): images and prompts to a `Code`, and codes to what NT-Xent compares.

The encoder is FLIP with a readout of N tokens. Each head of the ordering (one per level for PRIOR, a single one
otherwise) has a projection head, which reads the mean of the tokens that were kept: the paper's heads are as wide as a
token, so what they read is pooled, and it does not say how.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Annotated, Self

import torch
from jaxtyping import Float, UInt8
from torch import Generator, Tensor, nn

from prior_lab.checks import NotNegative, Positive, Within, entry_point
from prior_lab.data.dataset import centred_prompt
from prior_lab.encoders import FlipEncoder, FlipShape, Patches, Places
from prior_lab.errors import InputError
from prior_lab.layers import ProjectionHead
from prior_lab.models.base import Depth, ModelConfig, OrderedModel, Width, shape_of
from prior_lab.orderings import Code, Draws, OrderingName, Prior, TrainingCode
from prior_lab.tokens import EMAVQTokens, TokenName


@dataclass(frozen=True)
class ContrastiveConfig(ModelConfig):
    """Everything that fixes the shape of a contrastive model.

    Examples
    --------
    >>> import prior_lab as pl
    >>> config = pl.ContrastiveConfig(ordering="itd", sides=(4, 8))
    >>> config.sides, config.patches
    ((4, 8), 48)
    >>> pl.ContrastiveConfig.preset("paper").patches
    512
    """

    image_size: Annotated[int, Within(8, 1024)] = 64
    """Side to which a data set is read for training [pixel]; the model itself takes images of any size."""
    width: Width = 64
    encoder_depth: Depth = 3
    batch_entropy: NotNegative = 3.0
    """Categorical tokens: weight of the negative batch entropy, relative to that of the sample entropy."""
    sides: tuple[Annotated[int, Within(1, 256)], ...] = (4, 8, 16)
    """Sides of the foveal patches [pixel], ascending powers of two."""
    patches: Annotated[int, Within(1, 65_536)] = 48
    """Patches of an image."""
    density: Positive = 1.0
    """How often the patches of one side cover the ellipse of the object's prompt, before smaller ones follow."""
    registers: Annotated[int, Within(1, 1024)] = 4
    """Learned tokens beside the patches."""
    places: Places = "attention"
    """What is told where a patch lies: attention alone, as in FLIP, or the embedding as well, for quicker learning."""

    def __post_init__(self) -> None:
        super().__post_init__()
        ascending = list(self.sides) == sorted(set(self.sides))
        if not self.sides or not ascending or any(side < 1 or side & (side - 1) for side in self.sides):
            raise InputError(f"sides is {self.sides}; patches need ascending powers of two, such as (4, 8, 16).")
        if self.image_size < self.sides[-1]:
            raise InputError(f"image_size is {self.image_size}; it must be at least the largest of sides {self.sides}.")

    @classmethod
    def preset(cls, name: str, *, ordering: OrderingName = "prior", tokens: TokenName = "gaussian") -> Self:
        """`laptop` trains on two CPU cores; `paper` has the counts of table 2."""
        match name:
            case "laptop":
                return cls(ordering=ordering, tokens=tokens)
            case "paper":
                return cls(
                    ordering=ordering,
                    tokens=tokens,
                    image_size=224,
                    width=128,
                    channels=128,
                    encoder_depth=8,
                    predictor_depth=3,
                    sides=(1, 2, 4, 8, 16),
                    patches=512,
                    registers=8,
                )
            case _:
                raise InputError(f"Unknown preset {name!r}; choose laptop or paper.")


class ContrastiveModel(OrderedModel):
    """Images of objects to ordered codes.

    Parameters
    ----------
    config : the shape; `ContrastiveModel(ContrastiveConfig())` is the laptop preset of PRIOR with Gaussian tokens.

    Examples
    --------
    An untrained one; images may have any size, and a prompt says where the object is:

    >>> import torch
    >>> import prior_lab as pl
    >>> model = pl.ContrastiveModel(pl.ContrastiveConfig(levels=3)).eval()
    >>> prompt = torch.tensor([[40.0, 30.0, 12.0, 8.0, 0.0]])  # mean x and y, two deviations [pixel], rotation
    >>> code = model.encode(torch.rand(1, 3, 64, 80), prompt)
    >>> model.features(code[:3]).shape  # what a probe reads of three tokens
    torch.Size([1, 96])
    """

    config: ContrastiveConfig

    @entry_point
    def __init__(self, config: ContrastiveConfig) -> None:
        super().__init__(config)
        shape = FlipShape(
            config.sides,
            config.patches,
            config.density,
            config.registers,
            config.width,
            config.channels,
            config.encoder_depth,
            config.places,
        )
        self.encoder = FlipEncoder(self.ordering.levels.tokens, self.ordering.readout_slices, shape)
        self.projection = ProjectionHead(len(self.ordering.state_centres), config.channels)

    @entry_point
    def encode(
        self,
        images: UInt8[Tensor, "batch 3 height width"] | Float[Tensor, "batch 3 height width"],
        prompts: Float[Tensor, "batch 5"] | None = None,
        generator: Generator | None = None,
    ) -> Code:
        """The full code of the objects in images (uint8, or float in [0, 1]).

        Parameters
        ----------
        prompts : where the object is: mean x and y, first and second standard deviation [pixel], rotation [radian]; a
            Gaussian in the middle of the image, if not given.
        generator : draws token values from their posterior; without one they are the most likely values.

        Raises
        ------
        InputError : if images or prompts are not of such a shape, type or range.
        """
        self._require_own_generator(generator)
        pixels = self.prepare(images)
        patches = self.encoder.look(pixels, self._prompts(pixels, prompts))
        return replace(self.ordering.encode(self.encoder(patches), generator), made_by=self.fingerprint)

    @entry_point
    def project(self, code: Code) -> Float[Tensor, "budget batch channel"]:
        """What NT-Xent compares, at every whole-level budget within the code.

        Raises
        ------
        InputError : if the code is another model's or is damaged.
        """
        self._require_own(code)
        batch = code.values.shape[0]
        return torch.cat([part.unflatten(0, (-1, batch)) for part in self._heads(self.ordering.budget_summaries(code))])

    def forward(self, patches: Patches, draws: Draws) -> tuple[list[Float[Tensor, "_ channel"]], TrainingCode]:
        """What every head projects under the ordering's pressure, with the code it comes from.

        A head that reads several states of each image has its projections stacked along the batch.
        """
        code = self.ordering.train_code(self.encoder(patches), draws)
        return self._heads(code.summaries), code

    def parameter_counts(self) -> dict[str, int]:
        """Parameters in the columns of the paper's table 2.

        `flip` is the encoder with the token heads, `projection` the projection heads, `ema` the codebooks, `self_pred`
        the predictors, `total` all but the projection heads, `total_with_heads` all.
        """
        predictors = self.ordering.predictors if isinstance(self.ordering, Prior) else nn.ModuleList()
        counts = {
            "flip": _count(self.encoder.parameters()) + _count(self.ordering.parameters()),
            "projection": _count(self.projection.parameters()),
            "ema": _count(module.codes for module in self.ordering.modules() if isinstance(module, EMAVQTokens)),
            "self_pred": _count(predictors.parameters()),
        }
        counts["flip"] -= counts["self_pred"]
        total = counts["flip"] + counts["ema"] + counts["self_pred"]
        return {**counts, "total": total, "total_with_heads": total + counts["projection"]}

    def _heads(self, summaries: list[Float[Tensor, "stacked channel"]]) -> list[Float[Tensor, "stacked channel"]]:
        return list(self.projection(torch.stack(summaries)[:, None])[:, 0].unbind())

    def prepare(
        self, images: UInt8[Tensor, "batch 3 height width"] | Float[Tensor, "batch 3 height width"]
    ) -> Float[Tensor, "batch 3 height width"]:
        """Checked images as floats in [0, 1] on the model's device."""
        largest = self.config.sides[-1]
        if (
            not isinstance(images, Tensor)
            or images.ndim != 4
            or images.shape[1] != 3
            or min(images.shape[2:]) < largest
        ):
            raise InputError(
                f"This model reads images as a tensor [batch, 3, height, width] of {largest} pixels or more a side; "
                f"got {shape_of(images)}."
            )
        return self._as_float(images)

    def _prompts(
        self, images: Float[Tensor, "batch 3 height width"], prompts: Float[Tensor, "batch 5"] | None
    ) -> Float[Tensor, "batch 5"]:
        if prompts is None:
            return centred_prompt(*images.shape[2:]).to(images.device).expand(len(images), -1)
        if not isinstance(prompts, Tensor) or prompts.shape != (len(images), 5):
            raise InputError(f"Prompts are a tensor [batch, 5], here [{len(images)}, 5]; got {shape_of(prompts)}.")
        if not (prompts.isfinite().all() and (prompts[:, 2:4] > 0).all()):
            raise InputError("Prompts must be finite numbers, and their standard deviations above 0.")
        return prompts.to(images.device, torch.float32)


def _count(tensors: Iterable[Tensor]) -> int:
    return sum(tensor.numel() for tensor in tensors)
