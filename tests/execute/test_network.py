"""Addresses and playlists: closed by default with a hint, open with --allow-network, all on this machine."""

from __future__ import annotations

import functools
import http.server
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.media import reference
from tests.media.clips import ClipShelf
from vidsr import upscale
from vidsr.cli.main import run as command
from vidsr.errors import NotAVideoError, SourceError, SourceMissingError
from vidsr.execute.resumable import run_resumable
from vidsr.job import Job
from vidsr.media.read.probe import probe
from vidsr.media.verify import verify


class _Server(http.server.SimpleHTTPRequestHandler):
    """A folder, with ranges, which FFmpeg needs to find an index at the end."""

    asked: list[str]

    def log_message(self, format: str, *args: object) -> None:
        """Not on the tests' output."""

    def do_GET(self) -> None:
        self.asked.append(self.path)
        path = Path(self.translate_path(self.path))
        if not path.is_file():
            self.send_error(404)
            return
        content = path.read_bytes()
        found = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        start = int(found[1]) if found else 0
        end = min(int(found[2]) + 1 if found and found[2] else len(content), len(content))
        self.send_response(206 if found else 200)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(end - start))
        if found:
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(content)}")
        self.end_headers()
        try:
            self.wfile.write(content[start:end])
        except (BrokenPipeError, ConnectionResetError):
            return


@pytest.fixture
def asked(tmp_path: Path) -> Iterator[tuple[str, list[str]]]:
    """A server of tmp_path: its address, and what it was asked for."""
    requests: list[str] = []
    handler = type("Handler", (_Server,), {"asked": requests})
    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(handler, directory=str(tmp_path))
    ) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", requests
        server.shutdown()
        thread.join()


def hls(folder: Path, clips: ClipShelf) -> Path:
    """A playlist of a local file in a folder."""
    reference.ffmpeg(
        "-v", "error", "-i", clips("b_frames.mp4"), "-map", "0:v", "-map", "0:a:0", "-c", "copy", "-f", "hls",
        "-hls_time", "1", "-hls_playlist_type", "vod", folder / "list.m3u8",
    )  # fmt: skip
    return folder / "list.m3u8"


def test_an_address_is_not_opened_without_permission(
    asked: tuple[str, list[str]], clips: ClipShelf, tmp_path: Path
) -> None:
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(clips("b_frames.mp4").read_bytes())
    for address in (
        f"{asked[0]}/clip.mp4",
        f"concat:{clip}|{clip}",
        f"subfile,,start,0,end,0,,:{clip}",
        "rtsp://127.0.0.1/stream",
        f"cache:{clip}",
    ):
        with pytest.raises(SourceMissingError, match="is an address, not a local file") as caught:
            probe(Path(address))
        assert "--allow-network" in (caught.value.hint or "")
        assert "\n" not in caught.value.message
    assert asked[1] == []


@pytest.mark.parametrize("kind", ["hls", "remote hls", "ffconcat"])
def test_a_playlist_reaches_nothing_without_permission(
    asked: tuple[str, list[str]], clips: ClipShelf, tmp_path: Path, kind: str
) -> None:
    path = tmp_path / "list.mp4"
    if kind == "hls":
        path.write_text(hls(tmp_path, clips).read_text())
    elif kind == "remote hls":
        path.write_text(re.sub(r"(?m)^(list\d+\.ts)", rf"{asked[0]}/\1", hls(tmp_path, clips).read_text()))
    else:
        path.write_text(f"ffconcat version 1.0\nfile '{clips('b_frames.mp4')}'\n")
    with pytest.raises(NotAVideoError, match="is a playlist") as caught:
        probe(path)
    assert "--allow-network" in (caught.value.hint or "")
    assert asked[1] == []


@pytest.mark.parametrize("name", ["b_frames.mp4", "everything.mkv"])
def test_a_video_from_a_server_gives_what_the_file_gives(
    asked: tuple[str, list[str]], clips: ClipShelf, tmp_path: Path, repeat_2x: Path, name: str
) -> None:
    (tmp_path / name).write_bytes(clips(name).read_bytes())
    source, output = Path(f"{asked[0]}/{name}"), tmp_path / "out.mkv"
    job = Job(source, output, weights=repeat_2x, precision="fp32", allow_network=True)
    receipt = run_resumable(job, show=lambda _: None)
    assert (receipt.frames_written, receipt.damage) == (50, ())
    assert asked[1]
    assert verify(clips(name), output).ok


def test_playlists_may_reach_on(
    asked: tuple[str, list[str]], clips: ClipShelf, tmp_path: Path, repeat_2x: Path
) -> None:
    playlist = hls(tmp_path, clips)
    concat = tmp_path / "list.ffconcat"
    concat.write_text(f"ffconcat version 1.0\nfile '{clips('b_frames.mp4')}'\n")
    parts = "|".join(str(path) for path in sorted(tmp_path.glob("list*.ts")))
    for source in (playlist, Path(f"{asked[0]}/list.m3u8"), concat, Path(f"concat:{parts}")):
        output = tmp_path / "out.mkv"
        job = Job(source, output, weights=repeat_2x, precision="fp32", allow_network=True, overwrite=True)
        assert run_resumable(job, show=lambda _: None).frames_written == 50
        assert len(reference.decoded(output)) == 50


def test_the_permission_is_the_jobs_and_ends_with_it(
    asked: tuple[str, list[str]], clips: ClipShelf, tmp_path: Path, repeat_2x: Path
) -> None:
    """A program that upscales an address, and then a file that somebody gave it."""
    (tmp_path / "clip.mp4").write_bytes(clips("b_frames.mp4").read_bytes())
    local = tmp_path / "given.m3u8"
    local.write_text(re.sub(r"(?m)^(list\d+\.ts)", rf"{asked[0]}/\1", hls(tmp_path, clips).read_text()))
    address = f"{asked[0]}/clip.mp4"
    upscale(address, tmp_path / "out.mkv", weights=repeat_2x, precision="fp32", allow_network=True)
    assert verify(Path(address), tmp_path / "out.mkv", allow_network=True).ok
    assert asked[1]
    asked[1].clear()
    for source in (local, Path(address)):
        with pytest.raises(SourceError, match=r"is a playlist|is an address"):
            upscale(source, tmp_path / "other.mkv", weights=repeat_2x)
        with pytest.raises(SourceError, match=r"is a playlist|is an address"):
            probe(source)
    assert asked[1] == []
    assert not (tmp_path / "other.mkv").exists()


def test_what_is_not_there_is_one_line(asked: tuple[str, list[str]]) -> None:
    with pytest.raises(SourceError, match="cannot be opened") as caught:
        probe(Path(f"{asked[0]}/no.mp4"), allow_network=True)
    assert caught.value.message.startswith(asked[0])


def test_the_command_says_it_in_one_line_and_opens_with_the_option(
    asked: tuple[str, list[str]], clips: ClipShelf, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "clip.mp4").write_bytes(clips("b_frames.mp4").read_bytes())
    address = f"{asked[0]}/clip.mp4"
    assert command(["info", address]) == 1
    error = capsys.readouterr().err.splitlines()
    assert error[0] == f"Error: {address} is an address, not a local file"
    assert "--allow-network" in error[1]
    assert len(error) == 2
    assert command(["info", address, "--allow-network"]) == 0
    assert "96x64" in capsys.readouterr().out
