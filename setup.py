"""What pyproject.toml cannot say: the README for an index, where links into a repository lead nowhere."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

HERE = Path(__file__).resolve().parent
LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\((?![a-z]+:|#)([^)\s]+)\)")


def readme_for(home: str | None) -> str:
    """The README with absolute links into the repository at `home`; without a home, without such links."""

    def link(found: re.Match[str]) -> str:
        picture, text, target = found.groups()
        if home is None:
            return "" if picture else text
        return f"{picture}[{text}]({home.rstrip('/')}/{'raw' if picture else 'blob'}/main/{target})"

    return LINK.sub(link, (HERE / "README.md").read_text(encoding="utf-8"))


def home_of() -> str | None:
    """Where the repository is: `Repository` of [project.urls]."""
    project = tomllib.loads((HERE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return project.get("urls", {}).get("Repository")


class ModulesWithoutThis(build_py):
    """The package's root is the checkout's, and this file is no module of it."""

    def find_package_modules(self, package: str, package_dir: str) -> list[tuple[str, str, str]]:
        """Every module of a folder but this one."""
        found = super().find_package_modules(package, package_dir)
        return [module for module in found if (package, module[1]) != ("frugalfl", "setup")]


setup(
    long_description=readme_for(home_of()),
    long_description_content_type="text/markdown",
    cmdclass={"build_py": ModulesWithoutThis},
)
