"""vidsr jobs: what is unfinished is shown, can be watched, and can be thrown away."""

from __future__ import annotations

import errno
import io
import os
import re
import shutil
import stat
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.execute.segmented import crash_after, run_in_segments
from tests.reference_ffmpeg import frame_lines, packet_lines
from vidsr import durable
from vidsr.cli.main import run
from vidsr.segments.contents import folder_of
from vidsr.segments.journal import Journal
from vidsr.segments.workspace import Workspace


@pytest.fixture
def unfinished(clip: Path, tmp_path: Path, repeat_2x: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An output of which 30 of 72 frames are finished."""
    output = tmp_path / "film one.mkv"
    monkeypatch.setattr("sys.argv", ["/usr/bin/vidsr", "in.mkv", "film one.mkv"])
    with crash_after(3):
        run_in_segments(clip, output, repeat_2x)
    return output


def test_an_unfinished_job_is_listed_with_how_to_continue(
    unfinished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["jobs", "list", str(unfinished.parent)]) == 0
    first, second = capsys.readouterr().out.splitlines()
    words = r"30 of about 72 frames \(42%\) finished, stopped, \d+\.\d kB, [\d.]+ s of work"
    assert re.fullmatch(re.escape(f"{unfinished}: ") + words, first)
    assert re.fullmatch(
        r"    begun \d{4}-\d\d-\d\d \d\d:\d\d; to continue: vidsr in.mkv 'film one.mkv'", second
    )


def second_line_of_the_list(unfinished: Path, capsys: pytest.CaptureFixture[str]) -> str:
    assert run(["jobs", "list", str(unfinished.parent)]) == 0
    _, second = capsys.readouterr().out.splitlines()
    return second


def test_a_job_that_is_listed_elsewhere_says_where_its_command_was_given(
    unfinished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    given = Path.cwd()
    elsewhere = tmp_path / "else where"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    second = second_line_of_the_list(unfinished, capsys)
    assert second.endswith(f"; to continue, in {given}: vidsr in.mkv 'film one.mkv'")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not remove a folder that somebody is in")
def test_jobs_are_listed_from_a_folder_that_was_removed(
    unfinished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    given = Path.cwd()
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    second = second_line_of_the_list(unfinished, capsys)
    assert f"; to continue, in {given}: vidsr" in second


def test_a_folder_behind_jobs_is_told_how_to_be_listed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "my films"
    folder.mkdir()
    assert run(["jobs", str(folder)]) == 2
    assert capsys.readouterr().err.splitlines() == [
        f"Error: {folder} is a folder, and no command",
        f"Hint: vidsr jobs list '{folder}' lists its jobs",
    ]


def test_the_present_folder_is_listed_without_words(
    unfinished: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(unfinished.parent)
    assert run(["jobs"]) == 0
    assert capsys.readouterr().out.startswith("film one.mkv: 30 of about 72 frames")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such names")
def test_a_name_with_a_line_end_stays_on_its_line(
    clip: Path, unfinished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = unfinished.with_name("a\nb.mkv")
    folder_of(unfinished).rename(folder_of(odd))
    assert run(["jobs", "list", str(odd.parent)]) == 0
    first, _ = capsys.readouterr().out.splitlines()
    assert first.startswith(rf"{odd.parent}/a\nb.mkv: 30 of")
    odd.write_bytes(b"")
    assert run([str(clip), str(odd)]) == 1
    error, hint = capsys.readouterr().err.splitlines()
    assert error == rf"Error: {odd.parent}/a\nb.mkv is there already"
    assert hint.startswith("Hint: ")


def test_folders_within_are_searched_on_request(unfinished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    above = str(unfinished.parent.parent)
    assert run(["jobs", "list", above]) == 0
    assert capsys.readouterr().err == "no unfinished jobs here\n"
    assert run(["jobs", "list", "-r", above]) == 0
    assert str(unfinished) in capsys.readouterr().out


def test_a_running_job_is_called_so_and_cannot_be_cleaned(
    unfinished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Workspace.open(unfinished):
        assert run(["jobs", "list", str(unfinished.parent)]) == 0
        assert "finished, running," in capsys.readouterr().out
        assert run(["jobs", "clean", "--yes", str(unfinished)]) == 1
        assert "is running" in capsys.readouterr().err
    assert len(list(folder_of(unfinished).glob("*.packets"))) == 3


def test_a_folder_of_another_version_is_listed_with_its_problem(
    unfinished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    journal = Journal(folder_of(unfinished) / "journal.jsonl")
    (first, *rest), _ = journal.read()
    journal.rewrite([first | {"format": 99}, *rest])
    assert run(["jobs", "list", str(unfinished.parent)]) == 0
    assert "made by another version of vidsr" in capsys.readouterr().out


@pytest.mark.parametrize("by_folder", [False, True])
def test_cleaning_removes_the_pieces_and_nothing_else(unfinished: Path, by_folder: bool) -> None:
    other = unfinished.with_name("other.mkv")
    other.write_bytes(b"mine")
    assert run(["jobs", "clean", "--yes", str(unfinished.parent if by_folder else unfinished)]) == 0
    assert list(unfinished.parent.iterdir()) == [other]


def answer(monkeypatch: pytest.MonkeyPatch, word: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{word}\n"))


def pieces(output: Path) -> tuple[int, str]:
    """How many there are, and their size as it is said."""
    sizes = [path.stat().st_size for path in folder_of(output).glob("*.packets")]
    return len(sizes), f"{sum(sizes) / 1000:.1f} kB"


def test_cleaning_asks_with_what_is_finished(
    unfinished: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answer(monkeypatch, "n")
    assert run(["jobs", "clean", str(unfinished)]) == 0
    assert f"Throw away 30 finished frames of {unfinished}? [y/N]" in capsys.readouterr().err
    assert pieces(unfinished)[0] == 3
    answer(monkeypatch, "y")
    assert run(["jobs", "clean", str(unfinished)]) == 0
    assert list(unfinished.parent.iterdir()) == []


def test_cleaning_asks_with_pieces_that_no_journal_lists(
    unfinished: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    journal = folder_of(unfinished) / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:-1]))
    (last,) = folder_of(unfinished).glob("000000000834-*.packets")  # frame 20 is at 834 ms
    answer(monkeypatch, "n")
    assert run(["jobs", "clean", str(unfinished)]) == 0
    one = f"1 finished piece ({last.stat().st_size / 1000:.1f} kB)"
    words = f"Throw away 20 finished frames of {unfinished}, and {one} that its journal does not list?"
    assert words in capsys.readouterr().err
    journal.unlink()
    number, size = pieces(unfinished)
    answer(monkeypatch, "n")
    assert run(["jobs", "clean", str(unfinished)]) == 0
    words = f"Throw away 3 finished pieces ({size}) of {unfinished}, whose journal is lost?"
    assert words in capsys.readouterr().err
    assert run(["jobs", "list", str(unfinished.parent)]) == 0
    assert f"and 3 finished pieces ({size}) that no journal lists" in capsys.readouterr().out
    assert pieces(unfinished)[0] == number == 3


def test_what_another_version_made_is_cleaned_by_name_only(
    unfinished: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    journal = Journal(folder_of(unfinished) / "journal.jsonl")
    (first, *rest), _ = journal.read()
    journal.rewrite([first | {"format": 99}, *rest])
    assert run(["jobs", "clean", "--yes", str(unfinished.parent)]) == 0
    problem = f"{folder_of(unfinished)} was made by another version of vidsr"
    said = capsys.readouterr().err
    assert said == f"left alone: {problem}; vidsr jobs clean '{unfinished}' removes it\n"
    number, size = pieces(unfinished)
    assert number == 3
    answer(monkeypatch, "n")
    assert run(["jobs", "clean", str(unfinished)]) == 0
    words = f"{problem}. Throw away 3 finished pieces ({size}) of {unfinished}? [y/N]"
    assert words in capsys.readouterr().err
    assert pieces(unfinished)[0] == 3
    assert run(["jobs", "clean", "--yes", str(unfinished)]) == 0
    assert list(unfinished.parent.iterdir()) == []


@pytest.mark.parametrize("name", ["none.mkv", "x" * 300, "y" * 300 + "/none.mkv"], ids=["", "name", "folder"])
def test_cleaning_what_is_not_there_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    assert run(["jobs", "clean", "--yes", str(tmp_path / name)]) == 1
    assert "there is no unfinished job" in capsys.readouterr().err


def test_what_is_finished_can_be_watched_and_the_job_goes_on(
    clip: Path, unfinished: Path, repeat_2x: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    partial = unfinished.with_name("partial.mkv")
    assert run(["jobs", "export", str(unfinished), str(partial)]) == 0
    assert re.search(r"partial.mkv: 30 frames, \d+\.\d kB", capsys.readouterr().err)
    run_in_segments(clip, unfinished, repeat_2x)
    assert frame_lines(partial) == frame_lines(unfinished)[:30]
    sound = packet_lines(partial, "a:0")
    end = 30 * 1001 / 24000 * 1000  # ms
    assert sound == [line for line in packet_lines(clip, "a:0") if line[0] < end]
    assert sound


def test_a_gap_ends_what_can_be_watched(
    unfinished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (second,) = folder_of(unfinished).glob("000000000417-*.packets")  # frame 10 is at 417 ms
    second.unlink()
    partial = tmp_path / "partial.mkv"
    assert run(["jobs", "export", str(unfinished), str(partial)]) == 0
    assert "10 frames" in (said := capsys.readouterr().err)
    assert "10 more finished frames lie behind a gap" in said
    assert len(frame_lines(partial)) == 10


def test_what_is_not_whole_never_gets_the_output_s_name(
    unfinished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    same = unfinished.parent / ".." / unfinished.parent.name / unfinished.name
    for more in ([], ["--overwrite"]):
        assert run(["jobs", "export", str(unfinished), str(same), *more]) == 2
        assert "is the job's own output" in capsys.readouterr().err
    assert not unfinished.exists()


def test_pictures_are_not_exported_with_sound_of_another_file(
    clip: Path, tmp_path: Path, repeat_2x: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, output = tmp_path / "source.mkv", tmp_path / "out.mkv"
    shutil.copy(clip, source)
    with crash_after(3):
        run_in_segments(source, output, repeat_2x)
    with source.open("ab") as file:
        file.write(b"\0")
    assert run(["jobs", "export", str(output), str(tmp_path / "part.mkv")]) == 1
    assert "source.mkv: the source is another file" in capsys.readouterr().err
    assert not (tmp_path / "part.mkv").exists()


def test_a_job_that_goes_on_with_its_source_moved_is_exported_from_there(
    clip: Path, tmp_path: Path, repeat_2x: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, moved, output = tmp_path / "a.mkv", tmp_path / "b.mkv", tmp_path / "out.mkv"
    shutil.copy(clip, source)
    with crash_after(1):
        run_in_segments(source, output, repeat_2x)
    source.rename(moved)
    with crash_after(1):
        run_in_segments(moved, output, repeat_2x)
    assert run(["jobs", "export", str(output), str(tmp_path / "part.mkv")]) == 0
    assert "part.mkv: 20 frames" in capsys.readouterr().err
    assert len(frame_lines(tmp_path / "part.mkv")) == 20


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such names")
def test_control_characters_of_names_do_not_reach_the_terminal(
    clip: Path,
    tmp_path: Path,
    repeat_2x: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    output, part = tmp_path / "out\x1b[2J.mkv", tmp_path / "part\x1b[2J.mkv"
    monkeypatch.setattr("sys.argv", ["vidsr", "in.mkv", str(output)])
    with crash_after(1):
        run_in_segments(clip, output, repeat_2x)
    assert run(["jobs", "list", str(tmp_path)]) == 0
    assert run(["jobs", "export", str(output), str(part)]) == 0
    assert run(["info", str(part)]) == 0
    assert run(["verify", str(part), str(part)]) == 0
    assert run(["batch", str(tmp_path), "--weights", str(repeat_2x), "--dry-run"]) == 0
    answer(monkeypatch, "n")
    assert run(["jobs", "clean", str(output)]) == 0
    said = capsys.readouterr()
    assert "\x1b" not in said.out + said.err
    assert said.out.count(r"out\x1b[2J.mkv") == 2  # in the list: its name, what continues it
    # in the information, in the verdict, in what would become what
    assert said.out.count(r"part\x1b[2J") == 5
    assert said.err.count(r"\x1b[2J.mkv") == 2


def test_a_piece_that_cannot_be_read_while_pieces_are_joined_is_no_bug(
    unfinished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As on a server of files that goes away in the middle of one."""

    class Stale(io.BufferedReader):
        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell() > 1000:
                raise OSError(errno.ESTALE, "Stale file handle")
            return super().read(size)

    original = Path.open

    def open_(path: Path, *arguments: Any, **named: Any) -> Any:
        if path.suffix == ".packets":
            return Stale(io.FileIO(path))
        return original(path, *arguments, **named)

    part = tmp_path / "elsewhere" / "part.mkv"
    part.parent.mkdir()
    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", open_)
        assert run(["jobs", "export", str(unfinished), str(part)]) == 1
    error, hint = capsys.readouterr().err.splitlines()
    assert re.fullmatch(r"Error: segment .*/start-\w+\.packets cannot be read: Stale file handle", error)
    assert "nothing that is finished was removed" in hint
    assert list(part.parent.iterdir()) == []
    assert pieces(unfinished)[0] == 3


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not sync folders")
def test_a_part_that_has_its_name_is_no_failure_where_only_the_name_is_not_safe(
    unfinished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    original, part = durable.sync_descriptor, tmp_path / "part.mkv"

    def sync(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EIO, "Input/output error")
        original(descriptor)

    monkeypatch.setattr(durable, "_synced_on", {tmp_path.stat().st_dev})
    monkeypatch.setattr(durable, "sync_descriptor", sync)
    assert run(["jobs", "export", str(unfinished), str(part)]) == 0
    note, words = capsys.readouterr().err.splitlines()
    assert note.startswith("Note: part.mkv is whole, but the disk does not say that its name is safe")
    assert words.startswith(f"{part}: 30 frames, ")
    assert len(frame_lines(part)) == 30
    monkeypatch.setattr(sys, "stderr", None)  # the shell has closed it: nobody can be told
    assert run(["jobs", "export", str(unfinished), str(part), "--overwrite"]) == 0


def test_nothing_to_watch_is_said(
    unfinished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["jobs", "export", str(tmp_path / "none.mkv"), str(tmp_path / "partial.mkv")]) == 1
    assert "there is no unfinished job" in capsys.readouterr().err
    (first,) = folder_of(unfinished).glob("start-*.packets")
    first.unlink()
    assert run(["jobs", "export", str(unfinished), str(tmp_path / "partial.mkv")]) == 1
    assert "is not finished yet" in capsys.readouterr().err
    assert not (tmp_path / "partial.mkv").exists()


def test_a_folder_without_jobs_is_said_to_be_clean(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["jobs", "clean", "--yes", str(tmp_path)]) == 0
    assert capsys.readouterr().err == "no unfinished jobs here\n"


@pytest.mark.parametrize("command", ["export", "clean"])
def test_a_missing_word_names_the_help_of_its_own_command(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["jobs", command]) == 2
    assert capsys.readouterr().err.endswith(f"Hint: vidsr jobs {command} --help\n")
