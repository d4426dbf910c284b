"""One of each kind from outside the package: registered or by its dotted name, refused early, checked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from own_plugins import Alike, Clockwork, FlatGrid

from frugalfl.common.settings import Settings
from frugalfl.traces.arrivals import ARRIVALS, check_arrivals, make_arrivals
from frugalfl.traces.availability import AVAILABILITY_FORECASTS, check_availability, make_availability
from frugalfl.traces.carbon import CARBON_FORECASTS, CARBON_SOURCES, check_carbon, make_carbon
from frugalfl.traces.devices import DEVICES, check_devices, device_settings, sample_devices
from frugalfl.traces.testing import check_arrival_model, check_forecast

DOCUMENT = Path(__file__).parents[2] / "docs" / "traces.md"


class Half(Settings):
    """A forecast for both kinds: as usual."""

    def probability(self, view):
        return np.broadcast_to(np.clip(view.expected(view.then_s), 0.0, 1.0), view.shape)

    def intensity(self, view):
        return view.usual


@pytest.fixture
def registered():
    tables = (CARBON_SOURCES, DEVICES, AVAILABILITY_FORECASTS, CARBON_FORECASTS, ARRIVALS)
    for table, factory in zip(tables, (FlatGrid, Alike, Half, Half, Clockwork), strict=True):
        table.register("mine")(factory)
    yield
    for table in tables:
        table.remove("mine")


@pytest.mark.parametrize("kind", ["mine", "dotted"])
def test_sources_of_ones_own(registered, kind):
    def name(factory):
        return kind if kind == "mine" else f"{factory.__module__}:{factory.__name__}"

    carbon = {"kind": name(FlatGrid), "g_per_kwh": 7.0, "number": 1}
    check_carbon(carbon)
    model = make_carbon(carbon, 1)
    assert model.sample(0.0, 3600.0, np.random.default_rng(0)).g_per_kwh[0, 0] == 7.0
    devices = {"kind": name(Alike), "watts": 3.0}
    check_devices(devices)
    drawn = sample_devices(devices, 4, np.zeros(4, dtype=np.int64), np.random.default_rng(0))
    assert drawn.compute_watts.tolist() == [3.0] * 4
    asked = {"kind": name(Clockwork), "every_min": 4}
    check_arrivals(asked)
    check_arrival_model(asked)
    check_forecast(name(Half))
    check_forecast(name(Half), of="carbon")
    assert make_availability({"kind": "phones", "forecast": name(Half)}).forecast == Half()


def test_objects_pass_through():
    model, fleet, asked = FlatGrid(), Alike(), Clockwork()
    assert make_arrivals(asked) is asked
    check_arrivals(asked)
    assert make_carbon(model) is model
    assert device_settings(fleet) is fleet
    phones = make_availability("phones")
    assert make_availability(phones) is phones
    for check, thing in ((check_carbon, model), (check_devices, fleet), (check_availability, phones)):
        check(thing)


@pytest.mark.parametrize(
    ("check", "spec", "why"),
    [
        (check_availability, "fones", "did you mean 'phones'"),
        (check_availability, {"kind": "phones", "rul": 1}, "rul: unknown field; did you mean 'rule'"),
        (check_availability, {"path": "x.csv", "honest": 1}, "honest: unknown field; did you mean 'honesty'"),
        (
            check_availability,
            {"path": "x.csv", "format": "stuner"},
            "format: 'stuner'.*did you mean 'stunner'",
        ),
        (check_availability, {"kind": "phones", "forecast": "perfekt"}, "did you mean 'perfect'"),
        (check_availability, "no.such.package:Thing", "cannot import 'no.such.package'"),
        (check_availability, 7, "7, expected a name or a mapping"),
        (check_carbon, 7, "7, expected a name or a mapping"),
        (check_devices, None, "None, expected a name or a mapping"),
        (check_carbon, "DEE", "did you mean 'DE'"),
        (check_carbon, {"zones": ["DE"], "colour": 1}, "colour: unknown field"),
        (check_carbon, {"zones": ["x.csv"], "format": "mor"}, "did you mean 'moer'"),
        (check_carbon, {"zones": ["DE", "x.csv"]}, "'x.csv' is a file among names"),
        (check_carbon, {"zones": ["DE"], "forecast": "provider"}, "needs files"),
        (check_carbon, {"profiles": [{"zone": "X"}]}, "profiles.0.kind: .*missing, expected a value"),
        (check_carbon, {"kind": "zoness", "zones": ["DE"]}, "did you mean 'zones'"),
        (check_devices, "spto", "did you mean 'spot'"),
        (check_arrivals, 7, "7, expected a name or a mapping"),
        (check_arrivals, {"kind": "poisson", "brust": 4}, "brust: unknown field; did you mean 'burst'"),
        (check_devices, {"kind": "phones", "watts": 3}, "did you mean 'compute_watts'"),
        (check_devices, {"kind": "file", "path": "x", "base": "spto"}, "base: .*did you mean 'spot'"),
    ],
)
def test_wrong_specifications_are_refused_without_reading_a_file(check, spec, why):
    with pytest.raises(ValueError, match=why) as caught:
        check(spec)
    assert "\n" not in str(caught.value)


def test_right_specifications_are_accepted_without_reading_a_file(monkeypatch):
    def never(*args, **kwargs):
        pytest.fail("opened a file")

    make_carbon("DE")  # the calibration is read once
    monkeypatch.setattr("builtins.open", never)
    check_availability("nowhere/trace.csv")
    check_availability({"kind": "file", "path": ["a.json", "b.json"], "format": "skypilot", "repeat": True})
    check_carbon("nowhere/carbon.csv")
    check_carbon({"zones": ["a.csv", "b.csv"], "forecast": "provider", "tz": {"A": "Europe/Berlin"}})
    check_carbon(["DE", "GB"])
    check_arrivals({"path": ["a.csv", "b.csv"], "format": "burstgpt", "per_hour": 24})
    check_devices({"kind": "file", "path": "nowhere.pkl", "base": {"kind": "spot", "t4": 1.0}})


def test_the_example_of_the_documentation_runs():
    text = DOCUMENT.read_text(encoding="utf-8")
    code = text[text.index("## Your own") :].split("```python\n", 1)[1].split("```", 1)[0]
    scope = {"__name__": "documentation"}
    exec(compile(code, "docs/traces.md", "exec"), scope)
    scope["GENERATORS"].remove("shifts")
