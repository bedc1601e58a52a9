"""Our networks written as OpenVINO graphs, operation by operation.

OpenVINO's own converters trace the module with torch's deprecated tracer and report usage over the
network; two architectures are few enough to be spelled out, and every weight is taken from the torch
module in memory, so no file is left behind. It knows layers, never batches or devices.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from torch import nn

from vidsr.backends.openvino_alone import op, ov
from vidsr.errors import ArchitectureError
from vidsr.models.base import Network
from vidsr.models.compact import SRVGGNetCompact
from vidsr.models.rrdb import RESIDUAL_SCALE, RRDB, SLOPE, ResidualDenseBlock, RRDBNet

Node: TypeAlias = Any  # OpenVINO's operation builders carry no types


def build_graph(network: Network) -> ov.Model:
    """The network as a graph with one dynamic input (N, 3, H, W) and one output, both f32.

    Raises ArchitectureError for a network that is none of the two families.
    """
    picture = op.parameter([-1, 3, -1, -1], np.float32, name="picture")
    match network:
        case SRVGGNetCompact():
            result = _compact(network, picture)
        case RRDBNet():
            result = _rrdb(network, picture)
        case _:
            raise ArchitectureError(
                f"{type(network).__name__} cannot be run by OpenVINO", "the torch backend can run it"
            )
    return ov.Model([result], [picture], type(network).__name__)


def _compact(network: SRVGGNetCompact, picture: Node) -> Node:
    features = picture
    for layer in network.body:
        features = _layer(layer, features)
    return add_details(picture, features, network.scale)


def _rrdb(network: RRDBNet, picture: Node) -> Node:
    if network.unshuffle > 1:
        picture = op.space_to_depth(picture, "depth_first", network.unshuffle)
    first = features = _layer(network.conv_first, picture)
    for block in network.body:
        assert isinstance(block, RRDB)
        start = features
        for dense in (block.rdb1, block.rdb2, block.rdb3):
            features = _dense(dense, features)
        features = _residual(features, start)
    features = op.add(first, _layer(network.conv_body, features))
    for number, factor in enumerate(network.factors, start=1):
        features = enlarge(features, factor)
        features = _leaky(_layer(network.get_submodule(f"conv_up{number}"), features), SLOPE)
    features = _leaky(_layer(network.conv_hr, features), SLOPE)
    return _layer(network.conv_last, features)


def _dense(block: ResidualDenseBlock, x: Node) -> Node:
    seen = [x]
    for convolution in (block.conv1, block.conv2, block.conv3, block.conv4):
        joined = seen[0] if len(seen) == 1 else op.concat(seen, 1)
        seen.append(_leaky(_layer(convolution, joined), SLOPE))
    return _residual(_layer(block.conv5, op.concat(seen, 1)), x)


def _residual(branch: Node, trunk: Node) -> Node:
    return op.add(op.multiply(branch, op.constant(np.float32(RESIDUAL_SCALE))), trunk)


def _layer(layer: nn.Module, x: Node) -> Node:
    match layer:
        case nn.Conv2d():
            weight = layer.weight.detach().float().cpu().numpy()
            pad = [layer.kernel_size[0] // 2, layer.kernel_size[1] // 2]
            result = op.convolution(x, op.constant(weight), [1, 1], pad, pad, [1, 1])
            if layer.bias is None:
                return result
            bias = layer.bias.detach().float().cpu().numpy()
            return op.add(result, op.constant(bias.reshape(1, -1, 1, 1)))
        case nn.PReLU():
            return op.prelu(x, op.constant(layer.weight.detach().float().cpu().numpy()))
        case nn.LeakyReLU():
            return _leaky(x, layer.negative_slope)
        case nn.ReLU():
            return op.relu(x)
        case _:
            raise ArchitectureError(f"no OpenVINO operation is known for {type(layer).__name__}")


def _leaky(x: Node, slope: float) -> Node:
    return op.prelu(x, op.constant(np.array([slope], np.float32)))


def add_details(picture: Node, details: Node, factor: int) -> Node:
    """The picture (N, 3, H, W) enlarged by nearest neighbour, and details (N, 3 * factor**2, H, W) added.

    PixelShuffle takes channel c * factor**2 + i * factor + j to row i, column j of colour c: all of them get
    the one pixel of colour c, so it is added while they still are channels. Enlarging both and adding then
    took 52 ms of a 2560x1920 frame on one core, and rounded the picture to bf16 with the rest; this 26.
    """
    height_width = op.gather(op.shape_of(picture), op.constant(np.array([2, 3])), op.constant(0))

    def shape(*sides: int | Node) -> Node:
        parts = [op.constant(np.array([side])) if isinstance(side, int) else side for side in sides]
        return op.concat(parts, 0)

    colours = op.reshape(details, shape(-1, 3, factor**2, height_width), special_zero=False)
    colours = op.add(colours, op.unsqueeze(picture, op.constant(2)))
    squares = op.reshape(colours, shape(-1, 3, factor, factor, height_width), special_zero=False)
    rows = op.transpose(squares, op.constant(np.array([0, 1, 4, 2, 5, 3])))  # N, colour, H, i, W, j
    larger = op.multiply(height_width, op.constant(np.array([factor])))
    return op.reshape(rows, shape(-1, 3, larger), special_zero=False)


def enlarge(x: Node, factor: int) -> Node:
    """Nearest-neighbour enlargement by an integer: pixel i comes from floor(i / factor)."""
    return op.interpolate(
        x,
        op.constant(np.array([factor, factor], np.float32)),
        "nearest",
        "scales",
        axes=op.constant(np.array([2, 3], np.int64)),
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
    )
