"""The numbers of the information explorer: for the browser, and as text."""

import math
from typing import Any

import numpy as np
import xarray as xr

from prior_lab.effective_information import Estimate, Information, Unit
from prior_lab.levels import Levels
from prior_lab.widgets.information.state import Subset

SURE = 1.96  # standard errors on either side of a 95 % interval


def interval(estimate: Estimate) -> tuple[float, float]:
    """The 95 % interval; not a number where the standard error is not known."""
    half = SURE * estimate.standard_error
    return estimate.value - half, estimate.value + half


def colour_range(values: np.ndarray) -> tuple[float, float]:
    """Round ends of a colour bar: from zero, unless all values lie in the upper half."""
    low, high = float(values.min()), float(values.max())
    if not high > 0:
        return 0.0, 1.0
    low = low if low > high / 2 else 0.0
    step = 10.0 ** math.floor(math.log10(high - low if high > low else high)) / 5
    return round(math.floor(low / step) * step, 9), round((math.floor(high / step) + 1) * step, 9)


def cells_for_browser(table: xr.Dataset, everything: xr.Dataset) -> dict[str, Any]:
    """b(u) of every token; colours span what all images and those of the class give, so that the two compare."""
    both = np.concatenate([table.information, everything.information])
    columns = {str(name): [tidy(value) for value in table[name].values] for name in table.data_vars}
    return {**columns, "range": list(colour_range(both)), "unit": table.information.attrs["units"]}


def estimate_for_browser(measured: Information, subset: Subset, unit: Unit, caution: str) -> dict[str, Any]:
    """I(S) with what makes it readable."""
    estimate, total = measured.total(subset.tokens, unit), measured.total(unit=unit)
    low, high = interval(estimate)
    return {
        "value": tidy(estimate.value),
        "corrected": tidy(estimate.corrected),
        "standard_error": tidy(estimate.standard_error),
        "low": tidy(low),
        "high": tidy(high),
        "share": tidy(estimate.value / total.value) if total.value > 0 else None,
        "tokens": list(subset.tokens),
        "count": len(subset.tokens),
        "words": subset.describe(),
        "decoding": subset.decoding(),
        "caution": caution,
        "unit": unit,
    }


def tidy(value: float) -> float | None:
    """Seven digits; None where there is no number, for JSON has no other word for that."""
    return float(f"{value:.7g}") if math.isfinite(value) else None


def selection_text(measured: Information, subset: Subset, unit: Unit) -> list[str]:
    """The selected tokens in a few lines."""
    estimate, total = measured.total(subset.tokens, unit), measured.total(unit=unit)
    words = subset.describe()
    lines = [f"{words[:1].upper()}{words[1:]} ({len(subset.tokens)} of {subset.count}): I = {with_error(estimate)}"]
    if math.isfinite(estimate.standard_error):
        low, high = interval(estimate)
        lines[0] += f", 95 % interval {low:.2f} to {high:.2f}"
    lines.append(f"bias-corrected {estimate.corrected:.2f} {unit}")
    if total.value > 0:
        share = 100 * estimate.value / total.value
        lines.append(f"{share:.1f} % of the information of all {subset.count} tokens, {with_error(total)}")
    return [*lines, subset.decoding()]


def level_text(measured: Information, levels: Levels, unit: Unit) -> list[str]:
    """A table of the levels, each on its own and with all before it."""
    rows = [["level", "tokens", f"I of the level [{unit}]", f"I of the prefix [{unit}]"]]
    for level, place in enumerate(levels.slices):
        alone, prefix = measured.total(place, unit), measured.total(slice(place.stop), unit)
        tokens = f"{place.start + 1}" if level == 0 else f"{place.start + 1} to {place.stop}"
        rows.append(
            [str(level), tokens, *(with_error(estimate).removesuffix(f" {unit}") for estimate in (alone, prefix))]
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  " + "   ".join(map(str.rjust, row, widths)) for row in rows]


def with_error(estimate: Estimate) -> str:
    """The number with its standard error, where that is known."""
    return str(estimate) if math.isfinite(estimate.standard_error) else f"{estimate.value:.2f} {estimate.unit}"


def with_levels(table: xr.Dataset) -> xr.Dataset:
    """b(u) of every token with the level it belongs to."""
    return table.assign_coords(level=("token", np.log2(table.token.values + 1).astype(int)))
