"""Tables 2 to 5 of the paper as labelled arrays, for side-by-side views.

Ayari, Traub & Butz 2026, "Semantic Allocation in Ordered Bottlenecks: Predictive Residual Inference for Visual
Representation Learning", arXiv 2606.25232v1. The paper prints single numbers, without a spread over seeds; what it
leaves blank is NaN here. Its data (MVImgNet 2 and FFHQ) and its scale are not those of the bundled studies.

Examples
--------
>>> import prior_lab as pl
>>> ssim = pl.paper.table5().sel(metric="SSIM", budget=127)
>>> {str(name): round(float(value), 3) for name, value in zip(ssim.ordering.values, ssim.values)}
{'PRIOR': 0.764, 'MBOP-ITD': 0.699, 'MBOP-TD': 0.686}
"""

import csv
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import xarray as xr

TABLES = Path(__file__).parent / "bundled" / "paper"
SOURCE = "arXiv 2606.25232v1"


def table2() -> xr.DataArray:
    """Trainable parameters of the contrastive models, by part [million].

    Returns
    -------
    DataArray (architecture, token_kind, part); `total` leaves the projection heads out, `total_with_heads` has them.
    """
    rows = _rows("table2_parameters.csv")
    parts = [column for column in rows[0] if column not in ("architecture", "token", "unit")]
    cells = [{**row, "part": part, "value": row[part]} for row in rows for part in parts]
    dims = {"architecture": "architecture", "token_kind": "token", "part": "part"}
    return _table(cells, dims, "value", name="parameters", units="million")


def table3() -> xr.DataArray:
    """Contrastive loss on the validation set [nat].

    Returns
    -------
    DataArray (token_kind, ordering, tuning): `opt` was tuned alone, `match` jointly with the other masking ordering.
    """
    dims = {"token_kind": "token", "ordering": "ordering", "tuning": "tuning"}
    return _table(_rows("table3_ntxent_loss.csv"), dims, "ntxent_loss", name="ntxent_loss", units="nat")


def table4() -> xr.DataArray:
    """Accuracy of linear probes on frozen representations [%].

    Returns
    -------
    DataArray (token_kind, ordering, taxonomy, budget).
    """
    dims = {"token_kind": "token", "ordering": "ordering", "taxonomy": "taxonomy", "budget": "budget"}
    return _table(_rows("table4_probe_accuracy.csv"), dims, "accuracy_percent", name="accuracy", units="%")


def table5() -> xr.DataArray:
    """Reconstruction quality on FFHQ at budgets of 1, 15, 31 and 127 tokens; each of the four metrics has unit 1.

    L2 is the mean squared error: a root of it would have to be at least as large as L1, and is not.

    Returns
    -------
    DataArray (metric, ordering, budget).
    """
    dims = {"metric": "metric", "ordering": "ordering", "budget": "budget"}
    return _table(_rows("table5_reconstruction.csv"), dims, "value", name="quality", units="1")


def _rows(name: str) -> list[dict[str, str]]:
    with (TABLES / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _table(rows: list[dict[str, str]], dims: Mapping[str, str], value: str, *, name: str, units: str) -> xr.DataArray:
    """Rows as a grid: `dims` gives the column of every dimension; labels keep the order in which they first come."""
    labels = {dim: list(dict.fromkeys(row[column] for row in rows)) for dim, column in dims.items()}
    grid = np.full([len(found) for found in labels.values()], np.nan)
    for row in rows:
        place = tuple(labels[dim].index(row[column]) for dim, column in dims.items())
        grid[place] = float(row[value] or "nan")
    coords = {dim: [int(text) for text in found] if dim == "budget" else found for dim, found in labels.items()}
    return xr.DataArray(grid, coords=coords, dims=list(dims), name=name, attrs={"units": units, "source": SOURCE})
