"""The search for settings such as the weights of regularisers: the paper's two-stage optimisation, and others.

`space` says what may vary, `strategies` where to look next, `surrogate` what a Gaussian process makes of what was seen,
`trials` turns a point into training runs, and `loop` goes on until the budget is spent; its result is an
`xarray.Dataset`, see `result`.

A new strategy is a class with `propose` in `strategies`, and its name in `StrategyName` and `make_strategy`.

Examples
--------
The strategies search any function; here one with its lowest place at 0.01:

>>> import math
>>> from prior_lab.search import Space, make_strategy, minimise
>>> space = Space.of({"rate_weight": (1e-4, 1.0)})
>>> def bowl(settings):
...     return [(math.log10(one["rate_weight"]) + 2) ** 2 for one in settings]
>>> points, found = minimise(bowl, space, make_strategy("random", 12, 6, 0), 12)
>>> len(points), bool(found.min() < 0.5)
(12, True)
"""

from prior_lab.search.loop import minimise, search
from prior_lab.search.result import best, load_search, objective
from prior_lab.search.space import Setting, Space
from prior_lab.search.strategies import Grid, Random, Strategy, TwoStage, make_strategy
from prior_lab.search.trials import usual_space

__all__ = [
    "Grid",
    "Random",
    "Setting",
    "Space",
    "Strategy",
    "TwoStage",
    "best",
    "load_search",
    "make_strategy",
    "minimise",
    "objective",
    "search",
    "usual_space",
]
