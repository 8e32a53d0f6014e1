"""The ordered bottleneck behind features: principal axes, a linear map to tokens, an ordering, a linear head a state.

    features -> centred, cut to their principal axes, of length one -> N tokens -> ordering -> Code
    a state that a head reads -> what search compares, or what the features were

It starts where linear algebra gets: the tokens hold principal axes in order of worth (of pairs: Fisher's directions, in
which pairs agree most for how much they differ), codebooks are warmed up, and heads are the least squares solution for
every prefix. Training goes on from there. Most of what such a code is worth on `emoji` it has before the first step;
short trainings from random weights (another shape and learning rate, so no controlled comparison) stayed far behind.
"""

from dataclasses import dataclass
from typing import Annotated

import torch
from jaxtyping import Float, Int64
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from prior_lab.checks import Count, Positive, Within, check_fields
from prior_lab.errors import InputError
from prior_lab.layers import HEAD_WIDTH, GroupedLinear
from prior_lab.levels import Levels
from prior_lab.orderings import Code, Draws, OrderingName, TrainingCode, make_ordering
from prior_lab.processes import own_rows
from prior_lab.tokens import TokenName

WARM, WARM_BATCH = 60, 512  # steps that start codebooks, and their size
ROWS = 3  # least squares reads so many rows for each unknown, at most
SUMMED = 1024  # items from which the maps of residual orderings are found
RIDGE = 1e-2  # of the mean variance
AGREEMENT = 0.3  # how much the spread within pairs is drawn to its mean


@dataclass(frozen=True)
class BottleneckConfig:
    """Everything that fixes the shape of a bottleneck."""

    features: Count
    """Numbers of an item: its features, of all its places one after the other."""
    out: Count
    """Numbers that a head gives; at most `axes` where it rebuilds the features."""
    axes: Count = 512
    """Principal axes that are kept."""
    ordering: OrderingName = "td"
    """The ordering."""
    tokens: TokenName = "ema-vq"
    """The kind of its tokens."""
    levels: Annotated[int, Within(1, 10)] = 7
    """Number of levels L; the code has 2^L - 1 tokens."""
    channels: Count = 8
    """Channels of a token; for prior a multiple of 32."""
    held: Count = 3
    """Axes that a token starts with."""
    predictor_depth: Annotated[int, Within(1, 64)] = 1
    """Transformer blocks of each of PRIOR's predictors."""
    log_variance_gain: Positive = 10.0
    """Gaussian tokens: how much faster than other parameters log-variances move."""

    def __post_init__(self) -> None:
        check_fields(self)
        if self.ordering == "prior" and self.channels % HEAD_WIDTH:
            raise InputError(f"channels is {self.channels}; prior needs a multiple of {HEAD_WIDTH}.")
        if self.axes > self.features:
            raise InputError(f"axes is {self.axes}; there are {self.features} features.")
        if self.held > self.channels:
            raise InputError(f"held is {self.held}; a token has {self.channels} channels.")


class OrderedBottleneck(nn.Module):
    """Features to ordered codes, and any prefix of a code to what its head reads from it.

    Parameters
    ----------
    config : the shape.

    Examples
    --------
    In one's own training loop, on features of 20 numbers:

    >>> import torch
    >>> from prior_lab.embedding import BottleneckConfig, OrderedBottleneck
    >>> features, chance = torch.randn(64, 20), torch.Generator().manual_seed(0)
    >>> bottleneck = OrderedBottleneck(BottleneckConfig(features=20, axes=20, out=20, levels=3))
    >>> bottleneck.start(features, bottleneck.directions(features))
    >>> heads, code = bottleneck(features, bottleneck.ordering.draw(64, chance))
    >>> loss = (heads[0] - bottleneck.cut(features)).square().mean() + 0.3 * code.regulariser
    >>> loss.backward()
    >>> bottleneck.eval().read(bottleneck.encode(features)[:3]).shape
    torch.Size([64, 20])
    """

    mean: Tensor
    axes: Tensor
    sum_map: Tensor
    sum_bias: Tensor
    largest: Tensor

    def __init__(self, config: BottleneckConfig) -> None:
        super().__init__()
        self.config = config
        self.ordering = make_ordering(
            config.ordering,
            Levels(config.levels),
            tokens=config.tokens,
            channels=config.channels,
            predictor_depth=config.predictor_depth,
            prediction_average="levels",
            free_nats=0.0,
            log_variance_gain=config.log_variance_gain,
            batch_entropy=1.0,
        )
        columns = self.ordering.levels.tokens * config.channels
        self.register_buffer("mean", torch.zeros(config.features))
        self.register_buffer("axes", torch.eye(config.features, config.axes))
        self.register_buffer("sum_map", torch.zeros(columns, config.out))
        self.register_buffer("sum_bias", torch.zeros(config.out))
        self.register_buffer("largest", torch.ones(()))
        self.to_tokens = GroupedLinear(1, config.axes, columns)
        states = (len(centres) * config.channels for centres in self.ordering.state_centres)
        self.heads = nn.ModuleList(GroupedLinear(1, width, config.out) for width in states)

    def cut(self, features: Float[Tensor, "item feature"]) -> Float[Tensor, "item axis"]:
        """Features along the principal axes, brought to one length, so that only directions count: sqrt(axes)."""
        return F.normalize((features - self.mean) @ self.axes, dim=1) * self.config.axes**0.5

    def forward(
        self, features: Float[Tensor, "item feature"], draws: Draws
    ) -> tuple[list[Float[Tensor, "_ out"]], TrainingCode]:
        """What every head reads under the ordering's pressure, states stacked along items, with the code."""
        code = self.ordering.train_code(self._tokens(self.cut(features)), draws)
        return self._read(code.states), code

    def encode(self, features: Float[Tensor, "item feature"], generator: Generator | None = None) -> Code:
        """The full code: most likely token values, or a draw with a generator."""
        return self.ordering.encode(self._tokens(self.cut(features)), generator)

    def read(self, code: Code) -> Float[Tensor, "item out"]:
        """What the head of a prefix says of it."""
        states = self.ordering.states(code)
        return self._read(states)[-1]

    def read_budgets(self, code: Code) -> Float[Tensor, "budget item out"]:
        """The same at every whole-level budget within the code."""
        count = len(code.values)
        return torch.cat([head.unflatten(0, (-1, count)) for head in self._read(self.ordering.budget_states(code))])

    def rebuild(self, read: Float[Tensor, "item out"]) -> Float[Tensor, "item feature"]:
        """Features from what a head says of their leading axes; their length is one that all have."""
        spread = self.axes.norm(dim=0).square().clamp_min(1e-12)
        width = self.config.out
        return (read / spread[:width]) @ self.axes[:, :width].T + self.mean

    def _tokens(self, cut: Float[Tensor, "item axis"]) -> Float[Tensor, "item token channel"]:
        return self.to_tokens(cut[None])[0].unflatten(1, (self.ordering.levels.tokens, -1))

    def _read(self, states: list[Tensor]) -> list[Tensor]:
        return [head(state.flatten(1)[None])[0] for head, state in zip(self.heads, states, strict=False)]

    @torch.no_grad()
    def directions(
        self,
        features: Float[Tensor, "item feature"],
        members: Int64[Tensor, "member"] | None = None,
        groups: Int64[Tensor, "member"] | None = None,
    ) -> Float[Tensor, "axis direction"]:
        """Set the principal axes from features; the directions, best first, that tokens and heads are to tell.

        Parameters
        ----------
        members, groups : items that belong together, and the number of their group from 0; then directions are those
            in which groups differ most for how much their members do.
        """
        self.mean.copy_(features.mean(dim=0))
        self.axes.copy_(_principal_axes(features - self.mean, self.config.axes))
        if members is None or groups is None:
            return torch.eye(self.config.axes)
        cut = self.cut(features)[members]
        count = groups.bincount().clamp_min(1)
        centre = torch.zeros(len(count), cut.shape[1]).index_add_(0, groups, cut) / count[:, None]
        within = _covariance(cut - centre[groups])
        within += AGREEMENT * within.diagonal().mean().clamp_min(1e-12) * torch.eye(len(within))
        values, vectors = torch.linalg.eigh(within.double())
        whitening = (vectors * values.rsqrt() @ vectors.T).float()
        between = torch.linalg.eigh(_covariance(self.cut(features) @ whitening).double()).eigenvectors
        return whitening @ between.flip(1).float()

    @torch.no_grad()
    def start(self, features: Float[Tensor, "item feature"], directions: Float[Tensor, "axis direction"]) -> None:
        """Tokens hold the directions in order, codebooks follow some batches, heads are least squares."""
        cut = self.cut(features)
        self._hold(directions, (cut @ directions).square().mean(dim=0))
        chance = Generator().manual_seed(0)
        self.train()
        for _ in range(WARM if any(True for _ in self.ordering.buffers()) else 0):
            some = own_rows(torch.randint(len(cut), (WARM_BATCH,), generator=chance))
            self.ordering.train_code(self._tokens(cut[some]), self.ordering.draw(len(some), chance))
        self.eval()
        width = self.config.out
        wanted = F.normalize(cut @ directions[:, :width], dim=1) * width**0.5
        if torch.equal(directions, torch.eye(len(directions))):
            wanted = cut[:, :width]
        self._solve_heads(cut, wanted)
        self.train()

    def _hold(self, directions: Float[Tensor, "axis direction"], worth: Float[Tensor, "direction"]) -> None:
        """The map to tokens: a few directions each, the square root of their spread left, and next to nothing else."""
        weight = self.to_tokens.weight[0].unflatten(1, (self.ordering.levels.tokens, -1))
        weight.mul_(0.02)
        gains = worth.clamp_min(1e-6 * worth.max().clamp_min(1e-12)).pow(-0.25)
        for token, held in enumerate(self._held(directions.shape[1])):
            chosen = torch.tensor(held, dtype=torch.int64)
            weight[:, token, : len(held)] = directions[:, chosen] * gains[chosen]

    def _held(self, count: int) -> list[list[int]]:
        """Which directions each token starts with: of flat orderings the next few, of residual ones a tree's.

        A level of a residual ordering tells everything anew, more finely: its 2^l tokens share the leading directions,
        and what token i of a level holds, tokens 2i and 2i + 1 of the next hold between them.
        """
        held, levels = self.config.held, self.ordering.levels
        if len(self.heads) == 1:
            return [[n for n in range(t * held, (t + 1) * held) if n < count] for t in range(levels.tokens)]
        places = [
            [int(format(i, f"0{level}b")[::-1], 2) if level else 0 for i in range(size)]
            for level, size in enumerate(levels.sizes)
        ]
        return [
            [n for n in range(place, place + held * size, size) if n < count]
            for size, level in zip(levels.sizes, places, strict=True)
            for place in level
        ]

    def _solve_heads(self, cut: Float[Tensor, "item axis"], wanted: Float[Tensor, "item out"]) -> None:
        """Heads that say best what is wanted, each of all states that it reads, from some of the items."""
        budgets = self.config.levels if len(self.heads) == 1 else 1
        rows = max(64, ROWS * self.sum_map.shape[0] // budgets)
        some = torch.linspace(0, len(cut) - 1, min(len(cut), rows)).long()
        states = self.ordering.budget_states(self.ordering.encode(self._tokens(cut[some])))
        for head, state in zip(self.heads, states, strict=True):
            repeated = wanted[some].repeat(len(state) // len(some), 1)
            assert isinstance(head, GroupedLinear)
            head.weight[0], head.bias[0, 0] = _least_squares(state.flatten(1), repeated)

    @torch.no_grad()
    def sum_up(self, features: Float[Tensor, "item feature"]) -> None:
        """Find the maps whose sum over tokens is what heads say: what an index reads a prefix by.

        For flat orderings these are the head itself; for residual ones each level adds what a linear map of its tokens
        tells of what the levels before left open, which is less than their predictors make of it.
        """
        some = torch.linspace(0, len(features) - 1, min(len(features), SUMMED)).long()
        code = self.encode(features[some])
        self.largest.copy_(1.25 * code.values.abs().max().clamp_min(1e-6))
        blank = blank_of(code)
        if len(self.heads) == 1:
            head = self.heads[0]
            assert isinstance(head, GroupedLinear)
            self.sum_map.copy_(head.weight[0])
            self.sum_bias.copy_(head.bias[0, 0] + blank.repeat(self.ordering.levels.tokens) @ self.sum_map)
            return
        wanted = self.read(code)
        self.sum_bias.copy_(wanted.mean(dim=0))
        left = wanted - self.sum_bias
        channels = self.config.channels
        for place in self.ordering.levels.slices:
            values = (code.values[:, place] - blank).flatten(1)
            weight, bias = _least_squares(values, left)
            self.sum_map[place.start * channels : place.stop * channels] = weight
            self.sum_bias += bias
            left = left - values @ weight - bias


def untrained(config: BottleneckConfig, seed: int = 0) -> OrderedBottleneck:
    """A bottleneck with the weights of a seed; the global stream stays as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return OrderedBottleneck(config)


def blank_of(code: Code) -> Float[Tensor, "channel"]:
    """The value of a token that is not there."""
    first = code.posterior.prefix(1)
    return first.masked(torch.ones(len(code.values), 1, dtype=torch.bool)).values()[0, 0]


def _principal_axes(centred: Float[Tensor, "item feature"], count: int) -> Float[Tensor, "feature axis"]:
    """Principal axes, all scaled alike such that what lies along them has a mean square of about one."""
    vectors = torch.linalg.eigh(_covariance(centred).double()).eigenvectors.flip(1)[:, :count].float()
    signs = vectors.gather(0, vectors.abs().argmax(dim=0, keepdim=True)).sign()
    spread = (centred @ vectors).square().mean().sqrt().clamp_min(1e-12)
    return vectors * signs / spread


def _covariance(centred: Float[Tensor, "row column"]) -> Float[Tensor, "column column"]:
    return centred.T @ centred / len(centred)


def _least_squares(
    given: Float[Tensor, "row column"], wanted: Float[Tensor, "row out"]
) -> tuple[Float[Tensor, "column out"], Float[Tensor, "out"]]:
    """Ridge regression with a bias."""
    means = given.mean(dim=0), wanted.mean(dim=0)
    x, y = given - means[0], wanted - means[1]
    gram = _covariance(x)
    gram += (RIDGE * gram.diagonal().mean() + 1e-9) * torch.eye(len(gram))
    weight = torch.linalg.solve(gram, x.T @ y / len(x))
    return weight, means[1] - means[0] @ weight
