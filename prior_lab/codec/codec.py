"""A model's codec: the tables that turn its codes into bytes, and back."""

import hashlib
import io
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from prior_lab.checks import entry_point
from prior_lab.codec import container, ranges
from prior_lab.codec.foresight import Foresight
from prior_lab.codec.symbols import Rounding, States, Symbols, restored
from prior_lab.codec.tables import Tables
from prior_lab.errors import InputError
from prior_lab.files import require_file, require_writable, writing
from prior_lab.models import Autoencoder
from prior_lab.orderings import Code
from prior_lab.tokens import GaussianTokens

FORMAT = "prior-lab/codec 1"
STEPS = 1000  # in which foresight is trained, at each level


@dataclass(frozen=True)
class Received:
    """What was read of one file.

    Attributes
    ----------
    code : the prefix whose levels are whole.
    ends : where each of its levels ends in the file [byte].
    note : why there are no more levels, in a sentence; empty if the file ends with a whole level.
    is_damaged : whether bytes of the file were changed, and not only cut off.
    """

    code: Code
    ends: tuple[int, ...]
    note: str
    is_damaged: bool

    @property
    def levels(self) -> int:
        """How many levels are there."""
        return len(self.ends)


@dataclass(frozen=True, eq=False)
class Codec:
    """How the codes of one model become files.

    Attributes
    ----------
    model : the model.
    symbols : its codes as whole numbers.
    tables : how often each occurred in training images.
    foresight : how likely states are, given the levels before; nothing where nothing is predicted.
    identity : what files name it by: the first bytes of the SHA-256 of the model's and of these.

    Examples
    --------
    A codec of one's own model, from some of its training images:

    >>> import torch
    >>> import prior_lab as pl
    >>> model = pl.Autoencoder(pl.AutoencoderConfig(ordering="td", tokens="fsq", levels=3)).eval()
    >>> images = pl.load_dataset("household", split="train").images[::16]
    >>> codec = pl.Codec.fitted(model, images)
    >>> files = codec.pack(model.encode(images[:2]))
    >>> codec.unpack(files)[0].code
    Code(1 images, 7 Indexed tokens of 32 channels)
    """

    model: Autoencoder
    symbols: Symbols
    tables: Tables
    foresight: Foresight | None = None
    identity: bytes = b""

    def __post_init__(self) -> None:
        if not self.identity:
            digest = hashlib.sha256(self.model.fingerprint.encode())
            for name, array in sorted(self._arrays().items()):
                digest.update(f"{name} {array.shape} {array.dtype.str}".encode())
                digest.update(np.ascontiguousarray(array).tobytes())
            object.__setattr__(self, "identity", digest.digest()[: container.IDENTITY])

    @classmethod
    @entry_point
    def fitted(
        cls, model: Autoencoder, images: UInt8[Tensor, "image 3 height width"], *, foresight: bool = True
    ) -> Self:
        """From the codes of training images: some thousand give good tables.

        Parameters
        ----------
        foresight : whether PRIOR's predictions shall tell which states to expect, which takes a minute to learn.

        Raises
        ------
        InputError : if there are fewer than two images, or they do not fit the model.
        """
        if len(images) < 2:
            raise InputError(f"A codec is made of two or more images; there are {len(images)}.")
        is_real = issubclass(model.ordering.token_kind, GaussianTokens)
        symbols = Rounding.fitted(model, images) if is_real else States()
        numbers = symbols.encode(model, images).cpu()
        levels = model.ordering.levels
        outcomes, all_numbers = symbols.outcomes(model), numbers.numpy()
        parts = [
            (all_numbers[:, place.start * symbols.parts : place.stop * symbols.parts], outcomes[place.start])
            for place in levels.slices
        ]
        tables = Tables.fitted(parts, by_spread=is_real)
        foreseen = Foresight.fitted(model, tables, numbers, steps=STEPS) if foresight else None
        return cls(model, symbols, tables, foreseen)

    def without_foresight(self) -> "Codec":
        """The same with static tables alone, which is faster; files say which of the two wrote a level."""
        return replace(self, foresight=None)

    # ------------------------------------------------------------ codes and files

    def encode(self, images: UInt8[Tensor, "image 3 h w"] | Float[Tensor, "image 3 h w"]) -> Code:
        """The codes of images as a receiver of their files has them."""
        codes = list(self.symbols.codes(self.model, images))
        posterior = type(codes[0].posterior).stack([code.posterior for code in codes])
        values, made_by = torch.cat([code.values for code in codes]), self.model.fingerprint
        return replace(codes[0], values=values, posterior=posterior, made_by=made_by)

    @entry_point
    def pack(self, code: Code, budgets: Sequence[int] | None = None) -> list[bytes]:
        """A file for each image of a code.

        Parameters
        ----------
        budgets : tokens of each image's file, whole levels; all, if not given.

        Raises
        ------
        InputError : if the code is another model's, or a budget is no whole level of it.
        """
        self.model._require_own(code)
        wanted = [len(code)] * len(code.values) if budgets is None else list(budgets)
        if len(wanted) != len(code.values):
            raise InputError(f"Each of {len(code.values)} images needs a budget; {len(wanted)} were given.")
        known = [budget for budget in self.model.budgets if budget <= len(code)]
        unfit = [budget for budget in wanted if budget not in known]
        if unfit:
            raise InputError(f"A file holds whole levels, {', '.join(map(str, known))} tokens; {unfit[0]} are none.")
        counts = [known.index(budget) + 1 for budget in wanted]
        numbers = self.symbols.of(code).cpu()
        encoders = [ranges.Encoder() for _ in counts]
        flags: list[list[bool]] = [[] for _ in counts]
        for level, likely in enumerate(self._likelihoods(numbers, max(counts))):
            part = numbers[:, self._place(level)].numpy().astype(np.int32)
            for image, (weights, is_sure) in enumerate(likely):
                if level < counts[image]:
                    encoders[image].put(part[image], weights if is_sure else self.tables.weights[level])
                    flags[image].append(is_sure and self.foresight is not None and level > 0)
        return [self._file(encoder, foreseen) for encoder, foreseen in zip(encoders, flags, strict=True)]

    @entry_point
    def unpack(self, files: Sequence[bytes]) -> list[Received]:
        """What files hold, as far as their levels are whole.

        Raises
        ------
        InputError : if one is no such file, is of another codec, or holds no whole level.
        """
        contents = [self._contents(file, f"File {number}: " * (len(files) > 1)) for number, file in enumerate(files)]
        made_by = self.model.fingerprint
        codes = [self.symbols.code(self.model, numbers[None]) for numbers in self._decoded(contents)]
        return [
            Received(replace(code, made_by=made_by), one.ends, one.note, one.is_damaged)
            for one, code in zip(contents, codes, strict=True)
        ]

    def ideal_bits(self, code: Code) -> Float[np.ndarray, "image level"]:
        """What a perfect coder would spend on each level of each image [bit]."""
        numbers = self.symbols.of(code).cpu()
        rows: list[list[float]] = []
        for level, likely in enumerate(self._likelihoods(numbers, self._levels_of(code))):
            part = numbers[:, self._place(level)].numpy()
            rows.append([])
            for image, (weights, is_sure) in enumerate(likely):
                shares = weights if is_sure else self.tables.weights[level]
                chosen = np.take_along_axis(shares, part[image][:, None], axis=1)[:, 0]
                rows[-1].append(float(np.log2(shares.sum(axis=1) / chosen).sum()))
        return np.array(rows).T

    def _file(self, encoder: ranges.Encoder, foreseen: Sequence[bool]) -> bytes:
        stream, ends = encoder.finish()
        starts = [0, *ends]
        chunks = [
            container.Chunk(stream[start:end], flag)
            for start, end, flag in zip(starts[:-1], ends, foreseen, strict=True)
        ]
        return container.join(self.identity, chunks)

    def _contents(self, file: bytes, which: str) -> container.Contents:
        try:
            return self._read(file)
        except InputError as error:
            raise InputError(f"{which}{error}") from error

    def _read(self, file: bytes) -> container.Contents:
        identity = container.identity_of(file)
        if identity != self.identity:
            raise InputError(
                f"The file was written by the codec {identity.hex()}; this one is {self.identity.hex()}, of "
                f"{self.model.fingerprint}."
            )
        contents = container.split(bytes(file), self.model.ordering.levels.count)
        if not contents.chunks:
            raise InputError(f"The file holds no whole level: {contents.note or 'it ends with its header'}.")
        if contents.chunks[0].is_foreseen:
            raise InputError("The file is damaged: it says that its first level was foreseen, which none is.")
        if self.foresight is None and any(chunk.is_foreseen for chunk in contents.chunks):
            raise InputError("The file was written with foresight; read it with a codec that has it.")
        return contents

    def _decoded(self, contents: Sequence[container.Contents]) -> list[Int64[Tensor, "symbol"]]:
        """The numbers of every file: all files level by level, for a level may depend on the one before."""
        decoders = [ranges.Decoder(b"".join(chunk.stream for chunk in one.chunks)) for one in contents]
        found: list[list[np.ndarray]] = [[] for _ in contents]
        state: Tensor | None = None
        rows = list(range(len(contents)))
        for level in range(max((len(one.chunks) for one in contents), default=0)):
            keep = [place for place, row in enumerate(rows) if len(contents[row].chunks) > level]
            rows, state = [rows[place] for place in keep], None if state is None else state[keep]
            static = self.tables.weights[level]
            likely: Iterator[ranges.Weights] = iter([static] * len(rows))
            foreseen = [contents[row].chunks[level].is_foreseen for row in rows]
            if any(foreseen):
                assert self.foresight is not None
                assert state is not None
                likely = (weights for weights, _ in self.foresight.weights(level, state))
            for row, weights, flag in zip(rows, likely, foreseen, strict=True):
                found[row].append(decoders[row].take(weights if flag else static))
            state = self._prediction(level, state, torch.from_numpy(np.stack([found[row][-1] for row in rows])).long())
        return [torch.from_numpy(np.concatenate(parts)).long() for parts in found]

    def _likelihoods(
        self, numbers: Int64[Tensor, "image symbol"], levels: int
    ) -> Iterator[Iterator[tuple[ranges.Weights, bool]]]:
        """For each level, weights of every image, and whether any machine would come to the same."""
        state: Tensor | None = None
        for level in range(levels):
            if self.foresight is None or state is None:
                yield iter([(self.tables.weights[level], True)] * len(numbers))
            else:
                yield self.foresight.weights(level, state)
            state = self._prediction(level, state, numbers[:, self._place(level)])

    def _prediction(self, level: int, state: Tensor | None, index: Int64[Tensor, "image symbol"]) -> Tensor | None:
        return None if self.foresight is None else self.foresight.follow(level, state, index)[1]

    def _place(self, level: int) -> slice:
        place, parts = self.model.ordering.levels.slices[level], self.symbols.parts
        return slice(place.start * parts, place.stop * parts)

    def _levels_of(self, code: Code) -> int:
        return self.model.budgets.index(len(code)) + 1

    # ------------------------------------------------------------ its own file

    @entry_point
    def save(self, path: str | Path) -> None:
        """Write the tables, not the model, to a `.npz` file: it is whole, or what was there before stays.

        Raises
        ------
        InputError : if the path has another ending, or it cannot be written.
        """
        require_writable(path, ".npz")
        arrays, held = self._arrays(), io.BytesIO()
        arrays["format"], arrays["made_for"] = np.array(FORMAT), np.array(self.model.fingerprint)
        np.savez_compressed(held, identity=np.frombuffer(self.identity, np.uint8), **arrays)  # type: ignore[arg-type]
        with writing(path) as temporary:
            temporary.write_bytes(held.getvalue())

    def _arrays(self) -> dict[str, np.ndarray]:
        foreseen = {} if self.foresight is None else self.foresight.arrays()
        return self.tables.arrays() | self.symbols.arrays() | foreseen

    @classmethod
    @entry_point
    def load(cls, path: str | Path, model: Autoencoder) -> Self:
        """What `save` wrote, for the model that it was made for.

        Raises
        ------
        InputError : if the file is none of these, is damaged, or is of another model.
        """
        arrays = read_arrays(require_file(path, "codec file"))
        if str(arrays["made_for"]) != model.fingerprint:
            raise InputError(f"The codec was made for {arrays['made_for']}, and this model is {model.fingerprint}.")
        try:
            tables, symbols = Tables.restored(arrays), restored(arrays)
            made = cls(model, symbols, tables, Foresight.restored(model, tables, arrays))
        except (KeyError, ValueError, RuntimeError, IndexError) as error:
            name = Path(path).name
            raise InputError(f"The codec file {name!r} is damaged: its arrays do not belong together.") from error
        if made.identity != arrays["identity"].tobytes():
            raise InputError(
                f"The codec file {Path(path).name!r} is damaged: its tables are not those it was named by."
            )
        return made


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a codec file.

    Raises
    ------
    InputError : if it is none.
    """
    try:
        with zipfile.ZipFile(path), np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, KeyError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"{path.name!r} is damaged, or is no codec file: {error}.") from error
    if str(arrays.get("format")) != FORMAT or not {"identity", "made_for"} <= arrays.keys():
        raise InputError(f"{path.name!r} is no codec file of this version ({FORMAT}).")
    return arrays
