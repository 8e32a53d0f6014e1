"""Results -> figures: pure functions, no kernel, no state.

Curves are :class:`plotly.graph_objects.Figure` objects; a strip of reconstructions is a Pillow image, because a stored
notebook shows a PNG everywhere, and `to_svg` makes a picture of a figure, for the same reason.

Examples
--------
The curves of a study, and the table that they are drawn from:

>>> import prior_lab as pl
>>> table = pl.figures.curve_table(pl.load_study("household-reconstruction"), "Gaussian")
>>> [str(name) for name in table.ordering.values]
['PRIOR', 'MBOP-ITD', 'MBOP-TD']
>>> figure = pl.figures.quality_curves(table, "SSIM", budget=31)
>>> figure.layout.yaxis.title.text
'SSIM...'
"""

from prior_lab.figures.accuracy import accuracy_by_prefix, accuracy_curves
from prior_lab.figures.curves import quality_curves
from prior_lab.figures.files import quality_against_bytes
from prior_lab.figures.information import (
    accuracy_against_information,
    information_per_token,
    rate_distortion,
    token_bars,
)
from prior_lab.figures.pictures import reconstruction_strip
from prior_lab.figures.search import search_progress
from prior_lab.figures.style import (
    COLOURS,
    INK,
    METRICS,
    PAPER_ORDERINGS,
    SYMBOLS,
    colour_of,
    house_template,
    metric_style,
    require,
    symbol_of,
)
from prior_lab.figures.svg import store_pictures, to_svg
from prior_lab.figures.tables import accuracy_by_kind, accuracy_table, curve_table, study_arms, study_groups

__all__ = [
    "COLOURS",
    "INK",
    "METRICS",
    "PAPER_ORDERINGS",
    "SYMBOLS",
    "accuracy_against_information",
    "accuracy_by_kind",
    "accuracy_by_prefix",
    "accuracy_curves",
    "accuracy_table",
    "colour_of",
    "curve_table",
    "house_template",
    "information_per_token",
    "metric_style",
    "quality_against_bytes",
    "quality_curves",
    "rate_distortion",
    "reconstruction_strip",
    "require",
    "search_progress",
    "store_pictures",
    "study_arms",
    "study_groups",
    "symbol_of",
    "to_svg",
    "token_bars",
]
