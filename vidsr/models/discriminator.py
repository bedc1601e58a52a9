"""UNetDiscriminatorSN: the network that Real-ESRGAN's generators were trained against.

Not used to upscale: it judges every pixel of a picture, for training and for comparing outputs.
Parameters carry the official names, with the weight_orig, weight_u and weight_v of torch's older
spectral norm, so the published netD checkpoints load strictly. It knows layers only.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

# Not torch.nn.utils.parametrizations.spectral_norm: that one names its tensors otherwise
# (parametrizations.weight.original), and published netD checkpoints would not load.
from torch.nn.utils import spectral_norm

SLOPE = 0.2  # negative slope of every LeakyReLU


class UNetDiscriminatorSN(nn.Module):
    """Three halvings, three doublings, and a score a pixel (higher: more like a real picture).

    num_in_ch: channels of the picture. num_feat: channels at full resolution, doubled at each
    halving. skip_connection: add the way down's features of the same size on the way up.

    All convolutions but the first and the last are spectrally normalised and have no bias.
    """

    def __init__(self, num_in_ch: int = 3, num_feat: int = 64, *, skip_connection: bool = True) -> None:
        super().__init__()
        self.skip_connection = skip_connection
        self.conv0 = nn.Conv2d(num_in_ch, num_feat, 3, 1, 1)
        self.conv1 = _normalised(num_feat, num_feat * 2, halve=True)
        self.conv2 = _normalised(num_feat * 2, num_feat * 4, halve=True)
        self.conv3 = _normalised(num_feat * 4, num_feat * 8, halve=True)
        self.conv4 = _normalised(num_feat * 8, num_feat * 4)
        self.conv5 = _normalised(num_feat * 4, num_feat * 2)
        self.conv6 = _normalised(num_feat * 2, num_feat)
        self.conv7 = _normalised(num_feat, num_feat)
        self.conv8 = _normalised(num_feat, num_feat)
        self.conv9 = nn.Conv2d(num_feat, 1, 3, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """x: (N, num_in_ch, H, W), H and W multiples of 8. Gives (N, 1, H, W), unbounded."""
        full = _leaky(self.conv0(x))  # (N, f, H, W)
        half = _leaky(self.conv1(full))  # (N, 2f, H/2, W/2)
        quarter = _leaky(self.conv2(half))  # (N, 4f, H/4, W/4)
        eighth = _leaky(self.conv3(quarter))  # (N, 8f, H/8, W/8)

        up = _leaky(self.conv4(_double(eighth)))  # (N, 4f, H/4, W/4)
        if self.skip_connection:
            up = up + quarter
        up = _leaky(self.conv5(_double(up)))  # (N, 2f, H/2, W/2)
        if self.skip_connection:
            up = up + half
        up = _leaky(self.conv6(_double(up)))  # (N, f, H, W)
        if self.skip_connection:
            up = up + full

        score: Tensor = self.conv9(_leaky(self.conv8(_leaky(self.conv7(up)))))
        return score


def _normalised(in_channels: int, out_channels: int, *, halve: bool = False) -> nn.Module:
    kernel, stride = (4, 2) if halve else (3, 1)
    convolution = nn.Conv2d(in_channels, out_channels, kernel, stride, 1, bias=False)
    return spectral_norm(convolution)


def _leaky(x: Tensor) -> Tensor:
    return F.leaky_relu(x, negative_slope=SLOPE, inplace=True)


def _double(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
