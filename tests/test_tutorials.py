"""The tutorials do what they say: every block of each page, in their order, in an empty folder."""

from __future__ import annotations

import importlib.util
import re
import shlex
import sys
from pathlib import Path

import pytest

from frugalfl.agents.commands.main import main

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGES = sorted(path for path in (DOCS / "tutorials").glob("*.md") if path.stem != "index")
FENCED = re.compile(r"^```(\w+)(?: title=\"([\w.\-]+)\")?\n(.*?)^```", re.MULTILINE | re.DOTALL)
NEEDS = {"offline_data": ("minari", "h5py"), "deploy_on_three_nodes": ("flwr",)}
"""Libraries of extras, by page."""


def blocks_of(page: Path) -> list[tuple[str, str, str]]:
    """Language, file name (or "") and text of every fenced block."""
    return FENCED.findall(page.read_text(encoding="utf-8"))


def run_command(line: str) -> None:
    """A line `$ frugalfl ...` of a console block, in this process."""
    program, *arguments = shlex.split(line.removeprefix("$ "))
    assert program == "frugalfl", line
    assert main([*arguments, *(["--jobs", "1"] if arguments[0] == "evaluate" else [])]) == 0, line


def carry_out(page: Path) -> dict:
    """Files are written, commands given, Python is run in one namespace; returns that."""
    names: dict = {"__name__": "__main__"}
    for language, title, text in blocks_of(page):
        if title:
            Path(title).write_text(text, encoding="utf-8")
        elif language == "console":
            for line in text.splitlines():
                if line.startswith("$ "):
                    run_command(line)
        elif language == "python":
            exec(compile(text, f"{page.name}", "exec"), names)
        else:
            raise AssertionError(f"{page.name}: a block of {language} that nobody carries out")
    return names


@pytest.fixture
def empty_folder(tmp_path, monkeypatch):
    """An empty working folder, in which own modules are found."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", None) and str(tmp_path) in sys.modules[name].__file__:
            del sys.modules[name]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::ResourceWarning")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_tutorial_does_what_it_says(page, empty_folder):
    for library in NEEDS.get(page.stem, ()):
        pytest.importorskip(library)
    carry_out(page)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_tutorial_has_something_to_carry_out_and_is_valid(page):
    blocks = blocks_of(page)
    assert blocks
    for language, title, text in blocks:
        if language == "python":
            compile(text, title or page.name, "exec")
        if language == "console":
            assert all(line.startswith(("$ ", "  ")) for line in text.splitlines()), text


def test_the_index_lists_every_tutorial():
    listed = re.findall(r"\]\((\w+)\.md\)", (DOCS / "tutorials" / "index.md").read_text(encoding="utf-8"))
    assert sorted(listed) == [page.stem for page in PAGES]


def test_the_start_page_does_what_it_says(empty_folder, capsys):
    """But for the training, which the tutorial above has with a smaller budget."""
    blocks = blocks_of(DOCS / "index.md")
    (text,) = (text for language, _, text in blocks if language == "python")
    exec(text, {})
    assert "accuracy" in capsys.readouterr().out
    commands = [text for language, _, text in blocks if language == "console"]
    run_command(commands[0].strip().replace("--episodes 8", "--episodes 1"))
    assert (empty_folder / "runs" / "first" / "report.html").is_file()
    assert importlib.util.find_spec("frugalfl.agents.commands.train")
