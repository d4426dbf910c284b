"""Names with settings, as one writes them on a command line: `random-m(participants=4, quorum=0.8)`."""

from __future__ import annotations

import re
from collections.abc import Iterable

from .text import brief

_NAMED = re.compile(r"(?P<name>[^()]+)\((?P<settings>[^()]*)\)")
_BETWEEN = re.compile(r",(?![^(]*\))")
_TRUTH = {"true": True, "false": False}


def split_calls(texts: Iterable[str]) -> list[str]:
    """The names of some texts, one or more in each, with commas between them; empty ones are left out."""
    items = (item.strip() for text in texts for item in _BETWEEN.split(text))
    return [item for item in items if item]


def parse_call(text: str, where: str) -> tuple[str, dict[str, bool | int | float | str]]:
    """A name and its settings; none where there are no parentheses.

    Args:
        text: `mpc`, or `mpc(horizon=3, samples=true)`; whole numbers, numbers, true, false and words.
        where: what errors begin with.

    Raises:
        ValueError: parentheses without an end, an item that is no `setting=value`, or one given twice.
    """
    if "(" not in text and ")" not in text:
        return text, {}
    found = _NAMED.fullmatch(text)
    if found is None:
        raise ValueError(f"{where}: {brief(text)}, expected NAME or NAME(setting=value, ...)")
    settings: dict[str, bool | int | float | str] = {}
    for item in filter(None, (part.strip() for part in found["settings"].split(","))):
        setting, equals, value = (part.strip() for part in item.partition("="))
        if not (equals and value and setting.isidentifier()):
            raise ValueError(f"{where}: {brief(item)} in {brief(text)}, expected setting=value")
        if setting in settings:
            raise ValueError(f"{where}: {setting!r} is given twice in {brief(text)}")
        settings[setting] = _value(value)
    return found["name"].strip(), settings


def _value(text: str) -> bool | int | float | str:
    if text.lower() in _TRUTH:
        return _TRUTH[text.lower()]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
