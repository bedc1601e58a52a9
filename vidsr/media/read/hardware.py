"""What decoding hardware does with a stream: whether it takes it, and in which layouts pictures come back.

It knows names of sample layouts and the first picture, never which hardware there is (`demux` opens it).
"""

from __future__ import annotations

import av.error
from av.container import InputContainer

from vidsr.media.pixels import planar_equivalent
from vidsr.media.read.demux import main_video_stream, read_packets
from vidsr.media.read.source_info import SourceInfo


def decodes_on_hardware(container: InputContainer, source: SourceInfo) -> bool:
    """Whether the hardware of a container from `open_accelerated` decodes the source's main video.

    That it has a decoder for the coding says little: FFmpeg asks it with the first picture, and goes back to
    the processor without a word where the profile, the depth or the size is none of its own.
    """
    stream = main_video_stream(container, source.path)
    context = stream.codec_context
    if not context.is_hwaccel:
        return False
    for packet in read_packets(container, [stream], lambda _: None):
        try:
            frames = stream.decode(packet)
        except av.error.FFmpegError:
            continue  # damage; a later picture tells as well
        for frame in frames:
            # the context names the surfaces ("cuda") while the hardware is at work
            return (frame.format.name, context.pix_fmt) != (source.pixel_format, source.pixel_format)
    return False


def is_hardware_layout(name: str, coded: str) -> bool:
    """Whether `name` is what hardware gives for what is `coded` in the stream: its samples in another order.

    nv12 for yuv420p, p010le for yuv420p10le; NVDEC gives more than 10 bits, and 4:4:4 of more than 8, as the
    upper ones of 16 (p016le, yuv444p16le).
    """
    if name == coded:
        return False
    found, wanted = planar_equivalent(name), planar_equivalent(coded)
    subsampling = (found.family, found.log2_chroma_w, found.log2_chroma_h)
    if subsampling != (wanted.family, wanted.log2_chroma_w, wanted.log2_chroma_h):
        return False
    return found.bits == wanted.bits or (found.bits == 16 and wanted.bits > 8)
