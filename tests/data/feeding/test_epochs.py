"""Which images a step sees: a function of the seed and the step, every image once an epoch."""

import pytest
import torch

from prior_lab import InputError
from prior_lab.data.feeding.epochs import batch_indices, epoch_order


def test_an_epoch_sees_every_image_once():
    orders = [epoch_order(100, seed, epoch) for seed in (0, 1) for epoch in (0, 1, 2)]
    for order in orders:
        assert order.dtype == torch.int64
        assert order.sort().values.tolist() == list(range(100))
    assert len({tuple(order.tolist()) for order in orders}) == 6


def test_seeds_and_epochs_do_not_mix():
    assert not torch.equal(epoch_order(100, 1, 11), epoch_order(100, 11, 1))
    assert not torch.equal(epoch_order(100, -1, 0), epoch_order(100, 1, 0))


@pytest.mark.parametrize("batch", [1, 3, 10, 25])
def test_batches_are_the_epochs_one_after_the_other(batch: int):
    seen = torch.cat([batch_indices(10, batch, 5, step) for step in range(60 // batch)])
    expected = torch.cat([epoch_order(10, 5, epoch) for epoch in range(6)])
    assert torch.equal(seen, expected[: len(seen)])


def test_a_resumed_run_sees_what_it_would_have_seen():
    straight = [batch_indices(10, 4, 0, step) for step in range(20)]
    for step in (13, 2, 19, 7):  # whatever was asked for before
        assert torch.equal(batch_indices(10, 4, 0, step), straight[step])


@pytest.mark.parametrize("ranks", [1, 2, 3, 6])
@pytest.mark.parametrize("step", [0, 1, 2, 40])
def test_the_parts_of_all_processes_are_the_batch_of_one(ranks: int, step: int):
    parts = [batch_indices(8, 6, 3, step, rank=rank, ranks=ranks) for rank in range(ranks)]
    assert {len(part) for part in parts} == {6 // ranks}
    assert torch.equal(torch.cat(parts), batch_indices(8, 6, 3, step))


def test_writing_to_an_order_or_a_batch_changes_no_other():
    expected = epoch_order(10, 0, 0)
    epoch_order(10, 0, 0).zero_()
    batch_indices(10, 10, 0, 0).zero_()
    batch_indices(10, 4, 0, 0).zero_()
    assert torch.equal(epoch_order(10, 0, 0), expected)


def test_the_global_random_stream_is_left_alone():
    state = torch.get_rng_state()
    batch_indices(50, 4, 0, 0)
    assert torch.equal(torch.get_rng_state(), state)


def test_wrong_numbers_are_told():
    with pytest.raises(InputError, match="a batch of 32 images cannot be divided among 3 processes; expected a mult"):
        batch_indices(100, 32, 0, 0, ranks=3)
    with pytest.raises(InputError, match="there is no process 2 of 2; expected a number from 0 to one less than 2"):
        batch_indices(100, 32, 0, 0, rank=2, ranks=2)
    for count, batch, step in ((0, 4, 0), (10, 4, -1), (10, 0, 0)):
        with pytest.raises(InputError, match="expected"):
            batch_indices(count, batch, 0, step)
    for count, epoch in ((0, 0), (10, -1)):
        with pytest.raises(InputError, match="expected at least one image, epochs from 0"):
            epoch_order(count, 0, epoch)
