"""The `vidsr` command: which words mean a sub-command, and how an error is shown.

Exit codes: 0 done; 1 the work failed; 2 the command line is wrong; 3 done, but the source was damaged
and the summary says where; 130 interrupted. An error is one line and a hint; VIDSR_TRACEBACK=1 shows
the traceback as well.
"""

from __future__ import annotations

import atexit
import contextlib
import difflib
import errno
import io
import os
import re
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import click

from vidsr import __version__
from vidsr.cli.batch import batch
from vidsr.cli.bench import bench
from vidsr.cli.encoders import encoders
from vidsr.cli.estimate import estimate
from vidsr.cli.info import info
from vidsr.cli.jobs import jobs
from vidsr.cli.metrics import metrics
from vidsr.cli.models import models
from vidsr.cli.preview import preview
from vidsr.cli.upscale import upscale
from vidsr.cli.verify import verify
from vidsr.errors import InterruptedByUser, UnknownNameError, VidsrError
from vidsr.progress.words import one_line

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130

_SLIP = 0.7
"""Likeness from which on a word is a mistyped command: a letter missing, doubled, changed or moved."""


class BareFormGroup(click.Group):
    """`vidsr IN OUT` without a sub-command means `vidsr upscale IN OUT`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        own_words = {*self.commands, "--help", "-h", "--version"}
        if args and args[0] not in own_words:
            if self._is_mistyped(args[0]):
                raise UnknownNameError("command", args[0], self.commands, "vidsr --help")
            args = ["upscale", *args]
        return super().parse_args(ctx, args)

    def _is_mistyped(self, word: str) -> bool:
        """Whether a first word is a command with a slip, not a video: those have suffixes, or are there."""
        return (
            bool(difflib.get_close_matches(word.lower(), self.commands, cutoff=_SLIP))
            and not Path(word).suffix
            and not Path(word).exists()
        )

    def _own_rows(self, ctx: click.Context) -> list[tuple[str, str]]:
        """--version beside --help, which commands have as well."""
        records = (param.get_help_record(ctx) for param in self.get_params(ctx))
        return [record for record in records if record is not None]

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write_usage("vidsr", "INPUT OUTPUT [OPTIONS]")
        formatter.write_usage("vidsr", "COMMAND ...", prefix="       ")
        formatter.write_paragraph()
        formatter.write_text(self.help or "")
        for heading, rows in upscale.option_rows(ctx):
            with formatter.section(heading):
                formatter.write_dl(self._own_rows(ctx) if heading == "Help" else rows)
        with formatter.section("Commands"):
            formatter.write_dl(
                [
                    (name, command.get_short_help_str(70))
                    for name, command in self.commands.items()
                    if not command.hidden
                ]
            )


@click.group(
    cls=BareFormGroup,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    help="Upscale a video with a Real-ESRGAN network and keep everything else of it as it is.",
)
@click.version_option(__version__, prog_name="vidsr")
def cli() -> None:
    pass


for _command in (
    upscale,
    batch,
    preview,
    estimate,
    verify,
    metrics,
    models,
    info,
    encoders,
    bench,
    jobs,
):
    cli.add_command(_command)


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Entry point of the command: never returns, never shows a traceback unless asked to."""
    _fill_closed_descriptors()
    if isinstance(sys.stdout, io.TextIOWrapper):
        # a sign its encoding lacks (the ± of a margin) is no failure
        sys.stdout.reconfigure(errors="replace")
    leave(run(sys.argv[1:] if argv is None else argv))


def _fill_closed_descriptors() -> None:
    """Give standard input, output and error that the shell closed (2>&-) to nobody.

    Or files that are opened get their numbers: the lock of a job, an output, in which the last words of a
    library would stand then. To Python they stay closed.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest that is free: this one


def leave(code: int) -> NoReturn:
    """End the process now, with everything said and every exit function run.

    Python's own end takes all modules apart first: 0.6 s once torch and OpenVINO are loaded, of which
    0.02 s are these functions. By now every thread is joined and every file closed.
    """
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):  # nobody reads it, or it was closed
            stream.flush()
    os._exit(code)


def run(argv: Sequence[str]) -> int:
    """Run the command line and return its exit code."""
    try:
        code: Any = cli.main(list(argv), prog_name="vidsr", standalone_mode=False)
    except click.exceptions.Exit as stop:
        return int(stop.exit_code)
    except click.exceptions.NoArgsIsHelpError as error:  # nothing was said that could be wrong
        click.echo(error.format_message(), err=True)
        return error.exit_code
    except click.UsageError as error:
        named = f"vidsr {argv[0]}" if argv and argv[0] in cli.commands else "vidsr"
        path = error.ctx.command_path if error.ctx else named  # of an option without its value there is none
        hint = _dashed_file_hint(argv) if isinstance(error, click.NoSuchOption) else _many_files_hint(error)
        return _fail(error.format_message(), hint or f"{path.removesuffix(' upscale')} --help", EXIT_USAGE)
    except click.ClickException as error:
        return _fail(error.format_message(), None, error.exit_code)
    except (KeyboardInterrupt, click.Abort, InterruptedByUser) as error:
        _trace()
        words = str(error) or "interrupted"
        hint = error.hint if isinstance(error, InterruptedByUser) else None
        return _fail(words[0].upper() + words[1:], hint, EXIT_INTERRUPTED, label="")
    except VidsrError as error:
        _trace()
        return _fail(error.message, error.hint, error.exit_code)
    except BrokenPipeError:
        # Whoever read our output went away; Python would complain again when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED
    except OSError as error:
        if error.filename is not None or error.errno not in _OF_FULL_DISKS:
            return _unexpected(error)
        _trace()
        return _fail(
            f"cannot write: {error.strerror}",
            "free some space, or look where standard output goes",
            EXIT_FAILED,
        )
    except Exception as error:  # noqa: BLE001 (the last line of defence: a bug becomes one line)
        return _unexpected(error)
    return int(code or 0)


_OF_FULL_DISKS = frozenset({errno.ENOSPC, errno.EDQUOT})
"""What writing to standard output meets there; whatever writes files names them."""


def _unexpected(error: Exception) -> int:
    _trace()
    place = "".join(f" {note}" for note in getattr(error, "__notes__", []))
    return _fail(
        f"unexpected {type(error).__name__}{place}: {error}",
        "this is a bug in vidsr; VIDSR_TRACEBACK=1 shows where",
        EXIT_FAILED,
    )


def _dashed_file_hint(argv: Sequence[str]) -> str | None:
    """What to write for a file whose name begins like an option."""
    file = next((word for word in argv if word.startswith("-") and Path(word).is_file()), None)
    return None if file is None else f"if the file {file} is meant, write ./{file}"


def _many_files_hint(error: click.UsageError) -> str | None:
    """What to write for more files than a command takes, as a shell makes of *.mkv."""
    if error.ctx is None or not error.message.startswith("Got unexpected extra argument"):
        return None
    if error.ctx.info_name == "upscale":
        return "one INPUT becomes one OUTPUT; vidsr batch FOLDER upscales all in it"
    if error.ctx.info_name == "batch":
        return "name one folder, or a text file with a path on each line"
    return None


_FULL_STOP = re.compile(r"(?<=[^\s./\\])\.+$")
"""Of a sentence, as click's are; not the name of the present folder."""


def _fail(message: str, hint: str | None, code: int, *, label: str = "Error: ") -> int:
    with contextlib.suppress(OSError):  # nobody can be told, except by the code
        click.echo(one_line(f"{label}{_FULL_STOP.sub('', message)}"), err=True)
        if hint:
            click.echo(one_line(f"Hint: {hint}"), err=True)
    return code


def _trace() -> None:
    if os.environ.get("VIDSR_TRACEBACK"):
        traceback.print_exc()
