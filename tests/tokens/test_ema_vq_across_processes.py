"""Codebooks of two processes, each with half of every batch, against one process with whole batches."""

import os
import sys
from pathlib import Path

import pytest
import torch
from torch import Generator, Tensor
from torch import distributed as dist
from torch.multiprocessing import spawn

from prior_lab.tokens import EMAVQTokens

STEPS, BATCH, TOKENS, CHANNELS = 5, 24, 6, 16


def batch(step: int) -> Tensor:
    """In the fourth step vectors move away, so that codes die and start anew."""
    vectors = torch.randn(BATCH, TOKENS, CHANNELS, generator=Generator().manual_seed(step))
    return vectors + 20.0 * (step >= 3)


def trained(heads: int, rank: int, ranks: int) -> list[dict[str, Tensor]]:
    """Codes, counts and revivals after every step, and the choices of this rank's share of the batch."""
    tokens = EMAVQTokens(CHANNELS, heads=heads, codes=8, decay=0.3, dead_below=0.2).train()
    seen = []
    for step in range(STEPS):
        index = tokens(batch(step).chunk(ranks)[rank]).index
        seen.append({"index": index} | {name: value.clone() for name, value in tokens.state_dict().items()})
    return seen


def work(rank: int, folder: Path) -> None:
    if sys.platform == "linux":
        os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=(folder / "meeting").as_uri(), rank=rank, world_size=2)
    torch.save([trained(heads, rank, 2) for heads in (TOKENS, 1)], folder / f"{rank}.pt")
    dist.destroy_process_group()


@pytest.mark.skipif(not dist.is_gloo_available(), reason="torch was built without gloo")
def test_two_processes_keep_the_codebooks_of_one_with_the_joint_batch(tmp_path: Path) -> None:
    spawn(work, (tmp_path,), nprocs=2)
    first, second = (torch.load(tmp_path / f"{rank}.pt") for rank in range(2))
    for heads, mine, theirs in zip((TOKENS, 1), first, second, strict=True):
        together, half = trained(heads, 0, 1), trained(heads, 0, 2)
        for one, other, whole in zip(mine, theirs, together, strict=True):
            assert torch.equal(torch.cat([one.pop("index"), other.pop("index")]), whole.pop("index"))
            for name, value in whole.items():
                assert torch.equal(one[name], other[name]), name
                torch.testing.assert_close(one[name], value)
        assert not torch.allclose(together[-1]["codes"], half[-1]["codes"])
        assert (together[-1]["revived"] > together[2]["revived"]).all()
