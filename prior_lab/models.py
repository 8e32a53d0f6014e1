"""Models built from one frozen config: today the autoencoder (section 2.5 of the paper).

An `Autoencoder` is encoder + ordering + decoders. It turns images into a `Code` and any prefix of it back into images;
decoding needs the token values only, never the encoder.
"""

import json
from dataclasses import asdict, dataclass, fields, replace
from typing import Literal, Self, get_args

import torch
from jaxtyping import Float, UInt8
from torch import Generator, Tensor, nn

from prior_lab.encoders import DecoderBank, Shape, WaveletEncoder
from prior_lab.errors import InputError
from prior_lab.levels import Levels
from prior_lab.orderings import (
    Code,
    IndependentTailDrop,
    Matryoshka,
    Ordering,
    Prior,
    PriorWithoutPrediction,
    TailDrop,
    TrainingCode,
)
from prior_lab.tokens import TokenName, Tokens, make_tokens

OrderingName = Literal["prior", "itd", "td", "matryoshka", "prior-without-prediction"]
LABELS = {
    "prior": "PRIOR",
    "itd": "MBOP-ITD",
    "td": "MBOP-TD",
    "matryoshka": "Matryoshka",
    "prior-without-prediction": "PRIOR without prediction",
}


@dataclass(frozen=True)
class AutoencoderConfig:
    """Everything that fixes the shape of an autoencoder.

    Attributes
    ----------
    ordering : prior, itd (MBOP-ITD) or td (MBOP-TD); and two that are not in the paper, matryoshka and
        prior-without-prediction.
    tokens : token kind: gaussian, categorical or ema-vq; fsq is not in the paper.
    levels : number of levels L; the code has 2^L - 1 tokens.
    image_size : side of the square RGB images [pixel].
    patch : pixels per place of the wavelet grid, a power of two.
    width : width of the transformers, a multiple of 32.
    channels : channels of a token, a multiple of 32.
    encoder_depth : transformer blocks of the encoder.
    decoder_width : width of every decoder, a multiple of 32.
    decoder_depth : blocks of every decoder.
    predictor_depth : transformer blocks of each of PRIOR's predictors.
    free_nats : Gaussian tokens: kappa of the free-bits KL, per token [nat].
    batch_entropy : Categorical tokens: weight of the negative batch entropy, relative to that of the sample entropy.
    """

    ordering: OrderingName = "prior"
    tokens: TokenName = "gaussian"
    levels: int = 7
    image_size: int = 64
    patch: int = 8
    width: int = 96
    channels: int = 32
    encoder_depth: int = 4
    decoder_width: int = 64
    decoder_depth: int = 2
    predictor_depth: int = 2
    free_nats: float = 0.0
    batch_entropy: float = 1.0

    def __post_init__(self) -> None:
        for name, value, allowed in (
            ("ordering", self.ordering, get_args(OrderingName)),
            ("token kind", self.tokens, get_args(TokenName)),
        ):
            if value not in allowed:
                raise InputError(f"Unknown {name} {value!r}; choose one of {', '.join(allowed)}.")
        powers = (self.patch & (self.patch - 1)) == 0 and (self.image_size & (self.image_size - 1)) == 0
        if not powers or self.patch < 2 or self.image_size < 4 * self.patch:
            raise InputError(
                f"image_size {self.image_size} with patch {self.patch}: both must be powers of two, the patch at least "
                "2 and at most a quarter of the size."
            )
        for name in ("width", "channels", "decoder_width"):
            if getattr(self, name) % 32 or getattr(self, name) <= 0:
                raise InputError(f"{name} is {getattr(self, name)}; it must be a positive multiple of 32.")

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


class Autoencoder(nn.Module):
    """Images to ordered codes and back.

    Parameters
    ----------
    config : the shape; `Autoencoder(AutoencoderConfig())` is the laptop preset of PRIOR with Gaussian tokens.
    """

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        self.config = config
        levels = Levels(config.levels)
        self.ordering = _make_ordering(config, levels)
        shape = Shape(config.image_size, config.patch, config.width, config.channels, config.encoder_depth)
        self.encoder = WaveletEncoder(levels, self.ordering.readout_slices, shape)
        decoding = replace(shape, width=config.decoder_width, depth=config.decoder_depth)
        self.decoders = DecoderBank(self.ordering.state_centres, decoding)

    @property
    def budgets(self) -> tuple[int, ...]:
        """The budgets of whole levels: 1, 3, 7, ..., N tokens."""
        return self.ordering.levels.budgets

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
        return self.ordering.encode(self.encoder(self.prepare(images)), generator)

    def decode(self, code: Code) -> Float[Tensor, "batch 3 height width"]:
        """Images in [0, 1] from a code or a prefix of it."""
        return self.decoders(self.ordering.states(code))[-1].clamp(0.0, 1.0)

    def decode_budgets(self, code: Code) -> Float[Tensor, "budget batch 3 height width"]:
        """Images in [0, 1] at every whole-level budget within the code, in one batched pass."""
        batch = code.values.shape[0]
        images = self.decoders(self.ordering.budget_states(code))
        return torch.cat([stacked.unflatten(0, (-1, batch)) for stacked in images]).clamp(0.0, 1.0)

    def features(self, code: Code, tap: Literal["tokens", "level"] = "tokens") -> Float[Tensor, "batch feature"]:
        """What a probe reads of a prefix, flattened.

        Parameters
        ----------
        tap : `tokens`, the transmitted values; or `level`, the state that the head of this prefix reads (for PRIOR the
            level output y^_l, for masking orderings the whole sequence with the rest in its masked state).
        """
        match tap:
            case "tokens":
                return code.values.flatten(1)
            case "level":
                return self.ordering.states(code)[-1].flatten(1)
            case _:
                raise InputError(f"Unknown tap {tap!r}; choose tokens or level.")

    def forward(
        self, images: Float[Tensor, "batch 3 height width"], generator: Generator
    ) -> tuple[list[Float[Tensor, "_ 3 height width"]], TrainingCode]:
        """Reconstructions of every head under the ordering's pressure, unclamped, with the code they come from.

        A head that reads several states of each image has its reconstructions stacked along the batch.
        """
        code = self.ordering.train_code(self.encoder(images), generator)
        return self.decoders(code.states), code

    def prepare(
        self, images: UInt8[Tensor, "batch 3 height width"] | Float[Tensor, "batch 3 height width"]
    ) -> Float[Tensor, "batch 3 height width"]:
        """Checked images as floats in [0, 1] on the model's device."""
        size = self.config.image_size
        if not isinstance(images, Tensor) or images.ndim != 4 or images.shape[1:] != (3, size, size):
            shape = tuple(images.shape) if hasattr(images, "shape") else type(images).__name__
            raise InputError(f"This model reads images as a tensor [batch, 3, {size}, {size}]; got {shape}.")
        device = self.encoder.queries.device
        if images.dtype == torch.uint8:
            return images.to(device).float() / 255
        if not images.is_floating_point():
            raise InputError(f"Images must be uint8, or float in [0, 1]; got {images.dtype}.")
        if images.numel() and not (images.min() >= 0.0 and images.max() <= 1.0):
            low, high = images.min().item(), images.max().item()
            raise InputError(f"Float images must lie in [0, 1]; these run from {low:.3g} to {high:.3g}.")
        return images.to(device).float()

    def full_budget_parameters(self) -> int:
        """Parameters that take part at full budget: all but the decoders of PRIOR's coarser levels."""
        unused = 0
        heads = len(self.ordering.state_centres)
        for count, decoder in zip(self.decoders.counts, self.decoders.decoders, strict=True):
            heads -= count
            size = sum(parameter.numel() for parameter in decoder.parameters())
            unused += size // count * (count - 1) if heads == 0 else size
        return sum(parameter.numel() for parameter in self.parameters()) - unused

    def config_json(self) -> str:
        """The config as JSON, as checkpoints hold it."""
        return json.dumps(asdict(self.config))

    @classmethod
    def from_config(cls, config_json: str) -> Self:
        """An untrained model of a config that `config_json` wrote; settings younger than it have their defaults."""
        try:
            values = json.loads(config_json)
        except json.JSONDecodeError as error:
            raise InputError(f"The model's config is not JSON: {error}.") from error
        known = {field.name for field in fields(AutoencoderConfig)}
        if not isinstance(values, dict) or not set(values) <= known:
            raise InputError(f"The model's config may have no other fields than {', '.join(sorted(known))}.")
        return cls(AutoencoderConfig(**values))


def _make_ordering(config: AutoencoderConfig, levels: Levels) -> Ordering:
    def bottleneck(tokens: int, *, shared: bool) -> Tokens:
        weights = {"free_nats": config.free_nats, "batch_entropy": config.batch_entropy}
        return make_tokens(config.tokens, config.channels, tokens=tokens, shared=shared, **weights)

    def every_level() -> list[Tokens]:
        return [bottleneck(size, shared=True) for size in levels.sizes]

    match config.ordering:
        case "prior":
            return Prior(levels, every_level(), channels=config.channels, depth=config.predictor_depth)
        case "prior-without-prediction":
            return PriorWithoutPrediction(levels, every_level())
        case "itd":
            return IndependentTailDrop(levels, bottleneck(levels.tokens, shared=False))
        case "td":
            return TailDrop(levels, bottleneck(levels.tokens, shared=False))
        case "matryoshka":
            return Matryoshka(levels, bottleneck(levels.tokens, shared=False))
