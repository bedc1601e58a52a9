"""Whatever is done to a file's bytes: a whole output, or one clear error and nothing left behind.

Small files are cut, flipped, spliced and overwritten; each runs through a whole job. A crash of a library
would end the test run itself, a hang its time limit.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import cast

import av
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.reference_ffmpeg import ffmpeg, frame_lines, packet_lines
from tests.straight import run_job
from vidsr.errors import VidsrError
from vidsr.job import Job
from vidsr.media.verify import verify

CASES = int(os.environ.get("VIDSR_FUZZ_CASES", "15"))
"""For each kind of container; with 150, all kinds together are 600."""

KINDS = ("mkv", "mp4", "ts", "avi")


@pytest.fixture(scope="module")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Whole little files: a picture with B-frames, sound, and a subtitle where the container takes one."""
    folder = tmp_path_factory.mktemp("seeds")
    subtitles = folder / "subtitles.srt"
    subtitles.write_text("1\n00:00:00,100 --> 00:00:00,400\nHello\n", encoding="utf-8")
    files = {}
    for kind in KINDS:
        text = {"mkv": ["-c:s", "srt"], "mp4": ["-c:s", "mov_text"]}.get(kind)
        inputs: list[str | Path] = ["-i", subtitles] if text else []
        maps = ["-map", "0", "-map", "1", "-map", "2"] if text else []
        path = folder / f"seed.{kind}"
        ffmpeg(
            "-v", "error",
            "-f", "lavfi", "-i", "testsrc2=size=64x48:rate=25:duration=0.5",
            "-f", "lavfi", "-i", "sine=duration=0.5", *inputs, *maps,
            "-c:v", "mpeg4" if kind == "avi" else "libx264", "-g", "6", "-bf", "0" if kind == "avi" else "2",
            "-c:a", "mp2" if kind in {"ts", "avi"} else "aac", *(text or []), path,
        )  # fmt: skip
        files[kind] = path.read_bytes()
    return files


Mutation = Callable[[bytes], bytes]


def cut(data: bytes, at: float) -> bytes:
    return data[: int(at * len(data))]


def flip(data: bytes, at: float, bits: int) -> bytes:
    place = int(at * (len(data) - 1))
    return data[:place] + bytes([data[place] ^ bits]) + data[place + 1 :]


def splice(data: bytes, source: float, target: float, length: int) -> bytes:
    taken = data[int(source * len(data)) :][:length]
    place = int(target * len(data))
    return data[:place] + taken + data[place:]


def overwrite(data: bytes, at: float, junk: bytes) -> bytes:
    place = int(at * len(data))
    return data[:place] + junk + data[place + len(junk) :]


def remove(data: bytes, at: float, length: int) -> bytes:
    place = int(at * len(data))
    return data[:place] + data[place + length :]


share = st.floats(0, 1, allow_nan=False)
mutations = st.lists(
    st.one_of(
        st.builds(lambda at: lambda d: cut(d, at), share),
        st.builds(lambda at, bits: lambda d: flip(d, at, bits), share, st.integers(1, 255)),
        st.builds(lambda s, t, n: lambda d: splice(d, s, t, n), share, share, st.integers(1, 3000)),
        st.builds(
            lambda at, junk: lambda d: overwrite(d, at, junk), share, st.binary(min_size=1, max_size=64)
        ),
        st.builds(lambda at, n: lambda d: remove(d, at, n), share, st.integers(1, 2000)),
    ),
    min_size=1,
    max_size=6,
)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.timeout(900)
def test_a_ruined_file_ends_in_a_whole_output_or_one_clear_error(
    kind: str, seeds: dict[str, bytes], repeat_2x: Path, tmp_path: Path
) -> None:
    source, output = tmp_path / f"in.{kind}", tmp_path / "out.mkv"
    outcomes = {"output": 0, "error": 0}

    @settings(
        max_examples=CASES,
        deadline=None,
        derandomize="VIDSR_FUZZ_CASES" not in os.environ,
        suppress_health_check=list(HealthCheck),
    )
    @given(changes=mutations)
    def ruin(changes: list[Mutation]) -> None:
        data = seeds[kind]
        for change in changes:
            data = change(data) or b"\0"
        source.write_bytes(data)
        for old in tmp_path.glob("out*.mkv"):  # of the case before
            old.unlink()
        failure: VidsrError | None = None
        try:
            receipt = run_job(Job(source, output, weights=repeat_2x, precision="fp32"), show=lambda _: None)
        except VidsrError as error:
            failure = error
        left = {path.name for path in tmp_path.iterdir()}
        if failure is not None:
            outcomes["error"] += 1
            assert "\n" not in failure.message
            assert failure.hint
            assert left == {source.name}, failure.message
        else:
            outcomes["output"] += 1
            assert left == {source.name, output.name}
            assert len(frame_lines(output)) == receipt.frames_written

    ruin()
    assert outcomes["output"] > 0
    assert outcomes["error"] > 0


@pytest.mark.parametrize("suffix", ["mkv", "mp4", "mov"])
def test_two_pieces_of_sound_with_one_time_stamp_lose_nothing(
    suffix: str, seeds: dict[str, bytes], repeat_2x: Path, tmp_path: Path
) -> None:
    """A sound frame in AVI without its sync word: the parser cuts it up, and the clock stands meanwhile."""
    data, place = bytearray(seeds["avi"]), -1
    for _ in range(10):
        place = data.index(b"01wb", place + 1)
    assert data[place + 8] == 0xFF  # the sync word of MPEG audio
    data[place + 8] = 0xFD
    source, output = tmp_path / "in.avi", tmp_path / f"out.{suffix}"
    source.write_bytes(data)
    receipt = run_job(Job(source, output, weights=repeat_2x, precision="fp32"), show=lambda _: None)
    assert receipt.frames_written == 13
    assert [entry.split()[0] for entry in receipt.damage] == ["backward"]  # by more than a frame, further on
    assert verify(source, output).ok


def test_sound_behind_a_torn_video_packet_counts_as_the_sources(
    seeds: dict[str, bytes], repeat_2x: Path, tmp_path: Path
) -> None:
    """A player that only listens hears it; one that looks into every packet loses the rest of the cluster."""
    source, output = tmp_path / "in.mkv", tmp_path / "out.mkv"
    source.write_bytes(seeds["mkv"])
    with av.open(source) as container:
        video = [packet.pos for packet in container.demux(video=0) if packet.size]
    data = bytearray(seeds["mkv"])
    block = data.index(b"\x81", cast("int", video[-2]))  # track 1, two bytes of time, then the flags
    assert data[block + 3] in (0x00, 0x80)  # a key frame or none, no lacing
    data[block + 3] |= 0x06  # EBML lacing, which the bytes behind it do not fit
    source.write_bytes(data)
    receipt = run_job(Job(source, output, weights=repeat_2x, precision="fp32"), show=lambda _: None)
    assert receipt.frames_written == len(video) - 1  # what is lost is not lost in silence
    assert receipt.damage == ("unreadable at 0.440 s: Error parsing frame sizes",)
    whole = tmp_path / "whole.mkv"
    whole.write_bytes(seeds["mkv"])
    kept, there = packet_lines(output, "a:0"), packet_lines(whole, "a:0")
    assert [(pts, md5) for pts, _, md5 in kept] == [(pts, md5) for pts, _, md5 in there]
