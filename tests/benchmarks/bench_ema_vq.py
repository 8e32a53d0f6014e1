"""A training step of EMA-VQ tokens against `vector-quantize-pytorch`, timed in turn in one process.

Forward and backward pass and the update of 127 codebooks of 255 codes, for a batch of 256. The peer has one codebook
per head as well, the same decay and smoothing, plain straight-through gradients (its default, the rotation trick, takes
longer) and a commitment loss. It has no null state and, here, no replacement of dead codes: ours does both besides.
"""

import pytest
import torch
from bench_training_step import compare
from torch import Generator
from vector_quantize_pytorch import VectorQuantize

from prior_lab.tokens import EMAVQTokens

BATCH, TOKENS, CODES = 256, 127, 255


@pytest.mark.parametrize("channels", [32, 128])
def test_ema_vq_step_against_vector_quantize_pytorch(channels: int) -> None:
    def drawn(seed: int) -> torch.Tensor:
        """Vectors away from zero, so that none of them is in the null state, which the peer has not."""
        return 3.0 + torch.randn(BATCH, TOKENS, channels, generator=Generator().manual_seed(seed))

    features, direction = drawn(0), drawn(2)
    tokens = EMAVQTokens(channels, heads=TOKENS, codes=CODES).train()
    peer = VectorQuantize(
        dim=TOKENS * channels, codebook_dim=channels, heads=TOKENS, separate_codebook_per_head=True,
        codebook_size=CODES, decay=tokens.decay, eps=tokens.smoothing, threshold_ema_dead_code=0,
        commitment_weight=1.0, rotation_trick=False,
    ).train()  # fmt: skip
    with torch.no_grad():  # both start at the same codes, all in use
        tokens(drawn(1))
        tokens.counts.fill_(1.0)
        peer._codebook.embed.copy_(tokens.codes)
        peer._codebook.embed_avg.copy_(tokens.codes)
        peer._codebook.cluster_size.fill_(1.0)

    def ours() -> torch.Tensor:
        posterior = tokens(features.detach().requires_grad_())
        torch.autograd.backward([posterior.values(), tokens.regulariser(posterior)], [direction, None])
        return posterior.index

    def theirs() -> torch.Tensor:
        values, index, loss = peer(features.flatten(1)[:, None].detach().requires_grad_())
        torch.autograd.backward([values, loss], [direction.flatten(1)[:, None], None])
        return index[:, 0]

    # the same step, but for vectors that lie as near to a second code as float32 tells
    assert (ours() - 1 == theirs()).float().mean() > 0.999
    assert torch.isclose(tokens.codes, peer._codebook.embed, atol=1e-4).float().mean() > 0.999
    assert compare(f"EMA-VQ step, {channels} channels, vector-quantize-pytorch over ours", ours, theirs) >= 3.0
