"""Which network an ncnn graph computes, proven by its wiring, and its tensors under official names.

The graph's values (`ncnn_values`) are followed backwards from the output, and whatever differs from
the architecture is named with its layer. It knows wiring, never bytes or spellings.
"""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn, TypeVar

import numpy as np
import torch

from vidsr.errors import ArchitectureError, WeightsFormatError
from vidsr.models.architecture import Architecture
from vidsr.models.compact import LEAKY_SLOPE
from vidsr.models.rrdb import RESIDUAL_SCALE, SLOPE
from vidsr.weights.checkpoint import Checkpoint
from vidsr.weights.ncnn import Layer, read_graph
from vidsr.weights.ncnn_values import (
    Activated,
    Concatenated,
    Convolution,
    Resized,
    Shuffled,
    Source,
    Sum,
    Value,
    evaluate,
)

SLOPE_TOLERANCE = 1e-6  # constants are printed with 7 digits ("2.000000e-01")


V = TypeVar("V", Convolution, Activated, Concatenated, Sum, Resized, Shuffled)


def read_ncnn(param: Path, binary: Path) -> Checkpoint:
    """Read a .param/.bin pair of either family.

    A graph that ends in a resize (the x2 and x3 files of animevideov3) is read as the network
    before it, with the factor in requested_scale.

    Raises WeightsFormatError for damaged files, ArchitectureError for a graph of another network;
    both name the layer.
    """
    layers = read_graph(param, binary)
    try:
        return recognise(layers)
    except (ArchitectureError, WeightsFormatError) as error:
        raise type(error)(f"{param}: {error.message}", error.hint) from error


def recognise(layers: list[Layer]) -> Checkpoint:
    """The network that the layers compute. Raises ArchitectureError naming the first layer that differs."""
    # There is one output and all else is read on the way to it, so following every input of every
    # value backwards leaves no layer out.
    last, requested = evaluate(layers), None
    if isinstance(last, Resized) and not isinstance(last.of, Source):
        requested = last.factor
        last = last.of
    matcher = _Matcher()
    checkpoint = matcher.rrdb(last) if isinstance(last, Convolution) else matcher.srvgg(last)
    if requested is None:
        return checkpoint
    scale = checkpoint.architecture.scale * requested
    return Checkpoint(checkpoint.architecture, checkpoint.state, scale, checkpoint.notes)


def _is(value: Value, kind: type[V], wanted: str) -> V:
    if not isinstance(value, kind):
        _differs(value, wanted)
    return value


def _differs(value: Value, wanted: str) -> NoReturn:
    raise ArchitectureError(f"{value.layer} is not {wanted}")


class _Matcher:
    """Follows values backwards and keeps the tensors it meets under their official names."""

    def __init__(self) -> None:
        self._state: dict[str, torch.Tensor] = {}

    def _keep(self, convolution: Convolution, name: str) -> None:
        for part in ("weight", "bias"):
            self._state[f"{name}.{part}"] = torch.from_numpy(convolution.layer.tensors[part])

    # SRVGGNetCompact

    def srvgg(self, output: Value) -> Checkpoint:
        total = _is(output, Sum, "the sum of the details and the enlarged input of SRVGGNetCompact")
        base, details = self._split_output(total)
        if isinstance(base, Resized):
            if base.mode != "nearest" or base.factor.denominator != 1:
                _differs(base, "a nearest-neighbour enlargement by a whole factor")
            scale = base.factor.numerator
        else:
            scale = 1
        value = details
        if scale > 1:
            shuffle = _is(value, Shuffled, f"a pixel shuffle by {scale}")
            if shuffle.factor != scale:
                _differs(shuffle, f"a pixel shuffle by {scale}, the factor of {base.layer}")
            value = shuffle.of
        last = _is(value, Convolution, "the last convolution of SRVGGNetCompact")
        if last.channels != 3 * scale * scale:
            _differs(last, f"a convolution to {3 * scale * scale} channels")
        convolutions, activations = self._chain(last)
        return self._srvgg_checkpoint(convolutions, activations, scale)

    def _split_output(self, total: Sum) -> tuple[Value, Value]:
        """(the enlarged input, the details)."""
        if len(total.of) != 2 or any(coefficient != 1.0 for coefficient, _ in total.of):
            _differs(total, "a plain sum of two values")
        values = [value for _, value in total.of]
        for base, details in (values, values[::-1]):
            if isinstance(base, Source) or (isinstance(base, Resized) and isinstance(base.of, Source)):
                return base, details
        _differs(total, "a sum with the enlarged input, the skip of SRVGGNetCompact")

    def _chain(self, last: Convolution) -> tuple[list[Convolution], list[Activated]]:
        """Convolutions and activations in forward order; the last convolution has no activation."""
        convolutions, activations = [last], []
        while not isinstance(convolutions[-1].of, Source):
            activated = _is(convolutions[-1].of, Activated, "an activation between two convolutions")
            if isinstance(activated.of, Source):
                _differs(activated, "an activation after a convolution")
            activations.append(activated)
            convolutions.append(_is(activated.of, Convolution, "a convolution before an activation"))
        return convolutions[::-1], activations[::-1]

    def _srvgg_checkpoint(
        self, convolutions: list[Convolution], activations: list[Activated], scale: int
    ) -> Checkpoint:
        if len(convolutions) < 2:
            _differs(convolutions[0], "a chain of convolutions; it is the only one")
        features = convolutions[0].channels
        act_type = _activation_type(activations[0])
        for index, (convolution, activated) in enumerate(zip(convolutions, activations, strict=False)):
            if convolution.channels != features:
                _differs(convolution, f"a convolution to {features} channels like those before it")
            if _activation_type(activated) != act_type:
                _differs(activated, f"a {act_type} like those before it")
            self._keep(convolution, f"body.{2 * index}")
            if isinstance(activated.slope, np.ndarray):
                self._state[f"body.{2 * index + 1}.weight"] = torch.from_numpy(activated.slope)
        self._keep(convolutions[-1], f"body.{2 * len(activations)}")
        architecture = Architecture.srvgg(
            num_feat=features, num_conv=len(activations) - 1, upscale=scale, act_type=act_type
        )
        return Checkpoint(architecture, self._state)

    # RRDBNet

    def rrdb(self, output: Value) -> Checkpoint:
        conv_last = _is(output, Convolution, "the last convolution of RRDBNet")
        if conv_last.channels != 3:
            _differs(conv_last, "a convolution to 3 channels")
        conv_hr = self._activated_convolution(conv_last.of)
        ups, factors, trunk = self._enlargements(conv_hr)
        first, conv_body = self._trunk_sum(trunk)
        blocks, grow = self._blocks(conv_body.of, first)
        unshuffle = self._unshuffle(first)
        total = 1
        for factor in factors:
            total *= factor
        if total % unshuffle:
            _differs(trunk, f"enlarged by a multiple of the unshuffle's {unshuffle}")
        self._keep(first, "conv_first")
        for number, block in enumerate(blocks):
            for name, convolution in block.items():
                self._keep(convolution, f"body.{number}.{name}")
        self._keep(conv_body, "conv_body")
        for number, convolution in enumerate(ups, start=1):
            self._keep(convolution, f"conv_up{number}")
        self._keep(conv_hr, "conv_hr")
        self._keep(conv_last, "conv_last")
        architecture = Architecture.rrdb(
            num_feat=first.channels,
            num_block=len(blocks),
            num_grow_ch=grow,
            scale=total // unshuffle,
            unshuffle=unshuffle,
        )
        return Checkpoint(architecture, self._state)

    def _activated_convolution(self, value: Value) -> Convolution:
        activated = _is(value, Activated, f"a leaky ReLU of slope {SLOPE}")
        if isinstance(activated.slope, np.ndarray) or abs(activated.slope - SLOPE) > SLOPE_TOLERANCE:
            _differs(activated, f"a leaky ReLU of slope {SLOPE}")
        return _is(activated.of, Convolution, "a convolution before a leaky ReLU")

    def _enlargements(self, conv_hr: Convolution) -> tuple[list[Convolution], list[int], Value]:
        """(conv_up1, conv_up2 ..., their factors, the trunk they enlarge)."""
        ups: list[Convolution] = []
        factors: list[int] = []
        value = conv_hr.of
        while not isinstance(value, Sum):
            up = self._activated_convolution(value)
            resized = _is(up.of, Resized, "a nearest-neighbour enlargement before a convolution")
            if resized.mode != "nearest" or resized.factor not in (2, 3):
                _differs(resized, "a nearest-neighbour enlargement by 2")
            ups.append(up)
            factors.append(resized.factor.numerator)
            value = resized.of
        if 3 in factors and len(factors) > 1:
            _differs(value, "enlarged by 3 alone, or by twos")
        return ups[::-1], factors[::-1], value

    def _trunk_sum(self, value: Value) -> tuple[Convolution, Convolution]:
        """(conv_first, conv_body)."""
        total = _is(value, Sum, "the sum around RRDBNet's trunk")
        if len(total.of) != 2 or any(coefficient != 1.0 for coefficient, _ in total.of):
            _differs(total, "the plain sum around RRDBNet's trunk")
        pair = [_is(v, Convolution, "a convolution, one side of the trunk's sum") for _, v in total.of]
        first = [c for c in pair if isinstance(c.of, Source | Shuffled)]
        if len(first) != 1:
            _differs(total, "the sum of the first convolution and the trunk's last")
        body = pair[1] if pair[0] is first[0] else pair[0]
        return first[0], body

    def _unshuffle(self, first: Convolution) -> int:
        of = first.of
        if isinstance(of, Source):
            return 1
        shuffled = _is(of, Shuffled, "a pixel unshuffle before the first convolution")
        if shuffled.factor.numerator != 1 or not isinstance(shuffled.of, Source):
            _differs(shuffled, "a pixel unshuffle of the input")
        return shuffled.factor.denominator

    def _blocks(self, value: Value, first: Convolution) -> tuple[list[dict[str, Convolution]], int]:
        """([{"rdb1.conv1": ...}, ...] in forward order, the growth)."""
        blocks: list[dict[str, Convolution]] = []
        grow: int | None = None
        while value is not first:
            scaled, block_input = self._residual(value, "an RRDB")
            block: dict[str, Convolution] = {}
            for number in (3, 2, 1):
                fifth, dense_input = self._residual(scaled, "a dense block")
                convolutions = self._dense_block(fifth, dense_input)
                for name, convolution in convolutions.items():
                    block[f"rdb{number}.{name}"] = convolution
                grow = convolutions["conv1"].channels if grow is None else grow
                if {convolutions[f"conv{i}"].channels for i in range(1, 5)} != {grow}:
                    _differs(fifth, f"the end of a dense block that grows by {grow}")
                scaled = dense_input
            if scaled is not block_input:
                _differs(value, "an RRDB of three dense blocks around its own input")
            blocks.append(block)
            value = block_input
        if grow is None:
            _differs(value, "a trunk; it holds no RRDB")
        return blocks[::-1], grow

    def _residual(self, value: Value, what: str) -> tuple[Value, Value]:
        """(what is scaled by 0.2, what it is added to)."""
        wanted = f"the end of {what}: {RESIDUAL_SCALE} of its result added to its input"
        total = _is(value, Sum, wanted)
        if len(total.of) != 2:
            _differs(total, wanted)
        small, large = sorted(total.of, key=lambda term: term[0])
        if abs(small[0] - RESIDUAL_SCALE) > SLOPE_TOLERANCE or large[0] != 1.0:
            _differs(total, wanted)
        return small[1], large[1]

    def _dense_block(self, value: Value, block_input: Value) -> dict[str, Convolution]:
        """conv1 to conv5 of the block; each must read the input and all results before it."""
        fifth = _is(value, Convolution, "the fifth convolution of a dense block")
        joined = _is(fifth.of, Concatenated, "the five joined values of a dense block")
        if len(joined.of) != 5 or joined.of[0] is not block_input:
            _differs(joined, "the dense block's input joined with its four results")
        found = {"conv5": fifth}
        for number in range(1, 5):
            convolution = self._activated_convolution(joined.of[number])
            reads = convolution.of
            if number > 1:
                parts = _is(reads, Concatenated, f"{number} joined values of a dense block").of
                if len(parts) != number or any(a is not b for a, b in zip(parts, joined.of, strict=False)):
                    _differs(reads, f"the dense block's input joined with its first {number - 1} results")
            elif reads is not block_input:
                _differs(convolution, "the first convolution of a dense block, on the block's input")
            found[f"conv{number}"] = convolution
        return found


def _activation_type(activated: Activated) -> str:
    if isinstance(activated.slope, np.ndarray):
        return "prelu"
    if activated.slope == 0.0:
        return "relu"
    if abs(activated.slope - LEAKY_SLOPE) <= SLOPE_TOLERANCE:
        return "leakyrelu"
    _differs(activated, f"a PReLU, a ReLU or a leaky ReLU of slope {LEAKY_SLOPE}")
