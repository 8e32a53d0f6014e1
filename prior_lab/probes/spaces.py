"""Where probes are sought: among their weights, or among combinations of the training images.

With X [column, sample] the centred features of n samples, the preconditioner of L-BFGS is M = (c G + s)^-1, where
G = X X^T / n, c is about the mean curvature of the softmax and s a penalty. Its Cholesky factor serves a whole path of
penalties. `Primal` seeks W itself. With more columns than half the samples `Dual` seeks A, where W = A X^T: the
preconditioned A is M q = (c K + s)^-1 q with K = X^T X / n, and the logits K M q = (q - s M q) / c need no product.
Then nothing that an iteration does depends on the number of columns.

Budgets are nested: G of a short prefix is the leading block of that of a longer one, and K adds up over new columns.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Self

import torch
from jaxtyping import Float
from torch import Tensor

FLOOR = 1e-6  # smallest to largest possible eigenvalue of what is factorised: float32 bears it
BLOCK = 512  # rows of a symmetric product that are taken at once: only blocks up to the diagonal are multiplied


@dataclass(frozen=True, eq=False)
class Space(ABC):
    """A way to write solutions, with the penalty strength / 2 |W|^2.

    A vector has one or two parts: the first holds the parameters, the last what gradients are multiplied with.

    Attributes
    ----------
    features : of the training samples.
    factor : Cholesky factor of what the preconditioner inverts.
    curvature : c, the mean curvature of the softmax.
    strength : of the penalty.
    """

    features: Float[Tensor, "column sample"]
    factor: Float[Tensor, "entry entry"]
    curvature: float
    strength: float

    def with_strength(self, strength: float) -> Self:
        """The same with another penalty; the preconditioner stays."""
        return replace(self, strength=strength)

    def gap(self, gradient: Float[Tensor, "label entry"]) -> Float[Tensor, ""]:
        """Bound on how far the objective is above its minimum [nat].

        At its best bias the objective is `strength`-strongly convex in W, hence |gradient by W|^2 / (2 strength), which
        is the duality gap. The bias is never quite its best; that adds some thousandths, bounded by the curvature c.
        """
        bias, weights = self.squares(gradient)
        return bias / (2 * self.curvature) + weights / (2 * self.strength)

    @abstractmethod
    def zeros(self, labels: int) -> Float[Tensor, "part label entry"]:
        """The solution that predicts nothing from the features."""

    @abstractmethod
    def gradient(
        self, residual: Float[Tensor, "label sample"], parameters: Float[Tensor, "label entry"]
    ) -> Float[Tensor, "label entry"]:
        """Of the objective, from that of the loss by the logits."""

    @abstractmethod
    def squares(self, gradient: Float[Tensor, "label entry"]) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """Squared length of a gradient by the bias, and by W."""

    @abstractmethod
    def precondition(self, gradient: Float[Tensor, "label entry"]) -> Float[Tensor, "part label entry"]:
        """M times a gradient."""

    @abstractmethod
    def logits(self, vector: Float[Tensor, "part label entry"]) -> Float[Tensor, "label sample"]:
        """Of the training samples."""

    @abstractmethod
    def inner(
        self, one: Float[Tensor, "part label entry"], other: Float[Tensor, "part label entry"]
    ) -> Float[Tensor, ""]:
        """Inner product of two W, without their biases."""

    @abstractmethod
    def penalised(self, parameters: Float[Tensor, "*pair label entry"]) -> Float[Tensor, "*pair label entry"]:
        """Gradient of |W|^2 / 2."""

    @abstractmethod
    def coefficients(
        self, vector: Float[Tensor, "part label entry"]
    ) -> tuple[Float[Tensor, "label column"], Float[Tensor, "label"]]:
        """W and the bias."""


class Primal(Space):
    """W, after an entry for the bias, which has no penalty: the first of the features is 1."""

    def zeros(self, labels: int) -> Float[Tensor, "1 label entry"]:
        """The only part is both parameters and what gradients are multiplied with."""
        return self.features.new_zeros(1, labels, len(self.features))

    def gradient(
        self, residual: Float[Tensor, "label sample"], parameters: Float[Tensor, "label entry"]
    ) -> Float[Tensor, "label entry"]:
        """By the bias and W."""
        return torch.addmm(self.penalised(parameters), residual, self.features.T, beta=self.strength)

    def squares(self, gradient: Float[Tensor, "label entry"]) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """At hand."""
        return gradient[:, 0].square().sum(), gradient[:, 1:].square().sum()

    def precondition(self, gradient: Float[Tensor, "label entry"]) -> Float[Tensor, "1 label entry"]:
        """By substitution."""
        return _solve(self.factor, gradient)[None]

    def logits(self, vector: Float[Tensor, "1 label entry"]) -> Float[Tensor, "label sample"]:
        """A product."""
        return vector[0] @ self.features

    def inner(self, one: Float[Tensor, "1 label entry"], other: Float[Tensor, "1 label entry"]) -> Float[Tensor, ""]:
        """Of all entries but the first."""
        return (one[0, :, 1:] * other[0, :, 1:]).sum()

    def penalised(self, parameters: Float[Tensor, "*pair label entry"]) -> Float[Tensor, "*pair label entry"]:
        """The parameters, but nothing for the bias."""
        rest = parameters.clone()
        rest[..., 0] = 0.0
        return rest

    def coefficients(
        self, vector: Float[Tensor, "1 label entry"]
    ) -> tuple[Float[Tensor, "label column"], Float[Tensor, "label"]]:
        """At hand."""
        return vector[0, :, 1:], vector[0, :, 0]


@dataclass(frozen=True, eq=False)
class Dual(Space):
    """A, where W = A X^T, and the logits that it gives.

    W adds nothing to the mean logit, for the features are centred: that is the bias. So A and its gradient, as far as
    it concerns W, have mean 0 over the samples.

    Attributes
    ----------
    kernel : lower triangle of X^T X.
    shift : s, the penalty in the preconditioner.
    """

    kernel: Float[Tensor, "sample sample"]
    shift: float

    def zeros(self, labels: int) -> Float[Tensor, "2 label sample"]:
        """Two parts: A, and the logits."""
        return self.kernel.new_zeros(2, labels, len(self.kernel))

    def gradient(
        self, residual: Float[Tensor, "label sample"], parameters: Float[Tensor, "label sample"]
    ) -> Float[Tensor, "label sample"]:
        """What X^T turns into the gradient by W, and whose sum is that by the bias."""
        return torch.add(residual, parameters, alpha=self.strength)

    def squares(self, gradient: Float[Tensor, "label sample"]) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """By a product with the kernel."""
        halves = 2 * (gradient @ self.kernel) - gradient * self.kernel.diagonal()
        return gradient.sum(dim=1).square().sum(), (gradient * halves).sum()

    def precondition(self, gradient: Float[Tensor, "label sample"]) -> Float[Tensor, "2 label sample"]:
        """By substitution; the logits follow."""
        total = gradient.sum(dim=1, keepdim=True)
        centred = gradient - total / len(self.kernel)
        solved = _solve(self.factor, centred)
        logits = (centred - self.shift * solved) * (len(self.kernel) / self.curvature)
        return torch.stack([solved, logits + total / self.curvature])

    def logits(self, vector: Float[Tensor, "2 label sample"]) -> Float[Tensor, "label sample"]:
        """At hand."""
        return vector[1]

    def inner(self, one: Float[Tensor, "2 label sample"], other: Float[Tensor, "2 label sample"]) -> Float[Tensor, ""]:
        """One's A with the other's logits, whose bias does not count, for A has mean 0."""
        return (one[0] * other[1]).sum()

    def penalised(self, parameters: Float[Tensor, "*pair label sample"]) -> Float[Tensor, "*pair label sample"]:
        """A itself: X^T turns it into W."""
        return parameters

    def coefficients(
        self, vector: Float[Tensor, "2 label sample"]
    ) -> tuple[Float[Tensor, "label column"], Float[Tensor, "label"]]:
        """A product, and the mean logits."""
        return vector[0] @ self.features.T, vector[1].mean(dim=1)


def nested_spaces(
    features: Float[Tensor, "column sample"], widths: Sequence[int], strengths: Sequence[float], curvature: float
) -> Iterator[Space]:
    """A space for each prefix of the features, from the shortest to the longest.

    Parameters
    ----------
    features : centred.
    widths : numbers of leading columns, growing.
    strengths : of the penalty at each width, in the preconditioner as well.
    curvature : about the mean curvature of the softmax.
    """
    count = features.shape[1]
    primal = [width for width in widths if 2 * width <= count]
    padded = torch.cat([features.new_ones(1, count), features[: max(primal, default=0)]])
    gram = _lower_gram(padded)
    for width, strength in zip(primal, strengths, strict=False):
        inverse = gram[: width + 1, : width + 1] * (curvature / count)
        inverse.diagonal()[1:] += _shift(width, strength, curvature)
        yield Primal(padded[: width + 1], torch.linalg.cholesky(inverse), curvature, strength)
    kernel, known = features.new_zeros(()), 0
    for width, strength in zip(widths[len(primal) :], strengths[len(primal) :], strict=True):
        kernel, known = kernel + _lower_gram(features[known:width].T), width
        shift = _shift(width, strength, curvature)
        inverse = kernel * (curvature / count)
        inverse.diagonal().add_(shift)
        yield Dual(features[:width], torch.linalg.cholesky(inverse), curvature, strength, kernel, shift)


def _shift(width: int, strength: float, curvature: float) -> float:
    """The penalty in the preconditioner: never so weak that float32 could not factorise it."""
    return max(strength, FLOOR * curvature * width)


def _lower_gram(rows: Float[Tensor, "row entry"]) -> Float[Tensor, "row row"]:
    """Lower triangle of the rows' products with each other, zeros above."""
    gram = rows.new_empty(len(rows), len(rows))
    for start in range(0, len(rows), BLOCK):
        stop = min(start + BLOCK, len(rows))
        torch.mm(rows[start:stop], rows[:stop].T, out=gram[start:stop, :stop])
    return gram.tril_()


def _solve(factor: Float[Tensor, "entry entry"], rows: Float[Tensor, "row entry"]) -> Float[Tensor, "row entry"]:
    """Rows times the inverse of L L^T, from the right, where BLAS is twice as fast as from the left."""
    half = torch.linalg.solve_triangular(factor.T, rows, upper=True, left=False)
    return torch.linalg.solve_triangular(factor, half, upper=False, left=False)
