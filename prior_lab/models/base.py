"""What every model has: one frozen config, an ordering, and codes whose prefixes can be read."""

import hashlib
import json
from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass, fields
from typing import Annotated, Any, ClassVar, Literal, Self, get_args

import torch
from jaxtyping import Float, UInt8
from torch import Generator, Tensor, nn

from prior_lab.checks import NotNegative, Positive, Within, check_fields, described, entry_point, parse_json
from prior_lab.errors import InputError
from prior_lab.layers import HEAD_WIDTH
from prior_lab.levels import Levels
from prior_lab.orderings import LABELS, Code, Ordering, OrderingName, PredictionAverage, make_ordering
from prior_lab.tokens import TokenName

Tap = Literal["tokens", "level", "levels"]
FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
Depth = Annotated[int, Within(1, 64)]
Width = Annotated[int, Within(HEAD_WIDTH, 4096)]


@dataclass(frozen=True)
class ModelConfig:
    """What fixes the code of any model."""

    FORMER: ClassVar[dict[str, Any]] = {}
    """What settings were before they could be told, where that is not their default."""

    ordering: OrderingName = "prior"
    """PRIOR, MBOP-ITD (itd) or MBOP-TD (td); matryoshka, prior-without-prediction and
    unordered are not in the paper."""
    tokens: TokenName = "gaussian"
    """Token kind: gaussian, categorical or ema-vq; fsq is not in the paper."""
    levels: Annotated[int, Within(1, 10)] = 7
    """Number of levels L; the code has 2^L - 1 tokens."""
    image_size: Annotated[int, Within(8, 1024)] = 64
    """Side of the square RGB images [pixel]."""
    width: Width = 96
    """Width of the transformers, a multiple of 32."""
    channels: Width = 32
    """Channels of a token, a multiple of 32."""
    encoder_depth: Depth = 4
    """Transformer layers of the encoder."""
    predictor_depth: Depth = 2
    """Transformer blocks of each of PRIOR's predictors."""
    prediction_average: PredictionAverage = "levels"
    """What the refinement loss of eq. 5 weighs alike: levels, or tokens, as the norm over a level
    implies."""
    free_nats: NotNegative = 0.0
    """Gaussian tokens: kappa of the free-bits KL, per token [nat]."""
    log_variance_gain: Positive = 1.0
    """Gaussian tokens: how much faster than other parameters log-variances move. With 1, as in the bundled models, they
    hardly leave where they start, and the rate is that of the start; with 10 bits that nothing reads are given up, at
    rate weights that are larger. PRIOR on `household` (400 steps of 16 images, once) spends 8,456 bit with 1 and a rate
    weight of 1e-4, 1,195 with 10 and 3e-4, for an SSIM of 0.743 and 0.728; the bundled searches have 10."""
    batch_entropy: NotNegative = 1.0
    """Categorical tokens: weight of the negative batch entropy, relative to that of the sample entropy."""

    def __post_init__(self) -> None:
        for name, value, allowed in (
            ("ordering", self.ordering, get_args(OrderingName)),
            ("token kind", self.tokens, get_args(TokenName)),
            ("prediction_average", self.prediction_average, get_args(PredictionAverage)),
        ):
            if not isinstance(value, str) or value not in allowed:
                raise InputError(f"Unknown {name} {described(value)}; choose one of {', '.join(allowed)}.")
        check_fields(self)
        for name in ("width", "channels"):
            require_width(name, getattr(self, name))

    def make_ordering(self) -> Ordering:
        """The untrained ordering."""
        return make_ordering(
            self.ordering,
            Levels(self.levels),
            tokens=self.tokens,
            channels=self.channels,
            predictor_depth=self.predictor_depth,
            prediction_average=self.prediction_average,
            free_nats=self.free_nats,
            log_variance_gain=self.log_variance_gain,
            batch_entropy=self.batch_entropy,
        )

    def to_json(self) -> str:
        """The config as JSON, as checkpoints hold it."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The config that `to_json` wrote; settings younger than the text are `FORMER`, or have their defaults.

        Raises
        ------
        InputError : if the text is not JSON, or names other settings.
        """
        values = parse_json(text, "The model's config")
        known = {field.name for field in fields(cls)}
        if not isinstance(values, dict) or not set(values) <= known:
            raise InputError(f"The model's config may have no other fields than {', '.join(sorted(known))}.")
        settings: dict[str, Any] = cls.FORMER | {
            name: tuple(value) if isinstance(value, list) else value for name, value in values.items()
        }
        return cls(**settings)


def require_width(name: str, width: int) -> None:
    """Heads are 32 wide, so a width is a multiple of that."""
    if width % HEAD_WIDTH or width <= 0:
        raise InputError(f"{name} is {width}; it must be a positive multiple of {HEAD_WIDTH}.")


class OrderedModel(nn.Module, ABC):
    """A model whose codes are ordered.

    Attributes
    ----------
    config : its shape.
    ordering : its bottleneck.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.ordering = config.make_ordering()
        self._fingerprint: tuple[object, str] = (None, "")

    @property
    def budgets(self) -> tuple[int, ...]:
        """The budgets of whole levels: 1, 3, 7, ..., N tokens."""
        return self.ordering.levels.budgets

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return next(self.parameters()).device

    @property
    def fingerprint(self) -> str:
        """What identifies this model: what it is, and the SHA-256 of its weights in half precision.

        So a model and the file that it was saved to have the same, and a model that is trained on has another.
        """
        tensors = self.state_dict()
        try:
            state = tuple((id(tensor), tensor._version) for tensor in (*self.parameters(), *self.buffers()))
        except RuntimeError:  # made in inference mode, which counts no changes
            state = None
        if state is None or self._fingerprint[0] != state:
            digest = hashlib.sha256()
            for tensor in tensors.values():
                exact = tensor.half() if tensor.is_floating_point() else tensor
                digest.update(exact.detach().cpu().reshape(-1).contiguous().view(torch.uint8).numpy())
            self._fingerprint = state, digest.hexdigest()[:12]
        ordering, tokens = LABELS[self.config.ordering], self.config.tokens
        return f"{ordering} with {tokens} tokens ({type(self).__name__}, weights {self._fingerprint[1]})"

    @entry_point
    def features(self, code: Code, tap: Tap = "tokens") -> Float[Tensor, "batch feature"]:
        """What a probe reads of a prefix, flattened.

        Parameters
        ----------
        tap : `tokens`, the transmitted values; `levels`, for PRIOR the outputs y^ of all levels of the prefix one after
            the other, for the flat orderings the same as `tokens`; or `level`, the state that the head of this prefix
            reads (for PRIOR the last level's y^, for flat orderings the whole sequence with the rest in its masked
            state).

        Returns
        -------
        With `tokens` and `levels`, the features of a shorter prefix are the first columns of those of a longer one.

        Raises
        ------
        InputError : if the code is another model's or is damaged, or there is no such tap.
        """
        self._require_own(code)
        match tap:
            case "tokens":
                return code.values.flatten(1)
            case "levels":
                return self.ordering.level_outputs(code).flatten(1)
            case "level":
                return self.ordering.states(code)[-1].flatten(1)
            case _:
                raise InputError(f"Unknown tap {tap!r}; choose tokens, levels or level.")

    def _require_own(self, code: Code) -> None:
        """Refuse a code that this model cannot have made, or that holds no numbers to decode."""
        if code.made_by not in (None, self.fingerprint):
            raise InputError(f"This code was made by {code.made_by}, and this model is {self.fingerprint}.")
        values, kind = code.values, self.ordering.token_kind.posterior
        lengths = f"1 to {self.ordering.levels.tokens} tokens of {self.config.channels} channels"
        if not isinstance(values, Tensor) or values.ndim != 3 or not len(values):
            raise InputError(
                f"The code's values are {shape_of(values)}; a tensor [batch, token, channel] was expected."
            )
        fits = values.shape[2] == self.config.channels and 1 <= len(code) <= self.ordering.levels.tokens
        if not fits or not isinstance(code.posterior, kind):
            raise InputError(
                f"{code!r} does not fit this model, whose codes have {lengths} of the kind {self.config.tokens}."
            )
        if values.dtype not in FLOATS or not values.isfinite().all():
            raise InputError("The code's values are not finite floating-point numbers; they cannot be read.")
        if values.device.type != self.device.type:
            raise InputError(
                f"The code lies on {values.device.type}, the model on {self.device.type}; bring them together."
            )

    def _require_own_generator(self, generator: Generator | None) -> None:
        if generator is not None and generator.device.type != self.device.type:
            raise InputError(
                f"The generator is one for {generator.device.type}; this model needs one for {self.device.type}."
            )

    @abstractmethod
    def prepare(
        self, images: UInt8[Tensor, "batch 3 height width"] | Float[Tensor, "batch 3 height width"]
    ) -> Float[Tensor, "batch 3 height width"]:
        """Checked images as floats in [0, 1] on the model's device."""

    def _as_float(
        self, images: UInt8[Tensor, "batch 3 height width"] | Float[Tensor, "batch 3 height width"]
    ) -> Float[Tensor, "batch 3 height width"]:
        if not len(images):
            raise InputError("There are no images; this model reads at least one.")
        if images.dtype == torch.uint8:
            return images.to(self.device).float() / 255
        if images.dtype not in FLOATS:
            raise InputError(f"Images must be uint8, or float in [0, 1]; got {images.dtype}.")
        if images.numel() and not (images.min() >= 0.0 and images.max() <= 1.0):
            low, high = images.min().item(), images.max().item()
            raise InputError(f"Float images must lie in [0, 1]; these run from {low:.3g} to {high:.3g}.")
        return images.to(self.device).float()


def shape_of(images: object) -> object:
    """What a sentence says was given instead of images."""
    return tuple(images.shape) if isinstance(images, Tensor) else type(images).__name__
