"""All subcommands parse, refuse and end alike."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from frugalfl.agents.commands.running import BadOptionsError, parse_options, run_command


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


def test_ctrl_c_has_its_own_code():
    def stop(_: Options) -> None:
        raise KeyboardInterrupt

    assert run_command(Options, stop, "count", []) == 130
