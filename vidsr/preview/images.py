"""Pictures as bytes of image files: PNG, lossless WebP, and JPEG that keeps every chroma sample.

It knows R'G'B' of 8 bits and FFmpeg's image encoders, never where the bytes go.
"""

from __future__ import annotations

import base64
from fractions import Fraction

import av
import av.error
import torch
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from vidsr.errors import EncoderError
from vidsr.frames import ChromaLocation, Color, Matrix, PixelFormat, Range
from vidsr.infer.resize import resize
from vidsr.media.color.convert import rgb_to_planes
from vidsr.media.pixels import fill
from vidsr.media.read.demux import reason
from vidsr.preview.display import Pixels

JFIF = Color(Matrix.SMPTE170M, Range.FULL, chroma_location=ChromaLocation.CENTER)
"""What a JPEG's samples mean: BT.601's matrix, full range."""

LAMBDA_PER_QUALITY = 118  # FF_QP2LAMBDA
THUMBNAIL_HEIGHT = 128
"""Shown at half of that, so that dense screens have something to show."""


def png(pixels: Pixels) -> bytes:
    """Lossless, for every program. 4.3 MB for 2560x1920 of a drawn film."""
    picture = VideoFrame.from_ndarray(pixels, format="rgb24")
    return _encode("png", picture, {"pred": "mixed"})


def webp(pixels: Pixels) -> bytes:
    """Lossless, for browsers: 2.7 MB where PNG needs 4.3.

    Raises EncoderError for sides above 16383, which WebP cannot hold.
    """
    opaque = torch.full((*pixels.shape[:2], 4), 255, dtype=torch.uint8)
    opaque[..., :3] = torch.from_numpy(pixels).flip(-1)
    picture = VideoFrame.from_ndarray(opaque.numpy(), format="bgra")
    return _encode("libwebp", picture, {"lossless": "1", "compression_level": "1"})


def jpeg(pixels: Pixels, *, quality: int = 1) -> bytes:
    """4:4:4. quality: 1 (best; 45 dB and 0.8 MB for 2560x1920 of a drawn film) to 31."""
    layout = PixelFormat.parse("yuv444p")
    rgb = torch.from_numpy(pixels).permute(2, 0, 1)[None].float().div_(255)
    planes = rgb_to_planes(rgb, layout, JFIF)
    picture = VideoFrame(pixels.shape[1], pixels.shape[0], "yuvj444p")
    fill(picture, tuple(plane[0].numpy() for plane in planes))
    options = {"flags": "+qscale", "global_quality": str(LAMBDA_PER_QUALITY * quality), "qmin": "1"}
    return _encode("mjpeg", picture, options)


def thumbnail(pixels: Pixels) -> bytes:
    """A small JPEG."""
    height, width, _ = pixels.shape
    rgb = torch.from_numpy(pixels).permute(2, 0, 1)[None].float().div_(255)
    small = resize(rgb, THUMBNAIL_HEIGHT, max(round(width * THUMBNAIL_HEIGHT / height), 1))
    codes = small[0].mul(255).add_(0.5).to(torch.uint8).permute(1, 2, 0).contiguous()
    return jpeg(codes.numpy(), quality=3)


def data_uri(image: bytes) -> str:
    """An image within a page: data:image/...;base64,..."""
    kind = "png" if image.startswith(b"\x89PNG") else "webp" if image.startswith(b"RIFF") else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(image).decode('ascii')}"


def _encode(codec: str, picture: VideoFrame, options: dict[str, str]) -> bytes:
    context = av.CodecContext.create(codec, "w")
    assert isinstance(context, VideoCodecContext)
    context.width, context.height, context.pix_fmt = picture.width, picture.height, picture.format.name
    context.time_base = Fraction(1, 25)
    context.options = options
    context.thread_count = 1
    try:
        packets = [*context.encode(picture), *context.encode(None)]
    except av.error.FFmpegError as error:
        size = f"{picture.width}x{picture.height}"
        raise EncoderError(
            f"{codec} cannot take a picture of {size}: {reason(error)}", "ask for a smaller --scale"
        ) from error
    return b"".join(bytes(packet) for packet in packets)
