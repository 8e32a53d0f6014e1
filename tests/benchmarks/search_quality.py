"""What searches find of Hartmann's function of six numbers with noise: `python tests/benchmarks/search_quality.py`.

Two stages, random points, and the loop of BoTorch's own tutorial (Sobol points, then
`qLogNoisyExpectedImprovement` over a Gaussian process with inferred noise), with equal evaluations and seeds. Worth is
the function without noise where the lowest value was found; its minimum is -3.322. Results are kept in
`results/search.json`.
"""

import argparse
import json
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from botorch.acquisition.logei import qLogNoisyExpectedImprovement
from botorch.fit import fit_gpytorch_mll
from botorch.models.gp_regression import SingleTaskGP
from botorch.optim.optimize import optimize_acqf
from botorch.test_functions import Hartmann
from gpytorch.mlls import ExactMarginalLogLikelihood
from torch import Tensor
from torch.quasirandom import SobolEngine

from prior_lab.files import replacing
from prior_lab.search import Random, Setting, Space, TwoStage, minimise

NOISE, FIRST, EVALUATIONS, SEEDS = 0.1, 12, 42, 10
FUNCTION = Hartmann(dim=6)
SPACE = Space.of([Setting(f"x{axis}", 0.0, 1.0, log=False) for axis in range(6)])


def noisy(seed: int) -> Callable[[Tensor], Tensor]:
    """The function with noise of its own for every seed."""
    generator = torch.Generator().manual_seed(1000 + seed)
    return lambda x: FUNCTION(x) + NOISE * torch.randn(len(x), generator=generator, dtype=torch.float64)


def ours(strategy: TwoStage | Random, seed: int) -> float:
    """The worth of what a strategy finds."""
    function = noisy(seed)
    points, found = minimise(lambda settings: function(SPACE.points(settings)).tolist(), SPACE, strategy, EVALUATIONS)
    return FUNCTION(points[found.argmin()][None]).item()


def tutorial(seed: int) -> float:
    """The worth of what BoTorch's closed loop finds."""
    function = noisy(seed)
    points = SobolEngine(6, scramble=True, seed=seed).draw(FIRST, dtype=torch.float64)
    found = function(points)
    bounds = torch.tensor([[0.0] * 6, [1.0] * 6], dtype=torch.float64)
    while len(points) < EVALUATIONS:
        torch.manual_seed(seed + len(points))
        told = -found[:, None]
        model = SingleTaskGP(points, (told - told.mean()) / told.std(), outcome_transform=None)
        fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
        acquisition = qLogNoisyExpectedImprovement(model, points, prune_baseline=True)
        new, _ = optimize_acqf(acquisition, bounds, q=1, num_restarts=8, raw_samples=256)
        points, found = torch.cat([points, new.detach()]), torch.cat([found, function(new.detach())])
    return FUNCTION(points[found.argmin()][None]).item()


def main() -> None:
    """Compare, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/search.json"))
    out: Path = parser.parse_args().out
    warnings.simplefilter("ignore")
    loops: dict[str, Callable[[int], float]] = {
        "two-stage": lambda seed: ours(TwoStage(FIRST, seed), seed),
        "random": lambda seed: ours(Random(seed), seed),
        "BoTorch's loop": tutorial,
    }
    worth: dict[str, list[float]] = {name: [] for name in loops}
    seconds = dict.fromkeys(loops, 0.0)
    for seed in range(SEEDS):
        for name, loop in loops.items():
            start = time.perf_counter()
            worth[name].append(loop(seed))
            seconds[name] += time.perf_counter() - start
        print(seed, *(f"{name} {values[-1]:.3f}" for name, values in worth.items()), sep="  ", flush=True)
    two, random, botorch = (torch.tensor(values) for values in worth.values())
    wins = int((two < random).sum())
    share = float(two.mean() / botorch.mean())
    print(f"two-stage ahead of random in {wins} of {SEEDS} seeds; {100 * share:.1f} % of what BoTorch's loop finds")
    out.parent.mkdir(parents=True, exist_ok=True)
    with replacing(out) as temporary:
        told = {"worth": worth, "seconds": seconds, "wins": wins, "share": share, "evaluations": EVALUATIONS}
        temporary.write_text(json.dumps(told | {"first": FIRST, "noise": NOISE}, indent=1))


if __name__ == "__main__":
    main()
