"""Where a run trains: device, precision, and how many processes share it, as a Lightning Fabric.

One process is the rule. Where torchrun or Slurm have started several, a run takes part in them. Asked for several
devices elsewhere, in a notebook or on a terminal, it starts a process for each on this machine. Those are forked
(Fabric's `ddp_notebook`), the only way that needs neither a main guard nor an importable notebook; they meet at a file
and talk over the loopback device, so that nothing listens beyond the machine.
"""

import logging
import os
import shutil
import sys
import tempfile
import weakref
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import torch
from torch import distributed as dist
from torch.nn.parallel import DistributedDataParallel

from prior_lab.errors import InputError

if TYPE_CHECKING:
    from lightning_fabric import Fabric
    from lightning_fabric.strategies.strategy import Strategy

DeviceName = Literal["auto", "cpu", "cuda", "mps"]
Precision = Literal["auto", "32-true", "bf16-mixed"]


def make_fabric(device: str, devices: int, precision: str) -> "Fabric":
    """The Fabric of a run.

    Parameters
    ----------
    device : auto, cpu, cuda or mps.
    devices : processes that share the run, where nothing else has started them; each has a device of its own.

    Raises
    ------
    InputError : if there is no such device, or not as many.
    """
    from lightning_fabric import Fabric  # two seconds of import that only training needs

    accelerator = _accelerator(device)
    if precision not in get_args(Precision):
        raise InputError(f"precision is {precision!r}; one of {', '.join(get_args(Precision))} was expected.")
    if devices < 1:
        raise InputError(f"devices is {devices}; it must be at least 1.")
    here, nodes = _started() or (devices, 1)
    if accelerator == "cuda" and here > torch.cuda.device_count():
        raise InputError(f"{here} devices were asked for; this machine has {torch.cuda.device_count()}.")
    if accelerator == "mps" and here > 1:
        raise InputError("Several processes cannot share an MPS device; choose devices=1.")
    if accelerator == "cuda":
        torch.set_float32_matmul_precision("high")  # products of float32 as TensorFloat-32, several times as fast
    if accelerator == "cuda" and devices > 1 and not _started() and torch.cuda.is_initialized():
        raise InputError("CUDA is in use in this process already; train on several devices from a fresh one.")
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # the precision, which a run records, is no warning
    return Fabric(
        accelerator=accelerator,
        devices=here,
        num_nodes=nodes,
        strategy=_strategy(here * nodes),
        precision=_precision(precision, accelerator),
    )


def _accelerator(device: str) -> str:
    if device == "cuda" and not torch.cuda.is_available():
        raise InputError("There is no CUDA device here; choose device='cpu' or 'auto'.")
    if device == "mps" and not torch.backends.mps.is_available():
        raise InputError("There is no MPS device here; choose device='cpu' or 'auto'.")
    if device not in ("auto", "cpu", "cuda", "mps"):
        raise InputError(f"Unknown device {device!r}; choose auto, cpu, cuda or mps.")
    return device if device != "auto" else "cuda" if torch.cuda.is_available() else "cpu"


def _started() -> tuple[int, int] | None:
    """Processes on this machine and number of machines, where torchrun or Slurm's srun has started them."""
    from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
    from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment

    if TorchElasticEnvironment.detect():
        here = int(os.environ["LOCAL_WORLD_SIZE"])
        return here, int(os.environ["WORLD_SIZE"]) // here
    if SLURMEnvironment.detect():
        nodes = int(os.environ.get("SLURM_NNODES", 1))
        return int(os.environ["SLURM_NTASKS"]) // nodes, nodes
    return None


def _strategy(processes: int) -> "Strategy | str":
    """DDP where there are several processes; codebooks are the same everywhere already, so no buffers are sent."""
    from lightning_fabric.strategies.ddp import DDPStrategy

    if processes == 1:
        return "auto"
    known = signature(DistributedDataParallel.__init__).parameters
    sync = "forward_sync_buffers" if "forward_sync_buffers" in known else "broadcast_buffers"  # before torch 2.13
    unsynced: dict[str, Any] = {sync: False}
    if _started():
        return DDPStrategy(**unsynced)

    class Together(DDPStrategy):
        """Processes that meet at a file instead of a port."""

        meeting = tempfile.mkdtemp(prefix="prior-lab-")

        def _setup_distributed(self) -> None:
            torch.set_num_threads(1)  # OpenMP cannot start threads in a forked process
            loopback = "lo0" if sys.platform == "darwin" else "lo"
            for library in ("GLOO", "NCCL"):
                os.environ.setdefault(f"{library}_SOCKET_IFNAME", loopback)
            self._set_world_ranks()
            backend = self._process_group_backend = self._get_process_group_backend()
            where = (Path(self.meeting) / "processes").as_uri()
            dist.init_process_group(backend, init_method=where, rank=self.global_rank, world_size=self.world_size)

    strategy = Together(start_method="fork", **unsynced)
    weakref.finalize(strategy, shutil.rmtree, Together.meeting, ignore_errors=True)
    return strategy


def _precision(wanted: str, accelerator: str) -> Literal["32-true", "bf16-mixed"]:
    if wanted != "auto":
        return "bf16-mixed" if wanted == "bf16-mixed" else "32-true"
    match accelerator:
        case "cuda":
            fast = torch.cuda.is_bf16_supported()
        case "cpu":
            fast = "avx512_bf16" in _cpu_flags() or "amx_bf16" in _cpu_flags()
        case _:
            fast = False
    return "bf16-mixed" if fast else "32-true"


def _cpu_flags() -> str:
    info = Path("/proc/cpuinfo")
    return info.read_text() if info.exists() else ""
