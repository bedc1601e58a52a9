"""The pictures of a few moments by several networks, and the page and the files they go into.

It knows what is shown beside what; decoding, networks, image files and the page's looks are others'.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from fractions import Fraction

from vidsr import __version__
from vidsr.channel import StopSignal
from vidsr.execute.prepare import Prepared, open_engine
from vidsr.frames import Frame
from vidsr.job import Job
from vidsr.media.geometry import output_aspect
from vidsr.preview import images
from vidsr.preview.display import Pixels, Turn, pixels, square_size
from vidsr.preview.moments import Moment
from vidsr.preview.outputs import PictureFolder, Targets, write_page
from vidsr.preview.page import ColumnFacts, PageFacts, Shot, render
from vidsr.preview.stills import frames_at, upscale
from vidsr.progress.events import Made, Note, Rendering, Show
from vidsr.progress.words import size_words

SOURCE = "Source"


class Album:
    """The pictures of one preview while they are made."""

    def __init__(
        self,
        columns: Sequence[Prepared],
        chosen: Sequence[Moment],
        targets: Targets,
        *,
        overwrite: bool,
        lossless: bool,
        show: Show,
    ) -> None:
        """columns: jobs that differ in their network only. chosen: the moments, in order."""
        self._columns, self._moments, self._targets = columns, chosen, targets
        self._overwrite, self._lossless, self._show = overwrite, lossless, show
        self._source = columns[0].source
        self._turn = Turn.of(columns[0].info.display_matrix)
        self._sizes = [_shown_size(column) for column in columns]
        self._size = max(self._sizes)
        self._names = _names(columns)
        self._encode = images.webp if lossless else images.jpeg
        self._thumbnails: list[str] = []
        self._pictures: list[list[str]] = [[] for _ in chosen]
        self._details: list[str] = []
        self._folder: PictureFolder | None = None

    def make(self, stop: StopSignal) -> None:
        """All pictures, then the files. Raises what a job raises; no file is left behind then."""
        targets = self._targets
        with ExitStack() as stack:
            if targets.pictures is not None:
                self._folder = stack.enter_context(PictureFolder(targets.pictures))
            total = len(self._moments) * (len(self._columns) + 1)
            frames = frames_at(
                self._columns[0],
                self._moments,
                stop,
                lambda done: self._show(Rendering("the source", done, total)),
            )
            for number, frame in enumerate(frames):
                shown = pixels(frame, self._source.color, self._size, self._turn)
                self._thumbnails.append(images.data_uri(images.thumbnail(shown)))
                self._keep(number, 0, shown)
            for column in range(len(self._columns)):
                self._upscale(column, frames, total, stop)
            page = render(self._facts())
            size, *unsafe_names = write_page(targets.page, page, overwrite=self._overwrite)
            if self._folder is not None:
                unsafe_names.append(self._folder.finish())
        for words in filter(None, unsafe_names):
            self._show(Note(words))
        count = _counted(len(self._moments), "moment")
        networks = _counted(len(self._columns), "model")
        self._show(Made(str(targets.page), f"{count}, {networks}, {size_words(size)}"))
        if self._folder is not None:
            text = f"{_counted(self._folder.count, 'picture')}, {size_words(self._folder.size_bytes)}"
            self._show(Made(str(targets.pictures), text))

    def _upscale(self, column: int, frames: Sequence[Frame], total: int, stop: StopSignal) -> None:
        prepared = self._columns[column]
        before = len(self._moments) * (column + 1)

        def tell(done: int) -> None:
            number = min(done + 1, len(frames))
            text = f"{self._names[column + 1]}, moment {number} of {len(frames)}"
            self._show(Rendering(text, before + done, total))

        tell(0)
        # there is nothing to reuse between scenes
        still = replace(prepared, job=replace(prepared.job, reuse="off"))
        engine = open_engine(still, still.devices[0], stop)
        self._details.append(f"{prepared.model}, {prepared.target}, {engine.words}")

        def keep(number: int, frame: Frame) -> None:
            self._keep(number, column + 1, pixels(frame, frame.color, self._sizes[column], self._turn))

        upscale(
            still,
            engine,
            frames,
            stop=stop,
            on_picture=keep,
            on_tick=tell,
        )

    def _keep(self, number: int, column: int, shown: Pixels) -> None:
        self._pictures[number].append(images.data_uri(self._encode(shown)))
        if self._folder is not None:
            time = clock(self._moments[number].seconds).replace(":", ".")
            name = f"{number + 1:02d} {time} {self._names[column]}"
            self._folder.add(re.sub(r"[^\w.-]+", "_", name) + ".png", images.png(shown))

    def _facts(self) -> PageFacts:
        width, height = self._turn.size(*self._size)
        info = self._columns[0].info
        coding = "lossless pictures" if self._lossless else "JPEG of best quality"
        facts = [f"{info.width}×{info.height} {info.codec}", f"shown at {width}×{height}", coding]
        if self._columns[0].filtering is not None:
            facts.insert(1, "after filters")
        networks = [
            ColumnFacts(name, detail, command_of(column.job))
            for name, detail, column in zip(self._names[1:], self._details, self._columns, strict=True)
        ]
        shots = [
            Shot(clock(moment.seconds), width, height, thumbnail, pictures)
            for moment, thumbnail, pictures in zip(
                self._moments, self._thumbnails, self._pictures, strict=True
            )
        ]
        enlarged = ColumnFacts(SOURCE, f"{self._source}, enlarged as a player does (bicubic)")
        name = self._columns[0].job.source.name
        return PageFacts(name, facts, [enlarged, *networks], shots, f"vidsr {__version__}")


def _shown_size(prepared: Prepared) -> tuple[int, int]:
    """(width, height) on a screen, before the picture is turned upright."""
    target = prepared.target
    return square_size(target.width, target.height, output_aspect(prepared.info, target.width, target.height))


def _names(columns: Sequence[Prepared]) -> list[str]:
    """Short, and each only once: "Source", then the models or weight files."""
    names = [SOURCE]
    for column in columns:
        weights = column.job.weights
        name = column.model if weights is None else weights.stem
        again = sum(known == name or known.startswith(f"{name} (") for known in names)
        names.append(f"{name} ({again + 1})" if again else name)
    return names


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' if number != 1 else ''}"


def clock(seconds: Fraction) -> str:
    """0:03.417, 1:02:03.000."""
    milliseconds = max(round(seconds * 1000), 0)
    minutes, rest = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    head = f"{hours}:{minutes:02d}" if hours else f"{minutes}"
    return f"{head}:{rest // 1000:02d}.{rest % 1000:03d}"


def command_of(job: Job) -> str:
    """The command that makes the whole video with a job's settings."""
    source, size = job.source, job.size
    options: dict[str, object] = {
        "-m": job.model,
        "--weights": job.weights,
        "--denoise": None if job.denoise is None else f"{job.denoise:g}",
        "--scale": size.scale,
        "--width": size.width,
        "--height": size.height,
        "--deinterlace": None if job.deinterlace == "off" else job.deinterlace,
        "--vf": job.filters or None,
        "--colorspace": None if job.colorspace == "keep" else job.colorspace,
        "--device": None if job.device == "auto" else job.device,
        "--backend": None if job.backend == "auto" else job.backend,
        "--precision": None if job.precision == "auto" else job.precision,
        "--tile": job.tile,
    }
    words = ["vidsr", str(source), f"{source.stem}.upscaled.mkv"]
    for name, value in options.items():
        if value is not None:
            words += [name, str(value)]
    return shlex.join(words)
