"""Print the lowest version of every dependency that pyproject.toml admits, as constraints for pip.

python tests/lowest_versions.py > lowest.txt && pip install -c lowest.txt -e .

Names behind the command are left out: `python tests/lowest_versions.py torch`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import tomllib
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
TOOLS = ("dev", "docs")
"""Extras of those who work on the package: their tools may be as new as they like."""


def requirements() -> Iterator[Requirement]:
    """Every dependency and extra that somebody who uses the package may install."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    lists = [project["dependencies"], *(extras[name] for name in extras if name not in TOOLS)]
    yield from (Requirement(text) for lines in lists for text in lines)


def lowest() -> dict[str, str]:
    """The lowest version by name; a name without a lower bound has none to test."""
    found = {}
    for each in requirements():
        for bound in each.specifier:
            if bound.operator in (">=", "=="):
                found[each.name] = bound.version
    return found


if __name__ == "__main__":
    versions = {name: version for name, version in lowest().items() if name not in sys.argv[1:]}
    sys.stdout.writelines(f"{name}=={version}\n" for name, version in sorted(versions.items()))
