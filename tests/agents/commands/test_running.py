"""All subcommands parse, refuse and end alike."""

from __future__ import annotations

import errno
import os
import signal
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from frugalfl.agents.commands.running import BadOptionsError, parse_options, run_command
from frugalfl.common.files import write_file


@dataclass(frozen=True)
class Options:
    """Count to a number."""

    most: int = 3
    """where to stop"""


def test_the_body_gets_the_options_and_its_code_is_the_commands():
    seen: list[int] = []
    assert run_command(Options, lambda options: seen.append(options.most), "count", ["--most", "7"]) == 0
    assert seen == [7]
    assert run_command(Options, lambda options: options.most, "count", []) == 3


def test_help_ends_with_the_examples(capsys):
    assert run_command(Options, lambda _: 1, "count", ["--help"], "\n\nexamples:\n  count --most 9") == 0
    page = capsys.readouterr().out
    assert "Count to a number" in page and "where to stop" in page and "count --most 9" in page


def test_bad_options_and_bad_values_are_one_line_with_code_2(capsys):
    def refuse(options: Options) -> None:
        raise ValueError(f"most: {options.most},\n  expected more")

    assert run_command(Options, refuse, "count", ["--most", "many"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("count: ") and "many" in said and said.count("\n") == 1
    assert run_command(Options, refuse, "count", []) == 2
    assert capsys.readouterr().err == "count: most: 3, expected more\n"
    with pytest.raises(BadOptionsError, match="--least"):
        parse_options(Options, "count", ["--least", "2"])


def test_ctrl_c_has_its_own_code_and_is_one_line(capsys):
    def stop(_: Options) -> None:
        raise KeyboardInterrupt

    assert run_command(Options, stop, "count", []) == 130
    assert capsys.readouterr().err == "count: stopped (SIGINT)\n"


@pytest.mark.skipif(os.name != "posix", reason="sends signals")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_other_signals_are_like_ctrl_c(capsys, number):
    kept = []

    def work(_: Options) -> None:
        try:
            os.kill(os.getpid(), number)
            time.sleep(10)
        finally:
            kept.append("what has to be")

    assert run_command(Options, work, "count", []) == 128 + number
    assert capsys.readouterr().err == f"count: stopped ({number.name})\n" and kept
    assert signal.getsignal(number) is signal.SIG_DFL


@pytest.mark.skipif(os.name != "posix", reason="sends signals")
def test_an_ignored_signal_stays_ignored():
    """As `nohup` has it."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert run_command(Options, lambda _: os.kill(os.getpid(), signal.SIGHUP), "count", []) == 0
    finally:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


def test_a_full_disk_is_one_line(capsys, tmp_path):
    def fill(_: Options) -> None:
        write_file(tmp_path / "x.csv", refuse)

    def refuse(draft: Path) -> None:
        draft.write_text("half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    assert run_command(Options, fill, "count", []) == 1
    reason = "not written: No space left on device; what was written before is kept"
    assert capsys.readouterr().err == f"count: {tmp_path / 'x.csv'}: {reason}\n"
    assert not list(tmp_path.iterdir())


def test_what_a_thread_cannot_write_is_said_in_one_line(capsys):
    def work(_: Options) -> None:
        thread = threading.Thread(target=refuse)
        thread.start()
        thread.join()

    def refuse() -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "events")

    assert run_command(Options, work, "count", []) == 1
    told = capsys.readouterr().err
    assert told.startswith("count: events: No space left on device") and told.count("\n") == 1
