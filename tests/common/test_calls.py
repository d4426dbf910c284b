"""Names with settings, as one writes them on a command line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frugalfl.common.parsing import parse_call, split_calls

NAMES = st.from_regex(r"[a-z][a-z-]{0,8}", fullmatch=True)
WORDS = st.from_regex(r"[a-z][a-z_]{0,8}", fullmatch=True).filter(lambda word: word not in ("inf", "nan"))
VALUES = st.one_of(
    st.booleans(),
    st.integers(-(10**6), 10**6),
    st.floats(-1e6, 1e6).filter(lambda number: not number.is_integer()),
    WORDS.filter(lambda word: word not in ("true", "false", "infinity")),
)
SETTINGS = st.dictionaries(WORDS, VALUES, max_size=3)


def written(name: str, settings: dict[str, object]) -> str:
    return f"{name}({', '.join(f'{key}={value}' for key, value in settings.items())})"


@given(NAMES, SETTINGS)
def test_what_is_written_is_read(name, settings):
    read = parse_call(written(name, settings), "scheduler")
    assert read == (name, settings)
    assert [type(value) for value in read[1].values()] == [type(value) for value in settings.values()]


@given(st.lists(st.tuples(NAMES, SETTINGS), max_size=4))
def test_commas_within_parentheses_separate_nothing(calls):
    texts = [written(*call) for call in calls]
    assert split_calls([",".join(texts)]) == split_calls(texts) == texts


@pytest.mark.parametrize("text", ["random-m", "label=own:Class", "runs/my-training"])
def test_a_name_alone_has_no_settings(text):
    assert parse_call(text, "scheduler") == (text, {})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("mpc(horizon=3", "NAME"),
        ("mpc)", "NAME"),
        ("(m=3)", "NAME"),
        ("mpc(a=1)(b=2)", "NAME"),
        ("mpc(3)", "'3'.*expected setting=value"),
        ("mpc(m=)", "'m='.*expected setting=value"),
        ("mpc(m=1, m=2)", "'m' is given twice"),
    ],
)
def test_what_is_no_call_is_refused_in_one_line(text, said):
    with pytest.raises(ValueError, match=f"^scheduler: .*{said}") as error:
        parse_call(text, "scheduler")
    assert "\n" not in str(error.value)
