"""A study in a few numbers: means over seeds at every budget, for the terminal and for programs."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from prior_lab.commands.answers import table

if TYPE_CHECKING:
    import xarray as xr


def study_summary(study: "xr.DataTree", path: Path) -> dict[str, Any]:
    """Where a study lies and what its arms are worth: every metric or label level at every budget, mean over seeds."""
    return {
        "name": study.attrs["name"],
        "file": str(path),
        "task": study.attrs["task"],
        "data": study.attrs["dataset"],
        "arms": {name: _arm(arm) for name, arm in study.children.items()},
    }


def study_table(study: "xr.DataTree") -> str:
    """SSIM, or the accuracy of linear probes at the finest label level, of every arm at every budget.

    Beside accuracies stand those of the baselines, the ceiling among them if it was trained, and by how much each run's
    probes of the whole code are ahead of the pixels' on the same objects.
    """
    curves = {}
    for name, arm in study.children.items():
        worth = _worth(arm).mean("seed")
        if study.attrs["task"] == "reconstruction":
            curves[name], title = worth.sel(metric="SSIM"), "SSIM at budget"
        else:
            curves[name], title = worth.isel(taxonomy=-1), f"{worth.taxonomy.values[-1]} accuracy at budget"
    budgets = next(iter(curves.values())).budget.values
    rows = [[name, *(f"{value:.3f}" for value in curve.values)] for name, curve in curves.items()]
    told = table([title, *map(str, budgets)], rows)
    return told if study.attrs["task"] == "reconstruction" else f"{told}\n\n{_beside(study)}"


def _beside(study: "xr.DataTree") -> str:
    """Baselines with their intervals, and leads over the pixels' probe, at the finest label level."""
    from prior_lab.results import leads_over

    finest = study.to_dataset().isel(taxonomy=-1)
    rows = []
    for name in finest["baseline"].values.tolist():
        low, high = finest["baseline_interval"].sel(baseline=name).values
        rows.append(
            [name, f"{finest['baseline_accuracy'].sel(baseline=name).item():.3f}", f"({low:.3f} to {high:.3f})"]
        )
    leads = [
        [name, *map(str, leads_over(study, name).values())] for name in study.children if "pixels" in finest["baseline"]
    ]
    width = max((len(lead) for lead in leads), default=1)
    leads = [lead + [""] * (width - len(lead)) for lead in leads]
    head = ["ahead of pixels, whole code", *(f"run {number + 1}" for number in range(width - 1))]
    return f"{table(['baseline', 'accuracy', '95 % interval'], rows)}\n\n{table(head, leads)}"


def _worth(arm: "xr.DataTree") -> "xr.DataArray":
    return arm.dataset["quality" if "quality" in arm else "accuracy"]


def _arm(arm: "xr.DataTree") -> dict[str, Any]:
    worth = _worth(arm)
    kind = "metric" if "metric" in worth.dims else "taxonomy"
    curves = worth.mean("seed").transpose(kind, "budget")
    return {
        "ordering": arm.attrs["ordering"],
        "tokens": arm.attrs["token_kind"],
        "model": arm.attrs["model"],
        "seeds": worth.seed.values.tolist(),
        "budgets": worth.budget.values.tolist(),
        str(worth.name): {str(name): curves.sel({kind: name}).values.tolist() for name in curves[kind].values},
    }


def search_summary(result: "xr.Dataset", path: Path) -> dict[str, Any]:
    """What a search found: the best settings, and every trial."""
    from prior_lab.search import best, objective

    found = objective(result)
    trials = [
        {
            "stage": str(result.stage.sel(trial=number).item()),
            "steps": int(result.horizon.sel(trial=number)),
            "settings": _settings(result, number),
            "objective": float(found.sel(trial=number)),
        }
        for number in result.trial.values.tolist()
    ]
    return {"file": str(path), "arms": result.arm.values.tolist(), "best": best(result), "trials": trials}


def search_table(result: "xr.Dataset") -> str:
    """Every trial with its settings and its objective, and the best settings."""
    from prior_lab.search import best, objective

    found = objective(result)
    rows = []
    for number in result.trial.values.tolist():
        told = [f"{value:.3g}" for value in _settings(result, number).values()]
        stage, steps = str(result.stage.sel(trial=number).item()), str(int(result.horizon.sel(trial=number)))
        rows.append([str(number), stage, steps, *told, f"{float(found.sel(trial=number)):.4f}"])
    head = ["trial", "stage", "steps", *result.setting.values.tolist(), "objective"]
    chosen = "  ".join(f"{name} {value:.3g}" for name, value in best(result).items())
    return f"{table(head, rows)}\nbest for {', '.join(result.arm.values.tolist())}: {chosen}"


def _settings(result: "xr.Dataset", trial: int) -> dict[str, float]:
    values = result.setting_value.sel(trial=trial).values.tolist()
    return dict(zip(result.setting.values.tolist(), values, strict=True))
