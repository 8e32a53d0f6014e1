"""Training a bottleneck: a small loop on Fabric, whatever number of processes share it.

The large loop of `prior_lab.training` reads image data sets and keeps checkpoints; this one has features in memory, is
done in a minute, and hands back what it learnt.
"""

import math
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import torch
from jaxtyping import Float, Int64
from safetensors.torch import load_file
from torch import Generator, Tensor
from torch.nn import functional as F

from prior_lab.checks import Count, NotNegative, Positive, Seed, Within, check_fields
from prior_lab.embedding.bottleneck import BottleneckConfig, OrderedBottleneck, untrained
from prior_lab.errors import InputError
from prior_lab.files import replacing, write_tensors
from prior_lab.objectives import nt_xent, total_loss
from prior_lab.processes import joined, own_rows, process_count, process_rank
from prior_lab.training.hardware import DeviceName, make_fabric
from prior_lab.training.optimizers import MuonAdamW

if TYPE_CHECKING:
    from lightning_fabric import Fabric

Objective = Literal["reconstruct", "pairs", "neighbours"]
PREDICTION_WEIGHT = 0.02  # of eq. 5
CLIP = 1.0


@dataclass(frozen=True)
class Plan:
    """How a bottleneck is trained."""

    objective: Objective
    steps: Annotated[int, Within(0, 10**9)]
    batch_size: Count
    learning_rate: Positive
    rate_weight: NotNegative
    temperature: Positive
    seed: Seed

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True, eq=False)
class Groups:
    """Items that belong together.

    Attributes
    ----------
    items : the items of all groups, one group after the other.
    first : where each group begins.
    count : how many items it has, at least two.
    """

    items: Int64[Tensor, "member"]
    first: Int64[Tensor, "group"]
    count: Int64[Tensor, "group"]

    @property
    def numbers(self) -> Int64[Tensor, "member"]:
        """The group of each member."""
        return torch.arange(len(self.count)).repeat_interleave(self.count)

    def draw(self, number: int, generator: Generator) -> Int64[Tensor, "item"]:
        """Two different items of each of some groups, one after the other."""
        chosen = torch.randperm(len(self.count), generator=generator)[:number]
        size = self.count[chosen]
        chance = torch.rand(2, len(chosen), generator=generator)
        one = (chance[0] * size).long()
        other = (one + 1 + (chance[1] * (size - 1)).long()) % size
        return self.items[self.first[chosen] + torch.stack([one, other])].T.flatten()


def fit_bottleneck(
    config: BottleneckConfig,
    plan: Plan,
    features: Float[Tensor, "item feature"],
    groups: Groups | None,
    *,
    device: DeviceName,
    devices: int,
) -> OrderedBottleneck:
    """A trained bottleneck, in evaluation mode on the CPU.

    Parameters
    ----------
    groups : for the objective `pairs`.
    devices : processes that share every batch; the result is that of one.

    Raises
    ------
    InputError : if the devices are not there.
    """
    fabric = make_fabric(device, devices, "32-true")
    units = len(groups.count) if groups is not None else len(features)
    if units < fabric.world_size:
        raise InputError(f"{units} items cannot be shared by {fabric.world_size} processes.")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "learnt.safetensors"
        learn = partial(_learn, config=config, plan=plan, features=features, groups=groups)
        refused = fabric.launch(partial(_outcome, path=path, learn=learn))
        if refused is not None:
            raise refused
        learnt = load_file(path)
    bottleneck = untrained(config)
    bottleneck.load_state_dict(learnt)
    return bottleneck.eval().requires_grad_(False)


def _outcome(fabric: "Fabric", path: Path, learn: Callable[["Fabric"], OrderedBottleneck]) -> InputError | None:
    """Write what was learnt, for a process that was started for it can hand back little; or the sentence against it."""
    try:
        bottleneck = learn(fabric)
    except InputError as error:
        return error
    with replacing(path) as temporary:  # of several processes each writes the same
        write_tensors(temporary, {name: value.contiguous() for name, value in bottleneck.state_dict().items()}, {})
    return None


def _learn(
    fabric: "Fabric",
    config: BottleneckConfig,
    plan: Plan,
    features: Float[Tensor, "item feature"],
    groups: Groups | None,
) -> OrderedBottleneck:
    """From features to a trained bottleneck."""
    bottleneck = untrained(config, plan.seed)
    members = (groups.items, groups.numbers) if groups is not None else (None, None)
    bottleneck.start(features, bottleneck.directions(features, *members))
    if plan.steps:
        _train(fabric, bottleneck, plan, features, groups)
    bottleneck.cpu().eval()
    bottleneck.sum_up(features)
    return bottleneck.requires_grad_(False)


def _train(
    fabric: "Fabric",
    bottleneck: OrderedBottleneck,
    plan: Plan,
    features: Float[Tensor, "item feature"],
    groups: Groups | None,
) -> None:
    bottleneck.to(fabric.device).train()
    optimizer = MuonAdamW([], bottleneck.parameters(), lr=plan.learning_rate, clip_norm=CLIP)
    model, optimizer = fabric.setup(bottleneck, optimizer)
    generator = Generator().manual_seed(plan.seed)
    chance = Generator(fabric.device).manual_seed(plan.seed)
    order = _Order(len(features), generator)
    units = len(groups.count) if groups is not None else len(features)
    wanted = plan.batch_size // 2 if groups is not None else plan.batch_size
    share = max(1, min(wanted, units) // process_count()) * process_count()
    for step in range(plan.steps):
        optimizer.set_rate(_rate(plan, step))
        items = order.take(share) if groups is None else groups.draw(share, generator)
        batch = features[own_rows(items)].to(fabric.device)
        heads, code = model(batch, bottleneck.ordering.draw(len(batch), chance))
        stacked = [head.unflatten(0, (-1, len(batch))) for head in heads]
        told = torch.stack([_objective(plan, head, bottleneck, batch) for head in stacked])
        warm = plan.rate_weight * min(1.0, step / (0.3 * plan.steps))
        loss = total_loss(told, code, rate_weight=warm, prediction_weight=PREDICTION_WEIGHT)
        optimizer.zero_grad()
        fabric.backward(loss.total)
        optimizer.step()
    if not all(value.isfinite().all() for value in bottleneck.state_dict().values()):
        raise InputError(f"The loss became NaN or infinite; a learning_rate below {plan.learning_rate:g} helps.")


class _Order:
    """Every item once, in an order drawn anew each time; a last part that is short is passed over."""

    def __init__(self, count: int, generator: Generator) -> None:
        self._count, self._generator = count, generator
        self._items = torch.empty(0, dtype=torch.int64)

    def take(self, number: int) -> Int64[Tensor, "item"]:
        if len(self._items) < number:
            self._items = torch.randperm(self._count, generator=self._generator)
        taken, self._items = self._items[:number], self._items[number:]
        return taken


def _rate(plan: Plan, step: int) -> float:
    """A short warm-up, and a cosine to 2 %."""
    warm = min(1.0, (step + 1) / max(1.0, 0.05 * plan.steps))
    return plan.learning_rate * warm * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * step / plan.steps)))


def _objective(
    plan: Plan,
    read: Float[Tensor, "state item out"],
    bottleneck: OrderedBottleneck,
    batch: Float[Tensor, "item feature"],
) -> Float[Tensor, ""]:
    """What a head is to be good at, the mean over the states that it reads."""
    match plan.objective:
        case "pairs":
            return nt_xent(read, plan.temperature, joint=True).mean()
        case "reconstruct":
            return (read - bottleneck.cut(batch)[:, : read.shape[-1]]).square().mean()
        case "neighbours":
            return neighbour_loss(read, bottleneck.cut(batch), plan.temperature)


def neighbour_loss(
    read: Float[Tensor, "state item out"], cut: Float[Tensor, "item axis"], temperature: float
) -> Float[Tensor, ""]:
    """Kullback-Leibler divergence of neighbours by what heads read from those by the features [nat].

    Neighbours of an item are a softmax over its cosine similarities with the others of the joint batch.
    """
    wanted = _log_neighbours(F.normalize(cut, dim=-1)[None], temperature)
    found = _log_neighbours(F.normalize(read, dim=-1), temperature)
    return (wanted.exp() * (wanted - found)).sum(dim=-1).mean()


def _log_neighbours(
    unit: Float[Tensor, "state item column"], temperature: float
) -> Float[Tensor, "state item neighbour"]:
    """Log-probabilities; an item is no neighbour of its own."""
    everyone = joined(unit, dim=1)
    logits = unit @ everyone.mT / temperature
    own = torch.arange(unit.shape[1], device=unit.device) + process_rank() * unit.shape[1]
    itself = own[:, None] == torch.arange(everyone.shape[1], device=unit.device)
    return logits.masked_fill(itself, -1e4).log_softmax(dim=-1)
