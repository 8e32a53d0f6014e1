"""The arithmetic of levels."""

import pytest
import torch

from prior_lab.errors import InputError
from prior_lab.levels import Levels


def test_seven_levels_hold_the_papers_127_tokens_and_budgets() -> None:
    levels = Levels(7)
    assert levels.tokens == 127
    assert levels.sizes == (1, 2, 4, 8, 16, 32, 64)
    assert levels.budgets == (1, 3, 7, 15, 31, 63, 127)


@pytest.mark.parametrize("count", [1, 2, 5, 7])
def test_slices_tile_the_code_level_by_level(count: int) -> None:
    levels = Levels(count)
    tokens = [token for place in levels.slices for token in range(place.start, place.stop)]
    assert tokens == list(range(levels.tokens))
    assert [place.stop for place in levels.slices] == list(levels.budgets)


def test_loss_weights_are_those_of_equation_6() -> None:
    weights = Levels(7).weights()
    z = sum(2.0**-k for k in range(7))
    expected = torch.tensor([2.0 ** -(6 - level) / z for level in range(7)])
    torch.testing.assert_close(weights, expected)
    assert weights.sum().item() == pytest.approx(1.0)


def test_children_of_a_cell_surround_its_centre() -> None:
    levels = Levels(7)
    for level in range(6):
        parents, children = levels.centres(level), levels.centres(level + 1)
        torch.testing.assert_close(children.view(-1, 2, 2).mean(dim=1), parents)


def test_the_64_cells_of_the_last_level_are_an_8_by_8_grid() -> None:
    points = {tuple(point) for point in Levels(7).centres(6).tolist()}
    assert points == {((x + 0.5) / 8, (y + 0.5) / 8) for x in range(8) for y in range(8)}


def test_an_impossible_number_of_levels_is_refused() -> None:
    with pytest.raises(InputError, match="1 to 16 levels, not 0"):
        Levels(0)
