"""Make a preset's int8 constants: presets/NAME.int8.safetensors.

    nice -n 15 python benchmarks/int8_tuning.py --steps 1500 --measure CLIP
    nice -n 15 python benchmarks/int8_tuning.py --steps 1500 --measure CLIP --resume state.pt

1. Channels are rescaled, which PReLU allows without changing the network (it is homogeneous), so that
   each fills the range of a byte; one that is mostly negative has its sign turned, so that one zero point
   suits all. The largest 0.04% of values are cut off. Layers 1 and 2 and the last read what is not rounded.
2. Weights, biases, slopes and ranges are tuned together against the network's own float32 output on drawn
   squares (`int8_material`): the gradient passes through rounding as if it were not there. The loss is the
   logarithm of each square's mean squared error, so that what counts is the mean PSNR.
3. PSNR on whole frames of the clips to measure on, through OpenVINO: the lowest of the clips' means is what
   the file says that int8 costs. The sample clip's artwork is in the material too; other clips are not.

One thread. A step takes 0.6 s of a core with AVX-512 BF16. Needs a network of the compact family with PReLU.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import torch
import torch.nn.functional as F
from int8 import pictures, psnr_db
from int8_material import squares
from torch import Tensor, nn

from vidsr.backends.openvino import OpenVinoBackend
from vidsr.models.compact import SRVGGNetCompact
from vidsr.presets import DEFAULT_MODEL, find_preset, preset_folders
from vidsr.weights.int8 import SUFFIX, Int8Constants, Int8Layer, save_constants
from vidsr.weights.store import LoadedNetwork, load_network

SIDE = 64
SEED = 1
CUT_OFF = 4e-4  # of the values of a channel; 0 gave 1.4 dB less before tuning, 1e-5 1.0 dB less
MOST = 127


class Chain(nn.Module):
    """The network as trainable numbers in the units of bytes: what is rounded are integers.

    weights: of all convolutions but the first, before rounding; unrounded: numbers of those that read what is
    not rounded; log_scales: what an integer of the sum is worth; gains: logarithms of what the bytes a layer
    reads are stretched by, folded away at the end.
    """

    zero_points: Tensor

    def __init__(self, network: SRVGGNetCompact, calibration: Tensor) -> None:
        super().__init__()
        convolutions = [layer for layer in network.body if isinstance(layer, nn.Conv2d)]
        weights = [layer.weight.detach().clone() for layer in convolutions]
        biases = [layer.bias.detach().clone() for layer in convolutions if layer.bias is not None]
        slopes = [layer.weight.detach().clone() for layer in network.body if isinstance(layer, nn.PReLU)]
        zero_points = torch.tensor(equalize(weights, biases, slopes, calibration))
        self.register_buffer("zero_points", zero_points)  # kept with the state: they belong to the weights
        self.unrounded = {0, 1, len(weights) - 2}
        self.scale = network.scale
        steps = [weight.abs().amax(dim=(1, 2, 3)) / MOST for weight in weights[1:]]
        self.first = nn.Parameter(weights[0])
        self.weights = nn.ParameterList(
            [weight / step[:, None, None, None] for weight, step in zip(weights[1:], steps, strict=True)]
        )
        self.log_scales = nn.ParameterList([step.log() for step in steps])
        self.biases = nn.ParameterList(biases)
        self.slopes = nn.ParameterList(slopes)
        self.gains = nn.ParameterList([torch.zeros_like(slope) for slope in slopes])

    def forward(self, picture: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, 3, H * scale, W * scale). bf16 holds the integers exactly."""
        h = F.prelu(F.conv2d(picture, self.first, self.biases[0], padding=1), self.slopes[0])
        for number, weight in enumerate(self.weights):
            zero, gain = int(self.zero_points[number]), self.gains[number].exp()
            seen = h * gain[:, None, None]
            if number not in self.unrounded:
                seen = rounded(seen, -zero, 255 - zero)
            integers = rounded(weight / gain[:, None, None], -MOST, MOST)
            sums = F.conv2d(seen.bfloat16(), integers.bfloat16(), padding=1).float()
            h = sums * self.log_scales[number].exp()[:, None, None] + self.biases[number + 1][:, None, None]
            if number + 1 < len(self.slopes):
                h = F.prelu(h, self.slopes[number + 1])
        larger = F.interpolate(picture, scale_factor=float(self.scale), mode="nearest")
        return F.pixel_shuffle(h, self.scale) + larger

    def constants(self, digest: str, loss_db: float) -> Int8Constants:
        """What is to be kept, the gains folded into scales, biases and weights."""
        gains = [gain.detach().exp() for gain in self.gains]
        layers = []
        for number, weight in enumerate(self.weights):
            integers = (weight.detach() / gains[number][:, None, None]).round().clamp(-MOST, MOST)
            scale, bias = self.log_scales[number].detach().exp(), self.biases[number + 1].detach()
            slope = None
            if number + 1 < len(gains):
                scale, bias = scale * gains[number + 1], bias * gains[number + 1]
                slope = self.slopes[number + 1].detach()
            zero = None if number in self.unrounded else int(self.zero_points[number])
            layers.append(Int8Layer(integers.to(torch.int8), scale, bias, slope, zero))
        return Int8Constants(
            weights_digest=digest,
            loss_db=loss_db,
            scale=self.scale,
            first_weight=self.first.detach() * gains[0][:, None, None, None],
            first_bias=self.biases[0].detach() * gains[0],
            first_slope=self.slopes[0].detach(),
            layers=tuple(layers),
        )


class Rounded(torch.autograd.Function):
    """round(x) within [low, high]; the gradient passes where x is within."""

    @staticmethod
    def forward(ctx, x, low, high):  # type: ignore[no-untyped-def]
        ctx.save_for_backward((x >= low - 0.5) & (x <= high + 0.5))
        return x.round().clamp_(low, high)

    @staticmethod
    def backward(ctx, gradient):  # type: ignore[no-untyped-def]
        (within,) = ctx.saved_tensors
        return gradient * within, None, None


def rounded(x: Tensor, low: int, high: int) -> Tensor:
    result: Tensor = Rounded.apply(x, low, high)  # type: ignore[no-untyped-call]  # so in torch
    return result


@torch.no_grad()
def equalize(weights: list[Tensor], biases: list[Tensor], slopes: list[Tensor], seen: Tensor) -> list[int]:
    """Rescale channels in place so that what each layer reads fills a byte; the zero point for each layer.

    The network stays the same but for the unit of its inner values.
    """
    ranges = []
    for weight, bias, slope in zip(weights, biases, slopes, strict=False):
        seen = torch.cat(
            [F.prelu(F.conv2d(part, weight, bias, padding=1), slope) for part in torch.split(seen, 16)]
        )
        values = seen.transpose(0, 1).flatten(1)
        beyond = max(1, int(values.shape[1] * CUT_OFF))
        high, low = values.topk(beyond).values[:, -1], -(-values).topk(beyond).values[:, -1]
        ranges.append((low.clamp(max=0), high.clamp(min=0)))
    zero_points = []
    for number, (low, high) in enumerate(ranges):
        slope = slopes[number]
        # -prelu(x) is a prelu of -slope * x with the slope 1 / slope
        turned = (-low > high) & (slope > 1e-3)
        factor, sign = torch.where(turned, -slope, 1.0), torch.where(turned, -1.0, 1.0)
        slopes[number] = torch.where(turned, 1 / slope, slope)
        most, least = torch.where(turned, -low, high), torch.where(turned, -high, low)
        steps = {
            zero: torch.maximum(most / (255 - zero), -least / max(zero, 1e-6)).clamp(min=1e-5)
            for zero in range(160)
        }
        zero = min(steps, key=lambda z: float(steps[z].log().mean()))
        zero_points.append(zero)
        weights[number] = weights[number] * (factor / steps[zero])[:, None, None, None]
        biases[number] = biases[number] * factor / steps[zero]
        weights[number + 1] = weights[number + 1] * (sign * steps[zero])[:, None, None]
    return zero_points


def tune(chain: Chain, inputs: Tensor, targets: Tensor, steps: int, rate: float, batch: int) -> None:
    """Adam, its rate falling as half a cosine. rate: in integers of a weight, a step."""
    rates: list[tuple[Iterable[Tensor], float]] = [
        (chain.weights, rate),
        ([chain.first], rate / 10),
        (chain.biases, rate * 0.7),
        (chain.log_scales, rate / 100),
        (chain.slopes, rate / 100),
        (chain.gains, rate / 50),
    ]
    optimizer = torch.optim.Adam(
        [{"params": list(parameters), "lr": 1.0} for parameters, _ in rates], betas=(0.9, 0.99)
    )
    generator = torch.Generator().manual_seed(SEED)
    waiting: list[int] = []
    seen_db: list[float] = []
    begun = time.monotonic()
    for step in range(steps):
        part = min(1.0, (step + 1) / 20) * (0.5 + 0.5 * math.cos(math.pi * step / steps))
        for group, (_, full) in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = full * part
        if len(waiting) < batch:
            waiting = torch.randperm(len(inputs), generator=generator).tolist()
        chosen = [waiting.pop() for _ in range(batch)]
        target = targets[chosen].clamp(0, 1)
        given = chain(inputs[chosen].contiguous(memory_format=torch.channels_last))
        beyond = ((target >= 1) & (given >= 1)) | ((target <= 0) & (given <= 0))
        errors = ((given - target) * ~beyond).square().mean(dim=(1, 2, 3))
        optimizer.zero_grad()
        (errors + 1e-6).log().mean().backward()
        optimizer.step()
        seen_db.append(float(-10 * errors.detach().log10().mean()))
        if step % 50 == 49:
            seconds = time.monotonic() - begun
            print(f"step {step + 1}: {statistics.mean(seen_db[-50:]):.2f} dB, {seconds:.0f} s", flush=True)


def measured_db(chain: Chain, loaded: LoadedNetwork, clips: list[Path], every: int) -> float:
    """The lowest of the clips' mean PSNR to float32, whole frames, through OpenVINO."""
    exact = OpenVinoBackend(loaded.network, "fp32", threads=1)
    ours = OpenVinoBackend(
        loaded.network, "int8", threads=1, constants=chain.constants(loaded.digest, math.nan)
    )
    means = []
    for clip in clips:
        found = [psnr_db(ours(picture), exact(picture)) for picture in pictures(clip, every)]
        means.append(statistics.mean(found))
        print(f"{clip.name}: {means[-1]:.2f} dB, worst of {len(found)} frames {min(found):.2f}", flush=True)
    return min(means)


def main() -> int:
    asked = arguments()
    torch.set_num_threads(1)
    loaded = load_network(find_preset(asked.model))
    network = loaded.network
    if not isinstance(network, SRVGGNetCompact) or not isinstance(network.body[1], nn.PReLU):
        print(f"{asked.model} is no compact network with PReLU", file=sys.stderr)
        return 1
    inputs = squares(asked.squares, SIDE, SEED)
    with torch.inference_mode():
        targets = torch.cat([network(part) for part in torch.split(inputs, 8)])
    targets, chain = targets.clone(), Chain(network, inputs[::3])
    if asked.resume is not None:
        chain.load_state_dict(torch.load(asked.resume, weights_only=True))
    tune(chain, inputs, targets, asked.steps, asked.rate, asked.batch)
    if asked.state is not None:
        torch.save(chain.state_dict(), asked.state)
    output = asked.output or preset_folders()[0] / f"{asked.model}{SUFFIX}"
    loss_db = measured_db(chain, loaded, asked.measure, asked.every)
    save_constants(chain.constants(loaded.digest, loss_db), output)
    print(f"{output}: {output.stat().st_size} bytes, {loss_db:.1f} dB")
    return 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--measure", type=Path, nargs="+", required=True, metavar="CLIP")
    parser.add_argument("--every", type=int, default=16, metavar="N", help="one frame of so many")
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--rate", type=float, default=0.02)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--squares", type=int, default=480)
    parser.add_argument("--state", type=Path, help="where to keep what --resume goes on from")
    parser.add_argument("--resume", type=Path)
    parser.add_argument("--output", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
