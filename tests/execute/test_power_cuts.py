"""The same command completes a job after a power cut at any moment, whatever of the last writes is lost."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.execute.power_cut import ALL_KINDS, USUAL_KINDS, Kind, Recorder, State
from tests.execute.segmented import counting, crash_after, in_one_go, run_in_segments
from tests.media.reference import Row, decoded, ffmpeg, packets
from vidsr.errors import JobChangedError, OutputExistsError
from vidsr.job import SegmentReceipt
from vidsr.segments.workspace import Workspace

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows does not sync folders")

FRAMES, SEGMENT = 9, 3
OLD = b"a film that was there before"


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine frames with sound."""
    path = tmp_path_factory.mktemp("film") / "film.mkv"
    ffmpeg(
        "-v", "error", "-f", "lavfi", "-i", f"testsrc2=size=32x32:rate=25:duration={FRAMES / 25}",
        "-f", "lavfi", "-i", f"sine=frequency=440:sample_rate=8000:duration={FRAMES / 25}",
        "-c:v", "ffv1", "-c:a", "pcm_s16le", path,
    )  # fmt: skip
    return path


@pytest.fixture(scope="module")
def expected(
    tmp_path_factory: pytest.TempPathFactory, film: Path, repeat_2x: Path
) -> tuple[list[Row], list[Row]]:
    """Frames and sound of a run in one go."""
    return contents(in_one_go(film, tmp_path_factory.mktemp("whole") / "whole.mkv", repeat_2x))


def contents(output: Path) -> tuple[list[Row], list[Row]]:
    return decoded(output), packets(output)[1]


@contextmanager
def recording(folder: Path, before: int = 0) -> Iterator[Recorder]:
    """Frames count as promised from the moment in which the pieces they are in are put on record.

    before: so many were promised by earlier runs.
    """
    original = Workspace.add
    promised = [before]

    def add(workspace: Workspace, receipt: SegmentReceipt) -> None:
        original(workspace, receipt)
        promised.append(receipt.frames)

    recorder = Recorder(folder, lambda: sum(promised))
    with pytest.MonkeyPatch.context() as patch, recorder.watching():
        patch.setattr(Workspace, "add", add)
        yield recorder


def put_down(states: Iterable[State], folder: Path) -> Iterator[tuple[State, Path]]:
    """Each state as a folder within this one, there until the next is asked for."""
    for number, state in enumerate(states):
        place = folder / f"{number}"
        place.mkdir()
        state.put_down(place)
        yield state, place
        shutil.rmtree(place)


def check(
    state: State,
    folder: Path,
    film: Path,
    weights: Path,
    expected: tuple[list[Row], list[Row]],
    *,
    overwrite: bool,
) -> None:
    """Given again where this is what is left, the same command completes the job and clears up.

    It computes nothing that was promised, or that is in the output by then. The output's name is free, the
    old file's, or the whole new one's.
    """
    output = folder / "out.mkv"
    is_named = output.exists() and output.read_bytes() != OLD
    if is_named:
        assert state.promised == FRAMES, state.words
        assert contents(output) == expected, state.words
    is_waste = is_named and not overwrite
    with counting() as computed, suppress(*([OutputExistsError] if is_waste else [])):
        run_in_segments(film, output, weights, segment=SEGMENT, overwrite=overwrite)
    if is_waste:
        assert computed == [], state.words
    elif not is_named:
        assert len(computed) <= FRAMES - state.promised, state.words
    assert contents(output) == expected, state.words
    left = {path.name for path in folder.rglob("*")}
    assert left - ({".out.mkv.vidsr", "lock"} if is_waste else set()) == {"out.mkv"}, state.words


@pytest.mark.parametrize(
    "kinds", [USUAL_KINDS, pytest.param(ALL_KINDS, marks=pytest.mark.slow)], ids=["usual", "all"]
)
@pytest.mark.parametrize("overwrite", [False, True], ids=["new", "overwrite"])
def test_a_power_cut_at_any_moment_costs_no_finished_piece(
    tmp_path: Path,
    film: Path,
    repeat_2x: Path,
    expected: tuple[list[Row], list[Row]],
    kinds: Sequence[Kind],
    overwrite: bool,
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if overwrite:
        (disk / "out.mkv").write_bytes(OLD)
    with recording(disk) as recorder:
        run_in_segments(film, disk / "out.mkv", repeat_2x, segment=SEGMENT, overwrite=overwrite)
    states = recorder.states(kinds)
    assert {state.promised for state in states} == {0, 3, 6, 9}
    for state, folder in put_down(states, tmp_path):
        check(state, folder, film, repeat_2x, expected, overwrite=overwrite)


def test_a_power_cut_while_a_job_is_taken_up_again_costs_no_finished_piece(
    tmp_path: Path, film: Path, repeat_2x: Path, expected: tuple[list[Row], list[Row]]
) -> None:
    """Whose journal was torn, so that it is written anew from the pieces."""
    disk = tmp_path / "disk"
    disk.mkdir()
    output = disk / "out.mkv"
    with crash_after(2):
        run_in_segments(film, output, repeat_2x, segment=SEGMENT)
    journal = disk / ".out.mkv.vidsr" / "journal.jsonl"
    journal.write_bytes(journal.read_bytes()[:-40])
    with recording(disk, before=2 * SEGMENT) as recorder:
        run_in_segments(film, output, repeat_2x, segment=SEGMENT)
    states = recorder.states(USUAL_KINDS)
    assert {state.promised for state in states} == {6, 9}
    for state, folder in put_down(states, tmp_path):
        check(state, folder, film, repeat_2x, expected, overwrite=False)


def test_a_power_cut_while_a_job_is_begun_anew_mixes_nothing(
    tmp_path: Path, film: Path, repeat_2x: Path, expected: tuple[list[Row], list[Row]]
) -> None:
    """With --restart and other pictures: without it the command is refused, or makes only the new ones."""
    disk = tmp_path / "disk"
    disk.mkdir()
    with crash_after(2):
        run_in_segments(film, disk / "out.mkv", repeat_2x, segment=SEGMENT, post_filters="negate")
    with recording(disk) as recorder:
        run_in_segments(film, disk / "out.mkv", repeat_2x, segment=SEGMENT, resume="restart")
    refused = 0
    states = recorder.states([*USUAL_KINDS, ("all", "new ones", "all")])
    for state, folder in put_down(states, tmp_path):
        output = folder / "out.mkv"
        if not output.exists():
            try:
                run_in_segments(film, output, repeat_2x, segment=SEGMENT)
            except JobChangedError:
                refused += 1
                run_in_segments(film, output, repeat_2x, segment=SEGMENT, resume="restart")
        assert contents(output) == expected, state.words
    assert refused


@pytest.mark.parametrize("old", [None, OLD], ids=["new", "overwrite"])
def test_a_power_cut_in_a_job_in_one_go_leaves_the_old_file_or_the_whole_new_one(
    tmp_path: Path,
    film: Path,
    repeat_2x: Path,
    expected: tuple[list[Row], list[Row]],
    old: bytes | None,
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if old is not None:
        (disk / "out.mkv").write_bytes(old)
    with recording(disk) as recorder:
        run_in_segments(film, disk / "out.mkv", repeat_2x, resume="never", overwrite=old is not None)
    found = set()
    for number, (state, folder) in enumerate(put_down(recorder.states(), tmp_path)):
        output = folder / "out.mkv"
        left = output.read_bytes() if output.exists() else None
        found.add(left == old)
        if left != old:
            assert contents(output) == expected, state.words
        elif number % 5 == 0:  # all are alike
            run_in_segments(film, output, repeat_2x, resume="never", overwrite=old is not None)
            assert list(folder.iterdir()) == [output], state.words
    assert found == {True, False}
