"""Whether the output's pictures are the source's: none black, none blank, none another one, colours right.

Frames of both files are shrunk to block means (`signatures`) and compared. By default some are looked at,
spread over the file; with `full`, all.
"""

from __future__ import annotations

import statistics
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from vidsr.damage import Damage
from vidsr.errors import FrameFormatError
from vidsr.frames import Color
from vidsr.media.pixels import PlaneReader
from vidsr.media.verify.contents import Contents
from vidsr.media.verify.frames import FrameMatch
from vidsr.media.verify.report import Check, Json, passed
from vidsr.media.verify.sampling import Picked, Picker, choose, key_times, within_budget
from vidsr.media.verify.signatures import (
    Difference,
    Grid,
    Signature,
    contrast,
    explain,
    grid_shape,
    mistakes,
    unlikeness,
)

SAMPLES = 16
NEIGHBOURS = 4
"""Source frames on either side that a picture is compared with; with `full`, twice as many."""

MOST_MEAN = 16.0
MOST_PATTERN = 16.0
"""Four times what networks do (see `signatures`), in 1/255."""
MOST_FAR_BLOCKS = 0.005
"""Share of blocks that may be elsewhere altogether; a lost tile of 96 pixels is more, up to 2560x1440."""

MOST_KEPT = 64
"""Pictures that are remembered, for the colours and for the report."""

BLANK_CONTRAST = 0.7
BLANK_SOURCE_CONTRAST = 4.0
"""A picture of one colour, rounding and coding noise included; one that clearly is none. In 1/255."""
BLACK = 3.0

NEARER = 1.4
NEARER_BY = 0.5
"""A picture shows another moment if it is so much less unlike that one: by a factor and a bit, for the
nearly still. Networks stay below a factor of 1.01; x264 at crf 40 repeats old blocks and reaches 1.30."""

MISTAKE_SHARE = 0.65
MISTAKE_SIZE = 1.5
"""A mistake is believed if two thirds of its effect are there, and if the effect can be seen at all in
these pictures. Networks alone show at most 0.3 of any."""
FEW_BLOCKS = 100
MISTAKE_PART = 0.75
"""In pictures of fewer blocks (test patterns of 64x48, say) a network's own errors resemble a mistake by
chance: up to 0.99 of its effect, with 0.52 of the errors explained. There it must explain most of them."""


@dataclass(frozen=True, slots=True, eq=False)
class _Look:
    """A frame of the output beside its source.

    number: index among the source's frames. time: in seconds. other: number of the source frame it
    resembles more, if there is one.
    """

    number: int
    seconds: float
    signature: Signature
    ours: Grid
    theirs: Grid
    difference: Difference
    other: int | None

    @property
    def is_blank(self) -> bool:
        return contrast(self.ours) < BLANK_CONTRAST and contrast(self.theirs) > BLANK_SOURCE_CONTRAST

    @property
    def is_strange(self) -> bool:
        far = self.difference
        return (
            self.other is not None
            or far.mean > MOST_MEAN
            or far.pattern > MOST_PATTERN
            or far.far_blocks > MOST_FAR_BLOCKS
        )


@dataclass(slots=True)
class _Looks:
    """What was seen.

    kept: material for the colours. missing: numbers of frames that the decoder did not give.
    """

    compared: int = 0
    patterns: list[float] = field(default_factory=list)
    kept: list[_Look] = field(default_factory=list)
    blank: list[_Look] = field(default_factory=list)
    strange: list[_Look] = field(default_factory=list)
    missing: list[int] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def add(self, look: _Look, *, keep: bool) -> None:
        self.compared += 1
        self.patterns.append(look.difference.pattern)
        if look.is_blank:
            self.blank.append(look)
            return
        if look.is_strange and len(self.strange) < MOST_KEPT:
            self.strange.append(look)
        if keep:
            self.kept.append(look)


class PictureCheck:
    """Compares the pictures of a source and its output."""

    def __init__(
        self,
        source: Contents,
        output: Contents,
        match: FrameMatch,
        *,
        color: Color,
        target: Color,
        damage: Sequence[Damage],
        full: bool,
        checkpoint: Callable[[], None] = lambda: None,
    ) -> None:
        """color, target: what the samples of source and output mean, nothing unspecified.

        damage: where the source cannot be decoded as it should be; from there to the next key frame nothing
        is compared. checkpoint: called with every picture.
        """
        self._source, self._output = source, output
        self._color, self._target = color, target
        self._full, self._checkpoint = full, checkpoint
        self._seekable = not match.has_decoded and not full
        spoilt = _spoilt(source, match.source_times, damage)
        self._pairs = [pair for pair in match.pairs if pair[0] not in spoilt]
        self._shape = grid_shape(
            min(source.info.height, output.info.height), min(source.info.width, output.info.width)
        )
        self._reach = NEIGHBOURS * (2 if full else 1)

    def checks(self) -> Iterator[Check]:
        """Decoding, blank pictures, colours and contents. Raises SourceError if a file cannot be opened."""
        chosen = self._chosen()
        looks = self._look(chosen, may_seek=self._seekable)
        doubtful = sorted({look.number for look in looks.blank + looks.strange} | set(looks.missing))
        if self._seekable and doubtful:
            # some decoders show other pictures after a seek: only what is wrong without one is wrong
            looks = self._look(chosen, may_seek=False)
        if looks.strange:
            # a picture beyond black and white, as old tapes and torn data give it, is strange only if what
            # can be shown of it is
            looks = self._look(chosen, may_seek=False, within_gamut=True)
        yield self._decoding(looks, len(chosen))
        if not looks.compared:
            return
        yield self._blank(looks)
        words, mistaken = self._mistake(looks.kept)
        yield Check(
            "colours", words is None, "as in the source", words or "as in the source", words or "right"
        )
        yield self._contents(looks, mistaken)

    def _chosen(self) -> list[int]:
        if self._full:
            return list(range(len(self._pairs)))
        times = [ours for _, ours in self._pairs]
        info = self._output.info
        evenly = choose(len(times), SAMPLES)
        return within_budget(evenly, times, self._output.video, info.width * info.height)

    def _look(self, chosen: Sequence[int], *, may_seek: bool, within_gamut: bool = False) -> _Looks:
        """within_gamut: see Signature; of the source, whose pictures have not been shown yet."""
        looks = _Looks()
        keep = set(choose(len(chosen), MOST_KEPT))
        near = sorted({n for k in chosen for n in self._around(k)})
        ours = {self._pairs[k][1]: k for k in chosen}
        theirs = {self._pairs[n][0]: n for n in near}
        reader = PlaneReader()
        with (
            Picker(self._source, may_seek=may_seek) as source,
            Picker(self._output, may_seek=may_seek) as output,
        ):
            source_frames = source.pick(list(theirs))
            window: dict[int, Signature | None] = {}
            for picked in output.pick(list(ours)):
                self._checkpoint()
                k = ours.pop(picked.pts)
                while k + self._reach > max(window, default=-1):
                    there = next(source_frames, None)
                    if there is None:
                        break
                    color = self._color if within_gamut else None
                    signature = self._signature(there, reader, color) if there.is_sound else None
                    window[theirs[there.pts]] = signature
                window = {n: s for n, s in window.items() if n >= k - self._reach}
                try:
                    signature = self._signature(picked, reader)
                except FrameFormatError as error:
                    looks.failures.append(error.message)
                    continue
                look = self._compare(k, signature, window)
                if look is not None:
                    looks.add(look, keep=looks.compared in keep)
            looks.failures += output.failures
        looks.missing = sorted(ours.values())
        return looks

    def _around(self, k: int) -> range:
        return range(max(k - self._reach, 0), min(k + self._reach + 1, len(self._pairs)))

    def _signature(self, picked: Picked, reader: PlaneReader, color: Color | None = None) -> Signature:
        planes, layout = reader.planes(picked.frame)
        if color is not None:
            return Signature.within_gamut(planes, layout, self._shape, color)
        return Signature.of(planes, layout, self._shape)

    def _compare(self, k: int, ours: Signature, window: dict[int, Signature | None]) -> _Look | None:
        own = window.get(k)
        if own is None:
            return None
        seen, wanted = ours.rgb(self._target), own.rgb(self._color)
        difference = Difference.of(seen, wanted)
        nearest, other = (unlikeness(seen, wanted) - NEARER_BY) / NEARER, None
        for n, signature in window.items():
            if n != k and signature is not None and abs(n - k) <= self._reach:
                distance = unlikeness(seen, signature.rgb(self._color))
                if distance < nearest:
                    nearest, other = distance, n
        seconds = float(self._pairs[k][0] * self._source.info.time_base)
        return _Look(k, seconds, own, seen, wanted, difference, other)

    def _decoding(self, looks: _Looks, count: int) -> Check:
        expected: Json = {"frames": count}
        found: Json = {"frames": count - len(looks.missing), "errors": len(looks.failures)}
        if looks.missing:
            first = looks.missing[0]
            seconds = float(self._pairs[first][1] * self._output.info.time_base)
            detail = f"{len(looks.missing)} of {count} frames cannot be decoded, the first at {seconds:.3f} s"
        elif looks.failures:
            detail = f"the decoder complains: {looks.failures[0]}"
        else:
            detail = f"{count} of {len(self._pairs)} frames looked at"
        return Check("decoding", not looks.missing and not looks.failures, expected, found, detail)

    def _blank(self, looks: _Looks) -> Check:
        if not looks.blank:
            return passed("blank pictures", 0, "none")
        first = looks.blank[0]
        kind = "black" if first.ours.mean() < BLACK else "of one colour"
        more = f", and {len(looks.blank) - 1} more" if len(looks.blank) > 1 else ""
        detail = f"frame {first.number} ({first.seconds:.3f} s) is {kind}, its source is not{more}"
        return Check("blank pictures", False, 0, len(looks.blank), detail)

    def _mistake(self, looks: Sequence[_Look]) -> tuple[str | None, dict[int, Grid]]:
        """(what is wrong with the colours, how the source would look then, by frame number)."""
        seen: dict[str, list[Grid]] = {}
        for look in looks:
            for mistake in mistakes(look.signature, self._color, self._target):
                seen.setdefault(mistake.words, []).append(mistake.seen)
        errors = [look.ours - look.theirs for look in looks]
        best, words = MISTAKE_SHARE, None
        for candidate, grids in seen.items():
            effects = [grid - look.theirs for grid, look in zip(grids, looks, strict=True)]
            found = explain(errors, effects)
            likeness = 1 - abs(1 - found.share)
            if found.part < MISTAKE_PART and errors[0][0].size < FEW_BLOCKS:
                continue
            if found.size >= MISTAKE_SIZE and likeness > best:
                best, words = likeness, candidate
        if words is None:
            return None, {}
        return words, {look.number: grid for look, grid in zip(looks, seen[words], strict=True)}

    def _contents(self, looks: _Looks, mistaken: dict[int, Grid]) -> Check:
        """mistaken: sources as the wrong colours make them look, so that these count once only."""
        expected: Json = {"mean": MOST_MEAN, "pattern": MOST_PATTERN, "far_blocks": MOST_FAR_BLOCKS}
        strange = looks.strange
        if mistaken:
            again = [
                replace(look, difference=Difference.of(look.ours, mistaken[look.number]), other=None)
                for look in strange
                if look.number in mistaken
            ]
            strange = [look for look in again if look.is_strange]
        typical = statistics.median(looks.patterns)
        if not strange:
            found: Json = {"compared": looks.compared, "typical_pattern": round(typical, 3)}
            return Check("pictures", True, expected, found, f"{looks.compared} compared with their source")
        first = strange[0]
        far = first.difference
        found = {
            "compared": looks.compared,
            "typical_pattern": round(typical, 3),
            "frames": [look.number for look in strange],
            "mean": round(far.mean, 3),
            "pattern": round(far.pattern, 3),
            "far_blocks": round(far.far_blocks, 4),
        }
        where = f"frame {first.number} ({first.seconds:.3f} s)"
        if first.other is not None:
            detail = f"{where} looks like frame {first.other} of the source"
        else:
            detail = f"{where} is not the source's picture: it differs by {far.mean:.0f} of 255 on average"
        more = f"; {len(strange) - 1} more like it" if len(strange) > 1 else ""
        return Check("pictures", False, expected, found, detail + more)


def _spoilt(source: Contents, times: Sequence[int], damage: Sequence[Damage]) -> set[int]:
    """pts of frames that damage may have touched: from its place to the next key frame."""
    keys = key_times(source.video)
    spoilt: set[int] = set()
    for entry in damage:
        if entry.pts is not None and entry.stream == source.info.video_index:
            first = bisect_left(times, entry.pts)
            behind = min(first + max(entry.packets, 1), len(times))
            key = bisect_left(keys, times[behind]) if behind < len(times) else len(keys)
            last = bisect_left(times, keys[key]) if key < len(keys) else len(times)
            spoilt.update(times[first:last])
    return spoilt
