"""CUDA's streams, events and allocators, imitated on a CPU, to see whether every access is in order.

Operations run at once and on the CPU. What is kept is a vector clock per stream, as race detectors do:
an operation may touch memory only where whatever touched it last is known, by events or because the host
waited, to be done. Memory used on another stream than the one it was allocated on must be told to the
allocator (record_stream), which else gives it out again too early. Host memory filled from the device may
be read when the host has waited for that. And whatever makes the host wait is written down.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from vidsr.media.color.dither import forget_bands

Clock = dict[str, int]

NO_ACCESS = ("empty", "new_empty", "empty_like", "empty_strided", "new_empty_strided", "detach")
WAITS = ("_local_scalar_dense", "nonzero", "masked_select", "is_nonzero", "equal")
"""Operations whose result the host must know."""


@dataclass
class Memory:
    """What is known of a storage. home: the stream it was allocated on; None = pinned memory of the host."""

    storage: Any  # kept, so that its address is not given to another
    home: str | None
    written: Clock = field(default_factory=dict)
    read: Clock = field(default_factory=dict)
    used_on: set[str] = field(default_factory=set)
    recorded: set[str] = field(default_factory=set)


class Streams(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """In force within `with` and the fixture's patches.

    errors: what was out of order. waits: (stream, operation) that the host waited for.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.clocks: dict[str, Clock] = {}
        self.host: Clock = {}
        self.current = "default"
        self.memory: dict[int, Memory] = {}
        self.errors: list[str] = []
        self.waits: list[tuple[str, str]] = []

    def check_allocator(self) -> None:
        """Note what was used on a stream that the allocator was not told of."""
        for memory in self.memory.values():
            unknown = memory.used_on - memory.recorded - {memory.home}
            if memory.home is not None and unknown:
                self.errors.append(f"memory of {memory.home} used on {sorted(unknown)} without record_stream")

    def host_waits(self, what: str, stream: str | None = None) -> None:
        stream = stream or self.current
        self.waits.append((stream, what))
        _merge(self.host, self.clocks.get(stream, {}))

    def host_reads(self, tensor: Tensor) -> None:
        memory = self._known(tensor)
        if memory is not None and not _is_before(memory.written, self.host):
            self.errors.append("the host reads what is still being written")

    def now(self, stream: str) -> Clock:
        """Begin an operation on a stream: what it comes after, itself included."""
        clock = self.clocks.setdefault(stream, {})
        _merge(clock, self.host)
        clock[stream] = clock.get(stream, 0) + 1
        return clock

    def adopt(self, tensor: Tensor, home: str | None) -> Memory:
        storage = tensor.untyped_storage()
        return self.memory.setdefault(storage._cdata, Memory(storage, home))

    def to_device(self, tensor: Tensor, what: str, *, non_blocking: bool) -> Tensor:
        """A copy of host memory on the device."""
        pinned = self._known(tensor)
        with torch.utils._python_dispatch._disable_current_modes():
            copied = tensor.clone()
        clock = self.now(self.current)
        memory = self.adopt(copied, self.current)
        memory.written = dict(clock)
        memory.used_on.add(self.current)
        if pinned is None and non_blocking:
            self.errors.append("a copy that is to run beside the host reads memory that is not pinned")
        if not non_blocking:
            self.host_waits(what)
        return copied

    def _known(self, tensor: Tensor) -> Memory | None:
        return self.memory.get(tensor.untyped_storage()._cdata)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        is_pinned = bool(kwargs.pop("pin_memory", False))
        result = func(*args, **kwargs)
        name = func._schema.name.removeprefix("aten::")
        given = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        made = [leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor)]
        known = {tensor.untyped_storage()._cdata for tensor in given}
        fresh = [tensor for tensor in made if tensor.untyped_storage()._cdata not in known]
        if name in NO_ACCESS:
            if name != "detach":
                for tensor in fresh:
                    self.adopt(tensor, None if is_pinned else self.current)
            return result
        written = [
            value
            for argument, value in zip(func._schema.arguments, args, strict=False)
            if argument.alias_info is not None and argument.alias_info.is_write
        ] + [
            kwargs[argument.name]
            for argument in func._schema.arguments
            if argument.alias_info is not None and argument.alias_info.is_write and argument.name in kwargs
        ]
        written = [leaf for leaf in tree_leaves(written) if isinstance(leaf, Tensor)]
        if given and not any(self._known(tensor) for tensor in given):
            return result  # the host's own
        by_index = args[1] if name in ("index", "index_put", "index_put_") else ()
        # numbers of the host's are copied first, and of a mask it must be known how many are True
        if name in WAITS or any(
            i is not None and (i.dtype == torch.bool or not self._known(i)) for i in by_index
        ):
            self.host_waits(name)
        if not fresh and not written:
            return result  # a view
        for tensor in fresh:
            self.adopt(tensor, self.current)
        clock = self.now(self.current)
        for tensor in given:
            if all(tensor is not target for target in written):
                self._touch(tensor, clock, name, writes=False)
        for tensor in (*written, *fresh):
            self._touch(tensor, clock, name, writes=True)
        return result

    def _touch(self, tensor: Tensor, clock: Clock, name: str, *, writes: bool) -> None:
        memory = self._known(tensor)
        if memory is None:
            if tensor.ndim:
                self.errors.append(f"{name} mixes memory of the host with the device's")
            return
        memory.used_on.add(self.current)
        if not _is_before(memory.written, clock):
            self.errors.append(f"{name} on {self.current} comes before what it needs is written")
        if writes:
            if not _is_before(memory.read, clock):
                self.errors.append(f"{name} on {self.current} overwrites what is still being read")
            memory.written, memory.read = dict(clock), {}
        else:
            memory.read[self.current] = clock[self.current]


def _merge(clock: Clock, other: Clock) -> None:
    for stream, count in other.items():
        clock[stream] = max(clock.get(stream, 0), count)


def _is_before(event: Clock, clock: Clock) -> bool:
    return all(clock.get(stream, 0) >= count for stream, count in event.items())


@contextmanager
def imitated(monkeypatch: pytest.MonkeyPatch, names: Iterator[str]) -> Iterator[Streams]:
    """torch.cuda's streams and events as `transfer` meets them. names: of the streams, as they are made."""
    streams = Streams()
    forget_bands()  # what is remembered from before is no memory of ours

    class Stream:
        def __init__(self, device: torch.device, priority: int = 0, name: str | None = None) -> None:
            self.name = name or next(names)
            self.priority = priority

        def wait_stream(self, other: Stream) -> None:
            _merge(streams.clocks.setdefault(self.name, {}), streams.clocks.get(other.name, {}))
            _merge(streams.clocks[self.name], streams.host)

    class Event:
        def __init__(self, *, blocking: bool = False) -> None:
            assert blocking, "the host would spin on a core that decoder and encoder need"
            self._clock: Clock = {}

        def record(self, stream: Stream) -> None:
            self._clock = dict(streams.clocks.get(stream.name, {}))

        def synchronize(self) -> None:
            _merge(streams.host, self._clock)

    @contextmanager
    def stream(wanted: Stream) -> Iterator[None]:
        before, streams.current = streams.current, wanted.name
        try:
            yield
        finally:
            streams.current = before

    plain_to, plain_numpy, plain_tensor = Tensor.to, Tensor.numpy, torch.tensor

    def to(tensor: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        if args and isinstance(args[0], torch.device):
            return streams.to_device(tensor, "to", non_blocking=kwargs.get("non_blocking", False))
        result: Tensor = plain_to(tensor, *args, **kwargs)
        return result

    def cpu(tensor: Tensor) -> Tensor:
        streams.host_waits("cpu")
        with torch.utils._python_dispatch._disable_current_modes():
            return tensor.clone()

    def numpy(tensor: Tensor) -> Any:
        streams.host_reads(tensor)
        return plain_numpy(tensor)

    def record_stream(tensor: Tensor, wanted: Stream) -> None:
        memory = streams._known(tensor)
        assert memory is not None
        memory.recorded.add(wanted.name)

    def tensor_of(values: Any, *, device: torch.device | None = None, **kwargs: Any) -> Tensor:
        made = plain_tensor(values, **kwargs)
        return made if device is None else streams.to_device(made, "tensor", non_blocking=False)

    monkeypatch.setattr(torch, "tensor", tensor_of)
    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "stream", stream)
    monkeypatch.setattr(torch.cuda, "device", lambda _: nullcontext())
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: Stream(device, name=streams.current))
    for name, function in (("to", to), ("cpu", cpu), ("numpy", numpy), ("record_stream", record_stream)):
        monkeypatch.setattr(Tensor, name, function)
    with streams:
        yield streams
    forget_bands()
