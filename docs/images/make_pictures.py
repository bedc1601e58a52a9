"""Draws the comparisons of docs/models.md from the sample clip, with vidsr itself.

    python docs/images/make_pictures.py [FOLDER]

Each picture is a row of one place of one frame: enlarged as a player would (bicubic), and by three models.
Needs the weights of the installed data package and, on two cores, some minutes.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
from av.video.frame import VideoFrame

import vidsr

HERE = Path(__file__).resolve().parent
SAMPLE = HERE.parent.parent / "samples" / "cel.mkv"
MODELS = ("realesr-animevideov3", "RealESRGAN_x4plus_anime_6B", "RealESRGAN_x4plus")
GAP = 6  # white pixels between the pictures of a row
JPEG_QUALITY = "4"  # of FFmpeg's 1 to 31; 1 is best

Picture = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Place:
    """A part of one frame: what is shown, in pixels of the clip."""

    name: str
    frame: int
    left: int
    top: int
    width: int = 80
    height: int = 80


PLACES = (Place("models-day", 12, 172, 48), Place("models-night", 44, 80, 88))


def main(folder: Path) -> None:
    frames = {place.name: frame_of(place) for place in PLACES}
    rows = {place.name: [cut(place, bicubic(frames[place.name]))] for place in PLACES}
    for model in MODELS:
        with vidsr.Upscaler(model, device="cpu", precision="fp32") as upscaler:
            for place in PLACES:
                rows[place.name].append(cut(place, upscaler(frames[place.name])))
    for place in PLACES:
        write(folder / f"{place.name}.jpg", side_by_side(rows[place.name]))


def frame_of(place: Place) -> Picture:
    """The frame as R'G'B' (H, W, 3)."""
    with av.open(SAMPLE) as container:
        frame = next(islice(container.decode(video=0), place.frame, None))
    rgb = frame.reformat(
        format="rgb24", src_colorspace="ITU709", src_color_range="MPEG", interpolation="BICUBIC"
    )
    return rgb.to_ndarray().astype(np.uint8)


def bicubic(picture: Picture) -> Picture:
    """4x, as a player enlarges it."""
    height, width, _ = picture.shape
    larger = VideoFrame.from_ndarray(picture, format="rgb24").reformat(
        4 * width, 4 * height, interpolation="BICUBIC"
    )
    return larger.to_ndarray(format="rgb24").astype(np.uint8)


def cut(place: Place, picture: Picture) -> Picture:
    """The place of a frame that was enlarged 4x."""
    return picture[
        4 * place.top : 4 * (place.top + place.height), 4 * place.left : 4 * (place.left + place.width)
    ]


def side_by_side(pictures: list[Picture]) -> Picture:
    gap = np.full((pictures[0].shape[0], GAP, 3), 255, np.uint8)
    parts = [part for picture in pictures for part in (picture, gap)][:-1]
    return np.concatenate(parts, axis=1)


def write(path: Path, picture: Picture) -> None:
    """As JPEG."""
    height, width, _ = picture.shape
    with av.open(path, "w", format="image2", options={"update": "1"}) as container:
        quality = {"qmin": JPEG_QUALITY, "qmax": JPEG_QUALITY}
        stream = container.add_stream("mjpeg", rate=Fraction(1), options=quality)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuvj444p"
        frame = VideoFrame.from_ndarray(picture, format="rgb24").reformat(
            format="yuvj444p", dst_colorspace="ITU601", dst_color_range="JPEG"
        )
        container.mux(stream.encode(frame))
        container.mux(stream.encode())


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
