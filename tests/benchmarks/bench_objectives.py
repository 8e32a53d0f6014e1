"""NT-Xent of seven heads and SSIM at seven budgets, each in one batch, against a call of the peer for each."""

from collections.abc import Iterator

import torch
from timing import Row, compare
from torch import Generator, Tensor

from prior_lab.objectives import nt_xent
from prior_lab.quality import quality

HEADS, VIEWS, CHANNELS, TEMPERATURE = 7, 128, 32, 0.1
BUDGETS, IMAGES, SIDE = 7, 32, 64
TOLERANCE = 1e-4


def contrastive_loss(device: torch.device) -> Iterator[Row]:
    """Forward and backward pass of NT-Xent for the 64 pairs of the preset laptop; the peer goes over pairs of pairs."""
    from pytorch_metric_learning.losses import NTXentLoss

    drawn = torch.randn(HEADS, VIEWS, CHANNELS, generator=Generator().manual_seed(0)).to(device)
    objects = torch.arange(VIEWS // 2, device=device).repeat_interleave(2)
    peer = NTXentLoss(temperature=TEMPERATURE)

    def ours() -> Tensor:
        losses = nt_xent(drawn.detach().requires_grad_(), TEMPERATURE)
        losses.sum().backward()
        return losses.detach()

    def theirs() -> Tensor:
        losses = torch.stack([peer(head, objects) for head in drawn.detach().requires_grad_()])
        losses.sum().backward()
        return losses.detach()

    failures = _differences(ours(), theirs())
    times = compare(ours, theirs, device, limit=5.0)
    name = f"NT-Xent, forward and backward, {HEADS} heads, {VIEWS} views"
    yield Row(
        name=name,
        against="pytorch-metric-learning",
        **vars(times),
        failures=failures,
    )


def similarity(device: torch.device) -> Iterator[Row]:
    """SSIM of 32 images at every budget."""
    from torchmetrics.functional.image import structural_similarity_index_measure as ssim

    generator = Generator().manual_seed(0)
    truth = torch.rand(IMAGES, 3, SIDE, SIDE, generator=generator).to(device)
    noise = torch.rand(BUDGETS, IMAGES, 3, SIDE, SIDE, generator=generator).to(device)
    guesses = torch.lerp(truth, noise, torch.linspace(0.5, 0.1, BUDGETS, device=device)[:, None, None, None, None])

    def ours() -> Tensor:
        told = quality(truth.expand_as(guesses).flatten(0, 1), guesses.flatten(0, 1)).sel(metric="SSIM")
        return torch.from_numpy(told.values).view(BUDGETS, IMAGES)

    @torch.inference_mode()
    def theirs() -> Tensor:
        return torch.stack([ssim(guess, truth, sigma=1.5, data_range=1.0, reduction="none") for guess in guesses]).cpu()

    failures = _differences(ours(), theirs())
    times = compare(ours, theirs, device)
    yield Row(
        name=f"SSIM, L1, L2 and PSNR, {BUDGETS} budgets of {IMAGES} images",
        against="torchmetrics, SSIM alone",
        **vars(times),
        images_per_second=BUDGETS * IMAGES / times.seconds,
        failures=failures,
    )


def _differences(ours: Tensor, theirs: Tensor) -> tuple[str, ...]:
    worst = (ours - theirs).abs().max().item()
    return (f"values differ from the peer's by {worst:.1e}",) if not worst <= TOLERANCE else ()
