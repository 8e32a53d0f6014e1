"""`OrderedEmbedder`: an ordered bottleneck with scikit-learn's interface, behind features of any kind.

Its parameters are plain values; what it learns ends in an underscore. A saved one is a safetensors file whose header
holds both as JSON: nothing is unpickled.
"""

import hashlib
import inspect
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Self, get_args

import numpy as np
import torch
from jaxtyping import Float, Float32
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor

from prior_lab.checks import described, entry_point, parse_json
from prior_lab.embedding.arrays import FEWEST, as_features, as_groups
from prior_lab.embedding.bottleneck import BottleneckConfig, untrained
from prior_lab.embedding.fitting import Objective, Plan, fit_bottleneck
from prior_lab.errors import InputError
from prior_lab.files import UNREADABLE, require_file, require_writable, write_tensors, writing
from prior_lab.layers import HEAD_WIDTH
from prior_lab.orderings import LABELS, Code, OrderingName
from prior_lab.tokens import TokenName
from prior_lab.training.hardware import DeviceName

FORMAT = "prior-lab/embedder/1"
BATCH = 1024  # items that are encoded at once
# Chosen on the validation split of `emoji`; a codebook that follows by moving averages wants small steps, and the
# predictors of PRIOR have to be learnt from nothing.
RATES: dict[TokenName, float] = {"gaussian": 1e-3, "categorical": 1e-3, "ema-vq": 1e-4, "fsq": 1e-3}
REGULARISERS: dict[TokenName, float] = {"gaussian": 1e-4, "categorical": 1e-3, "ema-vq": 0.3, "fsq": 0.0}
AXES_OF_PLACES = 2048  # numbers that all places of an item are cut to, before their principal axes together


class OrderedEmbedder:
    """Anyone's features as ordered codes, of which every prefix can be searched.

    Features go in as NumPy or torch arrays, [item, feature] or [item, place, feature].

    Parameters
    ----------
    ordering, tokens, levels : of the code, as for images: 2^levels - 1 tokens. Token kinds ema-vq and fsq are a byte a
        token, at most, with flat orderings.
    objective : what prefixes are to keep: `reconstruct`, the features; `pairs`, which items belong together (NT-Xent);
        `neighbours`, which items are similar (distillation of similarities).
    width : numbers of what search compares; `axes`, if not given, for reconstruct, else 128.
    axes : principal axes of the features that are kept.
    channels : of a token; by default 8, or 32 for prior.
    held : principal axes that each token starts with.
    steps, batch_size, learning_rate, rate_weight, temperature : of training; without a learning rate or a weight of the
        token regulariser, those found good for the kind of tokens. With 0 steps it stays at its start.
    seed : of the weights and the batches.
    device, devices : where to train, and how many processes share every batch.

    Attributes
    ----------
    bottleneck_ : the trained `OrderedBottleneck`.
    n_features_in_ : features of an item (of a place).
    places_ : places of an item; None for [item, feature].

    Examples
    --------
    >>> import torch
    >>> import prior_lab as pl
    >>> features = torch.randn(300, 12, generator=torch.Generator().manual_seed(0))
    >>> embedder = pl.OrderedEmbedder(levels=3, steps=10).fit(features)
    >>> code = embedder.encode(features)
    >>> code[:3]
    Code(300 images, 3 Indexed tokens of 8 channels)
    >>> embedder.transform(features).shape, embedder.read(code[:3]).shape
    ((300, 12), torch.Size([300, 12]))
    """

    def __init__(
        self,
        ordering: OrderingName = "td",
        tokens: TokenName = "ema-vq",
        levels: int = 7,
        *,
        objective: Objective = "reconstruct",
        width: int | None = None,
        axes: int = 512,
        channels: int | None = None,
        held: int = 3,
        steps: int = 300,
        batch_size: int = 256,
        learning_rate: float | None = None,
        rate_weight: float | None = None,
        temperature: float = 0.07,
        seed: int = 0,
        device: DeviceName = "cpu",
        devices: int = 1,
    ) -> None:
        self.ordering = ordering
        self.tokens = tokens
        self.levels = levels
        self.objective = objective
        self.width = width
        self.axes = axes
        self.channels = channels
        self.held = held
        self.steps = steps
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.rate_weight = rate_weight
        self.temperature = temperature
        self.seed = seed
        self.device = device
        self.devices = devices

    @classmethod
    def _names(cls) -> list[str]:
        return list(inspect.signature(cls).parameters)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The parameters by name.

        Parameters
        ----------
        deep : scikit-learn's; there is nothing deeper.
        """
        return {name: getattr(self, name) for name in self._names()}

    def set_params(self, **params: Any) -> Self:
        """Change parameters; what was learnt stays until the next `fit`.

        Raises
        ------
        InputError : if there is no such parameter.
        """
        for name, value in params.items():
            if name not in self._names():
                raise InputError(f"There is no parameter {described(name)}; there are {', '.join(self._names())}.")
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        """The parameters that are not as they are by default."""
        defaults = inspect.signature(type(self)).parameters
        told = [f"{name}={value!r}" for name, value in self.get_params().items() if value != defaults[name].default]
        return f"{type(self).__name__}({', '.join(told)})"

    def __sklearn_tags__(self) -> Any:
        """What scikit-learn asks of an estimator."""
        from sklearn.utils import InputTags, Tags, TargetTags, TransformerTags

        return Tags(
            estimator_type="transformer",
            target_tags=TargetTags(required=self.objective == "pairs"),
            transformer_tags=TransformerTags(preserves_dtype=["float32"]),
            input_tags=InputTags(three_d_array=True),
        )

    def fit(self, X: Any, y: Any = None, pairs: Any = None) -> Self:
        """Learn a bottleneck.

        Parameters
        ----------
        X : features.
        y : for the objective `pairs`, a label for each item: two items of one label are a pair. Otherwise not read.
        pairs : for the objective `pairs`, in place of labels: items that belong together, [pair, 2].

        Raises
        ------
        InputError : if features, pairs or parameters cannot be used, or there are too few items.
        """
        if self.objective == "pairs" and y is None and pairs is None:
            raise InputError("The objective pairs requires y to be passed, but the target y is None; or pass pairs.")
        features = as_features(X)
        if len(features) < FEWEST:
            raise InputError(f"1 sample: one item is too few to learn from; at least {FEWEST} are needed.")
        places = features.shape[1] if features.ndim == 3 else None
        flat, place_axes = _cut_places(features) if places else (features, None)
        config, plan = self._config(flat.shape[1], len(flat)), self._plan()
        groups = as_groups(len(flat), pairs, y) if plan.objective == "pairs" else None
        self.bottleneck_ = fit_bottleneck(config, plan, flat, groups, device=self.device, devices=self.devices)
        self.place_axes_ = place_axes
        self.n_features_in_, self.places_ = features.shape[-1], places
        self.made_by_ = self._fingerprint()
        return self

    def fit_transform(self, X: Any, y: Any = None, pairs: Any = None) -> Float32[np.ndarray, "item out"]:
        """`fit`, then `transform` of the same features."""
        return self.fit(X, y, pairs).transform(X)

    def transform(self, X: Any) -> Float32[np.ndarray, "item out"]:
        """What search compares, by cosine, as the whole code tells it.

        Raises
        ------
        InputError : if it is not fitted, or the features do not fit it.
        """
        parts = [self.bottleneck_.read(self.bottleneck_.encode(part)) for part in self._parts(X)]
        return torch.cat(parts).numpy()

    def encode(self, X: Any) -> Code:
        """The codes of items, of which `code[:k]` is what a budget of k tokens sends.

        Raises
        ------
        InputError : as `transform`.
        """
        codes = [self.bottleneck_.encode(part) for part in self._parts(X)]
        posterior = type(codes[0].posterior).stack([code.posterior for code in codes])
        values = torch.cat([code.values for code in codes])
        return replace(codes[0], values=values, posterior=posterior, made_by=self.made_by_)

    @entry_point
    def read(self, code: Code) -> Float[Tensor, "item out"]:
        """What search compares, by cosine, as a prefix tells it.

        Raises
        ------
        InputError : if it is not fitted, or the code is another's.
        """
        self._require_own(code)
        return self.bottleneck_.read(code)

    @entry_point
    def decode(self, code: Code) -> Float[Tensor, "item feature"]:
        """The features as a prefix tells them, all of one length, for the objective `reconstruct`.

        Raises
        ------
        InputError : as `read`, and if the objective is another, or features had places.
        """
        self._require_own(code)
        if self.objective != "reconstruct" or self.places_ is not None:
            raise InputError("Features come back from [item, feature] and the objective reconstruct only; use read.")
        return self.bottleneck_.rebuild(self.bottleneck_.read(code))

    @entry_point
    def save(self, path: str | Path) -> None:
        """Write what was learnt, with the parameters; the file is whole, or what was there before stays.

        Parameters
        ----------
        path : ends in `.safetensors`.

        Raises
        ------
        InputError : if it is not fitted, or the file cannot be written.
        """
        self._require_fitted()
        require_writable(path, ".safetensors")
        about = {
            "format": FORMAT,
            "parameters": json.dumps(self.get_params()),
            "config": json.dumps(asdict(self.bottleneck_.config)),
            "features": json.dumps([self.n_features_in_, self.places_]),
        }
        tensors = {name: value.contiguous() for name, value in self.bottleneck_.state_dict().items()}
        if self.place_axes_ is not None:
            tensors["place_axes"] = self.place_axes_.contiguous()
        with writing(path) as temporary:
            write_tensors(temporary, tensors, about)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """What `save` wrote.

        Raises
        ------
        InputError : if there is no such file, or it is damaged, of another version, or no embedder.
        """
        return _load(cls, require_file(path, "embedder file"))

    def _config(self, features: int, items: int) -> BottleneckConfig:
        axes = min(_whole("axes", self.axes), features)
        default = axes if self.objective == "reconstruct" else min(128, axes)
        width = default if self.width is None else _whole("width", self.width)
        if width > axes:
            raise InputError(f"width is {width}; it must be at most {axes}, as many as there are axes of the features.")
        channels = (HEAD_WIDTH if self.ordering == "prior" else 8) if self.channels is None else self.channels
        return BottleneckConfig(
            features=features, out=width, axes=axes, ordering=self.ordering, tokens=self.tokens, levels=self.levels,
            channels=channels, held=self.held,
        )  # fmt: skip

    def _plan(self) -> Plan:
        tokens = self.tokens if self.tokens in get_args(TokenName) else "ema-vq"
        rate = RATES["fsq"] if self.ordering == "prior" else RATES[tokens]
        return Plan(
            objective=self.objective,
            steps=self.steps,
            batch_size=self.batch_size,
            learning_rate=rate if self.learning_rate is None else self.learning_rate,
            rate_weight=REGULARISERS[tokens] if self.rate_weight is None else self.rate_weight,
            temperature=self.temperature,
            seed=self.seed,
        )

    def _require_fitted(self) -> None:
        if not hasattr(self, "bottleneck_"):
            raise _not_fitted(f"This {type(self).__name__} is not fitted yet; call fit with features first.")

    def _require_own(self, code: Code) -> None:
        self._require_fitted()
        if code.made_by not in (None, self.made_by_):
            raise InputError(f"This code was made by {code.made_by}, and this embedder is {self.made_by_}.")
        shape, config = tuple(code.values.shape), self.bottleneck_.config
        if shape[2] != config.channels or shape[1] not in code.prefixes:
            raise InputError(f"{code!r} does not fit this embedder, whose tokens have {config.channels} channels.")

    @torch.inference_mode()
    def _parts(self, X: Any) -> Iterator[Float32[Tensor, "item feature"]]:
        """Features as the bottleneck reads them, in parts."""
        self._require_fitted()
        features = as_features(X)
        places = features.shape[1] if features.ndim == 3 else None
        if (features.shape[-1], places) != (self.n_features_in_, self.places_):
            wanted = self.n_features_in_ if self.places_ is None else f"{self.places_} x {self.n_features_in_}"
            raise InputError(
                f"X has {features.shape[-1]} features, but {type(self).__name__} is expecting {self.n_features_in_} "
                f"features as input: items of {wanted}, not of {' x '.join(map(str, features.shape[1:]))}."
            )
        for part in features.split(BATCH):
            yield part if self.place_axes_ is None else (part @ self.place_axes_).flatten(1)

    def _fingerprint(self) -> str:
        digest = hashlib.sha256()
        for value in self.bottleneck_.state_dict().values():
            digest.update(value.reshape(-1).contiguous().view(torch.uint8).numpy())
        return f"{LABELS[self.ordering]} with {self.tokens} tokens (embedder, weights {digest.hexdigest()[:12]})"


def _cut_places(
    features: Float32[Tensor, "item place feature"],
) -> tuple[Float32[Tensor, "item column"], Float32[Tensor, "feature axis"]]:
    """Places side by side, each cut to the leading principal axes of all places."""
    kept = max(1, min(features.shape[2], AXES_OF_PLACES // features.shape[1]))
    rows = features.flatten(0, 1)
    centred = rows - rows.mean(dim=0)
    axes = torch.linalg.eigh((centred.T @ centred).double()).eigenvectors.flip(1)[:, :kept].float().contiguous()
    return (features @ axes).flatten(1), axes


def _whole(name: str, value: object) -> int:
    from prior_lab.checks import whole_number

    number = whole_number(name, value)
    if number < 1:
        raise InputError(f"{name} is {number}; it must be at least 1.")
    return number


def _not_fitted(sentence: str) -> InputError:
    """An `InputError` that is scikit-learn's NotFittedError too, where that is in use."""
    if "sklearn" not in sys.modules:
        return InputError(sentence)
    from sklearn.exceptions import NotFittedError

    return type("NotFittedError", (InputError, NotFittedError), {})(sentence)


def _load(kind: type[OrderedEmbedder], path: Path) -> Any:
    try:
        with safe_open(path, framework="pt") as file:
            about = file.metadata() or {}
        tensors = load_file(path)
    except UNREADABLE as error:
        raise InputError(f"{path.name!r} is truncated or is not a safetensors file: {error}.") from error
    if about.get("format") != FORMAT:
        there = about.get("format", "")
        what = f"an embedder of another version ({there})" if there.startswith("prior-lab/embedder/") else "no embedder"
        raise InputError(f"{path.name!r} is {what}; this version reads {FORMAT}.")
    try:
        parameters, config, (count, places) = (
            parse_json(about[name], name) for name in ("parameters", "config", "features")
        )
        embedder = kind(**parameters)
        bottleneck = untrained(BottleneckConfig(**config))
        embedder.place_axes_ = tensors.pop("place_axes", None)
        bottleneck.load_state_dict(tensors)
    except (KeyError, TypeError, RuntimeError, InputError) as error:
        told = str(error).partition("\n")[0][:200]
        raise InputError(f"{path.name!r} is damaged: what it holds does not go together ({told}).") from error
    embedder.bottleneck_ = bottleneck.eval().requires_grad_(False)
    embedder.n_features_in_, embedder.places_ = count, places
    embedder.made_by_ = embedder._fingerprint()
    return embedder
