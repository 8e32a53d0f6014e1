"""Training steps as CUDA graphs: recorded once for every shape of batch, then replayed with a single launch.

A step of the laptop presets is one to two thousand small kernels, and the device waits while the CPU launches them.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

import torch
from torch import Tensor

from prior_lab.objectives import Loss

WARMUP = 3  # steps of a shape that run as they are at first, while libraries choose kernels and make workspaces
MOST = 8  # shapes that are recorded; every recording keeps memory of its own


@dataclass(frozen=True, eq=False)
class _Recording:
    graph: torch.cuda.CUDAGraph
    batch: Any
    loss: Loss


class GraphedStep:
    """A training step that is replayed where a batch has the shape of one before.

    Parameters
    ----------
    compute : the step of a batch, with the weight of the token regulariser, from the loss to the new parameters;
        whatever else it depends on must lie on the device and stay where it is, and it must not wait for the device.
    """

    def __init__(self, compute: Callable[[Any, Tensor], Loss], device: torch.device) -> None:
        self._compute = compute
        self._rate_weight = torch.zeros((), device=device)
        self._stream = torch.cuda.Stream(device)
        self._seen: Counter[Any] = Counter()
        self._recordings: dict[Any, _Recording] = {}

    def __call__(self, batch: Any, rate_weight: float) -> Loss:
        """Take the step; the loss is overwritten by the next one."""
        self._rate_weight.fill_(rate_weight)
        shape = tuple((tensor.shape, tensor.dtype) for tensor in _tensors(batch))
        recording = self._recordings.get(shape)
        if recording is None:
            self._seen[shape] += 1
            if self._seen[shape] <= WARMUP or len(self._recordings) == MOST:
                return self._as_it_is(batch)
            recording = self._recordings[shape] = self._record(batch)
        torch._foreach_copy_(list(_tensors(recording.batch)), list(_tensors(batch)))
        recording.graph.replay()
        return recording.loss

    def _as_it_is(self, batch: Any) -> Loss:
        """Off the main stream, as a recording will be: gradients are then added up where they are recorded."""
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream):
            loss = self._compute(batch, self._rate_weight)
        torch.cuda.current_stream().wait_stream(self._stream)
        return loss

    def _record(self, batch: Any) -> _Recording:
        kept, graph = _mapped(batch, Tensor.clone), torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=self._stream, capture_error_mode="thread_local"):
            loss = self._compute(kept, self._rate_weight)
        return _Recording(graph, kept, _mapped(loss, Tensor.detach))


def _tensors(value: Any) -> Iterator[Tensor]:
    """The tensors in nested tuples and data classes, in order."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, tuple):
        for part in value:
            yield from _tensors(part)
    elif is_dataclass(value):
        for field in fields(value):
            yield from _tensors(getattr(value, field.name))


def _mapped(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """The same nest of tuples and data classes with every tensor changed."""
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, tuple):
        return tuple(_mapped(part, change) for part in value)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{field.name: _mapped(getattr(value, field.name), change) for field in fields(value)})
    return value
