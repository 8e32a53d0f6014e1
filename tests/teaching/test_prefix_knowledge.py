"""Lesson 6: its checks tell right answers from typical wrong ones, the finder finds, and the claims hold."""

import re

import numpy as np
import pytest
import torch
import xarray as xr
from torch.nn import functional

import prior_lab as pl
from prior_lab import results
from prior_lab.data import ImageDataset
from prior_lab.probes import Samples, matching
from prior_lab.teaching import NotYet
from prior_lab.teaching import prefix_knowledge as lesson

ARTISTS = ("noto", "twemoji", "openmoji")
LOG2 = float(np.log(2))


@pytest.fixture(scope="module")
def fashion() -> xr.DataTree:
    return pl.load_study("fashion-contrastive")


@pytest.fixture
def drawings() -> ImageDataset:
    """Seven concepts in the order of two groups, by three artists; the last one did not draw the last concept."""
    pairs = [(concept, artist) for concept in range(7) for artist in range(3) if (concept, artist) != (6, 2)]
    objects, artists = (torch.tensor(column) for column in zip(*pairs, strict=True))
    generator = torch.Generator().manual_seed(0)
    return ImageDataset(
        name="drawings", split="test", objects=objects, masks=None, prompts=None,
        images=torch.randint(0, 256, (len(pairs), 3, 8, 8), generator=generator, dtype=torch.uint8),
        object_names=("octopus", "oak_tree", "pig", "ant", "bed", "bell", "jar"), taxonomies=("group", "artist"),
        labels=torch.stack([(objects > 3).long(), artists], dim=1),
        label_names=(("animals", "things"), ARTISTS),
    )  # fmt: skip


@pytest.fixture
def features(drawings: ImageDataset) -> dict[int, torch.Tensor]:
    """Chance at one token; with three the concept itself is told."""
    noise = torch.randn(len(drawings), 4, generator=torch.Generator().manual_seed(1))
    return {1: noise, 3: torch.cat([noise, 9 * functional.one_hot(drawings.objects, 7).float()], dim=1)}


@pytest.fixture
def finder(drawings: ImageDataset, features: dict[int, torch.Tensor]) -> lesson.Finder:
    return lesson.Finder(drawings, features, concept="pig")


# ------------------------------------------------------------ pictures and the finder


def test_pairs_stand_side_by_side(drawings):
    views = lesson.pairs_of(drawings, ("noto", "openmoji"), ["bed", "pig"])
    assert drawings.objects[views].tolist() == [4, 4, 2, 2]
    assert drawings.labels[views, 1].tolist() == [0, 2, 0, 2]


def test_a_concept_that_one_of_them_did_not_draw_makes_no_pair(drawings):
    with pytest.raises(pl.InputError, match="did not both draw 'jar'"):
        lesson.pairs_of(drawings, ("noto", "openmoji"), ["jar"])
    with pytest.raises(pl.InputError, match="no drawings by 'nobody'"):
        lesson.pairs_of(drawings, ("noto", "nobody"), ["jar"])
    assert lesson.shared(drawings, 6, ("noto", "openmoji")) == ["octopus", "oak_tree", "pig", "ant", "bed", "bell"]


def test_the_scheme_shows_every_drawing_and_every_cosine(drawings):
    views = lesson.pairs_of(drawings, ("noto", "twemoji"), ["pig", "ant", "bed"])
    cosines = torch.eye(6) * 0.5 + 0.25
    picture = lesson.contrastive_scheme(drawings, views, cosines, ("noto", "twemoji"))._repr_svg_()
    assert picture.count("<image") == 6 + 6
    framed = re.findall(rf'rx="4" fill="#[0-9a-f]+" stroke="{lesson.TOGETHER}"', picture)
    assert len(framed) == 3, "partners"
    assert picture.count(">0.2<") == 9, "of first hands with second ones"


def test_sliding_the_prefix_draws_another_row(finder):
    before = finder.row.value
    finder.budget.value = 3
    assert finder.row.value != before
    assert "3 tokens: its own concept is at place 1 of 7" in finder.words.value


def test_the_finder_agrees_with_matching(drawings, features):
    for budget, values in features.items():
        finder = lesson.Finder(drawings, features)
        finder.budget.value = budget
        places = []
        for concept in range(7):
            finder.concept.value = concept
            places.append(finder.find().place)
        asked = drawings.labels[:, 1] == 0
        samples = Samples(values, drawings.labels, drawings.objects)
        table = matching(
            samples, drawings.labels[:, 1], widths={budget: values.shape[1]}, asking=asked,
            answering=drawings.labels[:, 1] == 1,
        )  # fmt: skip
        assert float(table["matched"].sel(measure="reciprocal rank")[0]) == pytest.approx(np.mean(1 / np.array(places)))


def test_the_finder_says_who_did_not_draw_it(finder):
    finder.answering.value = "openmoji"
    finder.concept.value = 6
    assert finder.find() is None
    assert finder.summary() == "jar: openmoji did not draw it"


def test_a_stored_page_has_a_row_for_every_budget(finder):
    assert finder.ladder().height == 2 * (finder.TILE + 12)
    bundle = finder._repr_mimebundle_()
    assert "image/png" in bundle
    assert bundle["text/plain"].startswith("Finder(pig by noto, 1 token: its own concept is at place ")


# ------------------------------------------------------------ exercise 1


def loss(views, temperature, *, unit=True, own=False, step=1, reduce=torch.mean):
    rows, place = functional.normalize(views, dim=1) if unit else views, torch.arange(len(views))
    logits = rows @ rows.T / temperature
    others = logits if own else logits.masked_fill(torch.eye(len(views), dtype=torch.bool), -torch.inf)
    partner = place ^ 1 if step == 1 else (place + step) % len(views)
    return reduce(others.logsumexp(dim=1) - logits[place, partner])


def test_nt_xent_is_recognised(capsys):
    lesson.check_nt_xent(loss)
    assert capsys.readouterr().out.startswith("Right.")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda views, t: None, "Fill in the cell above"),
        (lambda views, t: loss(views, t, own=True), "still has the view itself"),
        (lambda views, t: loss(views, t, unit=False), "not cosines yet"),
        (lambda views, t: loss(views, 1.0), "temperature is missing"),
        (lambda views, t: loss(views, 1 / t), "multiplied by the temperature"),
        (lambda views, t: -loss(views, t), "sign is turned round"),
        (lambda views, t: loss(views, t, step=5), "Partners are neighbours"),
        (lambda views, t: loss(views, t, reduce=torch.sum), "take their mean"),
        (lambda views, t: loss(views, t, reduce=lambda losses: losses), "10 numbers"),
        (lambda views, t: views @ views, "stopped with RuntimeError"),
        (lambda views, t: 3.25, "equation 9 gives"),
        (7, "should be a function"),
    ],
)
def test_nt_xent_with_a_mistake_is_told_which(answer, words):
    with pytest.raises(NotYet, match=words):
        lesson.check_nt_xent(answer)


# ------------------------------------------------------------ exercise 2


def within(arm, bits, *, unit=LOG2, shift=1):
    spent = arm["information"].mean("seed").values.cumsum() / unit
    fitting = [int(budget) for budget in arm["budget"].values if spent[budget - shift] <= bits]
    return max(fitting, default=0)


def test_equal_bits_are_recognised(fashion, capsys):
    lesson.check_budget_within(within, fashion)
    assert capsys.readouterr().out.startswith("Right.")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda arm, bits: ..., "Fill in"),
        (lambda arm, bits: within(arm, bits, unit=1.0), "Divide by log 2"),
        (lambda arm, bits: 127, "but these cost"),
        (lambda arm, bits: 5, "none of the budgets 1, 3, 7"),
        (lambda arm, bits: 1, "which fits too"),
        (
            lambda arm, bits: max(
                int(b) for b in arm["budget"].values if b * float(lesson.bits_by_budget(arm)[-1]) / 127 <= bits
            ),
            "do not all cost the same",
        ),
    ],
)
def test_another_budget_is_told_what_is_wrong_with_it(fashion, answer, words):
    with pytest.raises(NotYet, match=words):
        lesson.check_budget_within(answer, fashion)


def test_bits_of_a_prefix_are_those_of_its_tokens(fashion):
    arm = fashion["prior-gaussian"]
    spent = lesson.bits_by_budget(arm)
    assert float(spent.sel(budget=127)) == pytest.approx(float(arm["information"].mean("seed").sum()) / np.log(2))
    assert float(spent.sel(budget=1)) == pytest.approx(float(arm["information"].mean("seed")[0]) / np.log(2))


# ------------------------------------------------------------ exercise 3


def test_an_honest_report_is_recognised(capsys):
    lesson.check_honest(lambda scores, first, second: scores[scores[:, first].mean(axis=1).argmax(), second].mean())
    assert capsys.readouterr().out.startswith("Right.")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda scores, first, second: None, "Fill in"),
        (lambda scores, first, second: scores[:, first].mean(1).max(), "objects that it won on"),
        (lambda scores, first, second: scores[:, second].mean(1).max(), "on `second` again"),
        (lambda scores, first, second: scores[:, first].mean(1).argmax(), "number of the winner"),
        (lambda scores, first, second: scores[scores[:, first].mean(1).argmax()].mean(), "half of them helped"),
        (lambda scores, first, second: scores[:, second].mean(), "mean of all candidates"),
        (lambda scores, first, second: 2.0, "random numbers"),
    ],
)
def test_a_flattered_report_is_told_how(answer, words):
    with pytest.raises(NotYet, match=words):
        lesson.check_honest(answer)


def test_the_best_of_many_that_know_nothing_looks_good_where_it_was_chosen_and_nowhere_else():
    guesses = xr.DataArray(
        np.random.default_rng(0).integers(0, 2, (80, 200)).astype(float), dims=("candidate", "object")
    )
    halves = lesson.halvings(guesses, lambda s, first, second: s[s[:, first].mean(1).argmax(), second].mean())
    assert halves.told > 0.58
    assert halves.held == pytest.approx(0.5, abs=0.03)


# ------------------------------------------------------------ exercise 4


def test_a_split_by_concept_is_recognised(drawings, capsys):
    test = torch.isin(drawings.objects, torch.tensor([1, 4]))
    lesson.check_split(test, drawings.objects, drawings.labels[:, 0], drawings.label_names[0])
    assert capsys.readouterr().out.startswith("Right.")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (..., "Fill in"),
        ([0, 3], "true or false for each of the 20"),
        (torch.zeros(20, dtype=torch.bool), "on one side"),
        (torch.arange(20) % 3 == 0, "of the 7 concepts that you test are also on the other side"),
        (torch.arange(20) >= 18, "10 % of the drawings are tested"),
        (torch.arange(20) >= 12, "No drawing of things is left"),
    ],
)
def test_another_split_is_told_what_is_wrong_with_it(drawings, answer, words):
    with pytest.raises(NotYet, match=words):
        lesson.check_split(answer, drawings.objects, drawings.labels[:, 0], drawings.label_names[0])


def test_a_neighbour_that_is_the_same_concept_knows_its_label(drawings, features):
    by_drawing = torch.arange(20) % 3 == 0
    assert lesson.known_by_neighbour(features[3], drawings.labels[:, 0], by_drawing).all()


# ------------------------------------------------------------ exercise 5


@pytest.fixture(scope="module")
def ahead(fashion) -> dict[str, results.Lead]:
    """Leads of the right value; their intervals take longer and are not checked."""
    return {
        name: results.Lead(lesson._ahead_of(fashion, "prior-gaussian", name), 0.0, 0.0)
        for name in ("untrained", "pixels", "majority")
    }


def test_what_was_learnt_is_recognised(fashion, ahead, capsys):
    before = float(fashion["prior-gaussian"]["untrained_information"].sum()) / np.log(2)
    lesson.check_learnt(before, ahead["untrained"], fashion, "prior-gaussian")
    assert capsys.readouterr().out.startswith("Right.")


@pytest.mark.parametrize(
    ("bits", "over", "words"),
    [
        (lambda arm: ..., "untrained", "Fill in"),
        (lambda arm: float(arm["untrained_information"].sum()), "untrained", "in nats"),
        (lambda arm: float(lesson.bits_by_budget(arm)[-1]), "untrained", "what the trained code carries"),
        (lambda arm: float(arm["untrained_information"].mean()) / np.log(2), "untrained", "one token's"),
        (lambda arm: float(arm["untrained_information"].sum()) * np.log(2), "untrained", "multiplied by log 2"),
        (lambda arm: 1.0, "untrained", "add up to another"),
        (lambda arm: float(arm["untrained_information"].sum()) / np.log(2), "pixels", "the lead over pixels"),
        (lambda arm: float(arm["untrained_information"].sum()) / np.log(2), "majority", "the lead over majority"),
    ],
)
def test_what_was_not_learnt_is_told(fashion, ahead, bits, over, words):
    with pytest.raises(NotYet, match=words):
        lesson.check_learnt(bits(fashion["prior-gaussian"]), ahead[over], fashion, "prior-gaussian")


def test_a_number_is_no_lead(fashion):
    before = float(fashion["prior-gaussian"]["untrained_information"].sum()) / np.log(2)
    with pytest.raises(NotYet, match="should be one lead"):
        lesson.check_learnt(before, 0.026, fashion, "prior-gaussian")
    with pytest.raises(NotYet, match="another arm's"):
        lesson.check_learnt(before, results.Lead(0.5, 0.4, 0.6), fashion, "prior-gaussian")


# ------------------------------------------------------------ what the text says


def test_a_code_carries_more_bits_before_it_has_learnt_than_after(fashion):
    arm = fashion["prior-gaussian"]
    assert float(arm["untrained_information"].sum()) > 1.5 * float(arm["information"].mean("seed").sum())


def test_the_lead_without_its_interval_is_that_of_results(fashion):
    few = xr.DataTree.from_dict(
        {name: node.to_dataset(inherit=False).isel(object=slice(0, 500)) if "object" in node.dims else node.to_dataset()
         for name, node in (("/", fashion), ("/prior-gaussian", fashion["prior-gaussian"]))}
    )  # fmt: skip
    found = results.leads_over(few, "prior-gaussian", baseline="pixels")[0]
    assert lesson._ahead_of(few, "prior-gaussian", "pixels") == pytest.approx(found.value)
