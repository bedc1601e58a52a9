"""Make the sample clip `cel.mkv`: three seconds of cel animation, line art over flat colours.

It owns the order of the pictures, the sound, the subtitles and how all of it is encoded; the
artwork is in `hillside.py` and `city.py`. Nothing here knows vidsr. Everything is computed, so the
clip has no other author than this repository.

    python samples/make_samples.py [OUTPUT]     (OUTPUT: cel.mkv beside this script)

Shot one, frames 0 to 35: a background painted once and held, a girl animated on threes (a drawing
stands for three frames). A hard cut. Shot two, frames 36 to 71: a city at night in four layers that
pan at different speeds, one step a frame, and fade to black over the last twelve frames.

Two runs on one machine write the same bytes.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition
from av.video.frame import PictureType
from av.video.stream import VideoStream
from city import draw_city
from hillside import POSES, draw_hillside
from pens import Array, Picture

WIDTH, HEIGHT = 320, 180
RATE = Fraction(24000, 1001)
HOLD = 3  # frames a drawing: "on threes"
CUT = HOLD * len(POSES)  # the first frame of shot two
FRAME_COUNT = 72
FADE = 12  # frames; the last one is black
SAMPLE_RATE = 48000
OPUS_DELAY = 312  # samples libopus puts in front; as many are left out, or the clip would begin at -7 ms
SAMPLE_COUNT = int(FRAME_COUNT / RATE * SAMPLE_RATE)  # 144144, without remainder

CHAPTERS = ((0, CUT, "Hillside"), (CUT, FRAME_COUNT, "City at night"))

# A held frame must decode to exactly the samples of the one before it: that is how clean cel
# animation looks to a program that skips unchanged regions. x264 does that by skipping every block,
# if nothing tempts it to refine them: so every frame has a fixed quantiser, the held ones a coarse
# one (12 bytes a frame are left of them), and there are no B-frames, no weighted prediction, no
# quantiser offsets within a frame (aq, mbtree) and no psychovisual noise. A P frame's 14 gives 49 dB;
# the I frames' follows by ipratio. Key frames stand only where a shot begins. One thread: the bytes
# shall not depend on the number of cores.
ZONES = "/".join(
    [f"0,{FRAME_COUNT - 1},q=14", *(f"{k + 1},{k + HOLD - 1},q=22" for k in range(0, CUT, HOLD))]
)
X264 = {
    "preset": "slow",
    "crf": "14",
    "forced-idr": "1",
    "x264-params": "threads=1:bframes=0:ref=1:keyint=infinite:scenecut=0:weightp=0:aq-mode=0:mbtree=0"
    f":no-psy=1:ipratio=1.7:zones={ZONES}",
}

SUBTITLES = """\
[Script Info]
Title: Until tomorrow
ScriptType: v4.00+
WrapStyle: 0
ScaledBorderAndShadow: yes
YCbCr Matrix: TV.709
PlayResX: 640
PlayResY: 360

[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour, SecondaryColour, OutlineColour, BackColour, Bold, Italic, \
Underline, StrikeOut, ScaleX, ScaleY, Spacing, Angle, BorderStyle, Outline, Shadow, Alignment, \
MarginL, MarginR, MarginV, Encoding
Style: Girl,DejaVu Sans,26,&H00FFFFFF,&H000000FF,&H00241A2B,&H80000000,-1,0,0,0,\
100,100,0,0,1,2.4,1,2,24,24,18,1
Style: Place,DejaVu Serif,20,&H00C8F0FF,&H000000FF,&H00301020,&H80000000,0,-1,0,0,\
100,100,2,0,1,1.6,0,7,24,24,16,1

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
Dialogue: 0,0:00:00.10,0:00:00.80,Girl,Girl,0,0,0,,Hey! Over here!
Dialogue: 0,0:00:00.80,0:00:01.45,Girl,Girl,0,0,0,,See you {\\i1}tomorrow{\\i0},\\Nby the old pole!
Dialogue: 1,0:00:01.55,0:00:02.80,Place,,0,0,0,,{\\fad(200,300)}The city, that night
"""


def draw_frame(index: int) -> Picture:
    """One picture of the clip, uint8 (180, 320, 3) R'G'B'; 0 <= index < FRAME_COUNT.

    Raises IndexError for any other index.
    """
    if not 0 <= index < FRAME_COUNT:
        raise IndexError(f"the clip has {FRAME_COUNT} frames, there is no frame {index}")
    if index < CUT:
        return draw_hillside(WIDTH, HEIGHT, index // HOLD)
    picture = draw_city(WIDTH, HEIGHT, index - CUT, FRAME_COUNT - CUT)
    left = FRAME_COUNT - 1 - index
    if left < FADE:
        picture = np.rint(picture * (left / FADE)).astype(np.uint8)
    return picture


def convert_to_yuv(picture: Picture) -> tuple[Picture, Picture, Picture]:
    """R'G'B' (H, W, 3) to 4:2:0 planes: BT.709, limited range, chroma beside the left luma column.

    Written out from ITU-R BT.709 rather than left to a scaler, whose rounding differs by version.
    """
    r, g, b = np.moveaxis(picture.astype(np.float64) / 255, 2, 0)
    y = 0.2126 * r + 0.7152 * g + 0.0722 * b
    planes = [16 + 219 * y]
    for chroma in ((b - y) / 1.8556, (r - y) / 1.5748):
        wide = np.pad(chroma, ((0, 0), (1, 1)), mode="edge")
        across = (wide[:, :-2] + 2 * wide[:, 1:-1] + wide[:, 2:])[:, ::2] / 4  # centred on even columns
        planes.append(128 + 224 * (across[::2] + across[1::2]) / 2)
    y8, u8, v8 = (np.rint(plane).astype(np.uint8) for plane in planes)
    return y8, u8, v8


def play_sound() -> Array:
    """The sound track, float32 (2, SAMPLE_COUNT) in [-1, 1]: wind, and a few notes of a music box."""
    t = np.arange(SAMPLE_COUNT) / SAMPLE_RATE
    total = np.zeros((2, SAMPLE_COUNT))
    tune = (
        (0.0, 76),
        (0.25, 79),
        (0.5, 81),
        (0.75, 84),
        (1.0, 83),
        (1.25, 79),
        (1.5, 72),
        (1.88, 71),
        (2.25, 69),
    )
    for start, key in tune:
        since = np.maximum(t - start, 0)
        envelope = np.where(t >= start, np.exp(-3.2 * since) * (1 - np.exp(-400 * since)), 0)
        pitch = 440 * 2 ** ((key - 69) / 12)
        tone = sum(np.sin(2 * np.pi * pitch * k * t) / k**2.2 for k in (1, 2, 3, 5))
        pan = (key - 69) / 30 + 0.25
        total += 0.16 * envelope * tone * np.array([[1 - pan], [pan]])
    rng = np.random.default_rng(5)
    frequency = np.fft.rfftfreq(SAMPLE_COUNT, 1 / SAMPLE_RATE)
    colour = frequency / (1 + (frequency / 350) ** 2.6)
    wind = np.fft.irfft(np.fft.rfft(rng.standard_normal((2, SAMPLE_COUNT))) * colour, SAMPLE_COUNT)
    gusts = 0.6 + 0.4 * np.sin(2 * np.pi * 0.45 * t + np.array([[0.0], [0.9]]))
    total += 0.035 * gusts * wind / wind.std()
    sound: Array = (total * np.minimum(1, (t[-1] - t) / 0.5)).astype(np.float32)  # fades with the picture
    return sound


def encode_pictures(stream: VideoStream) -> Iterator[Packet[VideoStream]]:
    """All packets of the video stream."""
    for index in range(FRAME_COUNT):
        frame = av.VideoFrame(WIDTH, HEIGHT, "yuv420p")
        for plane, values in zip(frame.planes, convert_to_yuv(draw_frame(index)), strict=True):
            rows = np.zeros((plane.height, plane.line_size), np.uint8)
            rows[:, : plane.width] = values
            plane.update(rows.tobytes())
        frame.pts, frame.time_base, frame.duration = index, 1 / RATE, 1
        if index in (0, CUT):
            frame.pict_type = PictureType.I
        yield from stream.encode(frame)
    yield from stream.encode(None)


def encode_sound(stream: AudioStream) -> Iterator[Packet[AudioStream]]:
    """All packets of the audio stream, the first one at time 0."""
    sound = play_sound()
    for start in range(OPUS_DELAY, SAMPLE_COUNT, 960):
        part = np.ascontiguousarray(sound[:, start : start + 960])
        frame = av.AudioFrame.from_ndarray(part, format="fltp", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = SAMPLE_RATE, start, Fraction(1, SAMPLE_RATE)
        yield from stream.encode(frame)
    yield from stream.encode(None)


def make_clip(path: Path) -> None:
    """Write the whole clip as Matroska."""
    script = cast(InputContainer, av.open(io.BytesIO(SUBTITLES.encode()), format="ass"))
    with script, av.open(path, "w", format="matroska", options={"fflags": "+bitexact"}) as output:
        video = output.add_stream("libx264", rate=RATE, options=X264)
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        video.time_base = video.codec_context.time_base = 1 / RATE
        video.codec_context.color_primaries = video.codec_context.color_trc = 1  # BT.709
        video.codec_context.colorspace, video.codec_context.color_range = 1, 1  # BT.709, limited
        audio = output.add_stream("libopus", rate=SAMPLE_RATE, options={"b": "96k"})
        audio.layout = "stereo"
        words = output.add_stream_from_template(script.streams.subtitles[0])
        video.metadata.update(title="Cel animation")
        audio.metadata.update(language="jpn", title="Music box and wind")
        words.metadata.update(language="eng", title="English")
        for stream in (video, audio, words):
            stream.disposition = Disposition.default
        output.metadata.update(title="Until tomorrow")
        output.set_chapters(
            [
                {"id": k, "start": start, "end": end, "time_base": 1 / RATE, "metadata": {"title": title}}
                for k, (start, end, title) in enumerate(CHAPTERS, 1)
            ]
        )
        output.start_encoding()
        for packet in script.demux(script.streams.subtitles[0]):
            if packet.size:
                packet.stream = words
                output.mux(packet)
        output.mux([*encode_pictures(video), *encode_sound(audio)])


def main(arguments: list[str]) -> int:
    if len(arguments) > 1 or any(a.startswith("-") for a in arguments):
        print("usage: python samples/make_samples.py [OUTPUT]", file=sys.stderr)
        return 2
    path = Path(arguments[0]) if arguments else Path(__file__).with_name("cel.mkv")
    make_clip(path)
    print(f"{path}: {FRAME_COUNT} frames, {WIDTH}x{HEIGHT}, {path.stat().st_size / 1000:.0f} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
