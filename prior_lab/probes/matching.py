"""Whether an image finds its object among images from another source: a drawing its concept among another artist's.

A query is compared with the images of one other source at a time, every object there once or more; its rank is that of
the best image of its own object. Images as similar as that one share the last of their ranks, so that a code of few
states gains nothing from ties. What chance would give is part of the result.
"""

import math
from collections.abc import Iterator, Mapping

import numpy as np
import torch
import xarray as xr
from jaxtyping import Bool, Float32, Float64, Int64
from torch import Tensor

from prior_lab.checks import entry_point
from prior_lab.errors import InputError
from prior_lab.probes.neighbours import TIE, chunks, similarities
from prior_lab.probes.samples import Samples, nested_widths, object_means, summary

MEASURES = ("recall at 1", "recall at 5", "reciprocal rank")


@entry_point
def matching(
    samples: Samples,
    sources: Int64[Tensor, "sample"],
    *,
    widths: Mapping[int, int],
    asking: Bool[Tensor, "sample"] | None = None,
    answering: Bool[Tensor, "sample"] | None = None,
) -> xr.Dataset:
    """How well images find their object among the images of each other source, by cosine similarity.

    Parameters
    ----------
    samples : queries and galleries at once; labels are not read.
    sources : where each image comes from, such as its artist.
    widths : how many leading columns each budget [token] reads.
    asking, answering : which images are queries, and which may be found; all, if not given.

    Returns
    -------
    Dataset with

    - `matched` (budget, measure): mean over objects of the mean over their images and the other sources that have the
      object, of `MEASURES`: whether its rank is 1, is at most 5, and its inverse;
      `interval` (budget, measure, bound): its 95 % percentile bootstrap over objects;
    - `matched_by_object` (budget, measure, object): an object's own mean; NaN where nothing was asked;
    - `chance` (measure), `chance_by_object` (measure, object): the same for a ranking at random.

    Raises
    ------
    InputError : if samples, sources and widths do not go together, or no query has its object in another source.
    """
    everywhere = torch.ones(len(samples), dtype=torch.bool, device=samples.features.device)
    asked = everywhere if asking is None else asking
    there = everywhere if answering is None else answering
    for name, given in (("sources", sources), ("asking", asked), ("answering", there)):
        if given.shape != (len(samples),):
            raise InputError(f"{name} is of shape {tuple(given.shape)}; expected one of each of {len(samples)} images.")
    budgets = nested_widths(widths, samples)
    galleries = [((sources == source) & there).nonzero()[:, 0] for source in sources[there].unique()]
    parts = []
    for rows in chunks(samples):
        known = list(_ranks(samples, sources, rows, galleries, list(budgets.values())))
        parts.append(torch.stack(known) if known else torch.full((len(MEASURES), len(rows)), math.nan))
    scores = torch.cat(parts, dim=-1).where(asked.cpu(), math.nan).numpy()
    if np.isnan(scores).all():
        raise InputError("No query has its object in another source; there is nothing to find.")
    names = {"mean": "matched", "by_object": "matched_by_object"}
    table = summary(scores[:-1], samples.objects, list(budgets), MEASURES, **names)
    chance = xr.DataArray(object_means(scores[-1], samples.objects), dims=("taxonomy", "object"), attrs={"units": "1"})
    table = table.assign(chance=chance.mean("object", keep_attrs=True), chance_by_object=chance)
    return table.rename(taxonomy="measure")


def _ranks(
    samples: Samples,
    sources: Int64[Tensor, "sample"],
    rows: Int64[Tensor, "query"],
    galleries: list[Int64[Tensor, "_"]],
    widths: list[int],
) -> Iterator[Float64[Tensor, "measure query"]]:
    """Means of the measures over galleries at each width, and of a ranking at random; NaN without a gallery."""
    own = samples.objects[rows, None] == samples.objects
    foreign = sources[rows, None] != sources
    for similarity in similarities(samples.features[rows], samples.features, widths):
        scores = [_scored(_rank(similarity[:, g], (own & foreign)[:, g])) for g in galleries]
        yield torch.stack(scores).nanmean(dim=0).cpu()
    yield torch.stack([_by_chance((own & foreign)[:, g]) for g in galleries]).nanmean(dim=0).cpu()


def _rank(similarity: Float32[Tensor, "query image"], wanted: Bool[Tensor, "query image"]) -> Float64[Tensor, "query"]:
    """The last place of the best wanted image among all that are as similar; NaN where none is wanted."""
    best = similarity.masked_fill(~wanted, -math.inf).amax(dim=1, keepdim=True)
    ahead = (similarity > best - TIE) & ~wanted
    return (1 + ahead.sum(dim=1)).double().where(wanted.any(dim=1), math.nan)


def _scored(rank: Float64[Tensor, "query"]) -> Float64[Tensor, "measure query"]:
    hits = torch.stack([(rank <= 1).double(), (rank <= 5).double(), 1 / rank])
    return hits.where(rank.isfinite(), math.nan)


def _by_chance(wanted: Bool[Tensor, "query image"]) -> Float64[Tensor, "measure query"]:
    """Of one wanted image, at a place drawn at random."""
    count = wanted.shape[1]
    inverse = sum(1 / place for place in range(1, count + 1)) / count
    expected = torch.tensor([1 / count, min(5, count) / count, inverse], dtype=torch.float64, device=wanted.device)
    return expected[:, None].where(wanted.any(dim=1), math.nan)
