"""Other libraries on frugalfl, unmodified: what works, of those that are installed here.

    python benchmarks/outsiders.py                        # every check whose libraries can be imported
    python benchmarks/outsiders.py --only torchrl minari  # those of some libraries

Carries out the snippets of docs/integrations.md as they stand, then checks that go further than a page
should (`outsiders_checks.py`), and prints a table in Markdown. One environment cannot hold all of these
libraries, see docs/outsiders.md. It ends with 1 if something did not work.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import importlib.util
import io
import os
import re
import sys
import tempfile
import traceback
import warnings
from importlib.metadata import packages_distributions, version
from pathlib import Path

import outsiders_more  # noqa: F401  (enters its checks)
from outsiders_checks import CHECKS, Check

PAGE = Path(__file__).resolve().parents[1] / "docs" / "integrations.md"
NO_OUTSIDERS = {"frugalfl", "numpy", "torch", "cleanrl_ppo", *sys.stdlib_module_names}


def snippets() -> list[Check]:
    """The snippets of the page, each under its heading; what one imports it needs."""
    found = []
    sections = re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", PAGE.read_text(encoding="utf-8"), re.S | re.M)
    for heading, text in sections:
        for number, code in enumerate(re.findall(r"```python\n(.*?)```", text, re.S)):
            needs = sorted(imported(code) - NO_OUTSIDERS)
            label = f"snippet: {heading}" + (f" ({number + 1})" if number else "")
            found.append(Check(label, tuple(needs), lambda code=code: exec(code, {})))  # type: ignore[misc]
    return found


def imported(code: str) -> set[str]:
    """The packages that a text imports."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return names


def released(module: str) -> str:
    """A library's name and version, as an index has them."""
    name = packages_distributions().get(module, [module])[0]
    return f"{name} {version(name)}"


def verdict(check: Check) -> str:
    """What came of it: "works", or the first line of the error; all of it goes to stderr."""
    home = Path.cwd()
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        os.chdir(folder)
        os.environ["MINARI_DATASETS_PATH"] = folder
        warnings.simplefilter("ignore")  # what libraries warn of at home is theirs
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                check.run()
        except Exception as error:
            traceback.print_exc()
            return f"**fails**: {type(error).__name__}: {next(iter(str(error).splitlines()), '')}"
        finally:
            os.chdir(home)
    return "works"


def main() -> int:
    """The table of everything that can be tried here."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--only", nargs="*", default=[], metavar="WORD", help="a module, or a word of the check"
    )
    only = parser.parse_args().only
    print("| with | what | |\n|---|---|---|")
    failed = 0
    for check in [*snippets(), *CHECKS]:
        if only and not any(word in check.needs or word in check.what for word in only):
            continue
        if not check.needs or not all(importlib.util.find_spec(module) for module in check.needs):
            continue
        told = verdict(check)
        failed += told != "works"
        print(f"| {', '.join(map(released, check.needs))} | {check.what} | {told} |", flush=True)
    return int(failed > 0)


if __name__ == "__main__":
    os.environ.setdefault("WANDB_MODE", "offline")
    sys.exit(main())
