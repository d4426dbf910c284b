"""Orders and answers of serving travel whole; what a hostile node says is its own failure."""

from dataclasses import replace

import numpy as np
import pytest

from frugalfl.fl_core.models import Reader
from frugalfl.fl_core.remote import (
    ModelLoad,
    Questions,
    ServeOrder,
    answer_order,
    check_reply,
    keep_models,
    kept_models,
    pack_reply,
    pack_serve_order,
    read_reply,
    read_serve_order,
)

flower = pytest.importorskip("flwr.app")

READER = Reader((1, 4, 4), (4, 3), 2)
ROWS = np.random.default_rng(0).normal(size=(5, 16)).astype(np.float32)
LOAD = ModelLoad(1, 7, READER, READER.spec.init(0) + np.arange(15, dtype=np.float32))
ORDER = ServeOrder(3, (Questions(1, 7, 3, ROWS), Questions(0, 2, 3, ROWS[:2])), (LOAD,))


@pytest.fixture
def reply():
    return answer_order(ORDER, {1: LOAD}, sleep=lambda seconds: None)[0]


def test_an_order_travels_whole_and_is_kept():
    read = read_serve_order(pack_serve_order(ORDER))
    assert read.number == 3 and read.loads[0].reader == READER
    assert np.array_equal(read.loads[0].parameters, LOAD.parameters)
    assert [(q.slot, q.model, q.classes) for q in read.questions] == [(1, 7, 3), (0, 2, 3)]
    assert np.array_equal(read.questions[0].rows, ROWS)
    state = flower.RecordDict()
    assert kept_models(state) == {}
    keep_models(state, {1: LOAD})
    assert kept_models(state)[1].reader == READER


def test_labels_that_mean_yes_travel_with_their_model():
    asked = replace(ORDER, loads=(replace(LOAD, reader=replace(READER, yes=(0, 2))),))
    reader = read_serve_order(pack_serve_order(asked)).loads[0].reader
    assert reader.yes == (0, 2) and reader.classes == 2
    labels = READER.probabilities(LOAD.parameters, ROWS)
    np.testing.assert_allclose(
        reader.probabilities(LOAD.parameters, ROWS)[:, 1], labels[:, [0, 2]].sum(axis=1)
    )


def test_answers_travel_whole_and_slots_without_the_model_give_none(reply):
    read = read_reply(pack_reply(reply, ORDER, {"name": "desk"}), ORDER)
    check_reply(read, ORDER, 10.0)
    assert [each.slot for each in read.answers] == [1] and read.holds == {1: 7}
    choice, sure = READER.answers(LOAD.parameters, ROWS)
    assert np.array_equal(read.answers[0].choice, choice)
    assert np.array_equal(read.answers[0].confidence, sure)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"choice": np.full(5, 3, np.int32)}, "choice: beyond"),
        ({"confidence": np.full(5, np.nan, np.float32)}, "confidence"),
        ({"took_s": -1.0}, "took_s"),
        ({"took_s": 99.0}, "took_s"),
        ({"choice": np.zeros(4, np.int32)}, "choice"),
        ({"confidence": np.zeros(5, np.float64)}, "confidence"),
    ],
)
def test_answers_that_do_not_fit_are_refused(reply, change, complaint):
    wrong = replace(reply, answers=(replace(reply.answers[0], **change),))
    with pytest.raises(ValueError, match=complaint):
        check_reply(read_reply(pack_reply(wrong, ORDER, {}), ORDER), ORDER, 10.0)
    with pytest.raises(ValueError, match="number: 4"):
        check_reply(replace(reply, number=4), ORDER, 10.0)
