"""The wavelet-space transformer's parts."""

import pytest
import pywt
import torch

from prior_lab.encoders import DecoderBank, Shape, WaveletEncoder, WaveletGrid
from prior_lab.levels import Levels


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("patch", [2, 4, 8, 16])
def test_the_grid_is_inverted_exactly(images: torch.Tensor, patch: int) -> None:
    grid = WaveletGrid(64, patch)
    tokens = grid(images)
    assert tokens.shape == (3, (64 // patch) ** 2, 3 * patch * patch)
    torch.testing.assert_close(grid.inverse(tokens), images, atol=1e-5, rtol=0)


def test_the_transforms_matrices_are_bands_without_tiny_numbers() -> None:
    """Denormals outside the bands would slow every product with them."""
    grid = WaveletGrid(64, 8)
    for name, matrix in grid.named_buffers():
        if name.startswith(("analysis", "synthesis")):
            present = matrix[matrix != 0].abs()
            assert present.min() > 1e-3
            assert len(present) <= 16 * len(matrix)


def test_the_transform_is_that_of_pywavelets(images: torch.Tensor) -> None:
    grid = WaveletGrid(64, 8)
    tokens = grid(images) * grid.get_buffer("scale") + grid.get_buffer("mean")
    coarse = images.numpy()
    for _ in range(3):
        coarse, _ = pywt.dwt2(coarse, "bior4.4", mode="periodization")
    lowest = tokens[..., :3].reshape(3, 8, 8, 3).permute(0, 3, 1, 2)
    torch.testing.assert_close(lowest, torch.from_numpy(coarse), atol=1e-4, rtol=0)


def test_a_place_of_the_grid_sees_its_own_part_of_the_image() -> None:
    spot = torch.zeros(1, 3, 64, 64)
    spot[:, :, 28:31, 44:47] = 1.0
    grid = WaveletGrid(64, 8)
    energy = (grid(spot) - grid(torch.zeros_like(spot))).square().sum(dim=-1).view(8, 8)
    assert divmod(int(energy.argmax()), 8) == (3, 5)


def test_features_are_normalised_and_come_from_one_head_or_one_per_level(images: torch.Tensor) -> None:
    levels = Levels(4)
    for heads in ((slice(0, 15),), levels.slices):
        encoder = WaveletEncoder(levels, heads, Shape(size=64, patch=16, width=32, channels=32, depth=1))
        features = encoder(images)
        assert features.shape == (3, 15, 32)
        torch.testing.assert_close(features.mean(-1), torch.zeros(3, 15), atol=1e-5, rtol=0)
        assert len(encoder.heads) == len(heads)


def test_batched_decoders_equal_each_decoder_alone() -> None:
    """Parameters of one group taken out of the bank and run alone give the same image."""
    torch.manual_seed(0)
    levels = Levels(4)
    shape = Shape(size=32, patch=8, width=32, channels=32, depth=1)
    bank = DecoderBank([levels.centres(level) for level in range(4)], shape, 4)
    states = [torch.randn(2, size, 32) for size in levels.sizes]
    images = bank(states)
    assert bank.counts == [4]
    for level in range(4):
        alone = DecoderBank([levels.centres(level)], shape, 4)
        weights = {name: value[level : level + 1] for name, value in bank.state_dict().items()}
        weights["decoders.0.positions"] = weights["decoders.0.positions"][:, :, : levels.sizes[level]]
        alone.load_state_dict(weights)
        torch.testing.assert_close(alone([states[level]])[0], images[level], atol=1e-5, rtol=1e-4)


def test_leading_states_decode_as_they_do_among_all() -> None:
    torch.manual_seed(0)
    levels = Levels(6)
    bank = DecoderBank(
        [levels.centres(level) for level in range(6)], Shape(64, patch=8, width=32, channels=32, depth=1), 4
    )
    states = [torch.randn(2, size, 32) for size in levels.sizes]
    assert bank.counts == [5, 1]
    everything = bank(states)
    for count in range(1, 7):
        for part, whole in zip(bank(states[:count]), everything, strict=False):
            torch.testing.assert_close(part, whole, atol=1e-5, rtol=1e-4)
