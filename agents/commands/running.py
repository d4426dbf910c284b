"""What all subcommands do alike: parse, refuse bad input in one line, end with an exit code."""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Callable, Sequence
from typing import TypeVar

import tyro

Options = TypeVar("Options")

BAD_INPUT = 2
INTERRUPTED = 130


def run_command(
    options_type: type[Options], body: Callable[[Options], None], prog: str, argv: Sequence[str] | None = None
) -> int:
    """Parse the arguments and run a subcommand.

    Args:
        options_type: dataclass of its options; the docstring is the help.
        body: what it does.
        prog: how it is called, such as "frugalfl report".
        argv: the arguments; None: those of the program.

    Returns:
        0, `BAD_INPUT` after one line on stderr for arguments that cannot be understood and for a ValueError,
        `INTERRUPTED` after Ctrl-C.
    """
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            options = tyro.cli(options_type, prog=prog, args=None if argv is None else list(argv))
    except SystemExit as end:
        if end.code:
            sys.stderr.write(f"{prog}: {one_line(said.getvalue())}\n")
        return BAD_INPUT if end.code else 0
    try:
        body(options)
    except ValueError as error:
        sys.stderr.write(f"{prog}: {' '.join(str(error).split())}\n")
        return BAD_INPUT
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0


def one_line(page: str) -> str:
    """What a boxed message of the parser says, without the box and its advice."""
    words = [line.strip(" │|╭╮╰╯─") for line in page.splitlines()]
    text = [line for line in words if line and not line.lower().startswith("for full help")]
    end = next((index for index, line in enumerate(text) if line.startswith("Argument helptext")), len(text))
    # The first line is the box's title, such as "Value error".
    return " ".join(text[1:end]) or "arguments: not understood; see --help"
