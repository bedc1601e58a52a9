"""Every error vidsr raises on purpose, and the exit code each one ends the command with.

    VidsrError                    exit 1 unless said otherwise
    ├── UsageError                exit 2: the command line itself is wrong
    │   └── UnknownNameError      a model, encoder or option that does not exist; suggests the nearest
    ├── SourceError               the input cannot be used
    │   ├── SourceMissingError    no such file, or no permission to read it
    │   ├── NotAVideoError        the file is no container that can be read
    │   ├── NoVideoStreamError    a readable file without a video stream
    │   └── DamagedSourceError    the stream broke off or held frames that cannot be decoded
    ├── FrameError                a frame breaks an invariant of the stream
    │   ├── FrameSizeError        its size differs from the stream's first frame
    │   └── FrameFormatError      its pixel format cannot be represented
    ├── OutputError               the output cannot be made
    │   ├── OutputExistsError     it is there already and --overwrite was not given
    │   ├── NoSpaceError          the disk is full
    │   ├── StreamRefusedError    the container cannot hold a stream of the source
    │   ├── LocksMissingError     its file system has no locks, which keep two runs apart
    │   └── JobError              the unfinished job beside the output stands in the way
    │       ├── JobChangedError   it was begun from another source or with other settings
    │       ├── JobRunningError   another process works on it
    │       └── DamagedSegmentError   a finished piece of it cannot be read back
    ├── EncoderError              the encoder refused its settings or a frame
    ├── WeightsError              a weight file cannot be used
    │   ├── WeightsFormatError    the file is not what it claims to be, or is cut
    │   ├── ArchitectureError     the tensors or the graph are of no (or another) known architecture
    │   ├── IntegrityError        size or sha256 is not the pinned one
    │   └── DownloadError         the weights could not be fetched
    ├── DeviceError               the device does not exist or cannot do what was asked
    │   ├── DeviceMemoryError     the device ran out of memory
    │   └── DeviceFailedError     it stopped working, for this process at least
    ├── ToolMissingError          a program or package that is not vidsr's own is not there, or of no use
    ├── TooLateError              no way of doing a job is done in time
    ├── ClusterError              the Ray cluster cannot be reached or used
    └── InterruptedByUser         exit 130: Ctrl+C or SIGTERM

It knows words and exit codes, never how an error is printed (that is `cli`).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class VidsrError(Exception):
    """One clear line for people, and a hint what to do about it.

    message: what is wrong, naming the file, frame or value; no trailing full stop.
    hint: what to do next; None = what is usually right for this kind of error.
    """

    exit_code = 1
    usual_hint: str | None = None

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint or self.usual_hint


class UsageError(VidsrError):
    """The command line asks for something that cannot be."""

    exit_code = 2
    usual_hint = "vidsr --help lists the options"


class UnknownNameError(UsageError):
    """A name that is not in a known list; the hint offers the nearest one."""

    def __init__(
        self, kind: str, name: str, known: Iterable[str], where: str | None, *, owner: str | None = None
    ) -> None:
        """kind: what the name was meant to be ("model"). where: the command that lists all names; None = the
        hint does, where they are few.

        owner: whose names these are ("libx264"), where not vidsr's own.
        """
        names = list(known)
        nearest = difflib.get_close_matches(name.lower(), [n.lower() for n in names], n=1, cutoff=0.4)
        hint = f"known are {', '.join(names)}" if where is None else f"{where} lists all"
        if nearest:
            suggestion = next(n for n in names if n.lower() == nearest[0])
            hint = f"did you mean {suggestion}? {hint}"
        super().__init__(f"{owner} has no {kind} {name!r}" if owner else f"unknown {kind} {name!r}", hint)
        self.name = name
        self.known = names


class SourceError(VidsrError):
    """The input cannot be used."""


class SourceMissingError(SourceError):
    """No such file, or it may not be read."""

    usual_hint = "check the path and its permissions"


class NotAVideoError(SourceError):
    """The file is no media container, or one too damaged to open."""

    usual_hint = "name a file that a video player can play"


class NoVideoStreamError(SourceError):
    """A media file without a video stream."""

    usual_hint = "name a file with a moving picture"


class DamagedSourceError(SourceError):
    """The stream broke off, or frames of it cannot be decoded."""

    usual_hint = "check whether a video player can play it to the end"


class FrameError(VidsrError):
    """A frame breaks an invariant of the stream."""

    usual_hint = "vidsr info shows what the file says of itself"


class FrameSizeError(FrameError):
    """A frame's size differs from what was promised."""


class FrameFormatError(FrameError):
    """A pixel format that has no lossless planar representation here."""


class OutputError(VidsrError):
    """The output cannot be made."""

    usual_hint = "choose another output"


class OutputExistsError(OutputError):
    """The output is there already."""


class NoSpaceError(OutputError):
    """The disk is full."""

    usual_hint = "free some space, or write to another disk"


class StreamRefusedError(OutputError):
    """The output container cannot hold a stream of the source."""


class LocksMissingError(OutputError):
    """The output's file system has no locks, which keep two runs of a job apart."""

    usual_hint = "this file system has no locks: write to another disk, or pass --no-resume"


class JobError(OutputError):
    """The unfinished job beside the output stands in the way."""

    usual_hint = "pass --restart to begin anew"


class JobChangedError(JobError):
    """It was begun from another source, or with other settings, weights or another version."""


class JobRunningError(JobError):
    """Another process works on the same output."""

    usual_hint = "wait for it, or choose another output"


CHECK_THE_DISK = "check permissions and the disk; nothing that is finished was removed"
"""Where something of an unfinished job cannot be read that may well be whole."""


class DamagedSegmentError(JobError):
    """A finished piece of it cannot be read back."""

    usual_hint = "run the same command again: what is damaged is computed again, the rest is kept"


class EncoderError(VidsrError):
    """The encoder refused its settings or a frame."""

    usual_hint = "choose another --encoder, or leave its options out"


class WeightsError(VidsrError):
    """A weight file cannot be used."""

    usual_hint = "vidsr models lists the models that need no file"


class WeightsFormatError(WeightsError):
    """The file is not what it claims to be, or is cut."""


class ArchitectureError(WeightsError):
    """Tensors or graph of no known architecture, or of another one than claimed."""


class IntegrityError(WeightsError):
    """Size or sha256 differs from the pinned one."""


class DownloadError(WeightsError):
    """The weights could not be fetched."""


class DeviceError(VidsrError):
    """The device does not exist or cannot do what was asked."""

    usual_hint = "pass --device cpu, or leave it out"


class DeviceMemoryError(DeviceError):
    """The device ran out of memory."""


class DeviceFailedError(DeviceError):
    """The device stopped working: what it holds is lost, and this process can use it no more."""


class ToolMissingError(VidsrError):
    """A program or package that is not vidsr's own is needed, and not there or of no use."""

    @classmethod
    def of_extra(cls, need: str, extra: str) -> ToolMissingError:
        """What comes with one of vidsr's extras. need: what needs which ("--plot needs matplotlib")."""
        hint = f'in the checkout of vidsr: pip install -c constraints.txt ".[{extra}]"'
        return cls(f"{need}, which is not installed", hint)


class TooLateError(VidsrError):
    """No way of doing a job is done in time."""


class ClusterError(VidsrError):
    """The Ray cluster cannot be reached, or not be used for the job."""

    usual_hint = "ray status shows what the cluster has; leave --ray out to use this machine alone"


class InterruptedByUser(VidsrError):  # noqa: N818 (not an error of the program)
    """Ctrl+C or SIGTERM."""

    exit_code = 130
