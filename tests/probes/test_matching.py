"""Images that find their object among those of another source."""

import pytest
import torch
from torch import Generator, Tensor

from prior_lab.errors import InputError
from prior_lab.probes import Samples, matching

OBJECTS = 6


def drawings(features: Tensor, sources: int) -> tuple[Samples, Tensor]:
    """Every object drawn by every source, source by source."""
    objects = torch.arange(OBJECTS).repeat(sources)
    labels = torch.zeros(len(objects), 1, dtype=torch.int64)
    return Samples(features, labels, objects), torch.arange(sources).repeat_interleave(OBJECTS)


def test_a_budget_that_names_the_object_finds_it_always_and_one_that_is_constant_is_last():
    """Ties share the last rank, so a constant code is worse than chance, never better."""
    same, named = torch.ones(OBJECTS, 1), torch.eye(OBJECTS)
    features = torch.cat([same, 9 * named], dim=1).repeat(3, 1)
    table = matching(*drawings(features, 3), widths={1: 1, 3: 1 + OBJECTS})
    assert table.matched.sel(budget=3).values.tolist() == [1, 1, 1]
    assert table.matched.sel(budget=1).values == pytest.approx([0, 0, 1 / OBJECTS])
    assert table.chance.values == pytest.approx([1 / 6, 5 / 6, (1 + 1 / 2 + 1 / 3 + 1 / 4 + 1 / 5 + 1 / 6) / 6])


def test_features_at_random_are_as_good_as_chance(generator: Generator):
    features = torch.randn(40 * OBJECTS, 4, generator=generator)
    table = matching(*drawings(features, 40), widths={1: 4})
    assert table.matched.sel(budget=1).values == pytest.approx(table.chance.values, abs=0.03)


def test_only_other_sources_answer_and_only_those_that_may():
    """The third source draws every object like its neighbour: whoever finds it there is wrong."""
    named = torch.eye(OBJECTS)
    samples, sources = drawings(torch.cat([named, named, named.roll(1, 0)]), 3)
    trusted = sources < 2
    assert matching(samples, sources, widths={1: OBJECTS}, asking=trusted, answering=trusted).matched[0, 0] == 1
    lost = matching(samples, sources, widths={1: OBJECTS}, asking=~trusted, answering=trusted)
    assert lost.matched[0, 0] == 0
    assert matching(samples, sources, widths={1: OBJECTS}).matched[0, 0] == pytest.approx(1 / 3)


def test_ranks_are_those_of_a_plain_sort(generator: Generator):
    features = torch.randn(4 * OBJECTS, 5, generator=generator)
    samples, sources = drawings(features, 4)
    unit = torch.nn.functional.normalize(features, dim=1)
    inverse = []
    for query in range(len(samples)):
        for source in set(sources.tolist()) - {int(sources[query])}:
            gallery = (sources == source).nonzero()[:, 0]
            order = gallery[(unit[gallery] @ unit[query]).argsort(descending=True)]
            inverse.append(1 / (1 + samples.objects[order].tolist().index(int(samples.objects[query]))))
    measured = matching(samples, sources, widths={1: 5}).matched.sel(budget=1, measure="reciprocal rank")
    assert float(measured) == pytest.approx(sum(inverse) / len(inverse))


@pytest.mark.usefixtures("no_shape_checks")
def test_what_cannot_be_matched_is_said():
    samples, sources = drawings(torch.eye(OBJECTS).repeat(2, 1), 2)
    with pytest.raises(InputError, match="No query has its object in another source"):
        matching(samples, torch.zeros_like(sources), widths={1: 2})
    with pytest.raises(InputError, match=r"sources is of shape \(3,\); expected one of each of 12 images"):
        matching(samples, sources[:3], widths={1: 2})
