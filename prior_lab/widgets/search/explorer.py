"""Look at a search: the trials, the surrogate's planes, and what became of a chosen trial."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from prior_lab import figures
from prior_lab.errors import InputError
from prior_lab.orderings import LABELS
from prior_lab.search.result import KIND, objective, space_of
from prior_lab.tokens import TOKEN_LABELS
from prior_lab.widgets.base import Explorer
from prior_lab.widgets.canvas import palette
from prior_lab.widgets.search.canvas import SearchCanvas
from prior_lab.widgets.search.landscape import SIDE, planes
from prior_lab.widgets.search.state import SearchState, View

SHADES = 96
PRICES = (0.0, 1e-6, 1e-5)  # of a bit, where the search itself had none


def explore_search(result: xr.Dataset) -> "SearchExplorer":
    """Look at a search: its trials in the plane of any two settings, over what a surrogate expects there.

    Parameters
    ----------
    result : what `prior_lab.search.search` returned, or `prior_lab.load_search` read.

    Returns
    -------
    An object that shows itself as the last line of a cell.

    Raises
    ------
    InputError : if it is not the result of a search, or all its runs diverged.

    Examples
    --------
    >>> import prior_lab as pl
    >>> pl.explore_search(pl.load_search("household-reconstruction-prior-gaussian"))
    SearchExplorer(Search on household: PRIOR, Gaussian; 6 trials; learning_rate, rate_weight)
    """
    if not isinstance(result, xr.Dataset) or result.attrs.get("kind") != KIND:
        raise InputError(f"A {type(result).__name__} that is no result of a search cannot be explored.")
    own = float(result.attrs["price"])
    prices = (own / 10, own, 10 * own) if own else PRICES
    worth = objective(result, own)
    if not worth.notnull().any():
        raise InputError("Every run of this search diverged; there is nothing to explore.")
    settings = tuple(str(name) for name in result["setting"].to_numpy())
    state = SearchState(
        settings=settings,
        prices=prices,
        trials=tuple(int(number) for number in result["trial"].to_numpy()),
        across=settings[0],
        up=settings[min(1, len(settings) - 1)],
        price=own,
        trial=int(result["trial"][int(np.nanargmin(worth.to_numpy()))]),
    )
    return SearchExplorer(result, state)


class SearchExplorer(Explorer):
    """Trials over the planes of a surrogate; made by `explore_search`.

    Attributes
    ----------
    result : what is shown.
    state : the two settings, what of their plane, the price and the trial, as a plain object.

    Examples
    --------
    >>> import prior_lab as pl
    >>> explorer = pl.explore_search(pl.load_search("household-reconstruction-prior-gaussian"))
    >>> explorer.up, explorer.trial = "prediction_weight", 3
    >>> print(explorer.summary())
    Search on household: PRIOR, Gaussian
    trial 3 (refined, 200 steps): objective ... at 3e-06 per bit, ... of 6
    ...
    """

    settings = ("across", "up", "view", "price", "trial")
    state: SearchState
    canvas: SearchCanvas

    def __init__(self, result: xr.Dataset, state: SearchState) -> None:
        self.result, self.state = result, state
        super().__init__(self._make_canvas())

    # ------------------------------------------------------------ what a user sets and reads

    @property
    def across(self) -> str:
        """The setting from left to right; set it to look along another."""
        return self.state.across

    @across.setter
    def across(self, name: str) -> None:
        self._set_axis("across", name)

    @property
    def up(self) -> str:
        """The setting from below to above; set it to look along another."""
        return self.state.up

    @up.setter
    def up(self, name: str) -> None:
        self._set_axis("up", name)

    @property
    def view(self) -> View:
        """What of the plane is shown: expected, uncertainty or promise (the expected improvement)."""
        return self.state.view

    @view.setter
    def view(self, view: View) -> None:
        self._set("view", view)

    @property
    def price(self) -> float:
        """Of a bit, at which trials are judged."""
        return self.state.price

    @price.setter
    def price(self, price: float) -> None:
        self._set("price", price)

    @property
    def trial(self) -> int:
        """The number of the trial that is told of."""
        return self.state.trial

    @trial.setter
    def trial(self, number: int) -> None:
        self._set("trial", number)

    @property
    def title(self) -> str:
        """What is shown, as the heading of an exported page."""
        return f"Search on {self.result.attrs['data']}: {', '.join(self._arm_names())}"

    def summary(self) -> str:
        """The numbers on screen, as text."""
        trial = self.result.sel(trial=self.trial)
        worth = objective(self.result, self.price)
        order = worth.fillna(np.inf).argsort().to_numpy().tolist()
        place = order.index(int(np.flatnonzero(self.result["trial"].to_numpy() == self.trial)[0])) + 1
        found = float(worth.sel(trial=self.trial))
        lines = [
            self.title,
            f"trial {self.trial} ({trial.stage.item()}, {int(trial.horizon)} steps): objective {found:.4f} at "
            f"{self.price:g} per bit, {place} of {len(order)}",
        ]
        lines += [
            f"  {name} {value:.3g}"
            for name, value in zip(trial["setting"].values, trial["setting_value"].values, strict=True)
        ]
        for arm in self.result["arm"].to_numpy():
            one = trial.sel(arm=arm)
            told = zip(one["budget"].to_numpy(), one["distortion"].to_numpy(), strict=True)
            by_budget = "  ".join(f"{budget}: {value:.3f}" for budget, value in told)
            lines += [f"  {arm}, {self.result.attrs['measure']} by budget", f"    {by_budget}"]
            lines += [f"    {float(one['bits'][-1]):.0f} bits"]
        return "\n".join(lines)

    def __repr__(self) -> str:
        """What a notebook stores where the live widget was."""
        return f"SearchExplorer({self.title}; {len(self.state.trials)} trials; {self.across}, {self.up})"

    def picture(self) -> dict[str, str]:
        """What a stored notebook shows in its place: the objective trial by trial, and the best so far."""
        return {"image/svg+xml": figures.to_svg(figures.search_progress(self.result, self.price))}

    # ------------------------------------------------------------ keeping browser and state in step

    def _set_axis(self, name: str, value: str) -> None:
        setattr(self.state, name, value)
        with self.canvas.hold_sync():
            self.canvas.across, self.canvas.up = self.state.across, self.state.up

    def _arm_names(self) -> list[str]:
        named = [str(arm).rsplit("-", 2 if str(arm).endswith("ema-vq") else 1) for arm in self.result["arm"].to_numpy()]
        return [f"{LABELS[parts[0]]}, {TOKEN_LABELS['-'.join(parts[1:])]}" for parts in named]

    def _make_canvas(self) -> SearchCanvas:
        result = self.result
        told = [
            {"name": one.name, "low": one.low, "high": one.high, "log": one.log} for one in space_of(result).settings
        ]
        worths = [[_number(value) for value in objective(result, price).to_numpy()] for price in self.state.prices]
        arms = [
            {"label": label, "colour": figures.colour_of(label, place), "symbol": figures.symbol_of(label)}
            for place, label in enumerate(self._arm_names())
        ]
        return SearchCanvas(
            axes=told,
            trials=[self._trial(number) for number in range(result.sizes["trial"])],
            arms=arms,
            budgets=[int(budget) for budget in result["budget"].to_numpy()],
            measure=str(result.attrs["measure"]),
            prices=list(self.state.prices),
            worth=worths,
            planes=[planes(result, price) for price in self.state.prices],
            side=SIDE,
            palette=palette("Viridis", SHADES),
            across=self.across,
            up=self.up,
            view=self.view,
            price=self.price,
            trial=self.trial,
        )

    def _trial(self, place: int) -> dict[str, Any]:
        one = self.result.isel(trial=place)
        steps = one["curve_step"].to_numpy()
        known = np.flatnonzero(steps)
        return {
            "number": int(one.trial),
            "stage": str(one.stage.item()),
            "steps": int(one.horizon),
            "seconds": float(one.seconds),
            "point": one["point"].to_numpy().tolist(),
            "values": one["setting_value"].to_numpy().tolist(),
            "distortion": [[_number(value) for value in arm] for arm in one["distortion"].to_numpy()],
            "bits": [_number(value) for value in one["bits"].to_numpy()[:, -1]],
            "curve": [[_number(value) for value in arm[known]] for arm in one["curve"].to_numpy()],
            "curve_steps": steps[known].tolist(),
        }

    def _change(self, name: str, value: Any) -> None:
        setattr(self.state, name, value)

    def _answer(self, request: Mapping[str, Any]) -> None:
        """Nothing is asked: the browser has all."""

    def _prepare(self) -> None:
        """Nothing is left to be done."""


def _number(value: float) -> float | None:
    return float(f"{value:.6g}") if np.isfinite(value) else None
