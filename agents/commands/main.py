"""The command `frugalfl`: finds the subcommand and runs it."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

from ... import __version__
from ...common.spelling import suggest
from .terminal import stopping_signals, told, with_output

COMMANDS = {
    "train": (
        "frugalfl.agents.commands.train:main",
        "train a scheduler and compare it with the handcrafted ones",
    ),
    "evaluate": ("frugalfl.agents.commands.evaluate:main", "play schedulers on held-out episodes"),
    "benchmark": ("frugalfl.agents.commands.benchmark:main", "evaluate on several worlds"),
    "tune": (
        "frugalfl.agents.commands.tune:main",
        "tune the handcrafted schedulers on a world's validation split",
    ),
    "export": (
        "frugalfl.agents.commands.export:main",
        "make a trained scheduler that ships: weights and card",
    ),
    "explain": ("frugalfl.agents.commands.explain:main", "draw what a trained scheduler does and why"),
    "record": (
        "frugalfl.agents.commands.record:main",
        "write what a scheduler does as a data set for offline learning (Minari)",
    ),
    "report": ("frugalfl.agents.commands.report:main", "the pages of an evaluation: HTML, Markdown, PNG"),
    "theory": ("frugalfl.agents.commands.theory:main", "predict a scheduler's bias and variance; compare"),
    "deploy": ("frugalfl.agents.commands.deploy:main", "let a scheduler drive real nodes, on Flower"),
    "traces": (
        "frugalfl.agents.commands.traces:main",
        "describe, fit and convert availability and carbon files",
    ),
    "envs": ("frugalfl.agents.commands.listing:envs", "list the environments"),
    "schedulers": ("frugalfl.agents.commands.listing:schedulers", "list the schedulers"),
    "warmup": ("frugalfl.agents.commands.warmup:main", "compile everything, once per installation"),
}
"""Subcommand, the function of its arguments that serves it, and what it does."""

EXTRAS = {"ray": "ray", "flwr": "flower"}
"""The extra that brings a package which only some subcommands need."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run `frugalfl SUBCOMMAND ...`; returns the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    return with_output(lambda: _run(arguments))


def _run(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help"):
        sys.stdout.write(usage())
        return 0 if arguments else 2
    if arguments[0] == "--version":
        sys.stdout.write(f"frugalfl {__version__}\n")
        return 0
    name, *rest = arguments
    if name not in COMMANDS:
        sys.stderr.write(f"frugalfl: {name!r} is no command; {suggest(name, COMMANDS)}\n")
        return 2
    module, _, function = COMMANDS[name][0].partition(":")
    try:
        with stopping_signals():
            command = getattr(importlib.import_module(module), function)
    except KeyboardInterrupt as stop:
        return told(f"frugalfl {name}", stop)
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in EXTRAS:
            raise
        cure = f"pip install 'frugalfl[{EXTRAS[missing]}]'"
        sys.stderr.write(f"frugalfl {name}: needs {missing}, which is not installed: {cure}\n")
        return 2
    return int(command(rest))


def usage() -> str:
    """The list of subcommands."""
    rows = [f"  {name:<10} {what}" for name, (_, what) in COMMANDS.items()]
    head, tail = "usage: frugalfl COMMAND [OPTIONS]", "frugalfl COMMAND --help tells more."
    return "\n".join([head, "", *rows, "", tail, ""])


if __name__ == "__main__":
    sys.exit(main())
