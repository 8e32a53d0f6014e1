"""Bundled models and studies by name, and files that are not what they should be."""

import json

import pytest
import torch
from safetensors.torch import save_file

import prior_lab
from prior_lab import zoo
from prior_lab.errors import InputError
from prior_lab.models import Autoencoder, AutoencoderConfig

CONFIG = AutoencoderConfig(levels=3, image_size=32, width=32, encoder_depth=1, decoder_width=32, decoder_depth=1)


@pytest.fixture
def bundle(tmp_path, monkeypatch):
    """A bundle of its own, with one small model in it."""
    monkeypatch.setattr(zoo, "BUNDLED", tmp_path)
    (tmp_path / "index.json").write_text('{"models": {}, "studies": {}}')
    torch.manual_seed(0)
    path = tmp_path / "models" / "small.safetensors"
    zoo.save_model(Autoencoder(CONFIG), path, config='{"steps": 1}', command="prior-lab train --steps 1")
    zoo.register("models", "test/small", path)
    return path


def test_a_model_comes_back_in_half_precision(bundle):
    model = zoo.load_model("test/small")
    assert zoo.list_models() == ["test/small"]
    assert not model.training
    torch.manual_seed(0)
    for name, weight in Autoencoder(CONFIG).state_dict().items():
        restored = model.state_dict()[name]
        assert restored.dtype == weight.dtype
        torch.testing.assert_close(restored, weight, rtol=1e-3, atol=1e-6)


def test_a_model_file_tells_how_it_was_made(bundle):
    record = zoo.model_record("test/small")
    assert record.config == '{"steps": 1}'
    assert record.command == "prior-lab train --steps 1"
    assert record.model == CONFIG.to_json()


def test_a_file_of_ones_own_is_loaded_by_its_path(bundle, tmp_path):
    own = bundle.rename(tmp_path / "own.safetensors")
    assert zoo.load_model(own).config == zoo.load_model(str(own)).config == CONFIG


def test_an_unknown_name_is_told_what_there_is(bundle):
    with pytest.raises(InputError, match="no bundled model 'test/large'; the nearest are test/small"):
        zoo.load_model("test/large")
    with pytest.raises(InputError, match="no bundled study 'test'; the nearest are none"):
        zoo.load_study("test")
    with pytest.raises(InputError, match=r"no model file 'missing\.safetensors'"):
        zoo.load_model("missing.safetensors")


def test_a_truncated_or_altered_file_is_refused(bundle):
    whole = bundle.read_bytes()
    for damaged in (whole[:-100], whole[:-1] + bytes([whole[-1] ^ 1])):
        bundle.write_bytes(damaged)
        with pytest.raises(InputError, match="is damaged: its SHA-256 should be"):
            zoo.load_model("test/small")
    bundle.write_bytes(whole[:-100])
    with pytest.raises(InputError, match="truncated or is not a safetensors file"):
        zoo.load_model(bundle)
    bundle.unlink()
    with pytest.raises(InputError, match="found nothing"):
        zoo.load_model("test/small")


def test_other_safetensors_are_refused(tmp_path):
    path = tmp_path / "other.safetensors"
    save_file({"weight": torch.zeros(1)}, path)
    with pytest.raises(InputError, match="not a model of prior_lab"):
        zoo.load_model(path)
    model = CONFIG.to_json()
    told = {"format": "prior-lab/autoencoder", "model": model, "config": "", "command": ""}
    save_file({"weight": torch.zeros(1)}, path, told)
    with pytest.raises(InputError, match="do not fit the model's config"):
        zoo.load_model(path)


def test_weights_that_half_precision_cannot_hold_are_not_saved(tmp_path):
    model = Autoencoder(CONFIG)
    with torch.no_grad():
        next(model.parameters()).fill_(1e6)
    with pytest.raises(InputError, match="not finite in half precision"):
        zoo.save_model(model, tmp_path / "huge.safetensors", config="", command="")
    assert not list(tmp_path.iterdir())
    with pytest.raises(InputError, match=r"does not end in \.safetensors"):
        zoo.save_model(model, tmp_path / "model.pt", config="", command="")


def test_only_bundled_files_are_registered(bundle, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "x.safetensors"
    elsewhere.write_bytes(b"")
    with pytest.raises(InputError, match="is not a file under"):
        zoo.register("models", "x", elsewhere)


def test_the_index_of_the_package_describes_files_that_are_there():
    index = json.loads((zoo.BUNDLED / "index.json").read_text())
    for entries in index.values():
        for entry in entries.values():
            assert (zoo.BUNDLED / entry["file"]).stat().st_size == entry["bytes"]


@pytest.mark.parametrize("name", prior_lab.list_models())
def test_every_bundled_model_loads_and_tells_its_command(name):
    assert prior_lab.load_model(name).budgets[0] == 1
    record = zoo.model_record(name)
    assert record.command
    json.loads(record.config)


@pytest.mark.parametrize("name", prior_lab.list_studies())
def test_every_bundled_study_loads_with_models_that_exist(name):
    study = prior_lab.load_study(name)
    named = {arm.attrs["model"] for arm in study.children.values()}
    assert named - {""} <= set(prior_lab.list_models())
