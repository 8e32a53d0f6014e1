"""The autoencoder (section 2.5 of the paper): images to a `Code`, and any prefix of it back to images.

Decoding needs the token values only, never the encoder.
"""

from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar, Self

import torch
from jaxtyping import Float, UInt8
from torch import Generator, Tensor

from prior_lab.checks import Within, entry_point
from prior_lab.encoders import DecoderBank, Shape, WaveletEncoder
from prior_lab.errors import InputError
from prior_lab.models.base import Depth, ModelConfig, OrderedModel, Width, require_width, shape_of
from prior_lab.orderings import Code, Draws, OrderingName, TrainingCode
from prior_lab.tokens import TokenName


@dataclass(frozen=True)
class AutoencoderConfig(ModelConfig):
    """Everything that fixes the shape of an autoencoder.

    Examples
    --------
    >>> import prior_lab as pl
    >>> pl.AutoencoderConfig(ordering="td", tokens="ema-vq").levels
    7
    >>> pl.AutoencoderConfig.preset("paper").width
    224
    >>> pl.AutoencoderConfig(tokens="words")
    Traceback (most recent call last):
        ...
    prior_lab.errors.InputError: Unknown token kind 'words'; choose one of gaussian, categorical, ema-vq, fsq.
    """

    FORMER: ClassVar[dict[str, Any]] = {"coarsest_side": 4}

    patch: Annotated[int, Within(2, 256)] = 8
    """Pixels per place of the wavelet grid, a power of two."""
    decoder_width: Width = 64
    """Width of every decoder, a multiple of 32."""
    decoder_depth: Depth = 2
    """Blocks of every decoder."""
    coarsest_side: Annotated[int, Within(2, 512)] = 8
    """Places along a side of the coarsest decoder's grid, a power of two; levels of more tokens have finer grids.

    With 8 all seven levels of the laptop preset share one grid. With 4, as in the bundled models of `household` and
    `faces`, levels up to 16 tokens are drawn on 4 x 4 places, and a part of PRIOR's jump from 31 to 63 tokens is that.
    On `emoji` (PRIOR, Gaussian tokens, 900 steps, once) one grid brings the validation SSIM from 0.559 to 0.593 at 31
    tokens and from 0.686 to 0.715 at 127, for 1.12 times the time and 0.91 times the parameters.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        powers = (self.patch & (self.patch - 1)) == 0 and (self.image_size & (self.image_size - 1)) == 0
        if not powers or self.patch < 2 or self.image_size < 4 * self.patch:
            raise InputError(
                f"image_size {self.image_size} with patch {self.patch}: both must be powers of two, the patch at least "
                "2 and at most a quarter of the size."
            )
        if self.coarsest_side & (self.coarsest_side - 1):
            raise InputError(f"coarsest_side is {self.coarsest_side}; it must be a power of two.")
        require_width("decoder_width", self.decoder_width)

    @classmethod
    def preset(cls, name: str, *, ordering: OrderingName = "prior", tokens: TokenName = "gaussian") -> Self:
        """`laptop` trains on two CPU cores; `paper` has the size the paper prints (11.479 M and 11.761 M)."""
        match name:
            case "laptop":
                return cls(ordering=ordering, tokens=tokens)
            case "paper":
                return cls(
                    ordering=ordering,
                    tokens=tokens,
                    image_size=128,
                    patch=16,
                    width=224,
                    channels=128,
                    encoder_depth=6,
                    decoder_width=192,
                    decoder_depth=4,
                    predictor_depth=3,
                )
            case _:
                raise InputError(f"Unknown preset {name!r}; choose laptop or paper.")


class Autoencoder(OrderedModel):
    """Images to ordered codes and back.

    Parameters
    ----------
    config : the shape; `Autoencoder(AutoencoderConfig())` is the laptop preset of PRIOR with Gaussian tokens.

    Examples
    --------
    An untrained one of three levels, so of 1 + 2 + 4 tokens:

    >>> import torch
    >>> import prior_lab as pl
    >>> model = pl.Autoencoder(pl.AutoencoderConfig(levels=3))
    >>> model.budgets
    (1, 3, 7)
    >>> code = model.encode(torch.zeros(2, 3, 64, 64))
    >>> code
    Code(2 images, 7 Gaussian tokens of 32 channels)
    >>> model.decode(code[:3]).shape
    torch.Size([2, 3, 64, 64])
    """

    config: AutoencoderConfig

    @entry_point
    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__(config)
        shape = Shape(config.image_size, config.patch, config.width, config.channels, config.encoder_depth)
        self.encoder = WaveletEncoder(self.ordering.levels, self.ordering.readout_slices, shape)
        decoding = replace(shape, width=config.decoder_width, depth=config.decoder_depth)
        self.decoders = DecoderBank(self.ordering.state_centres, decoding, config.coarsest_side)

    @entry_point
    def encode(
        self,
        images: UInt8[Tensor, "batch 3 height width"] | Float[Tensor, "batch 3 height width"],
        generator: Generator | None = None,
    ) -> Code:
        """The full code of images (uint8, or float in [0, 1]).

        Parameters
        ----------
        generator : draws token values from their posterior; without one they are the most likely values.

        Raises
        ------
        InputError : if the images are not of the shape, type or range that the model was built for.
        """
        self._require_own_generator(generator)
        code = self.ordering.encode(self.encoder(self.prepare(images)), generator)
        return replace(code, made_by=self.fingerprint)

    @entry_point
    def decode(self, code: Code) -> Float[Tensor, "batch 3 height width"]:
        """Images in [0, 1] from a code or a prefix of it.

        Raises
        ------
        InputError : if the code is another model's or is damaged.
        """
        self._require_own(code)
        return self.decoders(self.ordering.states(code))[-1].clamp(0.0, 1.0)

    @entry_point
    def decode_budgets(self, code: Code) -> Float[Tensor, "budget batch 3 height width"]:
        """Images in [0, 1] at every whole-level budget within the code, in one batched pass.

        Raises
        ------
        InputError : as `decode`.
        """
        self._require_own(code)
        batch = code.values.shape[0]
        images = self.decoders(self.ordering.budget_states(code))
        return torch.cat([stacked.unflatten(0, (-1, batch)) for stacked in images]).clamp(0.0, 1.0)

    def forward(
        self, images: Float[Tensor, "batch 3 height width"], draws: Draws
    ) -> tuple[list[Float[Tensor, "_ 3 height width"]], TrainingCode]:
        """Reconstructions of every head under the ordering's pressure, unclamped, with the code they come from.

        A head that reads several states of each image has its reconstructions stacked along the batch.
        """
        code = self.ordering.train_code(self.encoder(images), draws)
        return self.decoders(code.states), code

    def prepare(
        self, images: UInt8[Tensor, "batch 3 height width"] | Float[Tensor, "batch 3 height width"]
    ) -> Float[Tensor, "batch 3 height width"]:
        """Checked images as floats in [0, 1] on the model's device."""
        size = self.config.image_size
        if not isinstance(images, Tensor) or images.ndim != 4 or images.shape[1:] != (3, size, size):
            raise InputError(f"This model reads images as a tensor [batch, 3, {size}, {size}]; got {shape_of(images)}.")
        return self._as_float(images)

    def full_budget_parameters(self) -> int:
        """Parameters that take part at full budget: all but the decoders of PRIOR's coarser levels."""
        unused = 0
        heads = len(self.ordering.state_centres)
        for count, decoder in zip(self.decoders.counts, self.decoders.decoders, strict=True):
            heads -= count
            size = sum(parameter.numel() for parameter in decoder.parameters())
            unused += size // count * (count - 1) if heads == 0 else size
        return sum(parameter.numel() for parameter in self.parameters()) - unused
