"""`paper`: the paper's numbers."""

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import tyro

from prior_lab.commands.answers import Answer, Answering, table

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True, kw_only=True)
class Paper(Answering):
    """Print the paper's tables as the package holds them: one of 2 to 5, or all."""

    table: tyro.conf.Positional[Literal[2, 3, 4, 5] | None] = None
    """Number of the table; all four, if not given."""

    def answer(self, command: str) -> Answer:
        """Look them up."""
        from prior_lab import paper

        functions = {2: paper.table2, 3: paper.table3, 4: paper.table4, 5: paper.table5}
        tables: dict[str, Any] = {}
        texts = []
        for number, function in functions.items():
            if self.table in (None, number):
                values, title = function(), (function.__doc__ or "").partition("\n")[0]
                tables[str(number)] = {"title": title} | _values(values)
                texts.append(f"Table {number} ({values.attrs['source']}). {title}\n{_text(values)}")
        return Answer({"tables": tables}, "\n\n".join(texts))


def _values(grid: "xr.DataArray") -> dict[str, Any]:
    coords = {dim: grid[dim].values.tolist() for dim in map(str, grid.dims)}
    return {"name": grid.name, **grid.attrs, "dims": list(coords), "coords": coords, "values": grid.values.tolist()}


def _text(grid: "xr.DataArray") -> str:
    """The last dimension side by side, the others in rows; what the paper leaves blank stays blank."""
    *outer, last = (str(dim) for dim in grid.dims)
    rows = [
        [", ".join(labels), *("" if np.isnan(value) else f"{value:g}" for value in row)]
        for labels, row in zip(
            product(*(map(str, grid[dim].values) for dim in outer)),
            grid.values.reshape(-1, grid.sizes[last]),
            strict=True,
        )
        if not np.isnan(row).all()
    ]
    return table([last, *map(str, grid[last].values)], rows)
