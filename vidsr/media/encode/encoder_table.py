"""What is known about each encoder beyond what FFmpeg tells: knobs, presets, sizes, defaults.

Data only. The ranges and names come from the encoders' own documentation; FFmpeg checks few of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

X264_PRESETS = (
    "ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow", "placebo",
)  # fmt: skip
NVENC_PRESETS = ("p1", "p2", "p3", "p4", "p5", "p6", "p7", "default", "slow", "medium", "fast", "lossless")
QSV_PRESETS = ("veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow")
AMF_PRESETS = ("speed", "balanced", "quality")
PRORES_PROFILES = ("proxy", "lt", "standard", "hq", "4444", "4444xq")
DNXHR_PROFILES = ("dnxhr_lb", "dnxhr_sq", "dnxhr_hq", "dnxhr_hqx", "dnxhr_444")
SVT_PRESETS = tuple(str(n) for n in range(14))
VPX_PRESETS = tuple(str(n) for n in range(9))


@dataclass(frozen=True, slots=True)
class Quality:
    """The knob that --crf turns: the encoder's option, its range (lower is better), vidsr's default.

    default: None = the knob is left alone; the preset then decides.
    """

    option: str
    lowest: float
    highest: float
    default: float | None


@dataclass(frozen=True, slots=True)
class Known:
    """What is known about an encoder.

    preset_option: the option --encoder-preset sets, to one of `presets`; preset: the default one.
    fixed: options it is always opened with. params_option: the option that takes name=value lists.
    max_size: the longest side. odd_sizes: whether it takes odd sizes where chroma is subsampled. max_bits:
        of a sample, where nobody says; more than 10 is for archives, hardly a player shows it. only_limited:
        whether its decoders take every picture for one of limited range. only_matrices: H.273's numbers of
        those it can name; empty = all.
    """

    about: str
    quality: Quality | None = None
    preset_option: str | None = None
    presets: tuple[str, ...] = ()
    preset: str | None = None
    fixed: Mapping[str, str] = field(default_factory=dict)
    params_option: str | None = None
    max_size: int = 16384
    hardware: bool = False
    odd_sizes: bool = False
    max_bits: int = 10
    only_limited: bool = False
    only_matrices: tuple[int, ...] = ()


def _x26x(about: str, crf: float, params_option: str, **fixed: str) -> Known:
    quality = Quality("crf", 0, 51, crf)
    return Known(about, quality, "preset", X264_PRESETS, "medium", fixed=fixed, params_option=params_option)


def _nvenc(about: str, quality: Quality, max_size: int) -> Known:
    # constant quality is variable bit rate without a bit rate there
    fixed = {"rc": "vbr", "b": "0"}
    return Known(about, quality, "preset", NVENC_PRESETS, "p5", fixed, max_size=max_size, hardware=True)


def _qsv(about: str, default: float, max_size: int) -> Known:
    quality = Quality("global_quality", 1, 51, default)
    return Known(about, quality, "preset", QSV_PRESETS, "medium", max_size=max_size, hardware=True)


def _amf(about: str, quality: Quality, max_size: int) -> Known:
    fixed = {"rc": "cqp"}
    return Known(about, quality, "quality", AMF_PRESETS, "balanced", fixed, max_size=max_size, hardware=True)


KNOWN: Mapping[str, Known] = {
    "libx264": _x26x("H.264; plays everywhere", 18, "x264-params"),
    "libx264rgb": _x26x("H.264 in RGB, for editing", 18, "x264-params"),
    # x265 prints to stderr by itself
    "libx265": _x26x(
        "HEVC; smaller than H.264, slower", 20, "x265-params", **{"x265-params": "log-level=none"}
    ),
    "libsvtav1": Known(
        "AV1; smallest",
        Quality("crf", 0, 63, 24),
        "preset",
        SVT_PRESETS,
        "8",
        params_option="svtav1-params",
        odd_sizes=True,
    ),
    "libvpx-vp9": Known(
        "VP9",
        Quality("crf", 0, 63, 24),
        "cpu-used",
        VPX_PRESETS,
        "2",
        fixed={"b": "0", "row-mt": "1"},
        odd_sizes=True,
    ),
    "ffv1": Known(
        "lossless, for archives",
        fixed={"level": "3", "slicecrc": "1"},
        max_size=65535,
        odd_sizes=True,
        max_bits=16,
    ),
    "utvideo": Known("lossless, fast, large", max_size=65535),
    "prores_ks": Known(
        "ProRes, for editing",
        Quality("global_quality", 1, 32, None),
        "profile",
        PRORES_PROFILES,
        only_limited=True,
    ),
    "dnxhd": Known(
        "DNxHR, for editing", None, "profile", DNXHR_PROFILES, only_limited=True, only_matrices=(1, 9)
    ),
    "h264_nvenc": _nvenc("H.264 on NVIDIA GPUs", Quality("cq", 0, 51, 19), 4096),
    "hevc_nvenc": _nvenc("HEVC on NVIDIA GPUs", Quality("cq", 0, 51, 21), 8192),
    "av1_nvenc": _nvenc("AV1 on NVIDIA GPUs", Quality("cq", 0, 63, 26), 8192),
    "h264_qsv": _qsv("H.264 on Intel GPUs", 20, 4096),
    "hevc_qsv": _qsv("HEVC on Intel GPUs", 21, 8192),
    "av1_qsv": _qsv("AV1 on Intel GPUs", 24, 8192),
    "h264_amf": _amf("H.264 on AMD GPUs", Quality("qp", 0, 51, 20), 4096),
    "hevc_amf": _amf("HEVC on AMD GPUs", Quality("qp", 0, 51, 21), 8192),
    "av1_amf": _amf("AV1 on AMD GPUs", Quality("qp", 0, 255, 100), 8192),
}
