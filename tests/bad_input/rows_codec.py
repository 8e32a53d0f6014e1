"""Files of images, the codecs that write them, and the targets that say how long they are."""

import io
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from case import Case, Ground

import prior_lab as pl
from prior_lab.codec import Codec, Forecast, Quality, Worth, codec_of, compress, decompress
from prior_lab.codec.container import Chunk, join

NAN, INF = float("nan"), float("inf")
Change = Callable[[bytes], bytes]


def _codec(ground: Ground, kind: str = "discrete") -> Codec:
    return Codec.fitted(getattr(ground, kind), ground.data.images, foresight=False)


def _file(ground: Ground) -> bytes:
    codec = _codec(ground)
    return codec.pack(codec.encode(ground.images))[0]


def _packed(ground: Ground, budgets: object, tokens: int = 7) -> object:
    codec = _codec(ground)
    return codec.pack(codec.encode(ground.images)[:tokens], budgets)


def _loaded(ground: Ground, change: Change) -> object:
    """Reads a codec's file after its bytes were changed; it lies in a folder of its own."""
    path = Path(tempfile.mkdtemp()) / "own.npz"
    _codec(ground).save(path)
    path.write_bytes(change(path.read_bytes()))
    return Codec.load(path, ground.discrete)


def _arrays(change: Callable[[dict[str, np.ndarray]], object]) -> Change:
    def changed(content: bytes) -> bytes:
        with np.load(io.BytesIO(content)) as file:
            arrays = dict(file)
        change(arrays)
        held = io.BytesIO()
        np.savez(held, **arrays)
        return held.getvalue()

    return changed


def _zipped(name: str, text: bytes) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as file:
        file.writestr(name, text)
    return held.getvalue()


def _array(array: np.ndarray) -> bytes:
    held = io.BytesIO()
    np.save(held, array)
    return held.getvalue()


def _forecast(ground: Ground, **settings: object) -> object:
    given = {"model": ground.model, "images": ground.data.images, "target": Quality(), "levels": 2} | settings
    return Forecast.fitted(**given)


MODELS = {"None": None, "a text": "household/reconstruction/prior-ema-vq", "a class": Codec, "a number": 3}
IMAGES = {
    "None": (None, "images is None; a dense tensor"),
    "an array": (np.zeros((1, 3, 32, 32), np.uint8), "images is a ndarray; a dense tensor"),
    "a list": ([], "images is a list; a dense tensor"),
    "one image": (torch.zeros(3, 32, 32), "reads images as a tensor"),
    "grey": (torch.zeros(2, 1, 32, 32), "reads images as a tensor"),
    "small": (torch.zeros(2, 3, 16, 16), "reads images as a tensor"),
    "whole numbers": (torch.zeros(2, 3, 32, 32, dtype=torch.int64), "uint8, or float"),
    "too bright": (torch.full((2, 3, 32, 32), 255.0), r"must lie in \[0, 1\]"),
    "not a number": (torch.full((2, 3, 32, 32), NAN), r"must lie in \[0, 1\]"),
}
FILES = {
    "None": (None, "files is None"),
    "a number": (3, "files is 3"),
    "a text": ("PO", "files is 'PO'"),
    "no file": ([], "There are no files to decompress"),
    "a text among them": (["PO"], "files holds 'PO'"),
    "None among them": ([None], "files holds None"),
    "no bytes": (b"", "These 0 bytes are no file of prior_lab"),
    "other bytes": (b"\x89PNG\r\n\x1a\n", "no file of prior_lab, which begins with PO"),
    "half a header": (b"PO\1ab", "cut within its header: 5 of 7 bytes"),
    "another version": (b"PO\2abcd", "of version 2; this prior_lab reads version 1"),
    "an unknown codec": (b"PO\1abcd", "written by the codec 61626364"),
}
BUDGETS = {
    "no level": ([7, 2], "whole levels, 1, 3, 7 tokens; 2 are none"),
    "zero": ([0, 7], "whole levels, 1, 3, 7 tokens; 0 are none"),
    "below zero": ([-1, 7], "whole levels"),
    "too many tokens": ([7, 15], "whole levels, 1, 3, 7 tokens; 15 are none"),
    "too few": ([7], "Each of 2 images needs a budget; 1 were given."),
    "too many": ([7, 7, 7], "Each of 2 images needs a budget; 3 were given."),
    "none": ([], "Each of 2 images needs a budget; 0 were given."),
    "a number": (7, "budgets is 7"),
    "a text": ("77", "budgets is '77'"),
    "texts": (["7", "7"], "budgets holds '7'; a whole number was expected"),
    "halves": ([3.0, 7.5], "budgets holds 3.0; a whole number was expected"),
}
DAMAGED: dict[str, tuple[Change, str]] = {
    "half of it": (lambda content: content[: len(content) // 2], "damaged"),
    "nothing": (lambda _: b"", "damaged"),
    "a text": (lambda _: b"counts", "damaged"),
    "a zip file": (lambda _: _zipped("notes.txt", b"mine"), "no codec file"),
    "a zip of texts": (lambda _: _zipped("counts.0.npy", b"mine"), "damaged|no codec file"),
    "other arrays": (_arrays(lambda arrays: [arrays.clear(), arrays.update(x=np.ones(3))]), "no codec file"),
    "an older format": (_arrays(lambda arrays: arrays.update(format=np.array("prior-lab/codec 0"))), "no codec file"),
    "pickled objects": (_arrays(lambda arrays: arrays.update({"rows.0": np.array([{}])})), "damaged"),
    "no rows": (_arrays(lambda arrays: arrays.pop("rows.1")), "damaged"),
    "no identity": (_arrays(lambda arrays: arrays.pop("identity")), "no codec file"),
    "rows that are not there": (_arrays(lambda arrays: arrays.update({"rows.2": arrays["rows.2"] + 99})), "damaged"),
    "texts for counts": (_arrays(lambda arrays: arrays.update({"counts.0": np.array(["many"])})), "damaged"),
    "one array": (lambda _: _array(np.ones(3)), "damaged, or is no codec file"),
    "another count": (_arrays(lambda arrays: arrays.update({"counts.1": arrays["counts.1"] + 1})), "damaged"),
    "half of a foresight": (_arrays(lambda arrays: arrays.update({"foresight.0.0.weight": np.ones(32)})), "damaged"),
    "a flipped byte": (lambda content: content[:200] + bytes([content[200] ^ 1]) + content[201:], "damaged"),
}
CASES = [
    *(
        Case(f"{function.__qualname__} with {name} as model", call, "model is .*was expected")
        for name, model in MODELS.items()
        for function, call in (
            (compress, lambda ground, model=model: compress(model, ground.images)),
            (decompress, lambda ground, model=model: decompress(_file(ground), model if model is not None else 3)),
            (Codec.fitted, lambda ground, model=model: Codec.fitted(model, ground.images)),
            (Codec.load, lambda ground, model=model: Codec.load("own.npz", model)),
            (Forecast.fitted, lambda ground, model=model: _forecast(ground, model=model)),
        )
    ),
    Case(
        "compress with a contrastive model", lambda ground: compress(ground.contrastive, ground.images), "model is a C"
    ),
    Case(
        "compress with a model that has no codec",
        lambda ground: compress(ground.discrete, ground.images),
        "^There is no codec for PRIOR with ema-vq tokens .*; make one with Codec.fitted.*list_codecs",
    ),
    Case("codec of a model that has none", lambda ground: codec_of(ground.other), "^There is no codec for MBOP-TD"),
    Case("compress no images", lambda ground: compress(_codec(ground), ground.images[:0]), "no images"),
    *(
        Case(f"{kind} {name}", lambda ground, call=call, given=given: call(ground, given), says)
        for name, (given, says) in IMAGES.items()
        for kind, call in (
            ("compress", lambda ground, given: compress(_codec(ground), given)),
            ("a codec fitted to", lambda ground, given: Codec.fitted(ground.discrete, given, foresight=False)),
            ("a forecast fitted to", lambda ground, given: _forecast(ground, images=given)),
        )
    ),
    *(
        Case(
            f"compress to {name}",
            lambda ground, target=target: compress(_codec(ground), ground.images, target=target),
            "target is .*; a Target or None was expected",
        )
        for name, target in (("a text", "ssim=0.9"), ("a number", 0.9), ("a class", Quality))
    ),
    *(
        Case(f"decompress {name}", lambda ground, given=given: decompress(given), says)
        for name, (given, says) in FILES.items()
    ),
    Case(
        "decompress another codec's file",
        lambda ground: decompress(_file(ground), _codec(ground, "other")),
        "real numbers|written by the codec .*; this one is .* MBOP-TD",
    ),
    Case(
        "decompress a file of a model of one's own unnamed",
        lambda ground: decompress(_file(ground)),
        "which is not bundled; name the model or codec that wrote it",
    ),
    *(
        Case(
            f"decompress a file cut {name}",
            lambda ground, end=end: decompress(_file(ground)[:end], _codec(ground)),
            says,
        )
        for name, end, says in (
            ("after its header", 7, "holds no whole level: it ends with its header"),
            ("in its first level", 8, "holds no whole level: level 0 is cut off: 1 of its bytes are there"),
        )
    ),
    *(
        Case(
            f"unpack {name}",
            lambda ground, chunk=chunk: (codec := _codec(ground)).unpack([join(codec.identity, [chunk])]),
            "damaged",
        )
        for name, chunk in (
            ("a stream of no tokens", Chunk(b"\xff" * 20, False)),
            ("a first level that was foreseen", Chunk(b"\0", True)),
        )
    ),
    *(
        Case(f"unpack {name}", lambda ground, given=given: _codec(ground).unpack(given), says)
        for name, given, says in (
            ("one file's bytes", b"PO\1abcd", "files is .*; a sequence"),
            ("a text", "PO", "files is 'PO'"),
            ("None", None, "files is None"),
            ("numbers", [1, 2], "files holds 1"),
        )
    ),
    *(
        Case(f"pack with budgets: {name}", lambda ground, given=given: _packed(ground, given), says)
        for name, (given, says) in BUDGETS.items()
    ),
    Case("pack more than there is", lambda ground: _packed(ground, [3, 7], 3), "whole levels, 1, 3 tokens; 7 are none"),
    *(
        Case(f"pack {name}", lambda ground, code=code: _codec(ground).pack(code), "code is .*; a Code was expected")
        for name, code in (("None", None), ("a tensor", torch.zeros(1, 7, 32)), ("a list", []))
    ),
    *(
        Case(
            f"pack another model's code ({kind})",
            lambda ground, kind=kind: _codec(ground).pack(getattr(ground, kind).encode(ground.images)),
            "^This code was made by",
        )
        for kind in ("model", "other")
    ),
    Case(
        "pack a part of a level",
        lambda ground: _codec(ground, "other").pack(ground.other.encode(ground.images)[:5]),
        "whole levels, 1, 3 tokens; 5 are none",
    ),
    Case("a codec of one image", lambda ground: Codec.fitted(ground.discrete, ground.images[:1]), "two or more images"),
    *(
        Case(
            f"a codec with foresight={value!r}",
            lambda ground, value=value: Codec.fitted(ground.discrete, ground.images, foresight=value),
            "^foresight is .*; True or False was expected",
        )
        for value in ("yes", None, 2)
    ),
    *(
        Case(f"save a codec to {path!r}", lambda ground, path=path: _codec(ground).save(path), says)
        for path, says in (
            ("own.bin", "does not end in .npz"),
            ("own", "does not end in .npz"),
            ("text.txt/own.npz", "is no folder in which one may write"),
            ("", "path"),
            (None, "path is None"),
            (3, "path is 3"),
            ("a\0.npz", "a character that no path can hold"),
            ("x" * 300 + ".npz", "longer"),
        )
    ),
    *(
        Case(f"load a codec from {path!r}", lambda ground, path=path: Codec.load(path, ground.discrete), says)
        for path, says in (
            ("missing.npz", "^There is no codec file 'missing.npz'"),
            ("notes", "cannot be read"),
            ("text.txt", "is damaged, or is no codec file"),
            ("pictures/0.png", "is damaged, or is no codec file"),
            ("model.safetensors", "is damaged, or is no codec file"),
            (None, "path is None"),
            (b"own.npz", "path is a bytes"),
        )
    ),
    *(
        Case(f"load a codec of {name}", lambda ground, change=change: _loaded(ground, change), says)
        for name, (change, says) in DAMAGED.items()
    ),
    *(
        Case(f"quality measure={value!r}", lambda _, value=value: Quality(value), "measure .*SSIM, PSNR, L1, L2")
        for value in ("MSE", "ssim", "", None, 3, ["SSIM"])
    ),
    *(
        Case(f"quality value={value!r}", lambda _, value=value: Quality("SSIM", value), says)
        for value, says in (
            (NAN, "finite"),
            (INF, "finite"),
            ("0.9", "a number was"),
            (None, "a number was"),
            (True, "a"),
        )
    ),
    *(
        Case(f"quality of the text {text!r}", lambda _, text=text: Quality.parse(text), says)
        for text, says in (
            ("", "not written like ssim=0.9"),
            ("ssim", "not written like"),
            ("ssim=high", "not written like"),
            ("ssim=0,9", "not written like"),
            ("0.9", "not written like"),
            ("mse=0.1", "Unknown measure 'MSE'; choose one of SSIM, PSNR, L1, L2"),
            ("=1", "Unknown measure ''"),
            ("ssim=nan", "finite"),
            (None, "text is None"),
            (0.9, "text is 0.9"),
            (b"ssim=0.9", "text is a bytes"),
        )
    ),
    *(
        Case(f"worth price={value!r}", lambda _, value=value: Worth(value), says)
        for value, says in (
            (-0.1, "must not be negative"),
            (NAN, "finite"),
            ("1", "a number was"),
            (None, "a number was"),
        )
    ),
    Case("worth measure='MSE'", lambda _: Worth(0.1, "MSE"), "Unknown measure 'MSE'"),
    *(
        Case(
            f"a forecast of {name}={value!r}",
            lambda ground, name=name, value=value: _forecast(ground, **{name: value}),
            says,
        )
        for name, value, says in (
            ("levels", 0, "this model has 1 to 3"),
            ("levels", 4, "this model has 1 to 3"),
            ("levels", 1.5, "levels is 1.5; a whole number"),
            ("levels", "2", "levels is '2'; a whole number"),
            ("target", "ssim=0.9", "target is 'ssim=0.9'; a Quality was expected"),
            ("target", None, "target is None; a Quality was expected"),
        )
    ),
    Case("a forecast fitted to no images", lambda ground: _forecast(ground, images=ground.images[:0]), "no images"),
    Case("a model named as a codec is", lambda _: pl.load_model("household/reconstruction/prior-ema-vq.npz"), "npz"),
]
