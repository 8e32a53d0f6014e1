"""What the neighbours of an image predict at every budget of ordered codes: votes of the nearest, and whole rankings.

Features are cut to the budget, then scaled to unit length; their products, the cosine similarities, add up over
budgets. Images of the same object never count, so that gallery and queries may be the same images. Similarities that
differ by less than `TIE` are equal: short codes of few states give the same one to many images, whose order in the
data must not decide. All neighbours as near as the k-th vote, and all images of equal similarity share their rank.
"""

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
import xarray as xr
from jaxtyping import Bool, Float32, Float64, Int64
from torch import Tensor

from prior_lab.errors import InputError
from prior_lab.probes.samples import Samples, accuracy_table, check_splits, nested_widths, summary

TIE = 1e-6
TINY = 1e-30  # squared length of an image without features, whose similarities are 0
CHUNK = 1024  # queries at once


def nearest_neighbours(
    gallery: Samples,
    queries: Samples,
    *,
    widths: Mapping[int, int],
    taxonomies: Sequence[str],
    k: int = 20,
    temperature: float = 0.07,
) -> xr.Dataset:
    """Labels of images, voted by their nearest neighbours of other objects (as in DINOv2, Oquab et al. 2023).

    Parameters
    ----------
    gallery : the neighbours; an image without a label in a taxonomy is none there.
    queries : the images to be classified; on the same device.
    widths : how many leading columns each budget [token] reads.
    taxonomies : names of the columns of labels.
    k : number of neighbours.
    temperature : of the softmax over their cosine similarities that weighs the votes.

    Returns
    -------
    Dataset with

    - `accuracy` (budget, taxonomy): mean over objects of the share of their images that is correct;
      `interval` (budget, taxonomy, bound): its 95 % percentile bootstrap over objects;
    - `correct_by_object` (budget, taxonomy, object): that share; NaN for objects without a label;
    - `predicted` (budget, taxonomy, image): label index of every query; -1 where it has no label, or no neighbour.

    Raises
    ------
    InputError : if gallery, queries and widths do not go together, or k or the temperature is not positive.
    """
    check_splits({"gallery": gallery, "query": queries}, taxonomies)
    budgets = nested_widths(widths, gallery)
    if k < 1 or not temperature > 0:
        raise InputError(f"k is {k} and the temperature {temperature}; both must be positive.")
    votes = [_one_hot(labels) for labels in gallery.labels.T]

    def predict(rows: Int64[Tensor, "query"]) -> Int64[Tensor, "budget taxonomy query"]:
        foreign = queries.objects[rows, None] != gallery.objects
        near = similarities(queries.features[rows], gallery.features, list(budgets.values()))
        return torch.stack(
            [torch.stack([_vote(here, foreign, vote, k, temperature) for vote in votes]) for here in near]
        )

    predicted = torch.cat([predict(rows) for rows in chunks(queries)], dim=2)
    return accuracy_table(predicted, queries, list(budgets), taxonomies)


def retrieval(samples: Samples, *, widths: Mapping[int, int], taxonomies: Sequence[str]) -> xr.Dataset:
    """How well an image finds those of the same label among all images of other objects.

    Parameters
    ----------
    samples : queries and gallery at once.
    widths : how many leading columns each budget [token] reads.
    taxonomies : names of the columns of labels.

    Returns
    -------
    Dataset with

    - `mean_average_precision` (budget, taxonomy): mean over objects of the mean over their images of the average
      precision, with an image as the query, of the ranking of the others by cosine similarity;
      `interval` (budget, taxonomy, bound): its 95 % percentile bootstrap over objects;
    - `average_precision_by_object` (budget, taxonomy, object): the mean over an object's images; NaN for objects
      without a label, or whose label no other object has.

    Raises
    ------
    InputError : if samples and widths do not go together, or no two objects have the same label in a taxonomy.
    """
    check_splits({"given": samples}, taxonomies)
    budgets = nested_widths(widths, samples)

    def measured(rows: Int64[Tensor, "query"]) -> Float64[Tensor, "budget taxonomy query"]:
        foreign = samples.objects[rows, None] != samples.objects
        near = similarities(samples.features[rows], samples.features, list(budgets.values()))
        return torch.stack([_average_precision(here, foreign, samples.labels, rows) for here in near])

    scores = torch.cat([measured(rows) for rows in chunks(samples)], dim=2).cpu().numpy()
    for taxonomy, there in zip(taxonomies, ~np.isnan(scores).all(axis=(0, 2)), strict=True):
        if not there:
            raise InputError(
                f"No two objects have the same label in the taxonomy {taxonomy}: there is nothing to find."
            )
    names = {"mean": "mean_average_precision", "by_object": "average_precision_by_object"}
    return summary(scores, samples.objects, list(budgets), taxonomies, **names)


def chunks(samples: Samples) -> Sequence[Int64[Tensor, "_"]]:
    """Positions of all images, as many at once as similarities are held of."""
    return torch.arange(len(samples), device=samples.features.device).split(CHUNK)


def similarities(
    queries: Float32[Tensor, "query column"], gallery: Float32[Tensor, "image column"], widths: Sequence[int]
) -> Iterator[Float32[Tensor, "query image"]]:
    """Cosine similarities at each width, from the products with the columns that it adds."""
    products = queries.new_zeros(len(queries), len(gallery))
    squares, gallery_squares = queries.new_zeros(len(queries), 1), gallery.new_zeros(len(gallery))
    for start, stop in zip([0, *widths], widths, strict=False):
        new, gallery_new = queries[:, start:stop], gallery[:, start:stop]
        products = products.addmm(new, gallery_new.T)
        squares = squares + new.square().sum(dim=1, keepdim=True)
        gallery_squares = gallery_squares + gallery_new.square().sum(dim=1)
        yield products * squares.clamp_min(TINY).rsqrt() * gallery_squares.clamp_min(TINY).rsqrt()


def _one_hot(labels: Int64[Tensor, "image"]) -> Float32[Tensor, "image label"]:
    """A vote of each image for its label; none of images without."""
    return (labels[:, None] == torch.arange(int(labels.max()) + 1, device=labels.device)).float()


def _vote(
    similarity: Float32[Tensor, "query image"],
    foreign: Bool[Tensor, "query image"],
    votes: Float32[Tensor, "image label"],
    k: int,
    temperature: float,
) -> Int64[Tensor, "query"]:
    """The label with most of the weights of the nearest images that count; -1 where none does."""
    near = similarity.masked_fill(~(foreign & votes.any(dim=1)), -math.inf)
    nearest = near.topk(min(k, near.shape[1])).values
    voting = near.masked_fill_(near < nearest[:, -1:] - TIE, -math.inf)
    tally = (voting / temperature).softmax(dim=1).nan_to_num_(0.0) @ votes  # NaN where no image counts
    return torch.where(tally.any(dim=1), tally.argmax(dim=1), -1)


def _average_precision(
    similarity: Float32[Tensor, "query image"],
    foreign: Bool[Tensor, "query image"],
    labels: Int64[Tensor, "image taxonomy"],
    rows: Int64[Tensor, "query"],
) -> Float64[Tensor, "taxonomy query"]:
    """Of every query in every taxonomy, over the foreign images with a label; NaN where there is nothing to find."""
    ranked, order = similarity.masked_fill(~foreign, -math.inf).sort(dim=1, descending=True)
    last = _last_of_ties(ranked)
    precisions = []
    for column in labels.T:
        counts = (column[order] >= 0) & ranked.isfinite()
        found = counts & (column[order] == column[rows, None])
        precision = found.cumsum(dim=1).gather(1, last) / counts.cumsum(dim=1).gather(1, last).double()
        precisions.append(precision.masked_fill(~found, 0.0).sum(dim=1) / found.sum(dim=1))
    return torch.stack(precisions)


def _last_of_ties(ranked: Float32[Tensor, "query image"]) -> Int64[Tensor, "query image"]:
    """For each place of falling rows, the last one that is reached without a step of `TIE`."""
    end = ranked.shape[1] - 1
    places = torch.arange(end + 1, device=ranked.device).expand_as(ranked)
    ends = places.masked_fill(ranked - ranked.roll(-1, dims=1) < TIE, end)
    return ends.flip(1).cummin(dim=1).values.flip(1)
