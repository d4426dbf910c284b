"""Processor, versions and commit that numbers come from: others move the last digits, or more."""

from __future__ import annotations

import platform
import subprocess
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ... import __version__

_PACKAGE = Path(__file__).resolve().parents[2]
_LIBRARIES = ("numpy", "numba", "scipy", "torch")
"""Whose versions can move the last digits of a result."""


def versions() -> dict[str, str]:
    """Versions by name: of this package, Python and the libraries that compute."""
    found = {"frugalfl": __version__, "python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # built from sources without metadata
            found[name] = "unknown"
    return found


def git_version() -> str | None:
    """The commit of the package's sources, with `-dirty` if they were changed since; None outside git."""
    # Looking must not write: a killed look would leave the lock of git's index behind.
    command = [
        "git",
        "--no-optional-locks",
        "-C",
        str(_PACKAGE),
        "describe",
        "--always",
        "--dirty",
        "--abbrev=12",
    ]
    if not (_PACKAGE / ".git").exists():
        return None
    try:
        said = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return said.stdout.strip() or None


@lru_cache(maxsize=1)
def processor() -> str:
    """The processor's name as its maker has it, such as "AMD EPYC 7763 64-Core Processor"."""
    system = platform.system()
    if system == "Linux":
        return _from_cpuinfo(Path("/proc/cpuinfo")) or platform.machine()
    if system == "Darwin":
        command = ["sysctl", "-n", "machdep.cpu.brand_string"]
        try:
            said = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
        except (OSError, subprocess.SubprocessError):
            return platform.machine()
        return said.stdout.strip() or platform.machine()
    return platform.processor() or platform.machine()


def _from_cpuinfo(path: Path) -> str:
    """The first `model name` of the kernel's list; empty if it has none, as on many ARM boards."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    found = dict(line.partition(":")[::2] for line in reversed(lines))
    return next((value.strip() for key, value in found.items() if key.strip() == "model name"), "")
