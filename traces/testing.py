"""Test batteries for trace formats, availability models and forecasts of anybody's own.

Our own tests run them on all that is built in. Each raises AssertionError that says which promise is broken:

    from frugalfl.traces.formats import Format
    from frugalfl.traces.formats.availability import AVAILABILITY_FORMATS
    from frugalfl.traces.testing import check_availability_model, check_forecast, check_trace_format

    MINE = Format("mine", recognises, read)
    AVAILABILITY_FORMATS.add(MINE)

    def test_my_format():
        check_trace_format(MINE, "tests/example.mine")

    def test_my_model():
        check_availability_model({"kind": "my_package.models:Shifts", "hours": 8})
        check_forecast("my_package.forecasts:Yesterday")
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal, TypeVar, cast

import numpy as np

from ..common.arrays import Floats
from .availability import (
    AVAILABILITY_FORECASTS,
    AvailabilityEpisode,
    AvailabilityForecaster,
    AvailabilityModel,
    AvailabilityRequest,
    SessionBatch,
    Sessions,
    make_availability,
)
from .carbon import CARBON_FORECASTS, CarbonBatch, CarbonEpisode, CarbonForecaster
from .formats import AVAILABILITY_EXAMPLES, CARBON_EXAMPLES, HOSTILE, Format, Formats
from .formats.availability import AVAILABILITY_FORMATS, read_availability, write
from .formats.carbon import CARBON_FORMATS, read_carbon, write_own
from .records import AvailabilityTrace, CarbonSeries

T = TypeVar("T")

_HOUR_S = 3600.0
_LEADS_S = np.array([0.0, 600.0, 3600.0, 6 * 3600.0, 24 * 3600.0])


def check_trace_format(fmt: Format[T], example_path: str | Path) -> None:
    """Check a format on a valid example of it.

    It recognises its example before all others, and recognises no example of theirs; what it reads keeps the
    promises of its record and comes back from the project's own CSV without loss; damaged and hostile files
    end in a ValueError of one line.

    Args:
        fmt: the format, a member of `AVAILABILITY_FORMATS` or `CARBON_FORMATS`.
        example_path: a valid file.

    Raises:
        AssertionError: naming the promise that is broken.
    """
    path, name = Path(example_path), fmt.name
    carbon = name in CARBON_FORMATS and CARBON_FORMATS.find(name) is fmt
    assert carbon or (name in AVAILABILITY_FORMATS and AVAILABILITY_FORMATS.find(name) is fmt), (
        f"{name}: not in a table; AVAILABILITY_FORMATS.add(...) or CARBON_FORMATS.add(...) it first"
    )
    if fmt.recognises is not None:
        found = (CARBON_FORMATS if carbon else AVAILABILITY_FORMATS).of_file(path)
        assert found is not None, f"{name}: nobody recognises {path}"
        assert found.name == name, f"{name}: {path} is taken for {found.name!r}"
        _check_recognises_nothing_else(fmt, carbon)
    if carbon:
        _check_carbon_record(read_carbon(path, name), name)
    else:
        _check_availability_record(read_availability(path, name), name)
    _check_refusals(fmt, path.read_bytes(), carbon)


def check_availability_model(
    spec: str | Mapping[str, object] | AvailabilityModel, clients: int = 12, hours: float = 60.0
) -> None:
    """Check that a model of availability keeps its contract over twenty episodes.

    Sessions are sorted, disjoint, run or begin within the horizon, and only they are announced; the
    climatology is a probability by UTC hour; an episode depends on the request and the seed alone.

    Args:
        spec: what `make_availability` takes.
        clients: how many to ask for.
        hours: for how long.

    Raises:
        AssertionError: naming the promise that is broken.
    """
    model, name, horizon_s = make_availability(spec), str(spec), hours * _HOUR_S
    model.validate_for(clients, horizon_s)
    request = AvailabilityRequest(1.7e9, horizon_s, np.arange(clients) % 2, np.array([0.0, 5.5]))
    for seed in range(20):
        episode = model.sample(request, np.random.default_rng(seed))
        sessions = episode.sessions.validate()
        real = np.isfinite(sessions.start_s)
        assert sessions.num_clients == clients, f"{name}: {sessions.num_clients} clients, expected {clients}"
        assert not (sessions.announced & ~real).any(), f"{name}: something that is no session is announced"
        assert (sessions.start_s[real] <= horizon_s).all(), f"{name}: a session begins after the horizon"
        assert (sessions.end_s[real] > 0).all(), f"{name}: a session has ended by t = 0"
        usual = episode.climatology
        assert usual.shape == (clients, 24), f"{name}: climatology {usual.shape}, expected [N, 24]"
        assert usual.dtype == np.float32, f"{name}: climatology {usual.dtype}, expected float32"
        assert ((usual >= 0) & (usual <= 1)).all(), f"{name}: the climatology is no probability"
        assert episode.relaxation_s.shape == (clients,), f"{name}: relaxation_s, expected [N]"
        assert (episode.relaxation_s > 0).all(), f"{name}: relaxation_s, expected above 0"
        assert isinstance(episode.forecast, AvailabilityForecaster), f"{name}: no forecaster"
        again = model.sample(request, np.random.default_rng(seed))
        pairs = ((again.sessions.start_s, sessions.start_s), (again.climatology, usual))
        same = all(np.array_equal(one, other) for one, other in pairs)
        assert same, f"{name}: the seed does not decide all"


def check_forecast(
    spec: str | Mapping[str, object] | AvailabilityForecaster | CarbonForecaster,
    of: Literal["availability", "carbon"] = "availability",
    oracle: bool = False,
) -> None:
    """Check a forecast: its shape, its range, and that it does not read the future.

    Args:
        spec: name, settings, or a forecaster.
        of: what it forecasts.
        oracle: whether it may read the future.

    Raises:
        AssertionError: naming the promise that is broken.
    """
    name = str(spec)
    if of == "availability":
        right = isinstance(spec, (str, Mapping, AvailabilityForecaster))
        assert right, f"{name}: no forecaster of availability"
        _check_availability_forecast(
            AVAILABILITY_FORECASTS.make(cast(AvailabilityForecaster, spec)), name, oracle
        )
    else:
        right = isinstance(spec, (str, Mapping, CarbonForecaster))
        assert right, f"{name}: no forecaster of carbon intensity"
        _check_carbon_forecast(CARBON_FORECASTS.make(cast(CarbonForecaster, spec)), name, oracle)


def _check_availability_forecast(forecaster: AvailabilityForecaster, name: str, oracle: bool) -> None:
    def at_noon(ends_h: float) -> Floats:
        sessions = Sessions.from_lists(
            [
                ([-_HOUR_S], [ends_h * _HOUR_S]),
                ([14 * _HOUR_S, 20 * _HOUR_S], [15 * _HOUR_S, 2 * ends_h * _HOUR_S]),
            ]
        )
        usual = np.linspace(0.1, 0.9, 48, dtype=np.float32).reshape(2, 24)
        batch = SessionBatch(1, 2)
        batch.set(0, AvailabilityEpisode(sessions, usual, np.full(2, _HOUR_S), forecast=forecaster), 0.0)
        batch.advance(np.array([12 * _HOUR_S]))
        return batch.forecast(np.array([12 * _HOUR_S]), _LEADS_S).astype(np.float64)

    soon, late = at_noon(13.0), at_noon(40.0)
    assert soon.shape == (1, 2, _LEADS_S.size), f"{name}: shape {soon.shape}, expected [E, N, L]"
    assert ((soon >= 0) & (soon <= 1)).all(), f"{name}: not a probability"
    assert oracle or np.array_equal(soon, late), f"{name}: reads the future"


def _check_carbon_forecast(forecaster: CarbonForecaster, name: str, oracle: bool) -> None:
    past, rng, found = np.array([[80.0, 120.0]]), np.random.default_rng(0), []
    for _ in range(2):
        g = np.concatenate([past, rng.uniform(10, 900, (1, 60))], axis=1)
        episode = CarbonEpisode(_HOUR_S, 0.0, g, np.full_like(g, 100.0), np.array([0.9]), forecaster, seed=3)
        batch = CarbonBatch(1, 1)
        batch.set(0, episode)
        found.append(batch.forecast(np.array([1.5 * _HOUR_S]), _LEADS_S))
    assert found[0].shape == (1, 1, _LEADS_S.size), f"{name}: shape {found[0].shape}, expected [E, Z, H]"
    assert (np.isfinite(found[0]) & (found[0] >= 0)).all(), f"{name}: not a finite intensity of 0 or more"
    assert oracle or np.array_equal(found[0], found[1]), f"{name}: reads the future"


def _check_recognises_nothing_else(fmt: Format[T], carbon: bool) -> None:
    """Files of other formats, of both kinds, are none of its own."""
    same_kind, other_kind = AVAILABILITY_EXAMPLES, CARBON_EXAMPLES
    if carbon:
        same_kind, other_kind = other_kind, same_kind
    others = [(name, content) for name, content in same_kind.items() if name != fmt.name]
    table = Formats(fmt.name, fmt)
    for other, content in [*others, *other_kind.items()]:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "other"
            file.write_bytes(content)
            try:
                taken = table.of_file(file) is not None
            except ValueError:
                taken = False
            assert not taken, f"{fmt.name}: takes a file of format {other!r} for its own"


def _check_availability_record(trace: AvailabilityTrace, name: str) -> None:
    trace.validate()
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy.csv"
        write(trace, copy)
        again = read_availability(copy, "csv")
    assert again.users == trace.users, f"{name}: users do not come back from the project's own CSV"
    for column in ("user", "begin_s", "end_s", "session_recording", "session_start_s", "session_end_s"):
        same = np.array_equal(getattr(again, column), getattr(trace, column))
        assert same, f"{name}: {column} does not come back from the project's own CSV"
    assert again.clock == trace.clock, f"{name}: clock {trace.clock!r} does not come back"


def _check_carbon_record(series: list[CarbonSeries], name: str) -> None:
    assert series, f"{name}: no zone, expected at least one"
    plain = [replace(one.validate(), provider_g_per_kwh=None) for one in series]
    long = [one for one in plain if one.g_per_kwh.size > 1]  # one row alone does not show its step
    if not long:
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy.csv"
        write_own(long, copy)
        again = read_carbon(copy, "csv")
    for before, after in zip(long, again, strict=True):
        assert (before.zone, before.kind) == (after.zone, after.kind), (
            f"{name}: {before.zone} does not come back"
        )
        assert (before.first_utc_s, before.step_s) == (after.first_utc_s, after.step_s), (
            f"{name}: times differ"
        )
        assert np.array_equal(before.g_per_kwh, after.g_per_kwh), f"{name}: values do not come back"


def _check_refusals(fmt: Format[T], content: bytes, carbon: bool) -> None:
    """Hostile files are refused; damaged ones are read or refused, in one line either way."""
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "damaged"

        def read() -> str | None:
            if carbon:
                return refusal(read_carbon, file, fmt.name)
            return refusal(read_availability, file, fmt.name)

        for what, hostile in {"an empty file": b"", **HOSTILE}.items():
            file.write_bytes(hostile)
            assert read() is not None, f"{fmt.name}: accepts {what}"
        for _ in range(60):
            file.write_bytes(damaged(content, rng))
            read()


def damaged(content: bytes, rng: np.random.Generator) -> bytes:
    """Content with a few bytes overwritten, inserted or deleted, or cut off."""
    data = bytearray(content)
    for _ in range(int(rng.integers(1, 5))):
        at, extra = int(rng.integers(len(data) + 1)), rng.bytes(int(rng.integers(1, 6)))
        action = int(rng.integers(4))
        if action == 0:
            data[at : at + len(extra)] = extra
        elif action == 1:
            data[at:at] = extra
        elif action == 2:
            del data[at : at + len(extra)]
        else:
            del data[at:]
    return bytes(data)


def refusal(read: Callable[..., object], *args: object) -> str | None:
    """What a reader says against its arguments; None if it accepts them.

    Raises:
        AssertionError: it failed otherwise than with a ValueError of one line of fewer than 1500 printable
            characters.
    """
    caught: Exception | None = None
    try:
        read(*args)
    except Exception as error:
        caught = error
    if caught is None:
        return None
    text = str(caught)
    plain = type(caught) is ValueError
    assert plain, f"{type(caught).__name__}, expected a ValueError of one line: {text[:200]!r}"
    short = "\n" not in text and len(text) < 1500
    assert short, f"a ValueError of several lines, expected one: {text[:200]!r}"
    plain = not any(ord(letter) < 32 or 127 <= ord(letter) < 160 for letter in text)
    assert plain, f"control characters in a message: {text[:200]!r}"
    return text
