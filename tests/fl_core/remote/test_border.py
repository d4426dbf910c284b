"""The border between bytes and an update: what does not fit the order is refused before it is decoded."""

import io
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frugalfl.fl_core.aggregation import COMPRESSIONS
from frugalfl.fl_core.remote import LocalUpdate, PackedArray, TrainOrder, check_update, unpack_update

SIZE = 10
ORDER = TrainOrder(
    client=1,
    round_index=4,
    local_steps=5,
    seed=0,
    base=20,
    params=np.zeros(SIZE, np.float32),
    sent_x=np.zeros((0, 3), np.float32),
    sent_y=np.zeros(0, np.int32),
)
NUMBERS = {
    **{"client": 1, "round_index": 4, "loss": 1.5, "held": 20, "compute_s": 0.25, "moment_steps": 0},
    **{"answered": 0, "right": 0},
}


def npy(values):
    file = io.BytesIO()
    np.save(file, values, allow_pickle=False)
    return file.getvalue()


GOOD = npy(np.arange(SIZE, dtype=np.float32))


def packed(data=GOOD, dtype="float32", shape=(SIZE,)):
    return PackedArray(dtype, shape, data)


def header(text, body=b""):
    text += " " * ((64 - (10 + len(text) + 1) % 64) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode("latin1") + body


def test_an_honest_answer_is_read_as_it_was_packed():
    update = unpack_update(NUMBERS, [packed()], ORDER)
    assert update.delta.dtype == np.float32 and np.array_equal(update.delta, np.arange(SIZE))
    assert (update.client, update.round_index, update.held) == (1, 4, 20)
    assert check_update(update, ORDER) == pytest.approx(math.sqrt(285))
    other_end = packed(npy(np.arange(SIZE, dtype=">f4")))
    assert np.array_equal(unpack_update(NUMBERS, [other_end], ORDER).delta, update.delta)
    probe = replace(ORDER, local_steps=0, probe_samples=5)
    assert unpack_update(NUMBERS, [packed(npy(np.zeros(0, np.float32)), shape=(0,))], probe).delta.size == 0


COMPRESSED = replace(
    ORDER, compression=COMPRESSIONS.make({"kind": "rounded", "bits": 8, "block": 4}), upload_bits=4
)


def parcel():
    arrays = COMPRESSED.compression.encode(np.arange(SIZE, dtype=np.float32), 4)
    return [PackedArray(str(each.dtype), each.shape, npy(each)) for each in arrays]


def test_a_compressed_answer_is_decoded_as_ordered():
    update = unpack_update(NUMBERS, parcel(), COMPRESSED)
    assert update.delta.shape == (SIZE,) and np.abs(update.delta - np.arange(SIZE)).max() < 0.7
    assert [each.size for each in update.parcel] == [5, 3]
    assert check_update(update, COMPRESSED) > 0
    probe = replace(COMPRESSED, local_steps=0, probe_samples=5)
    nothing = [packed(npy(np.zeros(0, np.float32)), shape=(0,))]
    assert unpack_update(NUMBERS, nothing, probe).parcel == ()


@pytest.mark.parametrize(
    "answer",
    [
        [packed()],
        parcel()[:1],
        [*parcel(), packed()],
        parcel()[::-1],
        [packed(npy(np.zeros(10, np.uint8)), "uint8", (10,)), parcel()[1]],
        [packed(npy(np.zeros(5, np.int8)), "int8", (5,)), parcel()[1]],
        [packed(npy(np.zeros(5, np.int8)), "uint8", (5,)), parcel()[1]],
    ],
    ids=["plain", "no scales", "too many", "the other way round", "of other bits", "another type", "a lie"],
)
def test_compressed_answers_that_are_not_as_ordered_are_refused(answer):
    with pytest.raises(ValueError, match="delta"):
        unpack_update(NUMBERS, answer, COMPRESSED)


def test_scales_that_no_training_makes_are_refused():
    wild = [parcel()[0], packed(npy(np.full(3, np.nan, np.float32)), shape=(3,))]
    with pytest.raises(ValueError, match="delta: of length"):
        check_update(unpack_update(NUMBERS, wild, COMPRESSED), COMPRESSED)


BYTES = {
    "empty": packed(b""),
    "garbage": packed(b"\x00" * 64),
    "cut off": packed(GOOD[:-1]),
    "too long": packed(GOOD + b"\x00"),
    "far too long": packed(GOOD + b"\x00" * 10**6),
    "another dtype": packed(npy(np.zeros(SIZE)), "float64"),
    "another dtype within": packed(npy(np.zeros(SIZE // 2))),
    "another shape": packed(npy(np.zeros((5, 2), np.float32)), shape=(5, 2)),
    "another shape within": packed(npy(np.zeros((5, 2), np.float32))),
    "one too few": packed(npy(np.zeros(SIZE - 1, np.float32)), shape=(SIZE - 1,)),
    "terabytes": packed(
        header("{'descr': '<f4', 'fortran_order': False, 'shape': (1099511627776,), }", b"0" * 9)
    ),
    "more than memory": packed(header(f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({10**30},), }}")),
    "negative": packed(header("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }")),
    "broken header": packed(header("{'descr': (((((")),
    "a name in the header": packed(
        header("{'descr': '<f4', 'fortran_order': False, 'shape': (__import__,)}")
    ),
    "zip": packed(b"PK\x03\x04" + b"\x00" * 80),
    "pickle": packed(b"\x80\x04." + b"\x00" * 80),
}


@pytest.mark.parametrize("name", BYTES)
def test_bytes_that_are_no_answer_raise_before_they_are_decoded(name):
    with pytest.raises(Exception) as error:
        unpack_update(NUMBERS, [BYTES[name]], ORDER)
    assert not isinstance(error.value, MemoryError)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("client", 2),
        ("client", 1.0),
        ("client", True),
        ("client", math.inf),
        ("round_index", -1),
        ("held", -1),
        ("held", 10**400),
        ("held", math.inf),
        ("loss", "nan"),
        ("loss", [1.0]),
        ("loss", 10**400),
        ("moment_steps", -1),
        ("answered", -1),
        ("answered", 0.5),
        ("right", 1),
        ("compute_s", b"1"),
        ("compute_s", None),
    ],
)
def test_numbers_that_are_no_answer_are_refused(name, value):
    with pytest.raises((ValueError, OverflowError)):
        check_update(unpack_update({**NUMBERS, name: value}, [packed()], ORDER), ORDER)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38, 1e20, 2e4])
def test_an_update_that_no_training_makes_is_refused(value):
    delta = np.full(SIZE, value, np.float32)
    with pytest.raises(ValueError, match="delta: of length"):
        check_update(LocalUpdate(1, 4, delta, 1.0, 20, 0.1), ORDER)


def mangled(random):
    """An answer of which one thing or more was changed, and what was meant by it."""
    data = bytearray(GOOD)
    for _ in range(random.choice([0, 1, 4])):
        data[random.randrange(len(data))] = random.randrange(256)
    data = bytes(data[: random.choice([len(data), random.randrange(len(data))])])
    odd = [1, -1, 4, 2**70, 0.5, math.nan, math.inf, "x", b"x", [1], None, True]
    numbers = {name: random.choice([value, value, random.choice(odd)]) for name, value in NUMBERS.items()}
    shape = random.choice([(SIZE,), (SIZE,), (SIZE, 1), (), (2**40,)])
    return numbers, PackedArray(random.choice(["float32", "float32", "float64", "O", "x" * 99]), shape, data)


def survives(random):
    """An answer is an update that fits its order, or raises an exception that is one node's failure."""
    numbers, array = mangled(random)
    try:
        update = unpack_update(numbers, [array], ORDER)
        length = check_update(update, ORDER)
    except MemoryError:
        raise
    except Exception:
        return
    assert math.isfinite(length) and update.delta.shape == (SIZE,) and np.isfinite(update.delta).all()
    assert (update.client, update.round_index) == (1, 4) and 0 <= update.held < 2**31


@settings(max_examples=300, deadline=None)
@given(st.randoms(use_true_random=False))
def test_mangled_answers_fit_or_fail(random):
    survives(random)


@pytest.mark.slow
@pytest.mark.exhaustive
@settings(max_examples=20_000, deadline=None)
@given(st.randoms(use_true_random=False))
def test_many_mangled_answers_fit_or_fail(random):
    survives(random)
