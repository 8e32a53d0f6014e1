"""What a Gaussian process makes of the points that were tried (BoTorch), and where it would look next.

The noise of an evaluation is inferred with the rest. A run that diverged is a bad value, as far above the worst sound
one as that is above the median, so that the surrogate learns to stay away.
"""

import warnings
from types import SimpleNamespace
from typing import Any

import torch
from jaxtyping import Bool, Float64
from torch import Tensor

from prior_lab.errors import InputError

RESTARTS, SAMPLES = 8, 256  # of the search for the best next point


class Surrogate:
    """A Gaussian process over the unit cube.

    Parameters
    ----------
    points, found : what was tried; NaN where a run diverged.
    seed : of the search for the best next point.
    imagined : points that are being tried; they count as if they had found what is expected.

    Raises
    ------
    InputError : if BoTorch is not installed, or fewer than two runs were sound.
    """

    def __init__(
        self,
        points: Float64[Tensor, "tried setting"],
        found: Float64[Tensor, "tried"],
        *,
        seed: int = 0,
        imagined: Float64[Tensor, "imagined setting"] | None = None,
    ) -> None:
        self._botorch, self._seed = _botorch(), seed
        sound = found.isfinite()
        if sound.sum() < 2:
            raise InputError("A surrogate needs at least two sound evaluations.")
        told = _bad_values(found, sound)
        self._centre, self._spread = told.mean(), told.std().clamp_min(1e-12)
        self._points, self._told = points, (told - self._centre) / self._spread
        self._model = self._fitted()
        if imagined is not None and len(imagined):
            with torch.no_grad():
                expected = self._model.posterior(imagined).mean
            self._model = self._model.condition_on_observations(imagined, expected)
            self._points = torch.cat([points, imagined])
        with torch.no_grad():
            self._best = self._model.posterior(self._points).mean.max()

    def expected(
        self, points: Float64[Tensor, "point setting"]
    ) -> tuple[Float64[Tensor, "point"], Float64[Tensor, "point"]]:
        """Mean and standard deviation of what would be found at points, without the noise of an evaluation."""
        with torch.no_grad():
            posterior = self._model.posterior(points)
            mean, spread = -posterior.mean[:, 0], posterior.variance[:, 0].sqrt()
        return mean * self._spread + self._centre, spread * self._spread

    def promise(self, points: Float64[Tensor, "point setting"]) -> Float64[Tensor, "point"]:
        """Logarithm of the improvement that is expected at points."""
        with torch.no_grad():
            return self._improvement()(points[:, None])

    def most_promising(self) -> Float64[Tensor, "setting"]:
        """Where the expected improvement is largest."""
        return self._optimum(self._improvement())

    def lowest_mean(self) -> Float64[Tensor, "setting"]:
        """Where the least is expected."""
        return self._optimum(self._botorch.PosteriorMean(self._model))

    def _improvement(self) -> Any:
        return self._botorch.LogExpectedImprovement(self._model, self._best)

    def _fitted(self) -> Any:
        """The process of the negated values, for BoTorch maximises."""
        model = self._botorch.SingleTaskGP(self._points, -self._told[:, None], outcome_transform=None)
        with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
            warnings.simplefilter("ignore")
            torch.manual_seed(self._seed)
            self._botorch.fit_gpytorch_mll(self._botorch.ExactMarginalLogLikelihood(model.likelihood, model))
        model.eval()
        return model

    def _optimum(self, acquisition: Any) -> Float64[Tensor, "setting"]:
        bounds = torch.tensor([[0.0], [1.0]], dtype=torch.float64).expand(2, self._points.shape[1])
        with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
            warnings.simplefilter("ignore")
            torch.manual_seed(self._seed)
            found, _ = self._botorch.optimize_acqf(acquisition, bounds, q=1, num_restarts=RESTARTS, raw_samples=SAMPLES)
        return found[0].detach().clamp(0, 1)


def _botorch() -> SimpleNamespace:
    """What is used of BoTorch, imported without its warnings.

    Raises
    ------
    InputError : if it is not installed.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from botorch.acquisition.analytic import LogExpectedImprovement, PosteriorMean
            from botorch.fit import fit_gpytorch_mll
            from botorch.models.gp_regression import SingleTaskGP
            from botorch.optim.optimize import optimize_acqf
            from gpytorch.mlls import ExactMarginalLogLikelihood
    except ModuleNotFoundError as error:
        raise InputError(
            "The second stage needs botorch: pip install 'prior-lab[search]' brings it; the strategies random and grid "
            "do without."
        ) from error
    return SimpleNamespace(
        ExactMarginalLogLikelihood=ExactMarginalLogLikelihood,
        LogExpectedImprovement=LogExpectedImprovement,
        PosteriorMean=PosteriorMean,
        SingleTaskGP=SingleTaskGP,
        fit_gpytorch_mll=fit_gpytorch_mll,
        optimize_acqf=optimize_acqf,
    )


def _bad_values(found: Float64[Tensor, "tried"], sound: Bool[Tensor, "tried"]) -> Float64[Tensor, "tried"]:
    worst, middle = found[sound].max(), found[sound].median()
    return torch.where(sound, found, worst + (worst - middle))
