"""A process of its own for each thing that is measured, and the pipe it is asked through.

Its memory is then its own, one library's threads do not disturb another's, and one that is killed
for want of memory takes nothing else down. It knows questions and answers, never what they measure.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from vidsr.bench.candidates import Way
from vidsr.errors import DeviceError, VidsrError

ENDING_SECONDS = 5.0
"""How long a process may take to end by itself before it is ended."""


class Worker:
    """Runs `serve` of this module elsewhere; `begin` asks, `finish` waits for the answer.

    Not `multiprocessing`: its child imports the caller's main module again, whatever that does.
    """

    def __init__(self, name: str) -> None:
        """name: for the message when the process is lost."""
        self._name = name
        self._process = subprocess.Popen(
            [sys.executable, "-m", "vidsr.bench.worker"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._questions, self._answers = self._process.stdin, self._process.stdout

    def begin(self, question: str, **arguments: object) -> None:
        """Ask for a method of `Answers` by name; if the process is gone, `finish` says so."""
        with contextlib.suppress(BrokenPipeError):
            pickle.dump((question, arguments), self._questions)
            self._questions.flush()

    def finish(self) -> Any:
        """The answer. Raises the VidsrError that the question met, DeviceError where the process died."""
        try:
            answer, error = pickle.load(self._answers)
        except (EOFError, OSError, pickle.UnpicklingError) as lost:
            raise self._lost() from lost
        if error is not None:
            raise VidsrError(*error)
        return answer

    def ask(self, question: str, **arguments: object) -> Any:
        self.begin(question, **arguments)
        return self.finish()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(BrokenPipeError):
            self._questions.close()
        try:
            self._process.wait(0 if kind is not None else ENDING_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._answers.close()

    def _lost(self) -> DeviceError:
        try:
            code = self._process.wait(ENDING_SECONDS)
        except subprocess.TimeoutExpired:
            return DeviceError(f"the process measuring {self._name} answered nonsense")
        words = f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
        if code == -signal.SIGKILL:
            words += ", most likely for want of memory"
        return DeviceError(f"the process measuring {self._name} {words}")


class Answers:
    """What a worker can be asked. torch is loaded by the first question that needs it."""

    def __init__(self) -> None:
        self._workload: Any = None

    def ceiling(self, device: str, precision: str, seconds: float) -> Any:
        """See ceiling.measure_ceiling."""
        import torch  # noqa: PLC0415

        from vidsr.bench.ceiling import measure_ceiling  # noqa: PLC0415

        return measure_ceiling(torch.device(device), precision, seconds=seconds)

    def open(self, model: str, way: Way, clip: Path) -> int:
        """Make a workload.Workload for the questions to come. Returns its batch size."""
        from vidsr.bench.workload import Workload  # noqa: PLC0415

        self._workload = Workload(model, way, clip)
        return int(self._workload.batch)

    def model(self, seconds: float) -> Any:
        return self._workload.measure_model(seconds)

    def pipeline(self, seconds: float, encode: bool) -> Any:
        return self._workload.measure_pipeline(seconds, encode=encode)

    def memory(self) -> Any:
        return self._workload.peak_memory()


def serve(questions: IO[bytes], answers: IO[bytes]) -> None:
    """Answer one question after another until there are no more.

    Each in a thread that ends with it, as the threads of a run do: libgomp keeps a team of threads for
    every thread that computes, and how they wait depends on how many there are. On a crowded 2-core
    machine a small convolution took 30 ms with one team and 4 ms with two.
    """
    known = Answers()
    while True:
        try:
            question, arguments = pickle.load(questions)
        except EOFError:
            return
        answer: Any = None
        error: tuple[str, str | None] | None = None
        try:
            with ThreadPoolExecutor(1) as fresh:
                answer = fresh.submit(getattr(known, question), **arguments).result()
        except VidsrError as met:
            error = met.message, met.hint
        except (RuntimeError, MemoryError) as met:  # what torch and OpenVINO raise when they give up
            words = str(met).strip().splitlines()
            error = f"{type(met).__name__}: {words[0] if words else 'no words'}", None
        pickle.dump((answer, error), answers)
        answers.flush()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the asking process hears Ctrl+C and ends this one
    own_stdout = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints must not come between the answers
    serve(sys.stdin.buffer, own_stdout)
