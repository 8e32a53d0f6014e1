"""Codecs of every ordering and token kind: what is packed is unpacked, for what it must cost."""

import copy
import dataclasses
import itertools
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from small_codecs import BUDGETS, LEVELS, pictures, small_codec

from prior_lab.codec import Codec, container, decompress, foresight
from prior_lab.codec.symbols import REACH, Rounding
from prior_lab.errors import InputError
from prior_lab.models import Autoencoder
from prior_lab.orderings import Code, OrderingName, Residual
from prior_lab.tokens import DiscretePosterior, TokenName

PAIRS = list(itertools.product(get_args(OrderingName), get_args(TokenName)))
COUNT = 6


@pytest.fixture(params=PAIRS, ids="-".join)
def codec(request: pytest.FixtureRequest) -> Codec:
    return small_codec(*request.param)


@pytest.fixture
def images() -> torch.Tensor:
    return pictures(COUNT, seed=9)


def assert_received(code: Code, original: Code) -> None:
    """The first tokens of a code: the same states, and bit for bit the same real numbers."""
    length = len(code)
    if isinstance(original.posterior, DiscretePosterior):
        assert torch.equal(code.posterior.sent(), original.posterior.sent()[:, :length])
        torch.testing.assert_close(code.values, original.values[:, :length], atol=1e-6, rtol=1e-6)
    else:
        assert torch.equal(code.values, original.values[:, :length])


def bits_of_streams(files: list[bytes]) -> int:
    return 8 * sum(len(chunk.stream) for file in files for chunk in container.split(file, LEVELS).chunks)


def test_files_give_back_the_code(codec: Codec, images: torch.Tensor) -> None:
    for one in (codec, codec.without_foresight()):
        code = one.encode(images)
        for number, received in enumerate(one.unpack(one.pack(code))):
            assert_received(received.code, code.select(torch.tensor([number])))
            assert (received.levels, received.note, received.is_damaged) == (LEVELS, "", False)


def test_codes_and_pictures_of_files_carry_no_gradients(codec: Codec, images: torch.Tensor) -> None:
    code = codec.encode(images)
    assert not code.values.requires_grad
    assert not code.values.is_inference()
    assert not codec.unpack(codec.pack(code))[0].code.values.requires_grad
    assert not decompress(codec.pack(code), codec).images.requires_grad


def test_foresight_is_there_where_something_is_predicted_of_countable_states(codec: Codec) -> None:
    config = codec.model.config
    expected = config.ordering.startswith("prior") and config.tokens != "gaussian"
    assert (codec.foresight is not None) == expected
    assert codec.without_foresight().foresight is None


def test_the_code_is_the_models_own_where_states_are_countable(codec: Codec, images: torch.Tensor) -> None:
    if codec.model.config.tokens == "gaussian":
        pytest.skip("Gaussian tokens are rounded")
    assert_received(codec.encode(images), codec.model.encode(images))


def test_a_receiver_decodes_what_the_sender_would(codec: Codec, images: torch.Tensor) -> None:
    code = codec.encode(images)
    received = codec.unpack(codec.pack(code, [7] * COUNT))
    for number, one in enumerate(received):
        sent = code.select(torch.tensor([number]))[:7]
        torch.testing.assert_close(codec.model.decode(one.code), codec.model.decode(sent), atol=1e-5, rtol=1e-5)


def test_each_image_has_a_budget_of_its_own(codec: Codec, images: torch.Tensor) -> None:
    code = codec.encode(images)
    budgets = [15, 1, 7, 3, 1, 15]
    whole, files = codec.pack(code), codec.pack(code, budgets)
    received = codec.unpack(files)
    assert [len(one.code) for one in received] == budgets
    for number, one in enumerate(received):
        assert_received(one.code, code.select(torch.tensor([number])))
        assert one.note == ""
        assert one.ends[-1] == len(files[number]) <= len(whole[number])
    assert [len(one.code) for one in codec.unpack(codec.pack(code[:7], [7, 3, 1, 7, 7, 7]))] == [7, 3, 1, 7, 7, 7]


def test_levels_that_were_cut_off_are_those_that_were_never_written(codec: Codec, images: torch.Tensor) -> None:
    code = codec.encode(images)
    files = codec.pack(code)
    for level, budget in enumerate(BUDGETS):
        cut = [file[: one.ends[level]] for file, one in zip(files, codec.unpack(files), strict=True)]
        for number, one in enumerate(codec.unpack(cut)):
            assert one.levels == level + 1
            assert one.note == ""
            assert_received(one.code, code.select(torch.tensor([number]))[:budget])


def test_files_are_as_long_as_the_tables_say(codec: Codec, images: torch.Tensor) -> None:
    """Within 1 % and two bytes of each file."""
    code = codec.encode(images)
    for one in (codec, codec.without_foresight()):
        files, ideal = one.pack(code), one.ideal_bits(code)
        assert ideal.shape == (COUNT, LEVELS)
        for file, bits in zip(files, ideal.sum(axis=1), strict=True):
            assert bits / 1.01 - 16 <= bits_of_streams([file]) <= 1.01 * bits + 16


def test_other_images_in_the_batch_change_nothing(codec: Codec, images: torch.Tensor) -> None:
    """Codes may differ by rounding in the encoder; of one code the files are alike, and read alike in any company."""
    code = codec.encode(images)
    together = codec.pack(code)
    for number in range(COUNT):
        alone = code.select(torch.tensor([number]))
        assert codec.pack(alone) == [together[number]]
        assert_received(codec.unpack([together[number]])[0].code, alone)
    backwards = codec.unpack(together[::-1])[::-1]
    for number, one in enumerate(backwards):
        assert_received(one.code, code.select(torch.tensor([number])))


def test_files_cut_at_different_levels_are_read_together(codec: Codec, images: torch.Tensor) -> None:
    code, chance = codec.encode(images), np.random.default_rng(0)
    files = codec.pack(code)
    ends = [one.ends for one in codec.unpack(files)]
    cuts = [int(chance.integers(end[0], len(file))) for end, file in zip(ends, files, strict=True)]
    for number, one in enumerate(codec.unpack([file[:cut] for file, cut in zip(files, cuts, strict=True)])):
        assert one.levels == sum(end <= cuts[number] for end in ends[number])
        assert_received(one.code, code.select(torch.tensor([number])))


def test_a_saved_codec_reads_and_writes_the_same_files(codec: Codec, images: torch.Tensor, tmp_path: Path) -> None:
    codec.save(tmp_path / "own.npz")
    again = Codec.load(tmp_path / "own.npz", copy.deepcopy(codec.model))
    assert again.identity == codec.identity
    assert again.pack(again.encode(images)) == codec.pack(codec.encode(images))
    assert (again.foresight is None) == (codec.foresight is None)


def test_neither_memory_nor_company_matters_to_gaussian_codes(images: torch.Tensor) -> None:
    codec = small_codec("prior", "gaussian")
    strided = images.float().div(255).permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)
    assert not strided.is_contiguous()
    assert codec.pack(codec.encode(strided)) == codec.pack(codec.encode(images.float() / 255))


@pytest.mark.parametrize("tokens", ["gaussian", "ema-vq"])
def test_other_models_and_other_codecs_are_refused(tokens: TokenName, images: torch.Tensor, tmp_path: Path) -> None:
    codec, other = small_codec("prior", tokens), small_codec("td", tokens)
    assert codec.identity != other.identity
    with pytest.raises(InputError, match=f"written by the codec {other.identity.hex()}; this one is"):
        codec.unpack(other.pack(other.encode(images)))
    with pytest.raises(InputError, match="This code was made by"):
        codec.pack(other.model.encode(images))
    codec.save(tmp_path / "own.npz")
    with pytest.raises(InputError, match="^The codec was made for PRIOR .*, and this model is MBOP-TD"):
        Codec.load(tmp_path / "own.npz", other.model)


def test_a_model_that_was_trained_on_needs_another_codec(tmp_path: Path) -> None:
    codec = small_codec("prior", "ema-vq")
    codec.save(tmp_path / "own.npz")
    model = copy.deepcopy(codec.model)
    with torch.no_grad():
        model.encoder.get_parameter(next(name for name, _ in model.encoder.named_parameters())).mul_(1.5)
    with pytest.raises(InputError, match="^The codec was made for PRIOR .*, and this model is PRIOR"):
        Codec.load(tmp_path / "own.npz", model)


@pytest.mark.parametrize("name", ["counts.1", "rows.2", "foresight.0.1.weight", "identity", "made_for"])
def test_a_changed_number_is_found(name: str, tmp_path: Path) -> None:
    codec, path = small_codec(), tmp_path / "own.npz"
    codec.save(path)
    arrays = dict(np.load(path))
    changed = arrays[name].copy()
    if name == "made_for":
        changed = np.array("PRIOR with other tokens")
    else:
        changed.flat[0] = changed.flat[-1] + 1
    np.savez(path, **arrays | {name: changed})
    with pytest.raises(InputError, match="is damaged|was made for PRIOR with other tokens"):
        Codec.load(path, codec.model)


def test_files_with_foresight_need_a_codec_with_it(images: torch.Tensor) -> None:
    codec = small_codec("prior", "fsq")
    static = codec.without_foresight()
    files = codec.pack(codec.encode(images))
    assert any(chunk.is_foreseen for file in files for chunk in container.split(file, LEVELS).chunks)
    assert static.identity == codec.identity
    with pytest.raises(InputError, match="written with foresight"):
        static.unpack(files)
    for number, one in enumerate(codec.unpack(static.pack(static.encode(images)))):
        assert_received(one.code, codec.encode(images).select(torch.tensor([number])))


@pytest.mark.parametrize("margin", [0.5, 0.1, 0.002])
def test_levels_of_which_machines_may_differ_are_written_with_static_tables(
    margin: float, images: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """0.5 leaves nothing sure; narrower margins leave some levels of some images so. A reader has no margin."""
    codec = small_codec("prior", "ema-vq")
    code = codec.encode(images)
    monkeypatch.setattr(foresight, "MARGIN", margin)
    files, ideal = codec.pack(code), codec.ideal_bits(code)
    flags = np.array([[chunk.is_foreseen for chunk in container.split(file, LEVELS).chunks] for file in files])
    assert not flags[:, 0].any()
    if margin == 0.5:
        assert not flags.any()
        np.testing.assert_array_equal(ideal, codec.without_foresight().ideal_bits(code))
    elif margin == 0.002:
        assert flags.any()
    monkeypatch.undo()
    for number, one in enumerate(codec.unpack(files)):
        assert_received(one.code, code.select(torch.tensor([number])))


def test_at_the_real_margin_next_to_nothing_is_unsure() -> None:
    codec = small_codec("prior", "ema-vq")
    files = codec.pack(codec.encode(pictures(64, seed=5)))
    flags = [chunk.is_foreseen for file in files for chunk in container.split(file, LEVELS).chunks[1:]]
    assert all(flags)


def test_no_weight_of_the_scale_lies_where_another_libm_would_round_it_otherwise() -> None:
    """10,000 times further from a half than the error of exp in float64, of a part in 2e15."""
    steps = np.arange(foresight.DEEPEST + 1, dtype=np.longdouble)
    exact = np.longdouble(foresight.LARGEST) * np.exp(-steps / foresight.GRID)
    assert np.abs(exact - np.floor(exact) - 0.5).min() > 1e-4
    assert np.array_equal(foresight._scale(), np.maximum(1, np.rint(exact)).astype(np.float64))
    assert foresight.LARGEST * 2e-16 * 10 < 1e-4


# ------------------------------------------------------------ Gaussian tokens


@pytest.fixture(params=get_args(OrderingName))
def rounded(request: pytest.FixtureRequest) -> Codec:
    return small_codec(request.param, "gaussian")


def test_gaussian_values_are_rounded_by_at_most_half_a_step(rounded: Codec, images: torch.Tensor) -> None:
    """Of the residual that the receiver's own levels leave."""
    symbols = rounded.symbols
    assert isinstance(symbols, Rounding)
    code = rounded.encode(images)
    exact = torch.cat(residuals(rounded.model, code, images), dim=1).double()
    steps = torch.from_numpy(symbols.step.astype(np.float64))
    inside = (symbols.of(code).unflatten(1, (-1, symbols.parts)) - REACH).abs() < REACH
    error = (code.values.double() - exact).abs() / steps
    assert inside.float().mean() > 0.95
    assert error[inside].max() <= 0.5 + 1e-3


def residuals(model: Autoencoder, code: Code, images: torch.Tensor) -> list[torch.Tensor]:
    """What each level of a code had to say, given the levels before as the receiver has them."""
    with torch.inference_mode():
        features = model.encoder(model.prepare(images))
        if not isinstance(model.ordering, Residual):
            return [model.ordering.encode(features).values]
        found, state = [], None
        for level, place in enumerate(model.ordering.levels.slices):
            prediction = 0.0 if state is None else model.ordering.predict(level - 1, state)
            found.append(model.ordering.tokens[level](features[:, place] - prediction).values())
            state = prediction + code.values[:, place]
        return found


def test_gaussian_codes_are_what_their_numbers_say(rounded: Codec, images: torch.Tensor) -> None:
    """Rounding a rounded code changes nothing."""
    code = rounded.encode(images)
    numbers = rounded.symbols.of(code)
    assert numbers.min() >= 0
    assert numbers.max() <= 2 * REACH
    again = rounded.symbols.code(rounded.model, numbers)
    assert torch.equal(again.values, code.values)
    assert torch.equal(rounded.symbols.of(again), numbers)


def test_rounding_errors_are_as_wide_as_the_noise_of_training_and_have_nothing_to_do_with_the_values() -> None:
    """Uniform over a step of sqrt(12) deviations of the posterior, which itself is the mean over images."""
    codec = small_codec("td", "gaussian")
    assert isinstance(codec.symbols, Rounding)
    images = pictures(64, seed=3)
    posterior = codec.model.encode(images).posterior
    error = (codec.encode(images).values - posterior.mean).double()
    share = error / torch.from_numpy(codec.symbols.step.astype(np.float64))
    assert share.mean().item() == pytest.approx(0.0, abs=0.005)
    assert share.std().item() == pytest.approx(12**-0.5, rel=0.01)
    assert error.square().mean().item() == pytest.approx(posterior.log_variance.exp().mean().item(), rel=0.05)
    centred = posterior.mean - posterior.mean.mean(dim=0)
    correlation = torch.corrcoef(torch.stack([centred.flatten().double(), error.flatten()]))[0, 1]
    assert abs(correlation.item()) < 0.02


def test_values_out_of_reach_are_as_far_out_as_numbers_go() -> None:
    codec = small_codec("td", "gaussian")
    code = codec.model.encode(pictures(2))
    far = dataclasses.replace(code, values=code.values + 1e6 * torch.tensor([1.0, -1.0])[:, None, None])
    numbers = codec.symbols.of(far)
    assert numbers[0].unique().tolist() == [2 * REACH]
    assert numbers[1].unique().tolist() == [0]
    for one, row in zip(codec.unpack(codec.pack(far)), numbers, strict=True):
        assert torch.equal(codec.symbols.of(one.code)[0], row)
