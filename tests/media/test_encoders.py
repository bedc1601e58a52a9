"""Encoders: what there is, what is checked, and that what is promised works."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any, Literal

import av
import numpy as np
import pytest

from tests.media import reference
from tests.media.clips import ClipShelf
from tests.media.copies import copy
from tests.media.remake import BT601, BT709, flat_planes
from vidsr.errors import EncoderError, UnknownNameError, UsageError
from vidsr.frames import ChromaLocation, Color, Frame, Matrix, PixelFormat, Range
from vidsr.job import EncoderRequest
from vidsr.media.containers import OutputFormat
from vidsr.media.encode.encoders import (
    EncoderInfo,
    EncoderSettings,
    check_size,
    list_encoders,
    option_names,
    settings_for,
)
from vidsr.media.encode.layouts import depth_note, held_color
from vidsr.media.read.probe import probe
from vidsr.media.write.writer import Writer

SOFTWARE = [
    "libx264",
    "libx264rgb",
    "libx265",
    "libsvtav1",
    "libvpx-vp9",
    "ffv1",
    "utvideo",
    "prores_ks",
    "dnxhd",
]
YUV420 = PixelFormat.parse("yuv420p")


@pytest.fixture(scope="module")
def encoders() -> dict[str, EncoderInfo]:
    return {info.name: info for info in list_encoders()}


def test_software_encoders_are_there_and_work(encoders: dict[str, EncoderInfo]) -> None:
    for name in SOFTWARE:
        assert encoders[name].available, encoders[name].problem
        assert not encoders[name].hardware


def test_hardware_encoders_say_why_they_do_not_work(encoders: dict[str, EncoderInfo]) -> None:
    assert encoders["h264_nvenc"].hardware
    for info in encoders.values():
        if info.hardware and not info.available:
            assert info.problem
            with pytest.raises(EncoderError, match=f"{info.name} does not work on this machine") as caught:
                settings_for(EncoderRequest(info.name), source=YUV420)
            assert caught.value.hint == "use libx264, which always works"


@pytest.mark.parametrize("name", SOFTWARE)
def test_every_listed_layout_and_container_can_be_written(
    clips: ClipShelf, tmp_path: Path, encoders: dict[str, EncoderInfo], name: str
) -> None:
    """All layouts in the first container, the default layout in all of them; ffmpeg finds three frames."""
    info = encoders[name]
    layouts = [layout for layout in info.pixel_formats if PixelFormat.parse(layout).bits in (8, 10)]
    jobs = [(info.containers[0], layout) for layout in layouts]
    jobs += [(suffix, layouts[0]) for suffix in info.containers[1:]]
    for suffix, layout_name in jobs:
        layout = PixelFormat.parse(layout_name)
        settings = settings_for(
            EncoderRequest(name, pixel_format=layout_name), source=layout, container=suffix, threads=1
        )
        assert settings.pixel_format == layout_name
        output = tmp_path / f"{layout_name}.{suffix}"
        source = probe(clips("b_frames.mp4"))
        planes = flat_planes(layout, 256, 128, layout.peak // 2)
        with Writer(output, source, settings, width=256, height=128, color=BT709, audio="none") as writer:
            for number in range(3):
                writer.write(Frame(planes, layout, BT709, number * 512, source.time_base, number, 512))
            writer.finish()
        assert len(reference.decoded(output)) == 3
        samples = np.frombuffer(reference.raw_video(output, layout_name), layout.dtype).astype(np.float64)
        assert abs(int(np.median(samples)) - layout.peak // 2) <= layout.peak // 100 + 1


@pytest.mark.parametrize(
    ("name", "source", "chosen"),
    [
        ("libx264", "yuv420p", "yuv420p"),
        ("libx264", "yuv420p10le", "yuv420p10le"),
        ("libx264", "yuv420p12le", "yuv420p10le"),
        ("libx264", "yuv422p", "yuv422p"),
        ("libx264", "yuv444p10le", "yuv444p10le"),
        ("libx264", "gray", "gray"),
        ("libx264", "gbrp", "yuv444p"),
        ("libx264", "yuv411p", "yuv422p"),
        ("libx264", "yuv410p", "yuv420p"),
        ("libx264", "yuv440p", "yuv444p"),
        ("libx265", "gbrp10le", "gbrp10le"),
        ("libx265", "yuv420p12le", "yuv420p10le"),
        ("libx265", "gray12le", "gray10le"),
        ("libsvtav1", "yuv444p", "yuv420p"),
        ("libsvtav1", "yuv422p10le", "yuv420p10le"),
        ("prores_ks", "yuv420p", "yuv422p10le"),
        ("prores_ks", "yuv444p", "yuv444p10le"),
        ("dnxhd", "yuv420p10le", "yuv422p10le"),
        ("ffv1", "gbrp", "gbrp"),
        ("ffv1", "yuv411p", "yuv411p"),
        ("libx264rgb", "yuv420p", "gbrp"),
        ("utvideo", "yuv420p10le", "yuv420p"),
        ("ffv1", "yuv420p12le", "yuv420p12le"),
        ("ffv1", "yuv444p16le", "yuv444p16le"),
        ("ffv1", "yuv420p9le", "yuv420p10le"),
        ("png", "gray", "gray"),
    ],
)
def test_default_layout_loses_least(name: str, source: str, chosen: str) -> None:
    container = {"dnxhd": "mov", "png": "mov", "utvideo": "nut"}.get(name, "mkv")
    layout = PixelFormat.parse(source)
    assert settings_for(EncoderRequest(name), source=layout, container=container).pixel_format == chosen


@pytest.mark.parametrize("name", ["png", "qtrle"])
def test_gray_is_never_chosen_for_pictures_with_colours(name: str) -> None:
    """These take gray, or RGB in a layout that vidsr does not make."""
    with pytest.raises(EncoderError, match="no pixel format with colours") as refused:
        settings_for(EncoderRequest(name), source=YUV420, container="mov")
    assert "--pix-fmt gray" in (refused.value.hint or "")
    wish = EncoderRequest(name, pixel_format="gray")
    assert settings_for(wish, source=YUV420, container="mov").pixel_format == "gray"


FULL = replace(BT709, range=Range.FULL)


@pytest.mark.parametrize(
    ("name", "color", "held"),
    [
        ("libx264", FULL, FULL),
        ("ffv1", BT601, BT601),
        ("prores_ks", FULL, BT709),
        ("prores_ks", BT601, BT601),
        ("dnxhd", BT709, BT709),
        ("dnxhd", BT601, replace(BT601, matrix=Matrix.BT709)),
        ("dnxhd", replace(BT709, matrix=Matrix.BT2020_NCL), replace(BT709, matrix=Matrix.BT2020_NCL)),
    ],
)
def test_colours_that_an_encoder_s_files_cannot_name_become_the_nearest(
    name: str, color: Color, held: Color
) -> None:
    found, note = held_color(name, color)
    assert found == held
    assert (note is None) == (found == color)


@pytest.mark.parametrize(
    ("source", "written", "words"),
    [
        ("yuv420p", "yuv420p10le", None),
        ("yuv420p10le", "yuv420p", "10 bits a sample become 8"),
        ("yuv444p", "yuv420p", "yuv444p to yuv420p"),
        ("yuv411p", "yuv422p", None),
        ("gray12le", "yuv420p10le", "12 bits a sample become 10"),
        ("yuv420p", "gray", None),
    ],
)
def test_fewer_bits_and_coarser_colours_are_named(source: str, written: str, words: str | None) -> None:
    note = depth_note("an encoder", PixelFormat.parse(source), PixelFormat.parse(written))
    assert note is None if words is None else words in (note or "")


def test_defaults_are_filled_in() -> None:
    settings = settings_for(EncoderRequest("libx264"), source=YUV420)
    assert (settings.crf, settings.preset) == (18, "medium")
    assert dict(settings.options) == {"crf": "18", "preset": "medium"}
    settings = settings_for(EncoderRequest("libsvtav1", crf=31.5, preset="10"), source=YUV420)
    assert dict(settings.options) == {"crf": "31.5", "preset": "10"}


def test_settings_and_colours_survive_json_in_the_form_that_journals_have() -> None:
    wish = EncoderRequest("libx264", crf=17, options=(("bf", "2"),))
    settings = settings_for(wish, source=YUV420, threads=3)
    settings = replace(settings, post_filters="unsharp", program="/usr/bin/ffmpeg")
    written = json.loads(json.dumps(settings.to_json()))
    assert written == {
        "name": "libx264",
        "crf": 17,
        "preset": "medium",
        "pixel_format": "yuv420p",
        "options": {"crf": "17", "preset": "medium", "bf": "2"},
        "threads": 3,
        "coded_format": "yuv420p",
        "post_filters": "unsharp",
        "program": "/usr/bin/ffmpeg",
    }
    assert EncoderSettings.from_json(written) == settings
    color = Color(Matrix.SMPTE170M, Range.FULL, 6, 13, ChromaLocation.TOPLEFT)
    written = json.loads(json.dumps(color.to_json()))
    assert written == {"matrix": 6, "range": 2, "primaries": 6, "transfer": 13, "chroma_location": 3}
    again = Color.from_json(written)
    assert again == color
    assert [type(value) for value in astuple(again)] == [Matrix, Range, int, int, ChromaLocation]


def test_own_rate_control_replaces_the_default_quality() -> None:
    settings = settings_for(EncoderRequest("libx264", options=(("qp", "0"),)), source=YUV420)
    assert settings.crf is None
    assert "crf" not in settings.options


def test_unknown_names_are_refused_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="unknown encoder 'libsvt'") as caught:
        settings_for(EncoderRequest("libsvt"), source=YUV420)
    assert caught.value.hint == "did you mean libsvtav1? vidsr encoders lists all"
    with pytest.raises(UnknownNameError, match="libx264 has no preset 'veryfats'") as caught:
        settings_for(EncoderRequest("libx264", preset="veryfats"), source=YUV420)
    assert caught.value.hint is not None
    assert "veryfast" in caught.value.hint
    with pytest.raises(UnknownNameError, match="libx264 has no pixel format 'yuv420p16le'"):
        settings_for(EncoderRequest("libx264", pixel_format="yuv420p16le"), source=YUV420)
    with pytest.raises(UnknownNameError, match="libx264 has no option 'tunes'") as caught:
        settings_for(EncoderRequest("libx264", options=(("tunes", "animation"),)), source=YUV420)
    assert caught.value.hint is not None
    assert "did you mean tune?" in caught.value.hint


@pytest.mark.parametrize("name", ["aac", "h264", "x264", "mov_text", "", "libx264 "])
def test_names_that_are_no_video_encoders(name: str) -> None:
    with pytest.raises(UnknownNameError):
        settings_for(EncoderRequest(name), source=YUV420)


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("libx264", {"x264-params": "keyint=20:bogus=1"}, "bogus"),
        ("libx265", {"x265-params": "keyint=20:bogus=1"}, "bogus"),
        ("libsvtav1", {"svtav1-params": "bogus=1"}, "bogus"),
        ("libx264", {"tune": "animatio"}, "animatio"),
        ("libx264", {"profile": "baseline", "qp": "0"}, ""),
        ("libx264", {"aq-strength": "much"}, "much"),
    ],
)
def test_values_an_encoder_does_not_know_are_refused(name: str, options: dict[str, str], words: str) -> None:
    """FFmpeg takes most of these in silence or with a warning."""
    with pytest.raises(EncoderError, match=f"{name} refuses its settings: .*{words}"):
        settings_for(EncoderRequest(name, options=tuple(options.items())), source=YUV420)


def test_values_an_encoder_knows_are_passed_on(clips: ClipShelf, tmp_path: Path) -> None:
    options = (("x265-params", "keyint=7:min-keyint=7"), ("tune", "animation"))
    settings = settings_for(EncoderRequest("libx265", options=options), source=YUV420, threads=1)
    source = probe(clips("b_frames.mp4"))
    output = tmp_path / "out.mkv"
    planes = flat_planes(YUV420, 96, 64, 90)
    with Writer(output, source, settings, width=96, height=64, color=BT709, audio="none") as writer:
        for number in range(15):
            writer.write(Frame(planes, YUV420, BT709, number * 512, source.time_base, number, 512))
        writer.finish()
    with av.open(str(output)) as container:
        keys = [packet.pts for packet in container.demux(video=0) if packet.is_keyframe and packet.size]
    assert keys == [0, 280, 560]


def test_what_an_encoder_holds_is_known_to_the_last_packet(
    clips: ClipShelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """x265 that looks 12 frames ahead gives none of the first 12."""
    options = (("x265-params", "rc-lookahead=12:bframes=3:b-adapt=0:frame-threads=1:pools=1"),)
    settings = settings_for(EncoderRequest("libx265", options=options), source=YUV420, threads=1)
    source = probe(clips("b_frames.mp4"))
    output = tmp_path / "out.mkv"
    planes = flat_planes(YUV420, 96, 64, 90)
    held: list[int] = []
    muxed: list[int] = []
    mux = Writer._mux

    def watching(writer: Writer, packets: Iterable[Any]) -> None:
        mux(writer, packets)
        muxed.append(writer.frames_held)

    monkeypatch.setattr(Writer, "_mux", watching)
    with Writer(output, source, settings, width=96, height=64, color=BT709, audio="none") as writer:
        for number in range(30):
            writer.write(Frame(planes, YUV420, BT709, number * 512, source.time_base, number, 512))
            held.append(writer.frames_held)
        deep = held[-1]
        muxed.clear()
        writer.finish()
    assert held[:12] == list(range(1, 13))
    assert deep >= 12
    assert muxed == list(range(deep - 1, -1, -1))  # each when it is there, not all at the end
    assert len(reference.decoded(output)) == 30


def test_quality_out_of_range_is_refused() -> None:
    """x264 would take 99 in silence and use 51."""
    with pytest.raises(UsageError, match="--crf 99 is outside libx264's range 0 to 51"):
        settings_for(EncoderRequest("libx264", crf=99), source=YUV420)
    with pytest.raises(UsageError, match="ffv1 has no quality setting"):
        settings_for(EncoderRequest("ffv1", crf=18), source=YUV420)
    with pytest.raises(UsageError, match="ffv1 has no presets"):
        settings_for(EncoderRequest("ffv1", preset="slow"), source=YUV420)


@pytest.mark.parametrize(
    ("name", "container"),
    [("ffv1", "mp4"), ("prores_ks", "mp4"), ("libx264", "webm"), ("libsvtav1", "mov"), ("utvideo", "mp4")],
)
def test_container_that_cannot_hold_the_codec_is_refused(name: str, container: str) -> None:
    with pytest.raises(EncoderError, match="cannot hold") as caught:
        settings_for(EncoderRequest(name), source=YUV420, container=container)
    assert caught.value.hint is not None
    assert (".nut" if name == "utvideo" else ".mkv") in caught.value.hint


def test_quality_setting_changes_the_size(clips: ClipShelf, tmp_path: Path) -> None:
    """The knob of each encoder is connected: worse quality, smaller file."""
    noise = np.random.default_rng(1)
    source = probe(clips("b_frames.mp4"))
    for name in ("libx264", "libx265", "libsvtav1", "libvpx-vp9", "prores_ks"):
        sizes = []
        suffix = "mov" if name == "prores_ks" else "mkv"
        for crf in (4, 30):
            settings = settings_for(EncoderRequest(name, crf=crf), source=YUV420, container=suffix, threads=1)
            layout = settings.layout
            output = tmp_path / f"{name}-{crf}.{suffix}"
            with Writer(output, source, settings, width=96, height=64, color=BT709, audio="none") as writer:
                for number in range(4):
                    planes = flat_planes(layout, 96, 64, 0)
                    for plane in planes:
                        plane[:] = noise.integers(0, layout.peak, plane.shape)
                    writer.write(Frame(planes, layout, BT709, number * 512, source.time_base, number, 512))
                writer.finish()
            sizes.append(output.stat().st_size)
        assert sizes[1] < 0.8 * sizes[0], name


@pytest.mark.parametrize(("name", "suffix"), [("libx264", "mkv"), ("prores_ks", "mov"), ("prores_ks", "mkv")])
def test_decoded_frames_have_the_matrix_primaries_and_transfer_that_were_given(
    clips: ClipShelf, tmp_path: Path, name: str, suffix: str
) -> None:
    settings = settings_for(EncoderRequest(name), source=YUV420, container=suffix, threads=1)
    source, output = probe(clips("b_frames.mp4")), tmp_path / f"out.{suffix}"
    planes = flat_planes(settings.layout, 96, 64, 90)
    with Writer(output, source, settings, width=96, height=64, color=BT709, audio="none") as writer:
        writer.write(Frame(planes, settings.layout, BT709, 0, source.time_base, 0, 512))
        writer.finish()
    _, said = reference.ffmpeg("-i", output, "-vf", "showinfo", "-f", "null", "-")
    assert "color_space:bt709 color_primaries:bt709 color_trc:bt709" in said


@pytest.mark.parametrize("name", ["ffv1", "libsvtav1", "libvpx-vp9"])
def test_encoders_that_take_odd_sizes_give_them_back(clips: ClipShelf, tmp_path: Path, name: str) -> None:
    settings = settings_for(EncoderRequest(name), source=YUV420, threads=1)
    source, output = probe(clips("b_frames.mp4")), tmp_path / "out.mkv"
    planes = flat_planes(YUV420, 97, 65, 90)
    with Writer(output, source, settings, width=97, height=65, color=BT709, audio="none") as writer:
        writer.write(Frame(planes, YUV420, BT709, 0, source.time_base, 0, 512))
        writer.finish()
    assert "97x65" in reference.streams(output)[0].description
    samples = np.frombuffer(reference.raw_video(output, "yuv420p"), np.uint8).astype(np.int16)
    assert len(samples) == 97 * 65 + 2 * 49 * 33
    assert np.abs(samples - 90).max() <= 2


def test_hint_for_odd_sizes_names_what_the_encoder_has() -> None:
    for name, hint in (("libx264", "ask for 98x66, or pass --pix-fmt yuv444p"), ("h264_nvenc", None)):
        settings = EncoderSettings(name, 18, None, "yuv420p")
        with pytest.raises(EncoderError, match="multiples of 2x2") as caught:
            check_size(settings, 97, 65)
        assert hint in (None, caught.value.hint)


def test_option_names_hold_private_and_general_ones() -> None:
    names = option_names("libx264")
    assert {"crf", "tune", "x264-params", "g", "bf", "maxrate"} <= names
    assert not {"skip_frame", "strange", "ac", "sample_fmt"} & names


@pytest.mark.parametrize(
    ("path", "muxer"),
    [
        ("a.mkv", "matroska"),
        ("a.MP4", "mp4"),
        ("a.m4v", "mp4"),
        ("a.mov", "mov"),
        ("a.webm", "webm"),
        ("a.nut", "nut"),
    ],
)
def test_suffix_decides_the_container(path: str, muxer: str) -> None:
    assert OutputFormat.of_path(Path(path)).muxer == muxer


@pytest.mark.parametrize("muxer", ["matroska", "mp4", "mov", "webm", "nut"])
def test_tables_of_containers_name_only_what_the_muxer_takes(muxer: str) -> None:
    """Streams of the output are made before work begins; a refusal there would be a mistake in a table."""
    container = OutputFormat.named(muxer)
    with av.open("nothing", "w", format=muxer) as out:
        taken = {av.Codec(n, m).canonical_name for n in out.supported_codecs for m in modes(n)}
    for table in (container.video, container.audio):
        assert table is None or table <= taken
    assert container.text_subtitles_as is None or container.holds_subtitle(container.text_subtitles_as)


def modes(name: str) -> list[Literal["r", "w"]]:
    found: list[Literal["r", "w"]] = []
    for mode in ("r", "w"):
        try:
            av.Codec(name, mode)
        except av.codec.codec.UnknownCodecError:
            continue
        found.append(mode)
    return found


def test_x264_divides_time_among_threads_and_not_pictures(clips: ClipShelf, tmp_path: Path) -> None:
    output = tmp_path / "out.mkv"
    copy(clips("b_frames.mp4"), output)
    assert b"sliced_threads=0" in output.read_bytes()  # x264 writes its settings into the stream
