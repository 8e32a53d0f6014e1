"""Images to bytes and back: what most people need of a codec."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from prior_lab import zoo
from prior_lab.checks import entry_point
from prior_lab.codec import container
from prior_lab.codec.codec import Codec, Received, read_arrays
from prior_lab.codec.targets import Target
from prior_lab.errors import InputError
from prior_lab.models import Autoencoder


@dataclass(frozen=True, eq=False)
class Decompressed:
    """Pictures, and how much of their files was there.

    Attributes
    ----------
    images : in [0, 1].
    levels : how many levels of each file were whole.
    notes : of each file why there were no more levels, in a sentence; empty if it ends with a whole level.
    """

    images: Float[Tensor, "image 3 height width"]
    levels: tuple[int, ...]
    notes: tuple[str, ...]


@entry_point
def compress(
    model: Autoencoder | Codec,
    images: UInt8[Tensor, "image 3 height width"] | Float[Tensor, "image 3 height width"],
    *,
    target: Target | None = None,
) -> list[bytes]:
    """A file for each image, which may be cut anywhere: what is left decodes to the best picture it allows.

    Parameters
    ----------
    model : one whose codec is bundled (`list_codecs`), or a codec, such as `Codec.fitted` makes for any model.
    target : what each file shall reach with as few levels as it can, such as `codec.Quality("SSIM", 0.9)`; all levels
        are written, if not given.

    Raises
    ------
    InputError : if there is no codec for the model, or the images do not fit it.

    Examples
    --------
    >>> import prior_lab as pl
    >>> model = pl.load_model("household/reconstruction/prior-ema-vq")
    >>> images = pl.load_dataset("household", split="test").images[:2]
    >>> files = pl.compress(model, images)
    >>> found = pl.decompress([files[0], files[1][:60]])
    >>> found.levels
    (7, 5)
    >>> found.notes[1]
    'level 5 is cut off: ... of its bytes are there'
    """
    codec = model if isinstance(model, Codec) else codec_of(model)
    if not len(images):
        raise InputError("There are no images to compress.")
    code = codec.encode(images)
    return codec.pack(code, None if target is None else target.budgets(codec.model, code, images))


@entry_point
def decompress(files: bytes | Sequence[bytes], model: Autoencoder | Codec | None = None) -> Decompressed:
    """Pictures of files that `compress` wrote, each from as many levels as are whole.

    A file whose bytes were changed gives the levels before the damage, with a warning.

    Parameters
    ----------
    files : one file's bytes, or those of several of one model.
    model : the model or codec that wrote them; that of the bundled ones which the file names, if not given.

    Raises
    ------
    InputError : if one is no such file, holds no whole level, or is of another model.

    Examples
    --------
    >>> import prior_lab as pl
    >>> model = pl.load_model("household/reconstruction/prior-ema-vq")
    >>> [file] = pl.compress(model, pl.load_dataset("household", split="test").images[:1])
    >>> pl.decompress(file[:40]).images.shape
    torch.Size([1, 3, 64, 64])
    >>> pl.decompress(b"something else")
    Traceback (most recent call last):
        ...
    prior_lab.errors.InputError: These 14 bytes are no file of prior_lab, which begins with PO.
    """
    several = [files] if isinstance(files, bytes) else list(files)
    if not several:
        raise InputError("There are no files to decompress.")
    if model is None:
        codec = _named(container.identity_of(several[0]))
    else:
        codec = model if isinstance(model, Codec) else codec_of(model)
    received = codec.unpack(several)
    for number, one in enumerate(received):
        if one.is_damaged:
            warnings.warn(f"File {number}: {one.note}; {one.levels} levels before it are used.", stacklevel=2)
    return Decompressed(
        pictures(codec.model, received), *zip(*((one.levels, one.note) for one in received), strict=True)
    )


@torch.inference_mode()
def pictures(model: Autoencoder, received: Sequence[Received]) -> Float[Tensor, "image 3 height width"]:
    """What files decode to: those with as many levels together."""
    size = model.config.image_size
    images = torch.empty(len(received), 3, size, size)
    for levels in sorted({one.levels for one in received}):
        rows = [row for row, one in enumerate(received) if one.levels == levels]
        index = torch.cat([received[row].code.values for row in rows])
        code = received[rows[0]].code
        posterior = type(code.posterior).stack([received[row].code.posterior for row in rows])
        whole = type(code)(index, posterior, code.prefixes)
        images[rows] = model.decode(whole).cpu()
    return images


def codec_of(model: Autoencoder) -> Codec:
    """The bundled codec of a model.

    Raises
    ------
    InputError : if there is none.
    """
    for name in zoo.list_codecs():
        path = zoo.bundled_file("codecs", name)
        if str(read_arrays(path)["made_for"]) == model.fingerprint:
            return Codec.load(path, model)
    raise InputError(
        f"There is no codec for {model.fingerprint}; make one with Codec.fitted(model, images), or take a model of "
        f"list_codecs(): {', '.join(zoo.list_codecs())}."
    )


@lru_cache(maxsize=4)
def _named(identity: bytes) -> Codec:
    """The bundled codec that a file names."""
    for name in zoo.list_codecs():
        path = zoo.bundled_file("codecs", name)
        if read_arrays(path)["identity"].tobytes() == identity:
            return Codec.load(path, zoo.load_autoencoder(name))
    raise InputError(
        f"The file was written by the codec {identity.hex()}, which is not bundled; name the model or codec that wrote "
        "it."
    )
