"""A file server on 127.0.0.1 that misbehaves on demand, and remembers what it was asked."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Behaviour:
    """What the server does; changed by tests between requests.

    cut_after: bytes of the body after which the connection is closed, for the next requests in turn.
    gate: if set, the body is held back after its first half until the event is set.
    """

    content: bytes
    status: int = 200
    cut_after: list[int] = field(default_factory=list)
    fail_first: list[int] = field(default_factory=list)
    takes_ranges: bool = True
    refuses_ranges: bool = False
    wrong_range: bool = False
    announces: int | None = -1  # Content-Length; -1 is the true one, None is none
    redirect: str | None = None
    gate: threading.Event | None = None
    requests: list[tuple[str, str | None]] = field(default_factory=list)  # (path, Range)
    begun: threading.Event = field(default_factory=threading.Event)


class _Handler(BaseHTTPRequestHandler):
    behaviour: Behaviour

    def log_message(self, format: str, *args: object) -> None:
        """Not on the tests' output."""

    def do_GET(self) -> None:
        b = self.behaviour
        asked = self.headers.get("Range")
        b.requests.append((self.path, asked))
        status = b.fail_first.pop(0) if b.fail_first else b.status
        if b.redirect and self.path != b.redirect:
            self.send_response(302)
            self.send_header("Location", b.redirect)
            self.end_headers()
            return
        if status != 200:
            self.send_error(status)
            return
        start = int(m[1]) if asked and (m := re.fullmatch(r"bytes=(\d+)-", asked)) else 0
        if start and b.refuses_ranges:
            self.send_error(416)
            return
        if start and b.takes_ranges:
            self.send_response(206)
            shown = start + (1 if b.wrong_range else 0)
            self.send_header("Content-Range", f"bytes {shown}-{len(b.content) - 1}/{len(b.content)}")
        else:
            start = 0
            self.send_response(200)
        body = b.content[start:]
        if b.announces is not None:
            self.send_header("Content-Length", str(len(body) if b.announces == -1 else b.announces))
        self.end_headers()
        cut = b.cut_after.pop(0) if b.cut_after else len(body)
        half = len(body) // 2
        self.wfile.write(body[: min(cut, half)])
        self.wfile.flush()
        b.begun.set()
        if b.gate is not None:
            b.gate.wait(30)
        self.wfile.write(body[half:cut])


@contextmanager
def serving(behaviour: Behaviour) -> Iterator[str]:
    """The server's address, without a slash at the end."""
    handler = type("Handler", (_Handler,), {"behaviour": behaviour})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
