"""The bundled codecs, on pictures that neither they nor their models have seen."""

import functools
import math

import numpy as np
import pytest
import torch

import prior_lab as pl
from prior_lab.codec import Codec, codec_of, container
from prior_lab.orderings import Code
from prior_lab.zoo import load_autoencoder

EVERY = 16


@functools.cache
def bundled(name: str) -> tuple[Codec, Code]:
    images = pl.load_dataset(name.partition("/")[0], split="test").images[::EVERY]
    codec = codec_of(load_autoencoder(name))
    return codec, codec.encode(images)


@pytest.fixture(params=pl.list_codecs())
def codec(request: pytest.FixtureRequest) -> Codec:
    return bundled(request.param)[0]


@pytest.fixture
def code(request: pytest.FixtureRequest, codec: Codec) -> Code:
    return next(code for one, code in map(bundled, pl.list_codecs()) if one is codec)


def streams(files: list[bytes]) -> float:
    """Mean bits of the streams alone."""
    return 8 * float(np.mean([sum(len(chunk.stream) for chunk in container.split(file, 10).chunks) for file in files]))


def test_files_give_back_the_tokens_for_the_bits_that_the_tables_say(codec: Codec, code: Code) -> None:
    files = codec.pack(code)
    received = codec.unpack(files)
    assert torch.equal(torch.cat([one.code.posterior.sent() for one in received]), code.posterior.sent())
    torch.testing.assert_close(torch.cat([one.code.values for one in received]), code.values)
    assert {one.levels for one in received} == {len(codec.model.budgets)}
    ideal = codec.ideal_bits(code).sum(axis=1).mean()
    assert ideal < streams(files) < ideal + 8
    flags = [chunk.is_foreseen for file in files for chunk in container.split(file, 10).chunks[1:]]
    assert np.mean(flags) > 0.99 if codec.foresight is not None else not any(flags)


@pytest.mark.slow
@pytest.mark.parametrize("name", pl.list_codecs())
def test_static_tables_cost_what_the_tokens_tell(name: str) -> None:
    """Within 5 % of the information over the whole split, with what so many pictures hide of it added."""
    codec = bundled(name)[0].without_foresight()
    code = codec.encode(pl.load_dataset(name.partition("/")[0], split="test").images)
    told = (code.information + code.posterior.bias()).sum().item() / math.log(2)
    assert told < codec.ideal_bits(code).sum(axis=1).mean() < 1.05 * told


@pytest.mark.parametrize("name", [name for name in pl.list_codecs() if "/prior-" in name])
def test_foresight_saves_bits_at_every_level_after_the_second(name: str) -> None:
    codec, code = bundled(name)
    static, foreseen = codec.without_foresight().ideal_bits(code).mean(axis=0), codec.ideal_bits(code).mean(axis=0)
    assert foreseen[0] == static[0]
    assert foreseen[1] < 1.01 * static[1]
    assert (foreseen[2:] < static[2:]).all()


@pytest.mark.parametrize("name", pl.list_codecs())
def test_files_name_the_bundled_codec_that_wrote_them(name: str) -> None:
    codec, code = bundled(name)
    images = pl.load_dataset(name.partition("/")[0], split="test").images[::EVERY][:3]
    files = pl.compress(codec.model, images)
    assert files == codec.pack(codec.encode(images))
    by_name, by_model, by_codec = (pl.decompress(files, model) for model in (None, codec.model, codec))
    assert torch.equal(by_name.images, by_codec.images)
    assert torch.equal(by_model.images, by_codec.images)
    assert by_name.levels == (len(codec.model.budgets),) * 3
    assert by_name.notes == ("", "", "")
    torch.testing.assert_close(by_name.images, codec.model.decode(code.select(torch.arange(3))), atol=1e-5, rtol=1e-5)
