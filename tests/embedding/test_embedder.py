"""The embedder: scikit-learn's contract, prefixes, files, wrong input, and processes that share a fit."""

import json
import os
import pickle
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import distributed as dist

import prior_lab as pl
from prior_lab.effective_information import health
from prior_lab.embedding import OrderedEmbedder
from prior_lab.errors import InputError
from prior_lab.orderings import OrderingName
from prior_lab.tokens import TokenName

ITEMS, WIDTH = 240, 20


@pytest.fixture(scope="module")
def features() -> torch.Tensor:
    chance = torch.Generator().manual_seed(0)
    return torch.randn(ITEMS, WIDTH, generator=chance) * torch.linspace(3, 0.2, WIDTH) + 1


@pytest.fixture(scope="module")
def fitted(features: torch.Tensor) -> OrderedEmbedder:
    return OrderedEmbedder(levels=3, steps=10, batch_size=32).fit(features)


@pytest.mark.usefixtures("no_shape_checks")
def test_it_is_what_scikit_learn_calls_an_estimator() -> None:
    from sklearn.utils.estimator_checks import check_estimator

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        told = check_estimator(OrderedEmbedder(levels=2, steps=1, batch_size=16), on_skip=None)
    assert len(told) > 40
    assert {one["status"] for one in told} <= {"passed", "skipped"}
    assert [one["check_name"] for one in told if one["status"] == "skipped"] in ([], ["check_array_api_input"])


def test_a_clone_has_its_parameters_and_nothing_that_was_learnt(fitted: OrderedEmbedder) -> None:
    from sklearn.base import clone

    copy = clone(fitted)
    assert copy.get_params() == fitted.get_params()
    assert not hasattr(copy, "bottleneck_")
    assert repr(copy) == "OrderedEmbedder(levels=3, steps=10, batch_size=32)"


@pytest.mark.parametrize("tokens", get_args(TokenName))
@pytest.mark.parametrize("ordering", get_args(OrderingName))
def test_every_ordering_and_kind_gives_codes_whose_prefixes_are_read(
    features: torch.Tensor, ordering: OrderingName, tokens: TokenName
) -> None:
    embedder = OrderedEmbedder(ordering, tokens, 3, steps=3, batch_size=32).fit(features)
    code = embedder.encode(features)
    for budget in (1, 3, 7):
        assert embedder.read(code[:budget]).shape == (ITEMS, WIDTH)
    np.testing.assert_array_equal(code.to_numpy(3), code.to_numpy()[:, : code.to_numpy(3).shape[1]])
    np.testing.assert_allclose(embedder.transform(features), embedder.read(code).numpy(), atol=1e-5)
    assert health(code).sizes["token"] == 7
    assert float(pl.information(code)["total"][-1]) > 0


def test_nothing_after_a_prefix_changes_what_is_read(fitted: OrderedEmbedder, features: torch.Tensor) -> None:
    code = fitted.encode(features)
    code.values[:, 3:] += 1.0
    torch.testing.assert_close(fitted.read(code[:3]), fitted.read(fitted.encode(features)[:3]))


def test_longer_prefixes_rebuild_the_features_better(fitted: OrderedEmbedder, features: torch.Tensor) -> None:
    code = fitted.encode(features)
    wanted = torch.nn.functional.normalize(features - features.mean(0), dim=1)
    alike = []
    for budget in (1, 3, 7):
        told = torch.nn.functional.normalize(fitted.decode(code[:budget]) - features.mean(0), dim=1)
        alike.append((told * wanted).sum(dim=1).mean().item())
    assert alike == sorted(alike)
    assert alike[-1] > 0.9


def test_the_heads_read_what_training_wants_of_every_prefix(features: torch.Tensor) -> None:
    at_start = OrderedEmbedder(levels=3, tokens="fsq", steps=0).fit(features)
    trained = OrderedEmbedder(levels=3, tokens="fsq", steps=200, batch_size=64).fit(features)
    errors = []
    for embedder in (at_start, trained):
        cut = embedder.bottleneck_.cut(features)
        read = embedder.bottleneck_.read_budgets(embedder.encode(features))
        errors.append((read - cut).square().mean(dim=(1, 2)))
    assert (errors[1] < errors[0]).all()


def test_pairs_teach_what_to_ignore() -> None:
    chance = torch.Generator().manual_seed(0)
    objects = torch.arange(300).repeat_interleave(2)
    own = torch.randn(300, 6, generator=chance)[objects]
    features = torch.cat([own, torch.randn(600, 14, generator=chance)], dim=1)

    def found(embedder: OrderedEmbedder) -> float:
        read = torch.nn.functional.normalize(torch.from_numpy(embedder.transform(features)), dim=1)
        near = (read @ read.T).fill_diagonal_(-2).argmax(dim=1)
        return (objects[near] == objects).float().mean().item()

    pairs = torch.arange(600).view(300, 2)
    settings: dict[str, Any] = {"levels": 4, "batch_size": 64, "steps": 60}
    without = found(OrderedEmbedder(**settings).fit(features))
    assert found(OrderedEmbedder(objective="pairs", **settings).fit(features, pairs=pairs)) > 2 * without
    assert found(OrderedEmbedder(objective="pairs", **settings).fit(features, objects.numpy())) > 2 * without


def test_neighbours_are_kept(features: torch.Tensor) -> None:
    embedder = OrderedEmbedder(levels=4, objective="neighbours", steps=30, batch_size=64).fit(features)
    read = torch.nn.functional.normalize(torch.from_numpy(embedder.transform(features)), dim=1)
    cut = torch.nn.functional.normalize(features - features.mean(0), dim=1)
    near, wanted = ((one @ one.T).fill_diagonal_(-2).argmax(dim=1) for one in (read, cut))
    assert (near == wanted).float().mean() > 0.4


def test_places_are_read(features: torch.Tensor) -> None:
    places = features.view(40, 6, WIDTH)
    embedder = OrderedEmbedder(levels=3, steps=3, batch_size=16).fit(places)
    assert embedder.encode(places)[:3].values.shape == (40, 3, 8)
    with pytest.raises(InputError, match="items of 6 x 20, not of 20"):
        embedder.transform(features)


def test_numpy_and_torch_are_the_same(fitted: OrderedEmbedder, features: torch.Tensor) -> None:
    np.testing.assert_array_equal(fitted.transform(features), fitted.transform(features.double().numpy()))


def test_a_fit_is_a_function_of_its_seed(fitted: OrderedEmbedder, features: torch.Tensor) -> None:
    again = OrderedEmbedder(levels=3, steps=10, batch_size=32).fit(features)
    np.testing.assert_array_equal(again.transform(features), fitted.transform(features))
    torch.manual_seed(5)
    state = torch.get_rng_state()
    OrderedEmbedder(levels=2, steps=1).fit(features)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_file_gives_back_what_was_saved(fitted: OrderedEmbedder, features: torch.Tensor, tmp_path: Path) -> None:
    path = tmp_path / "embedder.safetensors"
    fitted.save(path)
    loaded = OrderedEmbedder.load(path)
    assert loaded.get_params() == fitted.get_params()
    np.testing.assert_array_equal(loaded.transform(features), fitted.transform(features))
    assert loaded.read(fitted.encode(features)[:3]).shape == (ITEMS, WIDTH)  # its codes are its own


def _with_format(path: Path, name: str) -> Path:
    about = {"format": name, "parameters": "{}", "config": "{}", "features": "[1, null]"}
    save_file(load_file(path), path.with_name("other.safetensors"), about)
    return path.with_name("other.safetensors")


@pytest.mark.usefixtures("no_shape_checks")
def test_files_that_are_no_embedder_of_this_version_are_told(fitted: OrderedEmbedder, tmp_path: Path) -> None:
    path = tmp_path / "embedder.safetensors"
    fitted.save(path)
    whole = path.read_bytes()
    for said, name in (
        ("another version", "prior-lab/embedder/2"),
        ("no embedder", "x"),
        ("damaged", "prior-lab/embedder/1"),
    ):
        with pytest.raises(InputError, match=said):
            OrderedEmbedder.load(_with_format(path, name))
    path.write_bytes(whole[:-100])
    with pytest.raises(InputError, match="truncated"):
        OrderedEmbedder.load(path)
    path.write_bytes(pickle.dumps({}))
    with pytest.raises(InputError, match="not a safetensors file"):
        OrderedEmbedder.load(path)
    with pytest.raises(InputError, match="There is no embedder file"):
        OrderedEmbedder.load(tmp_path / "nothing.safetensors")
    with pytest.raises(InputError, match="does not end in .safetensors"):
        fitted.save(tmp_path / "embedder.pkl")


X = np.ones((6, 3)) * np.arange(6)[:, None] + np.arange(3)
PAIRS = {"objective": "pairs", "levels": 2, "steps": 1}
WRONG: list[tuple[dict[str, Any], tuple[Any, ...], str]] = [
    ({}, (np.full((4, 3), np.nan),), "X holds NaN or infinite numbers"),
    ({}, (np.full((4, 3), 1e20),), "X reaches 1.0e\\+20"),
    ({}, (X[:1],), "one item is too few"),
    ({}, (X[:, 0],), "Expected 2D array, got 1D array"),
    ({}, (X[None, None],), r"X has the shape \(1, 1, 6, 3\)"),
    ({}, (X[:0],), "0 item"),
    ({}, ([["a", "b"]] * 3,), "X is not an array of numbers"),
    ({}, (X * 1j,), "Complex data not supported"),
    ({"ordering": "best"}, (X,), "ordering is 'best'"),
    ({"tokens": "words"}, (X,), "tokens is 'words'"),
    ({"levels": 0}, (X,), "levels is 0"),
    ({"objective": "fame"}, (X,), "objective is 'fame'"),
    ({"steps": -1}, (X,), "steps is -1"),
    ({"width": 9}, (X,), "width is 9; it must be at most 3"),
    ({"axes": 0}, (X,), "axes is 0"),
    ({"channels": 2}, (X,), "held is 3; a token has 2 channels"),
    ({"ordering": "prior", "channels": 8}, (X,), "prior needs a multiple of 32"),
    ({"learning_rate": 0}, (X,), "learning_rate is 0"),
    ({"device": "abacus"}, (X,), "device"),
    (PAIRS, (X,), "requires y to be passed"),
    (PAIRS, (X, [0, 0, 1]), r"y has the shape \(3,\)"),
    (PAIRS, (X, [0, 1, 2, 3, 4, 5]), "Fewer than 2 labels"),
    (PAIRS, (X, None, [[0, 6], [1, 2]]), "pairs name the item 6; there are 6 items"),
    (PAIRS, (X, None, [[0, -1], [1, 2]]), "pairs name the item -1"),
    (PAIRS, (X, None, [[0, 0], [1, 2]]), "hold the item 0 with itself"),
    (PAIRS, (X, None, [[0, 1, 2]]), "whole numbers \\[pair, 2\\]"),
    (PAIRS, (X, None, [[0, 1]]), "pairs has 1 row"),
    (PAIRS, (X, None, [[0.5, 1.0], [1, 2]]), "whole numbers"),
]


@pytest.mark.usefixtures("no_shape_checks")
@pytest.mark.parametrize(("settings", "given", "says"), WRONG, ids=[says for *_, says in WRONG])
def test_wrong_input_is_answered_by_one_sentence(settings: dict[str, Any], given: tuple[Any, ...], says: str) -> None:
    with pytest.raises(InputError, match=says) as refused:
        OrderedEmbedder(**settings).fit(*given)
    assert "\n" not in str(refused.value)


def test_what_does_not_go_with_a_fit_is_refused(fitted: OrderedEmbedder, features: torch.Tensor) -> None:
    with pytest.raises(InputError, match="X has 7 features, but OrderedEmbedder is expecting 20 features"):
        fitted.transform(features[:, :7])
    with pytest.raises(InputError, match="is not fitted yet"):
        OrderedEmbedder().transform(features)
    with pytest.raises(InputError, match="There is no parameter 'size'"):
        OrderedEmbedder().set_params(size=3)
    other = OrderedEmbedder(levels=3, steps=1, seed=1).fit(features)
    with pytest.raises(InputError, match="This code was made by MBOP-TD"):
        other.read(fitted.encode(features))
    with pytest.raises(InputError, match="A budget of 9 tokens is no prefix"):
        fitted.encode(features)[:9]
    neighbours = OrderedEmbedder(levels=2, steps=0, objective="neighbours").fit(features)
    with pytest.raises(InputError, match="use read"):
        neighbours.decode(neighbours.encode(features))


SHARED = """
import sys, torch
from prior_lab.embedding import OrderedEmbedder
torch.randn(300, 300) @ torch.randn(300, 300)
chance = torch.Generator().manual_seed(0)
x = torch.randn(240, 20, generator=chance) * torch.linspace(3, .2, 20)
for number, (ordering, tokens, objective) in enumerate({arms!r}):
    embedder = OrderedEmbedder(ordering, tokens, 3, objective=objective, steps=8, batch_size=32, devices={devices})
    embedder.fit(x, torch.arange(240).numpy() // 3).save(f"{folder}/{devices}-{{number}}.safetensors")
"""
ARMS = [
    ("td", "ema-vq", "reconstruct"),
    ("matryoshka", "fsq", "pairs"),
    ("prior", "gaussian", "neighbours"),
    ("prior", "ema-vq", "pairs"),
]


@pytest.mark.skipif(not dist.is_gloo_available(), reason="torch was built without gloo")
def test_two_processes_learn_what_one_learns(tmp_path: Path) -> None:
    for devices in (1, 2):
        code = SHARED.format(arms=ARMS, devices=devices, folder=tmp_path)
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        subprocess.run([sys.executable, "-c", code], check=True, timeout=120, env=environment)
    for number, arm in enumerate(ARMS):
        one, two = (load_file(tmp_path / f"{devices}-{number}.safetensors") for devices in (1, 2))
        assert one.keys() == two.keys()
        for name, value in one.items():
            bound = 0.05 if name.endswith("counts") else 1e-3  # a vector between two codes may choose either
            torch.testing.assert_close(two[name], value, atol=bound, rtol=1e-3, msg=f"{arm} {name}")


def test_the_header_of_a_file_is_json(fitted: OrderedEmbedder, tmp_path: Path) -> None:
    fitted.save(tmp_path / "embedder.safetensors")
    raw = (tmp_path / "embedder.safetensors").read_bytes()
    header = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])
    assert json.loads(header["__metadata__"]["parameters"])["levels"] == 3
