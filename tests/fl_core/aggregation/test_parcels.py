"""Compressed updates on a real wire: the bytes that are charged, and what the simulated server decodes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frugalfl.fl_core.aggregation import COMPRESSIONS

NOTHING = np.zeros(1, dtype=np.int64)
SPECS = [
    *COMPRESSIONS.names(),
    {"kind": "top-k", "share": 0.004},
    {"kind": "top-k", "share": 1.0},
    {"kind": "4-bit", "block": 7},
    *({"kind": "rounded", "bits": bits, "block": block} for bits in (2, 5, 16) for block in (0, 64)),
]


def updates(size, seed, scale=1.0):
    rng = np.random.default_rng(seed)
    return (scale * rng.standard_t(2, size)).astype(np.float32)


@pytest.mark.parametrize("spec", SPECS, ids=str)
@settings(max_examples=25, deadline=None)
@given(size=st.integers(1, 300), seed=st.integers(0, 2**31), bits=st.sampled_from([0, 2, 3, 8, 16]))
def test_what_arrives_is_what_the_simulated_server_decodes(spec, size, seed, bits):
    made = COMPRESSIONS.make(spec)
    made.bind(1, 1, size, np.dtype(np.float32))
    bits = bits if made.takes_bits else 0
    delta = updates(size, seed)
    parcel = made.encode(delta, bits)
    assert tuple((str(each.dtype), each.size) for each in parcel) == made.parcel(size, bits)
    assert sum(each.nbytes for each in parcel) == made.upload_bytes(size, bits)
    sent = made.send(NOTHING, NOTHING, delta[None], np.array([bits]))[0]
    assert np.array_equal(made.decode(parcel, size, bits), sent)


@pytest.mark.parametrize("bits", [3, 4, 16])
def test_large_updates_are_packed_part_by_part(bits):
    made, size = COMPRESSIONS.make({"kind": "rounded", "bits": bits}), 2**17 + 5
    made.bind(1, 1, size, np.dtype(np.float32))
    delta = updates(size, 3)
    parcel = made.encode(delta)
    assert sum(each.nbytes for each in parcel) == made.upload_bytes(size)
    assert np.array_equal(made.decode(parcel, size), made.send(NOTHING, NOTHING, delta[None])[0])


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_nothing_is_sent_of_nothing(spec):
    made = COMPRESSIONS.make(spec)
    zeros = np.zeros(50, np.float32)
    assert not made.decode(made.encode(zeros), 50).any()


@pytest.mark.parametrize("index", [[-1, 3], [3, 50], [2**31 - 1, 0]])
def test_an_index_beyond_the_model_is_refused(index):
    made = COMPRESSIONS.make({"kind": "top-k", "share": 2 / 50})
    with pytest.raises(ValueError, match=r"delta: indices .* expected 0 to 49"):
        made.decode((np.array(index, np.int32), np.ones(2, np.float32)), 50)


@pytest.mark.parametrize("spec", ["4-bit", {"kind": "rounded", "bits": 5}])
def test_any_bytes_are_some_update_or_no_number(spec):
    made, rng = COMPRESSIONS.make(spec), np.random.default_rng(0)
    for _ in range(50):
        parcel = tuple(
            np.frombuffer(rng.bytes(np.dtype(dtype).itemsize * size), dtype)
            for dtype, size in made.parcel(77)
        )
        with np.errstate(all="ignore"):
            assert made.decode(parcel, 77).shape == (77,)
