"""Every request that was accepted ends answered or dropped, once."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from frugalfl.agents.deploy.serving import RequestBook


def numbers(*values):
    return np.array(values, dtype=np.int64)


@pytest.fixture
def book():
    """Six requests of two zones and two tasks; the last two can wait until step 3."""
    made = RequestBook(2)
    waits = np.array([True] * 4 + [False] * 2)
    made.accept(
        numbers(0, 0, 1, 1, 0, 1), numbers(0, 1, 0, 1, 0, 1), np.arange(6), numbers(0, 0, 0, 0, 3, 3), waits
    )
    return made


def test_what_is_open_is_neither_answered_nor_dropped(book):
    book.send(numbers(0, 2), 4)
    book.answer(numbers(0), np.array([True]))
    book.drop(numbers(1))
    assert (book.accepted, book.answered, book.dropped, book.open) == (6, 1, 1, 4)
    book.check()
    assert book.tally.right.tolist() == [1, 0] and book.tally.dropped.tolist() == [0, 1]
    assert book.waiting().tolist() == [3, 4, 5] and book.waiting(due=0).tolist() == [3]


def test_a_request_is_settled_once(book):
    book.answer(numbers(2), np.array([False]))
    for settle in (lambda: book.answer(numbers(2), np.array([True])), lambda: book.drop(numbers(2))):
        with pytest.raises(RuntimeError, match="settled before"):
            settle()
    with pytest.raises(RuntimeError, match="settled twice at once"):
        book.drop(numbers(3, 3))
    book.send(numbers(0), 1)
    with pytest.raises(RuntimeError, match="second slot"):
        book.send(numbers(0), 2)


def test_one_that_was_lost_is_noticed(book):
    book._rows = {name: values[1:] for name, values in book._rows.items()}
    with pytest.raises(RuntimeError, match="0 answered, 0 dropped and 5 open, expected the 6"):
        book.check()


def test_what_was_taken_back_waits_again_and_is_a_retry(book):
    book.send(numbers(0, 3), 1)
    book.take_back(numbers(0, 3))
    assert book.tally.retried == 2 and book.of("tries", numbers(0, 3)).tolist() == [1, 1]
    assert book.waiting().size == 6


def test_what_waited_when_the_coordinator_was_stopped_still_waits(book):
    book.send(numbers(4), 0)
    book.drop(numbers(0))
    again = RequestBook(2)
    again.load_state(book.state())
    again.check()
    assert again.waiting().tolist() == [1, 2, 3, 4, 5] and again.accepted == 6
    assert again.accept(*(numbers(1),) * 3, numbers(9), np.ones(1, dtype=bool)).tolist() == [6]


@given(st.lists(st.tuples(st.sampled_from("asbkd"), st.integers(0, 30)), max_size=60))
def test_whatever_happens_the_book_balances(happenings):
    book = RequestBook(3)
    for kind, number in happenings:
        ids = book.waiting()
        if kind == "a":
            some = np.arange(number)
            book.accept(some % 2, some % 3, some, some % 4, some % 2 == 0)
        elif kind == "s":
            book.send(ids[:number], number)
        elif kind == "b":
            out = np.setdiff1d(book._rows["id"], ids)
            book.take_back(out[:number])
        elif kind == "k":
            every = book._rows["id"][:number]
            book.answer(every, np.ones(every.size, dtype=bool))
        else:
            book.drop(ids[-number:])
        book.check()
