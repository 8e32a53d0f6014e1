"""L-BFGS for multinomial logistic regression with an L2 penalty and a free bias, for several taxonomies in lock step.

    minimise  sum_i v_i cross_entropy(W x_i + b, y_i) + strength / 2 |W|^2       (v_i = 1 / labelled samples, or 0)

L-BFGS (Nocedal 1980) starts from the preconditioner of `prior_lab.probes.spaces` and needs 5 to 60 iterations instead
of hundreds. All taxonomies share the features and the preconditioner, so their products are stacked into one; whoever
has arrived leaves the stack. Logits are linear in the step: trying a step length costs no product.

A path goes from strong to weak penalties. Their curvature is known, so what has been learnt of the objective's is
corrected for the change and carried over: that halves the iterations.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

from prior_lab.probes.spaces import Space

TOLERANCE = 1e-6  # bound on the distance to the optimum's objective, relative to the objective
ROUNDING = 1e-4  # such a bound that a fit may end at without a warning, where float32 resolves no better
LIMIT = 500  # iterations
PAIRS = 20  # that L-BFGS remembers: with 10 weak penalties take a third more iterations, with 40 a tenth fewer
FLATNESS = 0.3  # share of the slope that may be left where a step ends: 0.9 takes a third more iterations
TRIALS = 20  # step lengths


@dataclass(frozen=True, eq=False)
class Targets:
    """What one taxonomy asks of the training samples.

    Attributes
    ----------
    name : of the taxonomy.
    labels : indices of those that occur.
    places : of the samples' labels among them; any for a sample without.
    weights : one over the number of labelled samples, 0 for one without.
    """

    name: str
    labels: Int64[Tensor, "label"]
    places: Int64[Tensor, "sample"]
    weights: Float[Tensor, "sample"]

    def loss(self, logits: Float[Tensor, "label sample"]) -> tuple[Float64[Tensor, ""], Float[Tensor, "label sample"]]:
        """Mean cross-entropy [nat] and its gradient by the logits."""
        shares = logits.log_softmax(dim=0)
        losses, weights = -shares.gather(0, self.places[None])[0], self.weights.to(shares.dtype)
        residual = shares.exp_().mul_(weights).scatter_add_(0, self.places[None], -weights[None])
        return torch.dot(self.weights.double(), losses.double()), residual


class Memory:
    """The last steps s of L-BFGS and the changes y of the gradient along them, in a ring.

    The recursion of two loops is written as two triangular systems. With P the products of steps and changes, from old
    to new, and U its upper triangle, the first loop solves U a = S g and the second U^T d = diag(P) a - Y r.
    """

    def __init__(self, zeros: Float[Tensor, "part label entry"]) -> None:
        self._steps = zeros.new_empty(PAIRS, *zeros.shape)
        self._changes = zeros.new_empty(PAIRS, *zeros.shape[1:])
        self._products = zeros.new_empty(PAIRS, PAIRS, dtype=torch.float64)
        self._count = self._oldest = 0

    def push(self, step: Float[Tensor, "part label entry"], change: Float[Tensor, "label entry"]) -> None:
        """Remember one more pair, in the place of the oldest once there are many."""
        if self._count < PAIRS:
            place, self._count = self._count, self._count + 1
        else:
            place, self._oldest = self._oldest, (self._oldest + 1) % PAIRS
        self._steps[place], self._changes[place] = step, change
        self._products[: self._count, place] = self._images @ change.flatten()

    def __len__(self) -> int:
        """Pairs that are remembered."""
        return self._count

    def forget(self) -> None:
        """Start anew."""
        self._count = self._oldest = 0

    def retune(self, space: Space, by: float) -> None:
        """Account for a penalty that has become stronger by this much."""
        self._changes[: self._count].add_(space.penalised(self._steps[: self._count, 0]), alpha=by)
        products = self._images @ self._changes[: self._count].flatten(1).T
        self._products[: self._count, : self._count] = products
        if not (products.diagonal() > 0).all():  # rounding has eaten the curvature along a step
            self.forget()

    def reduce(
        self, gradient: Float[Tensor, "label entry"]
    ) -> tuple[Float[Tensor, "label entry"], Float64[Tensor, "pair 1"]]:
        """First loop: what is left for the preconditioner, and the coefficients of what is taken off."""
        along = self._in_order(self._images @ gradient.flatten())
        taken = torch.linalg.solve_triangular(self._upper(), along, upper=True)
        return gradient - self._combine(self._changes, taken), taken

    def complete(
        self, preconditioned: Float[Tensor, "part label entry"], taken: Float64[Tensor, "pair 1"]
    ) -> Float[Tensor, "part label entry"]:
        """Second loop: the inverse curvature times the gradient."""
        upper = self._upper()
        along = self._in_order(self._changes[: self._count].flatten(1) @ preconditioned[-1].flatten())
        given = torch.linalg.solve_triangular(upper.T, upper.diagonal()[:, None] * taken - along, upper=False)
        return preconditioned + self._combine(self._steps, given)

    @property
    def _images(self) -> Float[Tensor, "pair entries"]:
        """The parts of the steps that gradients are multiplied with."""
        return self._steps[: self._count, -1].flatten(1)

    def _in_order(self, values: Float[Tensor, "pair"]) -> Float64[Tensor, "pair 1"]:
        return values.double().roll(-self._oldest)[:, None]

    def _upper(self) -> Float64[Tensor, "pair pair"]:
        products = self._products[: self._count, : self._count]
        return products.roll((-self._oldest, -self._oldest), dims=(0, 1)).triu()

    def _combine(
        self, ring: Float[Tensor, "place *entry"], coefficients: Float64[Tensor, "pair 1"]
    ) -> Float[Tensor, "*entry"]:
        weights = coefficients[:, 0].roll(self._oldest).to(ring.dtype)
        return (weights @ ring[: self._count].flatten(1)).view(ring.shape[1:])


class Fit:
    """The probe of one taxonomy on the way to its optimum.

    Attributes
    ----------
    targets : what it is to predict.
    memory : what is known of the objective's curvature.
    vector : the solution so far, as its space holds it.
    residual : gradient of the loss by the logits.
    gradient : of the objective.
    stuck : rounding hides every way down.
    """

    def __init__(self, targets: Targets, space: Space) -> None:
        self.targets = targets
        self.vector = space.zeros(len(targets.labels))
        self.memory = Memory(self.vector)
        self._logits = self.vector.new_zeros(len(targets.labels), len(targets.places))
        loss, self.residual = targets.loss(self._logits)
        self.gradient = space.gradient(self.residual, self.vector[0])
        self._loss, self._square = loss.item(), 0.0
        self._step: Float[Tensor, "part label entry"] | None = None
        self._length, self._gain, self._enough = 1.0, math.inf, TOLERANCE
        self.stuck = False

    def objective(self, space: Space) -> float:
        """Mean cross-entropy and penalty [nat]."""
        return self._loss + 0.5 * space.strength * self._square

    def excess(self, space: Space) -> float:
        """Bound on how far the objective is above its minimum, relative to the objective."""
        return space.gap(self.gradient).item() / self.objective(space)

    def retune(self, space: Space, by: float) -> None:
        """Go on in a space whose penalty is stronger by this much."""
        self.memory.retune(space, by)
        self.gradient = torch.add(self.gradient, space.penalised(self.vector[0]), alpha=by)
        self._step, self._gain, self._enough = None, math.inf, TOLERANCE
        self.stuck = False

    def arrived(self, space: Space) -> bool:
        """Whether the optimum is near for sure.

        The bound costs a product in the dual. It is asked for only once a step gains little, and then again when one
        gains as much less as the bound was too large.
        """
        gain = self._gain / self.objective(space)
        if gain > self._enough:
            return False
        excess = self.excess(space)
        self._enough = max(gain * TOLERANCE / excess, 1e-3 * TOLERANCE) if excess > 0 else TOLERANCE
        return excess <= TOLERANCE

    def walk(
        self,
        space: Space,
        direction: Float[Tensor, "part label entry"],
        logits: Float[Tensor, "label sample"],
    ) -> None:
        """Go down a direction, along which the logits change like this."""
        slope = (self.gradient * direction[-1]).sum()
        inners = torch.stack([slope, space.inner(self.vector, direction), space.inner(direction, direction)])
        start, along, square = inners.tolist()
        if start >= 0:  # rounding: either this is the optimum, or the preconditioner alone will find a way
            self.stuck = not len(self.memory)
            self.memory.forget()
            self._step, self._gain = None, 0.0
            return
        slope_at = partial(self._slope_at, self._logits, logits, space.strength * along, space.strength * square)
        length, end = flat_point(slope_at, start, self._length)
        self.vector = torch.add(self.vector, direction, alpha=length)
        self._square += length * (2 * along + length * square)
        self._step = direction * length if end > start else None
        self._length, self._gain = length, -start / 2

    def _slope_at(
        self,
        here: Float[Tensor, "label sample"],
        change: Float[Tensor, "label sample"],
        along: float,
        square: float,
        length: float,
    ) -> float:
        """Slope of the objective at a step length, where logits, loss and residual are taken on the way."""
        self._logits = torch.add(here, change, alpha=length)
        loss, self.residual = self.targets.loss(self._logits)
        slope = torch.dot(self.residual.flatten(), change.flatten()).double()
        self._loss, of_loss = torch.stack([loss, slope]).tolist()
        return of_loss + along + length * square

    def turn(self, gradient: Float[Tensor, "label entry"]) -> None:
        """Take the gradient where the step has led to."""
        if self._step is not None:
            self.memory.push(self._step, gradient - self.gradient)
        self.gradient = gradient


def minimise(space: Space, fits: Sequence[Fit]) -> list[Fit]:
    """Move fits to their optima.

    Returns
    -------
    Those that are not there, by more than `ROUNDING`, after `LIMIT` iterations or where rounding ends their way.
    """
    moving, ended = list(fits), []
    for _ in range(LIMIT):
        counts = [len(fit.targets.labels) for fit in moving]
        reduced, taken = zip(*[fit.memory.reduce(fit.gradient) for fit in moving], strict=True)
        preconditioned = space.precondition(torch.cat(reduced)).split(counts, dim=1)
        directions = [-fit.memory.complete(*parts) for fit, *parts in zip(moving, preconditioned, taken, strict=True)]
        logits = space.logits(torch.cat(directions, dim=1)).split(counts)
        for fit, direction, change in zip(moving, directions, logits, strict=True):
            fit.walk(space, direction, change)
        residuals, parameters = [fit.residual for fit in moving], [fit.vector[0] for fit in moving]
        gradients = space.gradient(torch.cat(residuals), torch.cat(parameters)).split(counts)
        for fit, gradient in zip(moving, gradients, strict=True):
            fit.turn(gradient)
        moving = [fit for fit in moving if not fit.arrived(space)]
        ended += [fit for fit in moving if fit.stuck]
        moving = [fit for fit in moving if not fit.stuck]
        if not moving:
            break
    return [fit for fit in moving + ended if fit.excess(space) > ROUNDING]


def flat_point(slope_at: Callable[[float], float], start: float, length: float) -> tuple[float, float]:
    """Where a convex function is nearly flat, from its slopes alone.

    Parameters
    ----------
    slope_at : the slope at a step length.
    start : the slope at 0, negative.
    length : to try first.

    Returns
    -------
    The step length tried last and the slope there, at most `FLATNESS` of that at 0.
    """
    before = low = (0.0, start)
    high = None
    trial = 1
    while True:
        slope = slope_at(length)
        if abs(slope) <= -FLATNESS * start or trial == TRIALS:
            return length, slope
        if slope < 0:
            before, low = low, (length, slope)
        else:
            high = (length, slope)
        if high is None:
            length = min(_crossing(before, low), 4 * length)
        else:  # a tenth off the ends, where very unequal slopes would have it creep
            near, far = 0.9 * low[0] + 0.1 * high[0], 0.1 * low[0] + 0.9 * high[0]
            length = min(max(_crossing(low, high), near), far)
        trial += 1


def _crossing(one: tuple[float, float], other: tuple[float, float]) -> float:
    """Where the line through two points, of which the second is higher, meets zero."""
    return one[0] - one[1] * (other[0] - one[0]) / max(other[1] - one[1], 1e-30)
