"""What a measurement was made on: processor, cores, memory, versions, how busy it was.

It reads what the system tells about itself and never measures speed; it loads neither torch nor av.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

PACKAGES = ("torch", "openvino", "av", "numpy")
"""Their versions decide speed; what is not installed is left out."""


@dataclass(frozen=True, slots=True)
class Machine:
    """cores: logical processors this process may use. memory_bytes: of the whole machine, None = unknown.

    packages: name -> version.
    """

    cpu: str
    cores: int
    memory_bytes: int | None
    system: str
    python: str
    packages: dict[str, str]

    def __str__(self) -> str:
        memory = "" if self.memory_bytes is None else f", {self.memory_bytes / 2**30:.0f} GiB"
        versions = ", ".join(f"{name} {version}" for name, version in self.packages.items())
        cores = f"{self.cores} core{'s' if self.cores != 1 else ''}"
        return f"{self.cpu}, {cores}{memory}; {self.system}, Python {self.python}, {versions}"


def this_machine() -> Machine:
    return Machine(
        cpu=_cpu_name(),
        cores=usable_cores(),
        memory_bytes=_memory_bytes(),
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        python=platform.python_version(),
        packages=_versions(),
    )


def usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def load_average() -> float | None:
    """Processes that wanted a core, averaged over the last minute; None where the system does not count."""
    try:
        return os.getloadavg()[0]
    except (AttributeError, OSError):
        return None


def peak_memory_bytes() -> int | None:
    """The most memory this process has had resident at once; None where the system does not tell.

    Linux's getrusage is not asked first: there the figure starts at the peak of the process that
    started this one, as the kernel keeps it across exec.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        for line in status.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    if sys.platform == "win32":
        return None
    import resource  # noqa: PLC0415 (does not exist on Windows)

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _cpu_name() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() in {"model name", "Model"} and value.strip():
                return value.strip()
    if sys.platform == "darwin":
        asked = subprocess.run(
            ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"],
            capture_output=True,
            text=True,
            check=False,
        )
        if asked.returncode == 0 and asked.stdout.strip():
            return asked.stdout.strip()
    return platform.processor() or platform.machine()


def _memory_bytes() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return None


def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
