"""--ray as people type it wrongly: each gets one line and a hint, and nothing is left behind."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest

from tests.media.clips import h264_b_frames
from vidsr.cli.main import run


@pytest.fixture
def film(tmp_path: Path) -> Path:
    path = tmp_path / "film.mkv"
    h264_b_frames(path)
    return path


def said_by(film: Path, capsys: pytest.CaptureFixture[str], *more: str) -> tuple[int, list[str]]:
    code = run([*map(str, (film, film.with_name("out.mkv"))), *more])
    assert list(film.parent.iterdir()) == [film]
    return code, capsys.readouterr().err.splitlines()[-2:]


def test_without_ray_the_extra_is_named(
    film: Path, repeat_2x: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    code, lines = said_by(film, capsys, "--weights", str(repeat_2x), "--ray")
    assert code == 1
    assert lines == [
        "Error: --ray needs Ray, which is not installed",
        'Hint: in the checkout of vidsr: pip install -c constraints.txt ".[ray]"',
    ]


def test_where_no_cluster_is_one_is_told_to_be_begun(
    film: Path, repeat_2x: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("ray", reason="the extra ray is not installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    code, lines = said_by(film, capsys, "--weights", str(repeat_2x), "--ray", f"127.0.0.1:{port}")
    assert code == 1
    assert lines == [
        f"Error: there is no Ray cluster at 127.0.0.1:{port} (Connection refused)",
        f"Hint: begin one there with: ray start --head --port={port}",
    ]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--ray", "--no-resume"], "Error: --no-resume contradicts --ray"),
        (["--ray", "film.mkv"], "Error: Invalid value for '--ray': 'film.mkv' is no address"),
        (["--ray", "ray://host:10001"], "Error: Invalid value for '--ray': 'ray://host:10001' is no address"),
    ],
)
def test_contradictions_and_wrong_addresses_are_refused(
    film: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    code, lines = said_by(film, capsys, *words)
    assert code == 2
    assert lines[0].startswith(message)


@pytest.mark.parametrize("pair", [("-", "out.mkv"), ("film.mkv", "-")])
def test_pipes_are_refused(pair: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*pair, "--ray"]) == 2
    assert "--ray needs files" in capsys.readouterr().err
