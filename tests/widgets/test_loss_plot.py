"""The live plot of a training run."""

from prior_lab.widgets import LossPlot


def record(step: int, **validation: float) -> dict[str, float]:
    return {"step": step, "loss": 0.5, "objective": 1.0 / step, **validation}


def test_the_plot_follows_a_run() -> None:
    plot = LossPlot()
    plot([record(50)])
    assert list(plot.figure.data[0].x) == [50]
    assert len(plot.figure.data) == 1
    history = [record(50), record(100, ssim_1=0.5, ssim_3=0.6), record(150), record(200, ssim_1=0.55, ssim_3=0.7)]
    plot(history[:2])
    plot(history)
    error, one, three = plot.figure.data
    assert list(error.x) == [50, 100, 150, 200]
    assert (one.name, three.name) == ("1 token", "3 tokens")
    assert list(three.x) == [100, 200]
    assert list(three.y) == [0.6, 0.7]


def test_a_contrastive_run_has_axes_of_its_own() -> None:
    plot = LossPlot()
    plot([record(50, ntxent_1=3.0, ntxent_3=2.5)])
    assert plot.figure.layout.yaxis2.title.text == "validation NT-Xent"
    assert plot.figure.layout.yaxis.title.text == "NT-Xent"
    assert list(plot.figure.data[2].y) == [2.5]


def test_the_plot_shows_itself() -> None:
    assert "application/vnd.jupyter.widget-view+json" in LossPlot()._repr_mimebundle_()
