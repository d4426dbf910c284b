"""Where a result comes from: the version of the code."""

from __future__ import annotations

import subprocess
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[2]


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
