"""The curves beneath the images, as a live figure."""

import plotly.graph_objects as go

# The canvas above has the legend, with the values at the budget.
CURVE_LAYOUT = {"showlegend": False, "margin": {"t": 34}, "height": 330}


class CurveFigure(go.FigureWidget):  # type: ignore[misc]
    """A figure that reaches the browser in one message.

    Plotly's own class announces itself before it has data and sends them after; a browser that is busy then may draw
    an empty plot. It is announced here when it is whole.

    Parameters
    ----------
    figure : as `prior_lab.figures.quality_curves` makes it.
    """

    _whole = False

    def __init__(self, figure: go.Figure) -> None:
        super().__init__(go.Figure(figure).update_layout(CURVE_LAYOUT))
        self.add_class("prior-lab-curves")
        self._config = {"responsive": True, "displayModeBar": False}  # plotly has no public setter
        self._whole = True
        self.open()

    def open(self) -> None:
        """Announce the widget to the browser, once it is whole."""
        if self._whole:
            super().open()
