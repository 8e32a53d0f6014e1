"""Peak memory of a process that makes a few training steps, as JSON [MiB]: `process_memory.py ORDERING BATCH`."""

import json
import resource
import sys
from pathlib import Path

import torch
from training_step import Step

from prior_lab.models import AutoencoderConfig

STEPS = 3


def peak() -> float:
    """Of this process so far [MiB]; what getrusage tells on Linux, a child begins with its parent's."""
    status = Path("/proc/self/status")
    if status.exists():
        high = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(high.split()[1]) / 2**10
    unit = 1 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


if __name__ == "__main__":
    ordering, batch = sys.argv[1:]
    step = Step(AutoencoderConfig.preset("laptop", ordering=ordering), torch.device("cpu"), batch=int(batch))
    before = peak()
    for _ in range(STEPS):
        step()
    print(json.dumps({"before": before, "peak": peak()}))
