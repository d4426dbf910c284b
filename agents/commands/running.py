"""Running a subcommand: parse, refuse bad input in one line, end with an exit code."""

from __future__ import annotations

import contextlib
import inspect
import io
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import tyro

from ...common.registry import NO_CODE
from .terminal import say, stopping_signals, told, with_output

Options = TypeVar("Options")

_NO_CODE = "--no-code"
_ABOUT_CODE = (
    "\n\nWith --no-code nothing is loaded that a scenario, a run folder or a card names as "
    "package.module:name: such names are code. Use it on what others have made."
)

DONE = 0
NOT_WRITTEN = 1
BAD_INPUT = 2


class BadOptionsError(ValueError):
    """Arguments that cannot be understood; the message is one line."""


def run_command(
    options_type: type[Options],
    body: Callable[[Options], int | None],
    prog: str,
    argv: Sequence[str] | None = None,
    examples: str = "",
) -> int:
    """Parse the arguments and run a subcommand.

    Args:
        options_type: dataclass of its options; the docstring is the help.
        body: what it does; returns its exit code, None for 0.
        prog: how it is called, such as "frugalfl report".
        argv: the arguments; None: those of the program.
        examples: what the help ends with.

    Returns:
        The body's exit code; after one line on stderr `BAD_INPUT` for arguments that cannot be understood and
        for a ValueError, `NOT_WRITTEN` where the system refused a file, because the disk is full for
        instance, 128 + the signal's number after Ctrl-C, SIGTERM and SIGHUP, and `READER_GONE` once nobody
        reads its output.
    """
    given = list(sys.argv[1:] if argv is None else argv)

    def command() -> int:
        with stopping_signals(), _errors_of_threads(), _no_code(_NO_CODE in given):
            words = [word for word in given if word != _NO_CODE]
            options = parse_options(options_type, prog, words, examples + _ABOUT_CODE)
            return DONE if options is None else body(options) or DONE

    return with_output(lambda: _told_in_a_line(command, prog))


def _told_in_a_line(command: Callable[[], int], prog: str) -> int:
    """The exit code of a command; what ends it early is one line on stderr."""
    try:
        return command()
    except ValueError as error:
        say(f"{prog}: {' '.join(str(error).split())}")
        return BAD_INPUT
    except OSError as error:
        if isinstance(error.__context__, KeyboardInterrupt):  # a closed terminal could not take its line
            return told(prog, error.__context__)
        if isinstance(error, BrokenPipeError):
            raise
        where = "" if error.filename is None else f"{error.filename}: "
        say(f"{prog}: {where}{error.strerror or error}; what was written before is kept")
        return NOT_WRITTEN
    except KeyboardInterrupt as stop:
        return told(prog, stop)


@contextlib.contextmanager
def _errors_of_threads() -> Iterator[None]:
    """Raise here what a thread could not write (TensorBoard's has one); its traceback is not shown."""
    found: list[OSError] = []
    before = threading.excepthook

    def hook(told: threading.ExceptHookArgs) -> None:
        if isinstance(told.exc_value, OSError):
            found.append(told.exc_value)
        else:
            before(told)

    threading.excepthook = hook
    try:
        yield
    finally:
        threading.excepthook = before
    if found:
        raise found[0]


@contextlib.contextmanager
def _no_code(refused: bool) -> Iterator[None]:
    """Within, dotted names are refused here and in the processes that are started, if so asked."""
    before = os.environ.get(NO_CODE)
    if refused:
        os.environ[NO_CODE] = "1"
    try:
        yield
    finally:
        if refused and before is None:
            del os.environ[NO_CODE]


def parse_options(
    options_type: type[Options], prog: str, argv: Sequence[str] | None = None, examples: str = ""
) -> Options | None:
    """The options that arguments ask for; None if they asked for help, which is printed.

    Args:
        options_type: see `run_command`.
        prog: likewise.
        argv: likewise.
        examples: likewise.

    Raises:
        BadOptionsError: they cannot be understood.
    """
    # What each field means stands beside its option.
    about = inspect.cleandoc(options_type.__doc__ or "").split("\n\nAttributes:\n")[0] + examples
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            given = None if argv is None else list(argv)
            return tyro.cli(options_type, prog=prog, description=about, args=given)
    except SystemExit as end:
        if end.code:
            raise BadOptionsError(one_line(said.getvalue())) from None
        return None


def one_line(page: str) -> str:
    """What a boxed message of the parser says, without the box and its advice."""
    words = [line.strip(" │|╭╮╰╯─") for line in page.splitlines()]
    text = [line for line in words if line and not line.lower().startswith("for full help")]
    end = next((index for index, line in enumerate(text) if line.startswith("Argument helptext")), len(text))
    # The first line is the box's title, such as "Value error".
    return " ".join(text[1:end]) or "arguments: not understood; see --help"
