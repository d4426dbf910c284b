"""The batteries for everybody's plug-ins accept all that is built in, and notice what is broken."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from frugalfl.common.settings import Settings
from frugalfl.traces.arrivals import ARRIVALS, ArrivalEpisode
from frugalfl.traces.availability import GENERATORS, AvailabilityEpisode, Sessions
from frugalfl.traces.formats import ARRIVAL_EXAMPLES, AVAILABILITY_EXAMPLES, CARBON_EXAMPLES, Format
from frugalfl.traces.formats.arrivals import ARRIVAL_FORMATS
from frugalfl.traces.formats.availability import AVAILABILITY_FORMATS
from frugalfl.traces.formats.carbon import CARBON_FORMATS
from frugalfl.traces.records import CarbonSeries, flat_trace
from frugalfl.traces.testing import (
    check_arrival_model,
    check_availability_model,
    check_forecast,
    check_trace_format,
)

FORMATS = [("availability", name) for name in AVAILABILITY_FORMATS]
FORMATS += [("carbon", name) for name in CARBON_FORMATS]
FORMATS += [("arrivals", name) for name in ARRIVAL_FORMATS]


@pytest.mark.parametrize(("kind", "name"), FORMATS, ids=str)
def test_every_format_passes(tmp_path, kind, name):
    table, examples = {
        "availability": (AVAILABILITY_FORMATS, AVAILABILITY_EXAMPLES),
        "carbon": (CARBON_FORMATS, CARBON_EXAMPLES),
        "arrivals": (ARRIVAL_FORMATS, ARRIVAL_EXAMPLES),
    }[kind]
    content = examples[name.removesuffix("-inverted").removesuffix("-users")]
    path = tmp_path / "example"
    path.write_bytes(content)
    check_trace_format(table.find(name), path)


@pytest.mark.parametrize(
    "spec",
    [
        "poisson",
        {"kind": "poisson", "profile": [1.0, 3.0] * 84, "zipf": 1.2, "rerank_h": 3.0, "burst": [0.5, 9.0]},
        {"kind": "file", "per_hour": 30.0},
    ],
    ids=str,
)
def test_every_model_of_arrivals_passes(tmp_path, spec):
    if spec != "poisson" and spec["kind"] == "file":
        rows = "".join(f"{60 * minute},s{minute % 3},{1 + minute % 5}\n" for minute in range(24 * 1440))
        (tmp_path / "own.csv").write_text("# minutes,0,34560\n# clock,day\ntime,source,requests\n" + rows)
        spec = {**spec, "path": str(tmp_path / "own.csv")}
    check_arrival_model(spec)


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        (lambda size, rng: rng.poisson(1.0, size), "int64, expected int32"),
        (lambda size, rng: np.full(size, -1, dtype=np.int32), "a count is below zero"),
        (lambda size, rng: np.zeros((1, 1), dtype=np.int32), "expected \\[N, B\\]"),
        (lambda size, rng: np.random.default_rng().poisson(1.0, size).astype(np.int32), "the seed does not"),
        (lambda size, rng: np.full(size, 9, dtype=np.int32), "requests came"),
    ],
)
def test_broken_models_of_arrivals_are_noticed(counts, said):
    class Mine(Settings):
        def draw(self, rng_seed, num_sources, start_utc_s, utc_offset_h, horizon_s, split="train", **_):
            size = (num_sources, round(horizon_s / 60))
            came = counts(size, np.random.default_rng(rng_seed))
            return ArrivalEpisode(came, np.ones(size, dtype=np.float32))

        def validate_for(self, num_sources, horizon_s):
            pass

    ARRIVALS.register("mine")(Mine)
    try:
        with pytest.raises(AssertionError, match=said):
            check_arrival_model("mine")
    finally:
        ARRIVALS.remove("mine")


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
