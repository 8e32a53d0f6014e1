"""What the results of probes look like, and every sentence about input that cannot be used."""

import math
from dataclasses import replace

import pytest
import torch
from probe_samples import TAXONOMIES, WIDTHS

from prior_lab.errors import InputError
from prior_lab.probes import Samples, linear_probes, nearest_neighbours, retrieval

OPTIONS = {"widths": WIDTHS, "taxonomies": TAXONOMIES}


def test_results_are_in_the_order_and_units_that_are_promised(splits):
    linear = linear_probes(*splits, **OPTIONS, strengths=[1.0])
    voted = nearest_neighbours(splits[0], splits[2], **OPTIONS)
    found = retrieval(splits[2], **OPTIONS)
    dims = {
        "accuracy": ("budget", "taxonomy"), "interval": ("budget", "taxonomy", "bound"),
        "correct_by_object": ("budget", "taxonomy", "object"), "predicted": ("budget", "taxonomy", "image"),
    }  # fmt: skip
    chosen = dict.fromkeys(("strength", "objective", "validation_accuracy"), ("budget", "taxonomy"))
    ranked = {
        "mean_average_precision": ("budget", "taxonomy"), "interval": ("budget", "taxonomy", "bound"),
        "average_precision_by_object": ("budget", "taxonomy", "object"),
    }  # fmt: skip
    for table, expected in ((linear, dims | chosen | {"majority": ("taxonomy",)}), (voted, dims), (found, ranked)):
        assert {name: variable.dims for name, variable in table.data_vars.items()} == expected
        assert all("units" in variable.attrs for variable in table.variables.values())
        assert table.budget.units == "token"
        assert table.taxonomy.values.tolist() == list(TAXONOMIES)
        assert table.object.values.tolist() == splits[2].objects.unique().tolist()
    assert linear.objective.units == "nat"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"features": torch.zeros(8)}, r"The features have shape \(8,\) and are torch.float32; expected 2 dimensions"),
        ({"features": torch.zeros(8, 3).double()}, "are torch.float64; expected 2 dimensions of torch.float32"),
        ({"labels": torch.zeros(8, dtype=torch.int64)}, r"The labels have shape \(8,\)"),
        ({"objects": torch.zeros(8)}, r"The objects have shape \(8,\) and are torch.float32; expected 1 dimensions of"),
        ({"features": torch.zeros(9, 3)}, "features of 9 images, labels of 8 and objects of 8"),
        ({"features": torch.zeros(8, 0)}, r"Features of shape \(8, 0\) hold nothing to probe"),
        ({"features": torch.full((8, 3), math.nan)}, "The features hold NaN or infinite numbers"),
        ({"features": torch.full((8, 3), -math.inf)}, "The features hold NaN or infinite numbers"),
        ({"labels": torch.full((8, 2), -2)}, "A label is -2; labels are 0 and above, or -1 for none"),
    ],
)
@pytest.mark.usefixtures("no_shape_checks")
def test_tensors_that_cannot_be_samples_are_refused(change, sentence):
    fine = {"features": torch.zeros(8, 3), "labels": torch.zeros(8, 2).long(), "objects": torch.arange(8)}
    with pytest.raises(InputError, match=sentence):
        Samples(**(fine | change))


def test_no_images_are_refused():
    with pytest.raises(InputError, match=r"Features of shape \(0, 3\) hold nothing to probe"):
        Samples(torch.zeros(0, 3), torch.zeros(0, 2).long(), torch.arange(0))


def unlabelled(samples: Samples) -> Samples:
    return replace(samples, labels=torch.stack([samples.labels[:, 0], torch.full((len(samples),), -1)], dim=1))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"widths": {}}, "The widths are {}; expected budgets of 1 token or more that read 1 to 360 columns"),
        ({"widths": {1: 24, 3: 361}}, "expected budgets of 1 token or more that read 1 to 360 columns"),
        ({"widths": {0: 24}}, "expected budgets of 1 token or more"),
        ({"widths": {1: 0}}, "that read 1 to 360 columns"),
        ({"widths": {1: 72, 3: 24}}, "every budget must read more columns than the one before it"),
        ({"widths": {1: 24, 3: 24}}, "every budget must read more columns than the one before it"),
        ({"taxonomies": []}, r"The taxonomies are \[\]; expected one or more different names"),
        ({"taxonomies": ["fine", "fine"]}, "expected one or more different names"),
        ({"taxonomies": ["fine"]}, "The training labels have 2 columns for the 1 taxonomies fine"),
        ({"strengths": []}, r"The strengths are \[\]; expected one or more positive numbers"),
        ({"strengths": [0.1, 0.0]}, "expected one or more positive numbers"),
        ({"strengths": [math.nan]}, "expected one or more positive numbers"),
        ({"strengths": [math.inf]}, "expected one or more positive numbers"),
    ],
)
def test_wrong_widths_taxonomies_and_strengths_are_told(splits, change, sentence):
    with pytest.raises(InputError, match=sentence):
        linear_probes(*splits, **(OPTIONS | change))


@pytest.mark.parametrize(
    ("split", "change", "sentence"),
    [
        (0, unlabelled, "No image of the training split has a label in the taxonomy fine"),
        (1, unlabelled, "No image of the validation split has a label in the taxonomy fine"),
        (2, unlabelled, "No image of the test split has a label in the taxonomy fine"),
        (
            0,
            lambda it: replace(it, labels=it.labels.clamp_max(0)),
            "same label in the taxonomy coarse; a probe needs two",
        ),
        (
            1,
            lambda it: replace(it, features=it.features[:, :300]),
            "The validation features have 300 columns, others 360",
        ),
        (
            2,
            lambda it: replace(it, labels=it.labels[:, :1]),
            "The test labels have 1 columns for the 2 taxonomies coarse",
        ),
    ],
)
def test_splits_that_do_not_go_together_are_told(splits, split, change, sentence):
    changed = [change(samples) if index == split else samples for index, samples in enumerate(splits)]
    with pytest.raises(InputError, match=sentence):
        linear_probes(*changed, **OPTIONS)


@pytest.mark.parametrize("options", [{"k": 0}, {"temperature": 0.0}, {"temperature": math.nan}])
def test_votes_need_neighbours_and_a_temperature(splits, options):
    with pytest.raises(InputError, match="both must be positive"):
        nearest_neighbours(splits[0], splits[2], **OPTIONS, **options)


def test_neighbours_and_queries_must_go_together(splits):
    with pytest.raises(InputError, match="No image of the gallery split has a label in the taxonomy fine"):
        nearest_neighbours(unlabelled(splits[0]), splits[2], **OPTIONS)
    with pytest.raises(InputError, match="The query labels have 1 columns"):
        nearest_neighbours(splits[0], replace(splits[2], labels=splits[2].labels[:, :1]), **OPTIONS)


def test_retrieval_needs_two_objects_of_a_label(splits):
    alone = replace(splits[2], labels=splits[2].objects[:, None].expand(-1, 2))
    with pytest.raises(InputError, match="No two objects have the same label in the taxonomy coarse"):
        retrieval(alone, **OPTIONS)
