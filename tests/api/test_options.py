"""Options in Python: the same wishes as on the command line give the same job."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import fields
from fractions import Fraction
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
import torch
from click.core import ParameterSource

from vidsr.api.options import Options, make_job
from vidsr.cli.main import cli
from vidsr.cli.upscale import job_of, resume_mode, upscale
from vidsr.errors import UsageError
from vidsr.job import Job


def from_words(*words: str) -> Job:
    """What the command makes of them."""
    values = upscale.make_context(
        "upscale", list(words), parent=click.Context(cli, **cli.context_settings)
    ).params
    resume_mode(values)
    del values["segment"], values["progress"]
    return job_of(**values)


def output_for(options: Mapping[str, Any]) -> str:
    return "-" if "pipe_format" in options else "out.mkv"


WISHES: list[tuple[str, dict[str, Any]]] = [
    ("-m realesr-general-x4v3 --denoise 0.5", {"model": "realesr-general-x4v3", "denoise": 0.5}),
    ("--weights w.pth", {"weights": Path("w.pth")}),
    ("--scale 1.5", {"scale": 1.5}),
    ("--width 640 --height 480", {"width": 640, "height": 480}),
    ("--start 1:23.4 --end 90", {"start": 83.4, "end": 90}),
    ("--frames 5:", {"frames": (5, None)}),
    (
        "--deinterlace ivtc --vf crop=8:8 --post-vf hflip",
        {"deinterlace": "ivtc", "filters": "crop=8:8", "post_filters": "hflip"},
    ),
    (
        "--encoder libx265 --crf 20 --encoder-preset slow",
        {"encoder": "libx265", "crf": 20, "encoder_preset": "slow"},
    ),
    (
        "--pix-fmt yuv420p10le -x tune=grain -x bframes=3",
        {"pixel_format": "yuv420p10le", "encoder_options": {"tune": "grain", "bframes": 3}},
    ),
    ("--colorspace bt709 --pipe-format y4m", {"colorspace": "bt709", "pipe_format": "y4m"}),
    ("--audio jpn --subs none --strict", {"audio": "jpn", "subtitles": "none", "strict": True}),
    ("--no-audio", {"audio": "none"}),
    (
        "--device cpu --backend torch --precision fp32",
        {"device": "cpu", "backend": "torch", "precision": "fp32"},
    ),
    ("--ray", {"ray": "auto"}),
    ("--ray node1:6379", {"ray": "node1:6379"}),
    ("--batch 3 --tile 64", {"batch": 3, "tile": 64}),
    ("--reuse near --reuse-tolerance 2", {"reuse": "near", "reuse_tolerance": 2.0}),
    (
        "--on-bad-frame repeat --on-size-change rescale",
        {"on_bad_frame": "repeat", "on_size_change": "rescale"},
    ),
    ("--hwaccel cuda", {"hwaccel": "cuda"}),
    ("--ffmpeg=/opt/ffmpeg", {"ffmpeg": "/opt/ffmpeg"}),
    ("--allow-network", {"allow_network": True}),
    ("-y --no-verify", {"overwrite": True, "verify": False}),
    ("", {}),
]


@pytest.mark.parametrize(("words", "options"), WISHES, ids=[words or "none" for words, _ in WISHES])
def test_options_and_words_make_the_same_job(words: str, options: dict[str, Any]) -> None:
    output = output_for(options)
    assert make_job("in.mkv", Path(output), **options) == from_words("in.mkv", output, *words.split())


def test_these_are_all_options_there_are() -> None:
    named = {name for _, options in WISHES for name in options}
    assert named == set(Options.__annotations__)
    assert named == set(inspect.signature(make_job).parameters) - {"source", "output"}


RUN_BY = {
    "segment": "segment_frames of vidsr.upscale",
    "restart": "resume of vidsr.upscale",
    "no_resume": "the same",
    "progress": "on_event of vidsr.upscale",
}
"""Options of the command that say how a job is run, not what it is, and where Python has them."""


def test_no_option_of_the_command_is_missing_here() -> None:
    typed = set()
    for words, options in WISHES:
        context = upscale.make_context(
            "upscale",
            ["in.mkv", "out.mkv", *words.split()],
            parent=click.Context(cli, **cli.context_settings),
        )
        given = {n for n in context.params if context.get_parameter_source(n) == ParameterSource.COMMANDLINE}
        typed |= given - {"source", "output"} if options else set()
    named = {option.name for option in upscale.params} - {"source", "output"}
    assert typed == named - set(RUN_BY)


def test_no_field_of_a_job_is_out_of_reach() -> None:
    changed = {
        field.name
        for _, options in WISHES
        for field in fields(Job)
        if getattr(make_job("in.mkv", output_for(options), **options), field.name)
        != getattr(make_job("in.mkv", output_for(options)), field.name)
    }
    assert changed == {field.name for field in fields(Job)} - {"source", "output"}


def test_decimals_are_taken_as_they_are_written() -> None:
    job = make_job("in.mkv", "out.mkv", start=0.1, end=Fraction(1001, 24000) * 30, scale=1.1)
    assert job.range.start == Fraction(1, 10)
    assert job.range.end == Fraction(1001, 800)
    assert job.size.scale == Fraction(11, 10)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"scale": 2, "height": 4}, "scale"),
        ({"backend": "tensorrt"}, "backend is 'tensorrt'"),
        ({"reuse": "always"}, "reuse is 'always'"),
        ({"on_bad_frame": "panic"}, "on_bad_frame is 'panic'"),
        ({"height": 0}, "height is 0"),
        ({"batch": 257}, "batch is 257"),
        ({"tile": 16}, "tile is 16"),
        ({"pipe_format": "y4m"}, "--pipe-format y4m says what OUTPUT - is, not out.mkv"),
        ({"denoise": 1.5}, "denoise is 1.5"),
        ({"scale": 0}, "scale is 0"),
        ({"scale": 65}, "scale is 65"),
        ({"frames": (-1, 3)}, r"frames is \(-1, 3\)"),
        ({"reuse_tolerance": -1}, "reuse_tolerance is -1"),
        ({"start": 5, "end": 4}, "start"),
        ({"start": -1}, "start is -1"),
        ({"end": 1e26}, r"end is 1e\+26 seconds"),
        ({"crf": 20, "encoder_options": {"crf": 10}}, "--crf 20 contradicts -x crf=10"),
        (
            {"encoder_preset": "fast", "encoder_options": {"preset": "slow"}},
            "--encoder-preset fast contradicts",
        ),
        ({"end": -0.5}, "end is -0.5"),
        ({"scale": float("nan")}, "scale is nan"),
        ({"reuse_tolerance": 2}, "--reuse-tolerance has no effect with --reuse exact"),
        ({"reuse": "off", "reuse_tolerance": 2}, "--reuse-tolerance has no effect with --reuse off"),
        ({"model": ""}, "model is empty"),
        ({"encoder": " "}, "encoder is empty"),
        ({"device": ""}, "device is empty"),
        ({"weights": ""}, "weights is empty"),
        ({"start": 5, "frames": (1, 2)}, "frames"),
    ],
)
def test_what_cannot_be_is_refused_by_name(options: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        make_job("in.mkv", "out.mkv", **options)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"model": 3}, "model has to be a str, not 3"),
        ({"audio": None}, "audio has to be a str, not None"),
        ({"subtitles": False}, "subtitles has to be a str, not False"),
        ({"device": torch.device("cpu")}, "device has to be a str, not device"),
        ({"filters": None}, "filters has to be a str, not None"),
        ({"weights": 3}, "weights has to be a str, not 3"),
        ({"crf": "18"}, "crf has to be a number, not '18'"),
        ({"height": "360"}, "height has to be an int, not '360'"),
        ({"height": 360.0}, "height has to be an int, not 360.0"),
        ({"height": True}, "height has to be an int, not True"),
        ({"scale": "2"}, "scale has to be a number, not '2'"),
        ({"start": "0:01"}, "start has to be a number, not '0:01'"),
        ({"frames": 5}, "frames has to be a pair .*, not 5"),
        ({"frames": (0, 2, 4)}, "frames has to be a pair"),
        ({"frames": "0:2"}, "frames has to be a pair"),
        ({"frames": (0, 2.5)}, "frames has to be an int, not 2.5"),
        ({"encoder_options": [("bf", 2)]}, "encoder_options has to be a dict"),
        ({"encoder_options": {"bf": None}}, "encoder_options has to be a dict"),
        ({"overwrite": "no"}, "overwrite has to be True or False, not 'no'"),
        ({"verify": None}, "verify has to be True or False, not None"),
    ],
    ids=str,
)
def test_a_wrong_type_is_named_with_its_argument(options: dict[str, Any], words: str) -> None:
    with pytest.raises(TypeError, match=words):
        make_job("in.mkv", "out.mkv", **options)


def test_numbers_of_numpy_are_numbers() -> None:
    of_numpy = make_job(
        "in.mkv",
        "out.mkv",
        height=np.int64(360),  # type: ignore[arg-type]
        start=np.float32(0.5),  # type: ignore[arg-type]
        crf=np.float64(20.5),
        frames=None,
    )
    plain = make_job("in.mkv", "out.mkv", height=360, start=0.5, crf=20.5)
    assert of_numpy == plain
    assert type(of_numpy.size.height) is int


def test_an_option_that_is_none_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="hight"):
        make_job("in.mkv", "out.mkv", hight=3)  # type: ignore[call-arg]
