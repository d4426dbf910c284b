"""Pages that are made when the site is built: commands, the scenario document, and texts of the root.

MkDocs calls the functions named `on_...` (see mkdocs.yml).
"""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import posixpath
import re
from pathlib import Path
from unittest import mock

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")
FENCE = re.compile(r"(^ *```.*?^ *```)", re.MULTILINE | re.DOTALL)
OF_THE_ROOT = {"changelog.md": "CHANGELOG.md", "contributing.md": "CONTRIBUTING.md"}
"""Page of the site, and the file of the root that it shows."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made from code or stand in the root."""
    made = {page: (ROOT / source).read_text(encoding="utf-8") for page, source in OF_THE_ROOT.items()}
    made["reference/commands.md"] = commands_page()
    made["reference/scenario.md"] = scenario_page()
    for path, text in made.items():
        files.append(File.generated(config, path, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Links as the site needs them: what has no page here goes to the repository, or is plain text."""
    at_root = page.file.src_uri in OF_THE_ROOT
    here = "" if at_root else posixpath.join("docs", posixpath.dirname(page.file.src_uri))
    to_page = {source: target for target, source in OF_THE_ROOT.items()}

    def relink(found: re.Match[str]) -> str:
        picture, text, target = found.groups()
        if re.match(r"[a-z]+:|#", target):
            return found[0]
        path, mark, anchor = target.partition("#")
        place = posixpath.normpath(posixpath.join(here, path))
        inside = to_page.get(place) or (place[5:] if place.startswith("docs/") else None)
        if inside and files.get_file_from_path(inside):
            start = posixpath.dirname(page.file.src_uri) or "."
            return f"{picture}[{text}]({posixpath.relpath(inside, start)}{mark}{anchor})"
        if not (ROOT / place).exists():
            return found[0]  # MkDocs says that there is no such page
        return f"[{text}]({config.repo_url}/blob/main/{place})" if config.repo_url else text

    parts = FENCE.split(markdown)
    return "".join(part if FENCE.fullmatch(part) else LINK.sub(relink, part) for part in parts)


def commands_page() -> str:
    """What every command says of itself."""
    commands = importlib.import_module("frugalfl.agents.commands.main").COMMANDS
    parts = [
        "# Commands",
        "",
        "What `frugalfl COMMAND --help` says; `frugalfl --version` tells the version.",
        "",
    ]
    for name, (_, summary) in commands.items():
        parts += [f"## frugalfl {name}", "", f"{summary[0].upper()}{summary[1:]}.", ""]
        parts += ["```text", help_of(name), "```", ""]
    return "\n".join(parts)


def help_of(name: str) -> str:
    """The help text of a command, as wide as a page."""
    main = importlib.import_module("frugalfl.agents.commands.main").main
    said = io.StringIO()
    wide = {"COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb"}
    with (
        mock.patch.dict(os.environ, wide),
        contextlib.redirect_stdout(said),
        contextlib.suppress(SystemExit),
    ):
        main([name, "--help"])
    text = re.sub(r"\x1b\[[0-9;]*m", "", said.getvalue()).strip()
    if not text:
        raise ValueError(f"docs: `frugalfl {name} --help` says nothing")
    return "\n".join(line.rstrip() for line in text.splitlines())


def scenario_page() -> str:
    """The document a world is made of, block by block."""
    text = """\
# The scenario document

A YAML file, or keywords of `gym.make`; a block with its own fields is a mapping. Start from a packaged one
with `base: volunteers`. What may be drawn per episode, options with figures and how files are read stand in
[Environments](../environments.md#options); a packaged document says of every number why, see
[the worlds](../worlds/index.md).

"""
    blocks = (
        "document.Scenario",
        "document.Workload",
        "document.Preferences",
        "document.Budgets",
        "levels.Levels",
    )
    blocks += (
        "options.Forecasting",
        "options.HubData",
        "options.Late",
        "options.Evaluation",
        "options.Malicious",
    )
    entries = [f"::: frugalfl.envs.scenario.{name}\n    options: {{members: false}}\n" for name in blocks]
    return text + "\n".join(entries)
