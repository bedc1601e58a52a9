"""A channel keeps order, blocks when full, and lets go of both ends when the run stops."""

from __future__ import annotations

import threading
import time

import pytest

from vidsr.channel import Channel, Stopped, StopSignal


def test_items_arrive_in_order_through_a_queue_of_one() -> None:
    channel: Channel[int] = Channel(1, StopSignal())

    def produce() -> None:
        for item in range(200):
            channel.put(item)
        channel.finish()

    thread = threading.Thread(target=produce)
    thread.start()
    received = list(channel)
    thread.join()
    assert received == list(range(200))


def test_the_producer_waits_while_the_queue_is_full() -> None:
    channel: Channel[int] = Channel(3, StopSignal())
    produced: list[int] = []

    def produce() -> None:
        for item in range(5):
            channel.put(item)
            produced.append(item)
        channel.finish()

    thread = threading.Thread(target=produce)
    thread.start()
    while channel.put_wait_seconds < 0.05:  # the wait it is in counts
        time.sleep(0.01)
    assert produced == [0, 1, 2]
    assert len(channel) == 3
    assert list(channel) == [0, 1, 2, 3, 4]
    thread.join()
    assert channel.put_wait_seconds >= 0.05


@pytest.mark.parametrize("side", ["put", "get"])
def test_stop_frees_a_waiting_thread(side: str) -> None:
    stop = StopSignal()
    channel: Channel[int] = Channel(1, stop)
    outcome: list[str] = []

    def wait_forever() -> None:
        try:
            if side == "put":
                channel.put(0)
                channel.put(1)
            else:
                list(channel)
            outcome.append("went on")
        except Stopped:
            outcome.append("stopped")

    thread = threading.Thread(target=wait_forever)
    thread.start()
    time.sleep(0.05)
    assert thread.is_alive()
    stop.set(RuntimeError("enough"))
    thread.join(timeout=5)
    assert outcome == ["stopped"]


def test_the_first_reason_to_stop_stays() -> None:
    stop = StopSignal()
    first = RuntimeError("first")
    assert stop.set(first)
    assert not stop.set(RuntimeError("second"))
    assert stop.reason is first


def test_a_channel_made_after_the_stop_does_not_wait() -> None:
    stop = StopSignal()
    stop.set(RuntimeError("over"))
    channel: Channel[int] = Channel(1, stop)
    with pytest.raises(Stopped):
        next(iter(channel))


def test_a_channel_without_room_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Channel(0, StopSignal())
