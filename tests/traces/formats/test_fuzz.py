"""Damaged copies of every format's example: refused in one printable line, or read as what can be."""

from __future__ import annotations

import random
import unicodedata

import numpy as np
import pytest
from trace_mutants import mutant

from frugalfl.traces.analysis import read_any
from frugalfl.traces.devices import read_devices
from frugalfl.traces.formats import ARRIVAL_EXAMPLES, AVAILABILITY_EXAMPLES, CARBON_EXAMPLES
from frugalfl.traces.formats.arrivals import ARRIVAL_FORMATS, read_arrivals
from frugalfl.traces.formats.availability import AVAILABILITY_FORMATS, read_availability
from frugalfl.traces.formats.carbon import CARBON_FORMATS, read_carbon
from frugalfl.traces.testing import refusal

SEEDS = [*AVAILABILITY_EXAMPLES.values(), *CARBON_EXAMPLES.values(), *ARRIVAL_EXAMPLES.values()]
YEAR_S = 365.25 * 86400.0


def check_availability(trace):
    trace.validate()
    assert np.isfinite(np.concatenate([trace.session_start_s, trace.session_end_s, trace.begin_s])).all()
    assert (trace.session_end_s - trace.session_start_s >= 4e-4).all()
    assert ((trace.end_s > trace.begin_s) & (trace.end_s - trace.begin_s <= 31 * YEAR_S)).all()
    assert (np.abs(trace.utc_offset_h) <= 14).all()
    check_names(trace.users)


def check_carbon(series):
    for one in series:
        one.validate()
        assert (np.isfinite(one.g_per_kwh) & (one.g_per_kwh >= 0) & (one.g_per_kwh <= 3000)).all()
        assert 60 <= one.step_s <= 86400.0
        assert one.g_per_kwh.size * one.step_s <= 31 * YEAR_S
    check_names([one.zone for one in series])


def check_arrivals(trace):
    trace.validate()
    assert trace.span_s <= 31 * YEAR_S
    assert trace.resolution_s > 0
    check_names(trace.sources)


def check_names(names):
    for name in names:
        assert name
        assert not any(unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") for letter in name)


def check_content(content):
    if content.trace is not None:
        check_availability(content.trace)
    check_carbon(content.series)
    if content.requests is not None:
        check_arrivals(content.requests)


def attack(path, rng):
    path.write_bytes(mutant(SEEDS, rng))
    available, carbon, asked = (
        rng.choice(list(table)) for table in (AVAILABILITY_FORMATS, CARBON_FORMATS, ARRIVAL_FORMATS)
    )
    refusal(lambda: check_content(read_any(path)))
    refusal(lambda: check_availability(read_availability(path, available)))
    refusal(lambda: check_carbon(read_carbon(path, carbon)))
    refusal(lambda: check_arrivals(read_arrivals(path, asked)))
    refusal(read_devices, path)


@pytest.mark.parametrize("seed", range(4))
def test_a_few_mutants(tmp_path, seed):
    rng = random.Random(seed)
    for _ in range(100):
        attack(tmp_path / "file.json", rng)


@pytest.mark.slow
@pytest.mark.exhaustive
@pytest.mark.parametrize("seed", range(100, 110))
def test_many_mutants(tmp_path, seed):
    rng = random.Random(seed)
    for _ in range(1000):
        attack(tmp_path / "file.json", rng)
