"""Files decode to the same tokens in another process, with other instructions and another number of threads."""

import functools
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from small_codecs import pictures, small_codec

import prior_lab as pl
from prior_lab.codec import Codec, codec_of, container
from prior_lab.models import Autoencoder
from prior_lab.orderings import Code
from prior_lab.tokens import DiscretePosterior
from prior_lab.zoo import load_autoencoder

NAME, COUNT = "household/reconstruction/prior-ema-vq", 16
KINDS = ("foresight", "static", "gaussian", "fsq")
OTHER = """
import sys
from pathlib import Path
import numpy as np
import torch
from prior_lab.codec import Codec, codec_of
from prior_lab.models import Autoencoder, AutoencoderConfig
from prior_lab.zoo import load_autoencoder

folder = Path(sys.argv[1])
print(torch.backends.cpu.get_cpu_capability(), torch.get_num_threads())
for kind in sys.argv[2:]:
    if kind in ("foresight", "static"):
        codec = codec_of(load_autoencoder(NAME))
    else:
        saved = torch.load(folder / f"{kind}.pt")
        model = Autoencoder(AutoencoderConfig.from_json(saved["config"])).eval()
        model.load_state_dict(saved["state"])
        codec = Codec.load(folder / f"{kind}.npz", model)
    paths = sorted(folder.glob(f"{kind}-*.po"))
    received = codec.unpack([path.read_bytes() for path in paths])
    again = codec if kind == "foresight" else codec.without_foresight()
    for path, one in zip(paths, received):
        np.save(path.with_suffix(".npy"), codec.symbols.of(one.code).numpy())
        np.save(path.with_suffix(".values.npy"), one.code.values.numpy())
        path.with_suffix(".again").write_bytes(again.pack(one.code)[0])
"""


@functools.cache
def codes() -> dict[str, tuple[Codec, Code]]:
    bundled = codec_of(load_autoencoder(NAME))
    images = pl.load_dataset("household", split="test").images[::130][:COUNT]
    gaussian, fsq = small_codec("prior", "gaussian"), small_codec("prior", "fsq")
    return {
        "foresight": (bundled, bundled.encode(images)),
        "static": (bundled.without_foresight(), bundled.encode(images)),
        "gaussian": (gaussian, gaussian.encode(pictures(4))),
        "fsq": (fsq.without_foresight(), fsq.encode(pictures(4))),
    }


def save(model: Autoencoder, path: Path) -> None:
    torch.save({"config": model.config.to_json(), "state": model.state_dict()}, path)


@pytest.mark.slow
def test_another_process_reads_the_same_tokens_and_writes_the_same_files(tmp_path: Path) -> None:
    files: dict[str, list[bytes]] = {}
    for kind, (codec, code) in codes().items():
        files[kind] = codec.pack(code)
        for number, file in enumerate(files[kind]):
            (tmp_path / f"{kind}-{number:02}.po").write_bytes(file)
        if kind in ("gaussian", "fsq"):
            small_codec("prior", kind).save(tmp_path / f"{kind}.npz")
            save(codec.model, tmp_path / f"{kind}.pt")
    threads = "2" if torch.get_num_threads() == 1 else "1"
    settings = {"ATEN_CPU_CAPABILITY": "default", "OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}
    told = subprocess.run(
        [sys.executable, "-c", OTHER.replace("NAME", repr(NAME)), tmp_path, *KINDS],
        env=os.environ | settings, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert told.returncode == 0, told.stderr[-2000:]
    assert told.stdout.split() == ["DEFAULT", threads] or told.stdout.split()[0] == "NO"
    for kind, (codec, code) in codes().items():
        numbers = codec.symbols.of(code).numpy()
        assert not code.values.requires_grad
        for number, file in enumerate(files[kind]):
            read = tmp_path / f"{kind}-{number:02}.po"
            assert np.array_equal(np.load(read.with_suffix(".npy")), numbers[number : number + 1])
            values = np.load(read.with_suffix(".values.npy"))
            if isinstance(code.posterior, DiscretePosterior):
                np.testing.assert_allclose(values[0], code.values[number], atol=1e-6)
            else:
                assert np.array_equal(values[0], code.values[number].numpy())
            assert read.with_suffix(".again").read_bytes() == file
    foreseen = [chunk.is_foreseen for file in files["foresight"] for chunk in container.split(file, 7).chunks[1:]]
    assert np.mean(foreseen) > 0.9
    assert not any(chunk.is_foreseen for file in files["static"] for chunk in container.split(file, 7).chunks)


def test_threads_change_no_file() -> None:
    codec, code = codes()["foresight"]
    before = torch.get_num_threads()
    expected = codec.pack(code)
    torch.set_num_threads(3 - min(before, 2))
    try:
        assert codec.pack(code) == expected
        assert torch.equal(torch.cat([one.code.values for one in codec.unpack(expected)]), code.values)
    finally:
        torch.set_num_threads(before)
