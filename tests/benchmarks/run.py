"""Every benchmark in one table, and as JSON: `python tests/benchmarks/run.py`, or `make bench`.

What is compared is timed in turn, pair by pair, in one process; a ratio is the median of the ratios of pairs, the time
of what stands on the right over the time of what stands on the left. A missed goal is told; a check of correctness that
fails ends the program with exit code 1.

`notebooks/20_performance.ipynb` shows the results that are kept in `results/`. To renew them, run this with
`--out tests/benchmarks/results/cpu.json` (or `cuda.json`) on a machine that does nothing else, then the notebook.
"""

import importlib.metadata
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import torch
import tyro
from bench_data import reading
from bench_information import information
from bench_layers import layers
from bench_objectives import contrastive_loss, similarity
from bench_probes import probes
from bench_steps import autoencoder, contrastive, memory, paper, rate, scaling
from bench_tokens import ema_vq
from timing import Row, heading

from prior_lab.errors import InputError
from prior_lab.files import replacing

BENCHMARKS: dict[str, Callable[[torch.device], Iterator[Row]]] = {
    "layers": layers,
    "ema-vq": ema_vq,
    "nt-xent": contrastive_loss,
    "ssim": similarity,
    "information": information,
    "probes": probes,
    "memory": memory,
    "reading": reading,
    "rate": rate,
    "scaling": scaling,
    "contrastive": contrastive,
    "autoencoder": autoencoder,
    "paper": paper,
}
PEERS = {  # packages by the name they are imported by
    "pytorch_metric_learning": "pytorch-metric-learning",
    "sklearn": "scikit-learn",
    "torchmetrics": "torchmetrics",
    "vector_quantize_pytorch": "vector-quantize-pytorch",
}
RUNS = Path(__file__).parents[2] / "runs"


@dataclass(frozen=True)
class Run:
    """Run the benchmarks, print one table and write it as JSON."""

    device: Literal["cpu", "cuda"] = "cpu"
    """What to run on."""
    out: Path | None = None
    """JSON file; runs/benchmarks-DEVICE.json if not given, and none for a choice of benchmarks."""
    only: tuple[str, ...] = ()
    """Names of the benchmarks to run; all of them if not given."""

    def run(self) -> int:
        """Measure, print and write; the exit code."""
        names = self._names()
        device = self._device()
        start = time.perf_counter()
        print(heading(), flush=True)
        rows = []
        for name in names:
            for row in measured(name, device):
                print(row, flush=True)
                rows.append({"benchmark": name, **asdict(row)})
        seconds = time.perf_counter() - start
        failed = sum(bool(row["failures"]) for row in rows)
        print(f"{len(rows)} rows in {seconds:.0f} s; checks failed in {failed}")
        out = self.out or (None if self.only else RUNS / f"benchmarks-{self.device}.json")
        if out is not None:
            told = {
                "date": datetime.now(UTC).isoformat(timespec="seconds"),
                "seconds": seconds,
                "machine": machine(device),
                "versions": versions(),
                "rows": rows,
            }
            with replacing(out) as temporary:
                temporary.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
            print(f"wrote {out}")
        return 1 if failed else 0

    def _names(self) -> Sequence[str]:
        for name in self.only:
            if name not in BENCHMARKS:
                raise InputError(f"There is no benchmark {name!r}; available: {', '.join(BENCHMARKS)}.")
        return self.only or tuple(BENCHMARKS)

    def _device(self) -> torch.device:
        if self.device == "cuda" and not torch.cuda.is_available():
            raise InputError("There is no CUDA device here; run with --device cpu.")
        return torch.device(self.device)


def measured(name: str, device: torch.device) -> Iterator[Row]:
    """The rows of a benchmark, or one that says which peer is missing."""
    try:
        yield from BENCHMARKS[name](device)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in PEERS:
            raise
        yield Row(name=name, against=PEERS[package], note="peer not installed")


def machine(device: torch.device) -> dict[str, Any]:
    """What the numbers were measured on."""
    told = {"cpu": _processor(), "cores": os.cpu_count(), "threads": torch.get_num_threads()}
    return told | ({"gpu": torch.cuda.get_device_name(device)} if device.type == "cuda" else {})


def versions() -> dict[str, str | None]:
    """Of Python, PyTorch and the peers; null for what is not installed."""
    told: dict[str, str | None] = {"python": platform.python_version(), "torch": torch.__version__}
    for package in ("numpy", *PEERS.values()):
        try:
            told[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            told[package] = None
    return told


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def main() -> int:
    """Run what the command line asks for."""
    try:
        return tyro.cli(Run, prog="run.py", description=__doc__).run()
    except InputError as error:
        print(f"run.py: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
