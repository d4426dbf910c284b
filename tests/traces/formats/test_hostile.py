"""Whatever is thrown at the readers ends in one line: no hang, no other error, nothing run."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from frugalfl.traces.analysis import read_any
from frugalfl.traces.availability import make_availability
from frugalfl.traces.formats import ARRIVAL_EXAMPLES, AVAILABILITY_EXAMPLES, CARBON_EXAMPLES, HOSTILE
from frugalfl.traces.formats.arrivals import ARRIVAL_FORMATS, read_arrivals
from frugalfl.traces.formats.availability import AVAILABILITY_FORMATS, read_availability
from frugalfl.traces.formats.carbon import CARBON_FORMATS, read_carbon
from frugalfl.traces.testing import refusal

FORMATS = [*AVAILABILITY_FORMATS, *CARBON_FORMATS, *ARRIVAL_FORMATS]

SEEDS = [*AVAILABILITY_EXAMPLES.values(), *CARBON_EXAMPLES.values(), *ARRIVAL_EXAMPLES.values()]
mutations = st.lists(
    st.tuples(st.integers(0, 300), st.integers(0, 4), st.binary(min_size=1, max_size=6)), max_size=6
)


def mutated(seed, changes):
    data = bytearray(seed)
    for place, action, extra in changes:
        at = place % (len(data) + 1)
        if action == 0:
            data[at : at + len(extra)] = extra
        elif action == 1:
            data[at:at] = extra
        elif action == 2:
            del data[at : at + 1 + place % 7]
        elif action == 3:
            del data[at:]
        else:
            lines = bytes(data).split(b"\n")
            data = bytearray(b"\n".join(lines[at % len(lines) :] + lines[: at % len(lines)]))
    return bytes(data)


@given(st.sampled_from(SEEDS), mutations)
@settings(max_examples=400, deadline=2000, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(SEEDS[0], [(0, 3, b"x")])
def test_mutated_files(tmp_path, seed, changes):
    path = tmp_path / "f"
    path.write_bytes(mutated(seed, changes))
    refusal(read_any, path)


@given(
    st.binary(max_size=200) | st.text(max_size=200).map(str.encode),
    st.sampled_from(FORMATS),
)
@settings(max_examples=400, deadline=2000, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_forced_into_any_format(tmp_path, data, name):
    path = tmp_path / "f"
    path.write_bytes(data)
    if name in AVAILABILITY_FORMATS:
        refusal(read_availability, path, name)
    if name in CARBON_FORMATS:
        refusal(read_carbon, path, name)
    if name in ARRIVAL_FORMATS:
        refusal(read_arrivals, path, name)


@given(st.sampled_from(SEEDS), st.sampled_from(FORMATS))
@settings(max_examples=200, deadline=2000, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_files_forced_into_the_wrong_format(tmp_path, seed, name):
    path = tmp_path / "f"
    path.write_bytes(seed)
    reader = read_availability if name in AVAILABILITY_FORMATS else read_carbon
    refusal(reader if name not in ARRIVAL_FORMATS else read_arrivals, path, name)


@given(st.binary(max_size=300))
@settings(max_examples=200, deadline=2000, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_random_pickles(tmp_path, tail):
    path = tmp_path / "f.pkl"
    path.write_bytes(b"\x80\x03" + tail)
    refusal(read_any, path)


@pytest.mark.parametrize(
    "content",
    [
        b'{"metadata": {"gap_seconds": 30}, "data": [99999999999999999999]}',
        b"u 1 1402358400000 2 " + b"9" * 400 + b"\n",
        b"",
        *HOSTILE.values(),
        b"client,start,end\na,1e308,1e309\n",
        b"0,1\n1e30,2\n",
        b"Datetime (UTC),Zone Id,Carbon Intensity (direct)\n2023-01-01,DE,5,7\n2023-01-01,DE,5,7\n",
        b"time,zone,kind,g_per_kwh\n2023-01-01,A,direct,1,2\n",
        b"time,moer,f1, f1\n2023-01-01,1,1,1\n",
        b'[{"point_time":"2019-02-21T00:15:00.000Z","value":' + b"9" * 6000 + b"}]",
    ],
)
def test_known_traps(tmp_path, content):
    path = tmp_path / "f.json"
    path.write_bytes(content)
    assert refusal(read_any, path) is not None
    with pytest.raises(ValueError):
        make_availability(str(path))


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(ValueError, match="readable file"):
        read_any(tmp_path)
