"""A training step of EMA-VQ tokens against `vector-quantize-pytorch`.

Forward and backward pass and the update of 127 codebooks of 255 codes, for a batch of 256. The peer has one codebook
per head as well, the same decay and smoothing, plain straight-through gradients (its default, the rotation trick, takes
longer) and a commitment loss. It has no null state and, here, no replacement of dead codes: ours does both besides.
"""

from collections.abc import Iterator

import torch
from timing import Row, at_least, compare
from torch import Generator, Tensor

from prior_lab.tokens import EMAVQTokens

BATCH, TOKENS, CODES = 256, 127, 255


def ema_vq(device: torch.device) -> Iterator[Row]:
    """Tokens of 32 and of 128 channels."""
    for channels in (32, 128):
        yield _ema_vq(device, channels)


def _ema_vq(device: torch.device, channels: int) -> Row:
    from vector_quantize_pytorch import VectorQuantize

    def drawn(seed: int) -> Tensor:
        """Vectors away from zero, so that none of them is in the null state, which the peer has not."""
        noise = torch.randn(BATCH, TOKENS, channels, generator=Generator().manual_seed(seed))
        return (3.0 + noise).to(device)

    features, direction = drawn(0), drawn(2)
    tokens = EMAVQTokens(channels, heads=TOKENS, codes=CODES).to(device).train()
    peer = VectorQuantize(
        dim=TOKENS * channels, codebook_dim=channels, heads=TOKENS, separate_codebook_per_head=True,
        codebook_size=CODES, decay=tokens.decay, eps=tokens.smoothing, threshold_ema_dead_code=0,
        commitment_weight=1.0, rotation_trick=False,
    ).to(device).train()  # fmt: skip
    with torch.no_grad():  # both start at the same codes, all in use
        tokens(drawn(1))
        tokens.counts.fill_(1.0)
        peer._codebook.embed.copy_(tokens.codes)
        peer._codebook.embed_avg.copy_(tokens.codes)
        peer._codebook.cluster_size.fill_(1.0)

    def ours() -> Tensor:
        posterior = tokens(features.detach().requires_grad_())
        torch.autograd.backward([posterior.values(), tokens.regulariser(posterior)], [direction, None])
        return posterior.index

    def theirs() -> Tensor:
        values, index, loss = peer(features.flatten(1)[:, None].detach().requires_grad_())
        torch.autograd.backward([values, loss], [direction.flatten(1)[:, None], None])
        return index[:, 0]

    # the same step, but for vectors that lie as near to a second code as float32 tells
    same_index = (ours() - 1 == theirs()).float().mean().item()
    same_codes = torch.isclose(tokens.codes, peer._codebook.embed, atol=1e-4).float().mean().item()
    failures = [
        f"only {share:.2%} of the {noun} are those of the peer"
        for share, noun in ((same_index, "indices"), (same_codes, "codes"))
        if share <= 0.999
    ]
    times = compare(ours, theirs, device)
    return Row(
        name=f"EMA-VQ, training step, {channels} channels",
        against="vector-quantize-pytorch",
        **vars(times),
        goal=at_least(3, times.ratio),
        failures=tuple(failures),
    )
