"""Which files a batch takes, and what it calls its outputs."""

from __future__ import annotations

from pathlib import Path

import pytest

from vidsr.cli.outputs import find_sources, name_outputs, natural_order, without_outputs
from vidsr.errors import SourceMissingError, UsageError


def touch(folder: Path, *names: str) -> list[Path]:
    paths = [folder / name for name in names]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return paths


def test_a_folder_s_videos_come_in_the_order_people_number_them(tmp_path: Path) -> None:
    touch(tmp_path, "Ep 10.mkv", "ep 2.MKV", "Ep 1.mp4", "notes.txt", ".hidden.mkv", "sub/Ep 3.mkv")
    (tmp_path / "folder.mkv").mkdir()
    assert [p.name for p in find_sources(tmp_path)] == ["Ep 1.mp4", "ep 2.MKV", "Ep 10.mkv"]
    deep = [p.relative_to(tmp_path).as_posix() for p in find_sources(tmp_path, recursive=True)]
    assert sorted(deep) == ["Ep 1.mp4", "Ep 10.mkv", "ep 2.MKV", "sub/Ep 3.mkv"]


def test_names_of_any_mixture_can_be_ordered() -> None:
    names = ["a", "1", "a1", "1a", "a01b2", "a1b10", "", "²"]
    assert sorted(map(Path, names), key=natural_order)  # none is compared with another kind
    assert sorted([Path("s1e10"), Path("s1e9"), Path("s01e2")], key=natural_order)[0] == Path("s01e2")


def test_a_list_names_files_beside_itself_and_anywhere(tmp_path: Path) -> None:
    text = "\ufeff# season one\n\nb.mkv\n  sub/a.vid  \n/abs/c.mkv\n"
    (tmp_path / "list.txt").write_text(text, encoding="utf-8")
    found = find_sources(tmp_path / "list.txt")
    assert found == [tmp_path / "b.mkv", tmp_path / "sub/a.vid", Path("/abs/c.mkv")]


def test_nothing_to_do_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no video in"):
        find_sources(tmp_path)
    (tmp_path / "empty.txt").write_text("# nothing\n")
    with pytest.raises(UsageError, match="names no file"):
        find_sources(tmp_path / "empty.txt")
    (tmp_path / "film.mkv").write_bytes(b"\x1aE\xdf\xa3\xff")
    with pytest.raises(UsageError, match="neither a folder nor a list"):
        find_sources(tmp_path / "film.mkv")
    with pytest.raises(SourceMissingError):
        find_sources(tmp_path / "none")


def test_a_template_is_filled_in_for_each_source() -> None:
    sources = [Path("/tv/Show/a.avi"), Path("/tv/Show/b.avi")]
    template = "{number:02} {folder} {stem}{suffix} {name} {model}.mkv"
    assert name_outputs(sources, template, model="m4", into=Path("/out")) == [
        Path("/out/01 Show a.avi a.avi m4.mkv"),
        Path("/out/02 Show b.avi b.avi m4.mkv"),
    ]
    assert name_outputs(sources, "4x/{stem}.mkv", model="m", into=None)[0] == Path("/tv/Show/4x/a.mkv")


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{stam}.mkv", r"unknown field \{stam\}"),
        ("{}.mkv", r"unknown field \{\}"),
        ("{stem.parent}.mkv", "unknown field"),
        ("{stem[0]}.mkv", "unknown field"),
        ("{stem", "no template"),
        ("{number:x}{stem:d}.mkv", "cannot be filled in"),
        ("{stem}", "'a' has no suffix"),
        ("same.mkv", "would both become"),
        ("{name}", "would be its own output"),
    ],
)
def test_a_bad_template_is_refused(template: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        name_outputs([Path("/tv/a.mkv"), Path("/tv/b.mkv")], template, model="m", into=None)


def test_outputs_of_an_earlier_run_are_not_taken_for_sources() -> None:
    sources = [Path("/tv/a.mkv"), Path("/tv/a.upscaled.mkv"), Path("/tv/b.mkv")]
    outputs = name_outputs(sources, "{stem}.upscaled.mkv", model="m", into=None)
    assert without_outputs(sources, outputs) == [0, 2]
