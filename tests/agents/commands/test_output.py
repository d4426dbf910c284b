"""What commands write: in any terminal's encoding, and to readers that go away."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys

import pytest
from rich.console import Console

from frugalfl.agents.commands.main import COMMANDS, main
from frugalfl.agents.commands.running import run_command
from frugalfl.agents.commands.terminal import READER_GONE, with_output
from frugalfl.agents.commands.traces import Describe


@pytest.fixture
def carbon(tmp_path):
    rows = [
        f"2023-01-{1 + hour // 24:02}T{hour % 24:02}:00:00Z,Z,direct,{100 + 10 * hour}" for hour in range(48)
    ]
    path = tmp_path / "grid.csv"
    path.write_text("time,zone,kind,g_per_kwh\n" + "\n".join(rows) + "\n")
    return path


@pytest.fixture
def terminal(monkeypatch):
    """Makes output and error streams of an encoding; returns what was written to them."""
    kept = []

    def make(encoding: str):
        streams = [io.TextIOWrapper(io.BytesIO(), encoding=encoding) for _ in range(2)]
        monkeypatch.setattr(sys, "stdout", streams[0])
        monkeypatch.setattr(sys, "stderr", streams[1])
        kept.extend(streams)

        def written() -> tuple[str, str]:
            for stream in streams:
                stream.flush()
            return tuple(stream.buffer.getvalue().decode(encoding) for stream in streams)

        return written

    yield make
    monkeypatch.undo()


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "cp437", "koi8-r", "utf-8"])
def test_a_table_with_bars_can_be_written_in_any_encoding(carbon, terminal, encoding):
    written = terminal(encoding)
    assert main(["traces", "describe", str(carbon)]) == 0
    out, err = written()
    bars = "[▁-█]{24}" if encoding == "utf-8" else "[1-8▄█]{24}"
    assert "grid.csv" in out and re.search(bars, out) and not err
    assert sys.stdout.errors == "strict", "what others write is theirs to decide"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself_in_ascii(name, terminal):
    written = terminal("ascii")
    assert main([name, "--help"]) == 0
    assert "usage" in written()[0].lower()


def test_letters_are_replaced_by_similar_ones_also_in_complaints(terminal):
    def refuse(_: Describe) -> None:
        sys.stdout.write("▁█ 10–20 gCO₂eq × é ╭─╮│ \udcff 漢")
        raise ValueError("zone: 'Île—de', expected another")

    written = terminal("ascii")
    assert run_command(Describe, refuse, "try", ["file"]) == 2
    assert written() == ("18 10-20 gCO2eq x e +-+| ? ?", "try: zone: 'Ile-de', expected another\n")


class TestReadersThatGoAway:
    @pytest.fixture
    def unread(self, monkeypatch):
        """Makes standard output a pipe that nobody reads."""
        made = []

        def make() -> io.TextIOWrapper:
            there, here = os.pipe()
            os.close(there)
            made.append(open(here, "w", encoding="utf-8"))  # noqa: SIM115
            monkeypatch.setattr(sys, "stdout", made[0])
            return made[0]

        yield make
        monkeypatch.undo()
        for stream in made:
            stream.close()  # what is left goes nowhere, without an error

    def test_the_command_ends_quietly_with_the_code_of_the_signal(self, unread):
        stream = unread()
        assert with_output(lambda: stream.write("much") * 0) == READER_GONE

    def test_also_where_rich_writes(self, unread):
        unread()

        def command() -> int:
            console = Console()
            for _ in range(10_000):
                console.print("line after line")
            return 0

        assert with_output(command) == READER_GONE

    def test_a_pipe_between_processes_that_breaks_is_an_error_as_before(self):
        def command() -> int:
            raise BrokenPipeError("a worker died")

        with pytest.raises(BrokenPipeError, match="a worker died"):
            with_output(command)
        with pytest.raises(SystemExit):
            with_output(lambda: sys.exit(3))

    @pytest.mark.parametrize("arguments", [["--help"], ["traces", "--help"], ["traces", "describe"]])
    def test_a_whole_program_leaves_no_word_of_it(self, carbon, arguments):
        paths = [str(carbon)] * (arguments[-1] == "describe")
        there, here = os.pipe()
        os.close(there)
        command = [sys.executable, "-m", "frugalfl.agents.commands.main", *arguments, *paths]
        done = subprocess.run(command, stdout=here, stderr=subprocess.PIPE, check=False, timeout=120)
        os.close(here)
        assert (done.returncode, done.stderr) == (READER_GONE, b"")
