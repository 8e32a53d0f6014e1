"""Processes that share every batch against one that has it whole."""

import itertools
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
import tiny
import torch
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook
from torch import Generator, Tensor
from torch import distributed as dist
from torch.multiprocessing import spawn

from prior_lab.errors import InputError
from prior_lab.orderings import OrderingName
from prior_lab.tasks import Experiment
from prior_lab.tokens import EMAVQTokens, TokenName
from prior_lab.training.loop import train

ARMS = list(itertools.product(("reconstruction", "contrastive"), get_args(OrderingName), get_args(TokenName)))
CPU = torch.device("cpu")
SPREAD, SEED = 0.1, 10  # with which no vector's two best codes tie, see `margin`
ROUNDING = 5e-6  # of a score, relative to the squared length of its vector: forty times float32's

pytestmark = pytest.mark.skipif(not dist.is_gloo_available(), reason="torch was built without gloo")


def experiment(pictures: Path, task: str, ordering: OrderingName, tokens: TokenName) -> Experiment:
    make = tiny.reconstruction if task == "reconstruction" else tiny.contrastive
    return make(pictures, ordering, tokens)


def step(pictures: Path, task: str, ordering: OrderingName, tokens: TokenName) -> dict[str, Tensor]:
    """Loss, gradients and buffers of one training step, after one that starts codebooks."""
    torch.manual_seed(0)
    plan = experiment(pictures, task, ordering, tokens)
    model, opened, generator = plan.build().train(), plan.open(CPU), Generator().manual_seed(SEED)
    with torch.no_grad():  # untrained encoders of objects see hardly a difference: all vectors would nearly tie
        for parameter in model.parameters():
            parameter.add_(SPREAD * torch.randn(parameter.shape, generator=generator))
    margins = [torch.tensor(torch.inf)]
    for module in model.modules():
        if isinstance(module, EMAVQTokens):
            module.register_forward_pre_hook(lambda tokens, given: margins.append(margin(tokens, *given)))
    for number in range(2):
        model.zero_grad()
        loss = opened.loss(model, opened.draw(model, number, generator), rate_weight=0.3).total
        loss.backward()
    seen = {"loss": loss.detach()} | {f"buffer {name}": value for name, value in model.named_buffers()}
    seen["margin"] = torch.stack(margins).min()
    return seen | {f"gradient {name}": value.grad for name, value in model.named_parameters() if value.grad is not None}


@torch.no_grad()
def margin(tokens: EMAVQTokens, features: Tensor) -> Tensor:
    """How far apart the two best states of the least certain vector score, relative to its squared length."""
    vectors = features.unflatten(1, (len(tokens.codes), -1)).transpose(0, 1).flatten(1, 2).double()
    states = torch.cat([torch.zeros_like(tokens.codes[:, :1]), tokens.codes], dim=1).double()
    alive = (
        torch.cat([torch.ones_like(tokens.counts[:, :1]), tokens.counts], dim=1) > 0
    )  # codes not started are as null
    scores = vectors @ states.mT - states.square().sum(dim=-1)[:, None] / 2
    best = scores.masked_fill(~alive[:, None], -torch.inf).topk(2, dim=-1).values
    return ((best[..., 0] - best[..., 1]) / vectors.square().sum(dim=-1)).min()


def work(rank: int, pictures: Path, folder: Path) -> None:
    if sys.platform == "linux":
        os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=(folder / "meeting").as_uri(), rank=rank, world_size=2)
    torch.save([step(pictures, *arm) for arm in ARMS], folder / f"{rank}.pt")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def shared(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> list[list[dict[str, Tensor]]]:
    """What each of two processes saw, arm by arm."""
    folder = tmp_path_factory.mktemp("processes")
    spawn(work, (pictures, folder), nprocs=2)
    return [torch.load(folder / f"{rank}.pt") for rank in range(2)]


@pytest.mark.parametrize("arm", ARMS, ids="-".join)
def test_two_processes_have_the_loss_and_gradients_of_one_with_the_joint_batch(
    pictures: Path, shared: list[list[dict[str, Tensor]]], arm: tuple[str, OrderingName, TokenName]
) -> None:
    """A trainer takes the mean of the processes' gradients; codebooks are the same everywhere.

    A vector whose two best codes tie within rounding may choose either; here no vector does, on any machine.
    """
    whole = step(pictures, *arm)
    one, other = (seen[ARMS.index(arm)] for seen in shared)
    assert whole.keys() == one.keys() == other.keys()
    least = min(seen.pop("margin").item() for seen in (whole, one, other))
    assert least > ROUNDING, "vectors whose choice rounding decides: choose other data"
    for name, value in whole.items():
        if name.startswith("buffer"):
            assert torch.equal(one[name], other[name]), name
            torch.testing.assert_close(one[name], value, atol=1e-5, rtol=1e-5, msg=name)
        else:
            mean, scale = (one[name] + other[name]) / 2, value.abs().max().item()
            torch.testing.assert_close(mean, value, atol=1e-5 * max(scale, 1.0), rtol=1e-5, msg=name)


def test_a_run_on_two_devices_started_from_a_notebook_is_that_on_one(pictures: Path, tmp_path: Path) -> None:
    plan = tiny.reconstruction(pictures, "prior", "ema-vq")
    code = f"""
import torch, prior_lab
from prior_lab.tasks import experiment_from_json
torch.randn(500, 500) @ torch.randn(500, 500)  # its threads do not survive a fork
prior_lab.train(experiment_from_json({plan.to_json()!r}), {str(tmp_path / "two")!r}, device="cpu", devices=2);
"""
    notebook = new_notebook(cells=[new_code_cell(code)])
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    assert "8/8" in "".join(output.text for output in notebook.cells[0].outputs)  # the bar of the first process
    together = train(plan, tmp_path / "two", progress=False)  # finished: its checkpoint is read
    alone = train(plan, tmp_path / "one", device="cpu", progress=False)
    for shared, single in zip(together.history, alone.history, strict=True):
        for name in shared.keys() - {"seconds", "images_per_second"}:
            assert shared[name] == pytest.approx(single[name], rel=1e-3, abs=1e-5), name
    for name, value in alone.model.state_dict().items():
        torch.testing.assert_close(together.model.state_dict()[name], value, atol=1e-3, rtol=1e-3, msg=name)


def test_a_sentence_reaches_whoever_started_several_processes(pictures: Path, tmp_path: Path) -> None:
    code = (
        "from dataclasses import replace; from prior_lab.tasks import experiment_from_json\n"
        "from prior_lab.training.loop import train\n"
        f"plan = experiment_from_json({tiny.reconstruction(pictures).to_json()!r})\n"
        f"train(replace(plan, data='nothing'), {str(tmp_path)!r}, device='cpu', devices=2)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 1
    assert "InputError: there is no data set 'nothing'" in ended.stderr.splitlines()[-1]


def test_a_batch_that_cannot_be_shared_and_devices_that_are_not_there_are_refused(
    pictures: Path, tmp_path: Path
) -> None:
    plan = replace(tiny.reconstruction(pictures), batch_size=3)
    with pytest.raises(InputError, match="A batch of 3 cannot be shared by 2 processes alike"):
        train(plan, tmp_path, device="cpu", devices=2)
    with pytest.raises(InputError, match="devices is 0"):
        train(plan, tmp_path, device="cpu", devices=0)
    with pytest.raises(InputError, match="A monitor cannot see what other processes do"):
        train(replace(plan, batch_size=4), tmp_path, device="cpu", devices=2, monitor=len)
