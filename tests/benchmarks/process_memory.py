"""Peak memory of a process that makes a few training steps, as JSON [MiB]: `process_memory.py ORDERING BATCH`."""

import json
import resource
import sys

import torch
from training_step import Step

from prior_lab.models import AutoencoderConfig

STEPS = 3


def peak() -> float:
    """Of this process so far [MiB]."""
    unit = 1 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


if __name__ == "__main__":
    ordering, batch = sys.argv[1:]
    step = Step(AutoencoderConfig.preset("laptop", ordering=ordering), torch.device("cpu"), batch=int(batch))
    before = peak()
    for _ in range(STEPS):
        step()
    print(json.dumps({"before": before, "peak": peak()}))
