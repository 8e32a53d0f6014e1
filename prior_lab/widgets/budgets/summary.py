"""The numbers on screen as text: what a notebook prints, so that they are checked when it runs again."""

import xarray as xr

from prior_lab.figures import metric_style
from prior_lab.widgets.budgets.gallery import Page
from prior_lab.widgets.words import wrapped

COLUMNS = ("SSIM", "L1", "PSNR")


def summary_text(name: str, page: Page, table: xr.Dataset, budget: int) -> str:
    """A table of the shown images, and one of the whole study where there is one."""
    budgets = [int(value) for value in table.budget.values]
    metrics = [metric for metric in COLUMNS if metric in table.metric.values]
    lines = [f"{name}: budget {budget} of {budgets[-1]} tokens (step {budgets.index(budget) + 1} of {len(budgets)})"]
    shown = page.scores.sel(budget=budget).mean("image")
    count = len(page.captions)
    lines += ["", *wrapped(f"{count} image{'s' * (count > 1)} shown: {', '.join(page.captions)}")]
    lines += _rows(metrics, shown)
    if bool(table.interval.notnull().any()):
        lines += ["", "all test objects (mean and 95 % interval)"]
        lines += _rows(metrics, table.quality.sel(budget=budget), table.interval.sel(budget=budget))
    return "\n".join(lines)


def _rows(metrics: list[str], values: xr.DataArray, interval: xr.DataArray | None = None) -> list[str]:
    cells = [[str(label) for label in ("", *metrics)]]
    for label in values.ordering.values:
        row = [str(label)]
        for metric in metrics:
            write = metric_style(metric).text
            text = write(float(values.sel(ordering=label, metric=metric)))
            if interval is not None:
                low, high = (float(interval.sel(ordering=label, metric=metric, bound=b)) for b in ("low", "high"))
                text += f" [{write(low)}, {write(high)}]"
            row.append(text)
        cells.append(row)
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    rows = [[row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])] for row in cells]
    return ["  " + "   ".join(row) for row in rows]
