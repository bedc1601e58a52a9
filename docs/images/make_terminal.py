"""Draws what vidsr shows in a terminal while it works: docs/images/progress.svg.

    python docs/images/make_terminal.py [SOURCE]

vidsr runs in a terminal of tmux; when half of the frames are done, what stands on the screen is taken down
with its colours and drawn by rich. Needs tmux on PATH. SOURCE: a video; left out, the sample clip.
"""

from __future__ import annotations

import io
import re
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.text import Text

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent
SAMPLE = REPOSITORY / "samples" / "cel.mkv"
COLUMNS, ROWS = 100, 30
SESSION = "vidsr-picture"
HALF = re.compile(r"\b[5-7]\d%")
WAIT_SECONDS = 120


def main(source: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / source.name).symlink_to(source.resolve())
        command = ["vidsr", source.name, "out.mkv"]
        environment = ["-e", f"PATH={Path(sys.executable).parent}:/usr/bin:/bin"]
        size = ["-x", str(COLUMNS), "-y", str(ROWS)]
        tmux("new-session", "-d", "-s", SESSION, "-c", folder, *size, *environment, "sh")
        try:
            tmux("send-keys", "-t", SESSION, "PS1='$ '; clear", "Enter")
            time.sleep(0.5)
            tmux("send-keys", "-t", SESSION, shlex.join(command), "Enter")
            screen = wait_for_half()
        finally:
            tmux("kill-session", "-t", SESSION)
    draw(screen, HERE / "progress.svg")


def tmux(*words: str) -> str:
    return subprocess.run(["tmux", *words], capture_output=True, text=True, check=True).stdout


def wait_for_half() -> str:
    """The screen with its colours, when the bar stands about in the middle."""
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        screen = tmux("capture-pane", "-p", "-e", "-t", SESSION)
        if HALF.search(Text.from_ansi(screen).plain):
            return screen
        time.sleep(0.1)
    raise SystemExit(f"no progress was shown within {WAIT_SECONDS} s:\n{screen}")


def draw(screen: str, path: Path) -> None:
    """Without the links to fonts elsewhere that rich puts in: the reader's own monospace font will do."""
    lines = screen.rstrip().splitlines()
    console = Console(width=COLUMNS, record=True, file=io.StringIO(), force_terminal=True)
    for line in lines:
        console.print(Text.from_ansi(line), no_wrap=True)
    template = re.sub(r"@font-face \{\{.*?\}\}", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
    path.write_text(console.export_svg(title="vidsr", code_format=template), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else SAMPLE)
