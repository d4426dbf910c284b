"""The batteries for everybody's plug-ins accept all that is built in, and notice what is broken."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from frugalfl.common.settings import Settings
from frugalfl.traces.availability import GENERATORS, AvailabilityEpisode, Sessions
from frugalfl.traces.formats import Format
from frugalfl.traces.formats.availability import AVAILABILITY_FORMATS
from frugalfl.traces.formats.carbon import CARBON_FORMATS
from frugalfl.traces.records import CarbonSeries, flat_trace
from frugalfl.traces.testing import EXAMPLES, check_availability_model, check_forecast, check_trace_format

FEDSCALE = {1: {"duration": 1, "active": [1, 5], "inactive": [3, 9], "finish_time": 86400, "model": "m"}}
MORE = {
    "fedscale": pickle.dumps(FEDSCALE, 3),
    "skypilot-inverted": EXAMPLES["skypilot"],
    "electricitymaps-json": (
        b'{"zone": "DE", "history": [{"carbonIntensity": 5, "datetime": "2023-01-01T00:00:00Z"}, '
        b'{"carbonIntensity": 6, "datetime": "2023-01-01T01:00:00Z"}]}'
    ),
    "electricitymaps-dump": (
        b"datetime,zone_name,carbon_intensity_avg\n2023-01-01 00:00,DE,5\n2023-01-01 01:00,DE,6\n"
    ),
    "watttime-vessim": b"oootime,DE\n2023-01-01 00:00,5\n2023-01-01 00:05,6\n",
    "entsoe": (
        b'"Area","MTU","Solar  - Actual Aggregated [MW]"\n'
        b'"BE","01.04.2019 01:00 - 01.04.2019 02:00 (UTC)","5"\n'
        b'"BE","01.04.2019 02:00 - 01.04.2019 03:00 (UTC)","6"\n'
    ),
    "lwa-production": b",Fossil Gas,Solar\n2020-01-01 00:00:00+00:00,5,6\n2020-01-01 01:00:00+00:00,5,6\n",
    "carbon-aware-sdk": (
        b'[{"Location": "eu", "Time": "2021-10-25T14:50:00+00:00", "Rating": "9.5"}, '
        b'{"Location": "eu", "Time": "2021-10-25T15:50:00+00:00", "Rating": "9.6"}]'
    ),
}
FORMATS = [("availability", name) for name in AVAILABILITY_FORMATS]
FORMATS += [("carbon", name) for name in CARBON_FORMATS]


@pytest.mark.parametrize(("kind", "name"), FORMATS, ids=str)
def test_every_format_passes(tmp_path, kind, name):
    table = {"availability": AVAILABILITY_FORMATS, "carbon": CARBON_FORMATS}[kind]
    content = {**EXAMPLES, **MORE}.get(name) or EXAMPLES[f"{name} ({kind})"]
    path = tmp_path / "example"
    path.write_bytes(content)
    check_trace_format(table.find(name), path)


@pytest.mark.parametrize("of", ["availability", "carbon"])
def test_a_forecast_that_reads_the_future_is_noticed(of):
    with pytest.raises(AssertionError, match="reads the future"):
        check_forecast("perfect", of=of)


def read_lines(path: Path):
    """One client a line, `mine:<name>`, available throughout the first hour."""
    lines = Path(path).read_text(encoding="utf-8").splitlines()
    if not lines or not all(line.startswith("mine:") and line.isprintable() for line in lines):
        raise ValueError(f"{path}:1: expected mine:<name>")
    size = len(lines)
    return flat_trace(
        tuple(lines),
        np.arange(size),
        np.zeros(size),
        np.full(size, 86400.0),
        np.arange(size),
        np.zeros(size),
        np.full(size, 3600.0),
        clock="none",
        simultaneous=True,
    )


def added(fmt, table=AVAILABILITY_FORMATS):
    table.add(fmt)
    return fmt


@pytest.fixture
def example(tmp_path):
    yield tmp_path / "example.mine"
    AVAILABILITY_FORMATS.remove("mine")
    CARBON_FORMATS.remove("mine")


def is_mine(head):
    return head.startswith("mine:")


def test_a_format_of_ones_own_joins_the_table(example):
    example.write_text("mine:a\nmine:b\n")

    def read(path):
        try:
            return read_lines(path)
        except UnicodeDecodeError:
            raise ValueError(f"{path}: not UTF-8 text") from None

    fmt = added(Format("mine", is_mine, read))
    check_trace_format(fmt, example)
    with pytest.raises(ValueError, match="'mine' is known already"):
        AVAILABILITY_FORMATS.add(Format("mine", is_mine, read))


@pytest.mark.parametrize(
    ("fmt", "why"),
    [
        (Format("mine", is_mine, read_lines), "UnicodeDecodeError, expected a ValueError of one line"),
        (Format("mine", lambda head: True, read_lines), "takes a file of format"),
        (Format("mine", lambda head: False, read_lines), "nobody recognises"),
    ],
)
def test_broken_formats_are_noticed(example, fmt, why):
    example.write_text("mine:a\n")
    added(fmt)
    with pytest.raises(AssertionError, match=why):
        check_trace_format(fmt, example)


def test_a_format_that_is_in_no_table_is_refused(example):
    with pytest.raises(AssertionError, match="not in a table"):
        check_trace_format(Format("mine", is_mine, read_lines), example)


def test_broken_carbon_series_are_noticed(example):
    example.write_text("mine:a\n")

    def read(path, kind):
        return [CarbonSeries("X", "direct", 0.0, 3600.0, np.array([1.0, 5000.0]))]

    fmt = added(Format("mine", is_mine, read), CARBON_FORMATS)
    with pytest.raises(ValueError, match="intensity 5000"):
        check_trace_format(fmt, example)


class Shifts(Settings):
    """A model of somebody's own: everybody is available for the first `hours`."""

    hours: float = 8.0
    noise: bool = False

    def validate_for(self, num_clients, horizon_s):
        """Anything will do."""

    def sample(self, request, rng):
        n = request.zone.size
        ends = np.full((n, 1), self.hours * 3600.0) + (
            np.random.default_rng().random() if self.noise else 0.0
        )
        sessions = Sessions(np.zeros((n, 1)), ends, np.zeros((n, 1), dtype=bool))
        usual = np.full((n, 24), 0.3, dtype=np.float32) * (
            np.random.default_rng().random() if self.noise else 1
        )
        return AvailabilityEpisode(sessions, usual.astype(np.float32), np.full(n, 3600.0))


def test_a_model_of_ones_own_by_its_dotted_name_or_registered():
    spec = {"kind": f"{__name__}:Shifts", "hours": 4}
    check_availability_model(spec)
    GENERATORS.register("shifts")(Shifts)
    check_availability_model({"kind": "shifts", "hours": 2})
    GENERATORS.remove("shifts")
    with pytest.raises(ValueError, match="hours: 'x'"):
        check_availability_model({"kind": f"{__name__}:Shifts", "hours": "x"})


def test_a_model_that_the_seed_does_not_decide_is_noticed():
    with pytest.raises(AssertionError, match="the seed does not decide all"):
        check_availability_model(Shifts(noise=True))
