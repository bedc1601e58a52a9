"""What the pages tell people to type works as it stands there.

In a folder with small clips under the names that the pages use, and small networks under the models' names.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from tests.docs.pages import Command, Program, code_spans, commands, links, programs
from vidsr.cli.main import cli, run
from vidsr.cli.upscale import upscale
from vidsr.job import SegmentReceipt
from vidsr.segments.workspace import Workspace

NOT_RUN = {
    "-": "writes to this process's standard output; tests/cli/test_pipes.py does that",
    "cuda": "needs an NVIDIA GPU",
    "cuda:0,cuda:1": "needs two of them",
    "hevc_nvenc": "needs an NVIDIA GPU",
    "--ffmpeg": "needs an ffmpeg of the reader's own; tests/execute/test_own_ffmpeg.py has one",
    "--ray": "needs a cluster of several machines; tests/execute/cluster has some",
    "bench": "measures for a minute; tests/bench has quicker ways",
}
"""A word of a command, and why commands with it are parsed and not run."""

MAKES_NO_FILE = {"verify", "estimate", "metrics", "models", "encoders", "info", "jobs", "--help", "batch"}

COMMANDS = commands()
PROGRAMS = programs()
SPANS = code_spans()
LINKS = links()


def find(words: list[str]) -> tuple[click.Command, list[str]]:
    """The command that the words mean, and the rest of them."""
    command: click.Command = cli
    while isinstance(command, click.Group) and words and words[0] in command.commands:
        command, words = command.commands[words[0]], words[1:]
    if command is cli and words and words[0] != "--help":
        command = upscale
    return command, words


def interrupted_job(output: str) -> None:
    """An unfinished job of in.mkv, as Ctrl+C behind its second piece leaves it."""
    original = Workspace.add
    added: list[SegmentReceipt] = []

    def add(workspace: Workspace, receipt: SegmentReceipt) -> None:
        original(workspace, receipt)
        added.append(receipt)
        if len(added) == 2:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Workspace, "add", add)
        assert run(["in.mkv", output, "--segment", "3"]) == 130


def prepare(words: list[str]) -> None:
    """What a page has let its reader do before."""
    match words:
        case ["verify" | "metrics", source, output, *_]:
            assert run([source, output]) == 0
        case ["jobs", "export" | "clean", output, *_]:
            interrupted_job(output)
        case ["jobs", *_]:
            interrupted_job("out.mkv")
        case [*_, "-m", "mine"]:
            assert run(["models", "import", "my_model.pth", "--name", "mine"]) == 0
        case _:
            pass


def files(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("command", COMMANDS, ids=[command.place for command in COMMANDS])
def test_a_command_works_as_it_stands_there(command: Command, reader: Path) -> None:
    words = shlex.split(command.text)[1:]
    if any(word in NOT_RUN for word in words):
        meant, rest = find(words)
        meant.make_context("vidsr", rest)
        return
    prepare(words)
    before = files(reader)
    assert run(words) == 0, command.text
    if (words or ["--help"])[0] not in MAKES_NO_FILE or words[-2:] == ["--into", "upscaled"]:
        assert files(reader) - before


@pytest.mark.parametrize("program", PROGRAMS, ids=[program.place for program in PROGRAMS])
def test_a_program_runs_as_it_stands_there(program: Program, reader: Path) -> None:
    exec(compile(program.text, program.place, "exec"), {"__name__": "__main__"})


@pytest.mark.parametrize("word", NOT_RUN)
def test_no_reason_is_kept_for_what_is_nowhere(word: str) -> None:
    assert any(word in shlex.split(command.text) for command in COMMANDS)


def test_every_command_and_option_named_in_the_text_exists() -> None:
    known = set(cli.commands)
    options = {
        name
        for command in cli.commands.values()
        for each in (command, *(command.commands.values() if isinstance(command, click.Group) else ()))
        for param in each.params
        for name in (*param.opts, *param.secondary_opts)
    } | {"--help", "--version"}
    for span in SPANS:
        if match := re.match(r"vidsr ([a-z]+)\b", span.text):
            assert match[1] in known, (span.place, span.text)
        for option in re.findall(r"(?<![\w-])--?[a-z][a-z-]*", span.text):
            if span.text.startswith(("-", "vidsr")):
                assert option in options, (span.place, span.text)


@pytest.mark.parametrize("link", LINKS, ids=[f"{link.place}-{link.text}" for link in LINKS])
def test_a_link_leads_somewhere(link: Command) -> None:
    target, _, anchor = link.text.partition("#")
    path = link.page.parent / target
    assert path.exists()
    if anchor:
        headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
        assert anchor in {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
