"""A study, models and a data set that cost a second, in place of the bundled ones."""

from collections.abc import Iterator

import pytest
import specimen
import torch
import xarray as xr

import prior_lab
from prior_lab import zoo
from prior_lab.data import ImageDataset
from prior_lab.widgets import BudgetExplorer, explore


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """These pictures are small: on a busy machine, threads that wait for each other take most of the time."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def dataset() -> ImageDataset:
    return specimen.dataset()


@pytest.fixture(scope="session")
def study() -> xr.DataTree:
    return specimen.study()


@pytest.fixture
def bundled(dataset: ImageDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stand-ins are what the package ships with."""
    models = specimen.models()
    monkeypatch.setattr(zoo, "load_autoencoder", lambda name: models[specimen.ZOO[name.split("/")[-1]]])
    monkeypatch.setattr(prior_lab, "load_dataset", lambda name, split: dataset, raising=False)


@pytest.fixture
def explorer(study: xr.DataTree, bundled: None) -> BudgetExplorer:
    """An explorer of the study, made as a user makes it."""
    return explore(study, count=4)


@pytest.fixture
def two_kinds(study: xr.DataTree, bundled: None) -> xr.DataTree:
    """The study with two arms more: another ordering of the same token kind, and another token kind."""
    more = study.copy()
    for name, attrs in {
        "matryoshka-gaussian": {"ordering": "Matryoshka"},
        "prior-ema-vq": {"token_kind": "ema-vq"},
    }.items():
        more[name] = study["prior-gaussian"].copy()
        more[name].attrs |= attrs
    return more
