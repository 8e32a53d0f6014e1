"""Models and codes: what encodes and decodes refuses what is not its own."""

import dataclasses

import numpy as np
import torch
from case import Case, Ground, contrastive_shape, shape

import prior_lab as pl
from prior_lab.models import Autoencoder, ContrastiveModel
from prior_lab.orderings import Code

FIXED = torch.Generator().manual_seed(0)
READERS = {"decode": "model", "decode_budgets": "model", "features": "model", "project": "contrastive"}
NOT_CODES = {"None": None, "a tensor": torch.zeros(1, 7, 32), "a list": [1, 2], "a text": "code"}


def _code(ground: Ground, reader: str) -> Code:
    return (ground.contrastive if reader == "project" else ground.model).encode(ground.images)


def _read(ground: Ground, reader: str, code: object) -> object:
    return getattr(getattr(ground, READERS[reader]), reader)(code)


def _changed(reader: str, change: object) -> object:
    """Reads a code after its values were changed, and whoever made it forgotten."""

    def call(ground: Ground) -> object:
        code = _code(ground, reader)
        return _read(ground, reader, dataclasses.replace(code, values=change(code.values), made_by=None))

    return call


def _foreign(reader: str, maker: str) -> object:
    return lambda ground: _read(ground, reader, getattr(ground, maker).encode(ground.images))


def _unsigned(reader: str, maker: str) -> object:
    return lambda ground: _read(
        ground, reader, dataclasses.replace(getattr(ground, maker).encode(ground.images), made_by=None)
    )


IMAGES = {
    "None": (None, "images is None; a dense tensor"),
    "an array": (np.zeros((1, 3, 32, 32), np.uint8), "images is a ndarray; a dense tensor"),
    "a list": ([[0]], "images is a list; a dense tensor"),
    "one image": (torch.zeros(3, 32, 32), "reads images as a tensor"),
    "grey": (torch.zeros(1, 1, 32, 32), "reads images as a tensor"),
    "small": (torch.zeros(1, 3, 4, 4), "reads images as a tensor"),
    "none": (torch.zeros(0, 3, 32, 32), "There are no images"),
    "whole numbers": (torch.zeros(1, 3, 32, 32, dtype=torch.int64), "uint8, or float"),
    "complex": (torch.zeros(1, 3, 32, 32, dtype=torch.complex64), "a dense tensor"),
    "float8": (torch.zeros(1, 3, 32, 32).to(torch.float8_e4m3fn), "uint8, or float"),
    "sparse": (torch.zeros(1, 3, 32, 32).to_sparse(), "a dense tensor"),
    "meta": (torch.zeros(1, 3, 32, 32, device="meta"), "a dense tensor"),
    "too bright": (torch.full((1, 3, 32, 32), 255.0), r"must lie in \[0, 1\]"),
    "not a number": (torch.full((1, 3, 32, 32), float("nan")), r"must lie in \[0, 1\]"),
}
GENERATORS = {"NumPy's": np.random.default_rng(), "a seed": 3, "a text": "cpu"}
SLICES = {
    "a number": (slice(3.0), "A budget is 3.0; a whole number was expected"),
    "an array": (slice(np.array([1, 2])), "A budget is a ndarray; a whole number"),
    "a truth": (slice(True), "A budget is True; a whole number"),
    "no prefix": (slice(2), "no prefix of this code of 7; choose one of 1, 3, 7"),
    "zero": (slice(0), "no prefix"),
    "below zero": (slice(-1), "no prefix"),
    "too long": (slice(15), "no prefix"),
    "a start": (slice(1, 3), "cut to a prefix"),
    "a step": (slice(None, None, 2), "cut to a prefix"),
    "a place": (3, "cut to a prefix"),
}
CASES = [
    *(
        Case(
            f"{reader} of {name}",
            lambda ground, reader=reader, code=code: _read(ground, reader, code),
            "a Code was expected",
        )
        for reader in READERS
        for name, code in NOT_CODES.items()
    ),
    *(
        Case(f"{reader} of {name}", _changed(reader, change), says)
        for reader in READERS
        for name, change, says in (
            ("NaN", lambda values: values * float("nan"), "not finite"),
            ("whole numbers", lambda values: values.long(), "not finite floating-point"),
            ("wider values", lambda values: torch.cat([values, values], 2), "does not fit this model"),
            ("longer values", lambda values: torch.cat([values, values, values], 1), "does not fit this model"),
            ("flat values", lambda values: values.flatten(1), "a tensor .batch, token, channel. was expected"),
            ("no images", lambda values: values[:0], "a tensor .batch, token, channel. was expected"),
            ("no values", lambda values: None, "a tensor .batch, token, channel. was expected"),
        )
    ),
    *(
        Case(
            f"{reader} of another's code ({maker})",
            _foreign(reader, maker),
            "^This code was made by .*, and this model is ",
        )
        for reader in ("decode", "decode_budgets", "features")
        for maker in ("other", "discrete", "contrastive")
    ),
    Case("project of an autoencoder's code", _foreign("project", "model"), "^This code was made by"),
    Case("decode of another kind's unsigned code", _unsigned("decode", "discrete"), "of the kind gaussian"),
    *(
        Case(f"a code cut at {name}", lambda ground, cut=cut: ground.model.encode(ground.images)[cut], says)
        for name, (cut, says) in SLICES.items()
    ),
    *(
        Case(f"{kind} encodes {name}", lambda ground, kind=kind, given=given: getattr(ground, kind).encode(given), says)
        for kind in ("model", "discrete", "contrastive")
        for name, (given, says) in IMAGES.items()
    ),
    *(
        Case(
            f"{kind} encodes with {name} as generator",
            lambda ground, kind=kind, given=given: getattr(ground, kind).encode(ground.images, generator=given),
            "generator is .*; a Generator or None was expected",
        )
        for kind in ("model", "contrastive")
        for name, given in GENERATORS.items()
    ),
    *(
        Case(f"prompts: {name}", lambda ground, given=given: ground.contrastive.encode(ground.images, given), says)
        for name, given, says in (
            ("a list", [[1, 2, 3, 4, 5]], "prompts is a list"),
            ("of one image", torch.ones(1, 5), r"Prompts are a tensor \[batch, 5\]"),
            ("flat", torch.ones(5), r"Prompts are a tensor \[batch, 5\]"),
            ("NaN", torch.full((2, 5), float("nan")), "finite numbers"),
            ("no width", torch.zeros(2, 5), "standard deviations above 0"),
        )
    ),
    Case(
        "features with another tap",
        lambda ground: ground.model.features(_code(ground, "decode"), "head"),
        "one of tokens",
    ),
    Case(
        "features without a tap", lambda ground: ground.model.features(_code(ground, "decode"), None), "one of tokens"
    ),
    *(
        Case(f"{make.__name__} of {name}", lambda _, make=make, given=given: make(given), "Config was expected")
        for make in (Autoencoder, ContrastiveModel)
        for name, given in (("None", None), ("a text", "prior"), ("a class", pl.AutoencoderConfig))
    ),
    Case("Autoencoder of a contrastive config", lambda _: Autoencoder(contrastive_shape()), "an AutoencoderConfig was"),
    Case("ContrastiveModel of an autoencoder's config", lambda _: ContrastiveModel(shape()), "a ContrastiveConfig was"),
]
