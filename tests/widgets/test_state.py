"""What is shown, tested as plain objects."""

import numpy as np
import pytest
import torch

from prior_lab.errors import InputError
from prior_lab.widgets.budgets.state import BudgetState
from prior_lab.widgets.pictures import Pictures, Selection, readable


@pytest.fixture
def state():
    return BudgetState(budgets=(1, 3, 7), metrics=("SSIM", "L1"), budget=3, metric="SSIM")


def test_every_setting_is_checked_and_the_old_one_stays(state):
    for name, value, sentence in (
        ("budget", 20, "20 is not a budget of this study; choose one of 1, 3, 7."),
        ("metric", "FID", "FID is not a metric of this study; choose one of SSIM, L1."),
        ("view", "depth", "depth is not a view of this explorer; choose one of image, added, error."),
    ):
        with pytest.raises(InputError) as raised:
            setattr(state, name, value)
        assert str(raised.value) == sentence
    assert (state.budget, state.metric, state.view) == (3, "SSIM", "image")


def test_one_frame_of_every_object_is_shown(dataset):
    pictures = Pictures.of(dataset)
    assert len(pictures.images) == len(pictures.captions) == len(dataset.objects.unique())
    assert torch.equal(pictures.images[1], dataset.images[2])
    assert pictures.captions[1] == "bookshelf 1"


@pytest.mark.parametrize(
    ("name", "caption"),
    [("BlendSwap-CC-0/oakTable_2", "oak table 2"), ("bag", "bag"), ("a/Lamp-old", "lamp old")],
)
def test_captions_are_object_names_in_words(name, caption):
    assert readable(name) == caption


def test_labels_choose_images_and_unlabelled_ones_are_only_among_all(dataset):
    pictures = Pictures.of(dataset)
    choices = {choice["value"]: choice for choice in pictures.choices()}
    assert choices["all"]["count"] == 20
    assert choices["class: Armchair"] == {"value": "class: Armchair", "group": "class", "label": "Armchair", "count": 4}
    by_class = np.concatenate([found for key, found in pictures.members.items() if key.startswith("class")])
    assert sorted(by_class) == list(range(19))


@pytest.mark.parametrize("shape", [(5, 3, 16, 20), (5, 16, 20, 3)])
def test_plain_images_are_taken_in_either_order(shape):
    images = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    pictures = Pictures.of(images)
    assert pictures.images.shape == (5, 3, 16, 20)
    expected = images if shape[1] == 3 else images.transpose(0, 3, 1, 2)
    assert np.array_equal(pictures.images, expected)


@pytest.mark.parametrize(
    ("images", "sentence"),
    [
        (np.zeros((5, 3, 16, 16)), "The images are of type float64; give uint8 values from 0 to 255."),
        (np.zeros((5, 16, 16), np.uint8), "The images have shape (5, 16, 16); give [n, 3, height, width]"),
        (np.zeros((0, 3, 16, 16), np.uint8), "The images have shape (0, 3, 16, 16)"),
        (torch.zeros(2, 1, 16, 16, dtype=torch.uint8), "The images have shape (2, 1, 16, 16)"),
    ],
)
def test_what_is_no_batch_of_images_is_refused(images, sentence):
    with pytest.raises(InputError) as raised:
        Pictures.of(images)
    assert str(raised.value).startswith(sentence)


def test_pages_go_through_every_image_once_and_round(dataset):
    selection = Selection(Pictures.of(dataset), count=8)
    seen = []
    for _ in range(3):
        seen += selection.indices
        selection.turn(1)
    assert sorted(seen) == list(range(20))
    assert selection.position == "1 to 8 of 20"
    selection.turn(-1)
    assert (selection.position, len(selection.indices)) == ("17 to 20 of 20", 4)


def test_a_shuffle_is_the_same_at_every_run(dataset):
    first, second = (Selection(Pictures.of(dataset)) for _ in range(2))
    before = first.indices
    first.shuffle()
    second.shuffle()
    assert first.indices == second.indices != before


def test_choices_and_fixed_images_are_checked(dataset):
    selection = Selection(Pictures.of(dataset))
    selection.choose("coarse: other")
    assert selection.position == "1 to 6 of 10"
    with pytest.raises(InputError, match="class: Spoon is not a label of this data set; choose one of all, coarse"):
        selection.choose("class: Spoon")
    with pytest.raises(InputError, match=r"There are no images \[20\]; give numbers from 0 to 19"):
        selection.fix((3, 20))
    selection.fix((3, 5))
    assert (selection.indices, selection.position) == ((3, 5), "2 chosen")
