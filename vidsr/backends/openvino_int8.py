"""A network in 8-bit integers as an OpenVINO graph.

The constants are integers already (`weights.int8`), so nothing is calibrated here: FakeQuantize nodes say
where a byte is enough, and OpenVINO's CPU plugin makes one int8 convolution of each layer together with
its scale, bias, PReLU and the rounding of what comes out. What reads values that are no bytes (the first
convolution, and those that the constants say) is computed in the precision that OpenVINO is asked for. It
knows layers, never batches or devices.
"""

from __future__ import annotations

import numpy as np

from vidsr.backends.openvino_alone import op, ov
from vidsr.backends.openvino_graph import Node, add_details
from vidsr.weights.int8 import Int8Constants, Int8Layer

LEVELS = 256


def build_int8_graph(constants: Int8Constants) -> ov.Model:
    """The graph with one dynamic input (N, 3, H, W) and one output, both f32."""
    picture = op.parameter([-1, 3, -1, -1], np.float32, name="picture")
    first = _convolve(picture, op.constant(constants.first_weight.numpy()))
    features = op.prelu(
        op.add(first, _by_channel(constants.first_bias.numpy())), op.constant(constants.first_slope.numpy())
    )
    for layer in constants.layers:
        features = _layer(layer, features)
    result = add_details(picture, features, constants.scale)
    return ov.Model([result], [picture], "int8")


def _layer(layer: Int8Layer, x: Node) -> Node:
    scale = layer.scale.numpy().reshape(-1, 1, 1, 1)
    if layer.zero_point is None:
        weight = op.constant(layer.weight.numpy() * scale)
    else:
        low, high = (op.constant(np.float32(edge - layer.zero_point)) for edge in (0, LEVELS - 1))
        x = op.fake_quantize(x, low, high, low, high, LEVELS)
        weight = op.multiply(op.convert(op.constant(layer.weight.numpy()), np.float32), op.constant(scale))
    result = op.add(_convolve(x, weight), _by_channel(layer.bias.numpy()))
    return result if layer.slope is None else op.prelu(result, op.constant(layer.slope.numpy()))


def _convolve(x: Node, weight: Node) -> Node:
    pad = [side // 2 for side in weight.shape[2:]]
    return op.convolution(x, weight, [1, 1], pad, pad, [1, 1])


def _by_channel(values: np.ndarray) -> Node:
    return op.constant(values.reshape(1, -1, 1, 1))
