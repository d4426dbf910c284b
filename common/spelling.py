"""Names: suggestions for those that are not known, and how a stranger's text is shown."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def suggest(name: str, known: Iterable[str]) -> str:
    """A hint for an unknown name: the closest known one, and all of them."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"{hint}known: {', '.join(names)}"


def printable(text: str, most: int = 200) -> str:
    """A text as a log or a terminal may show it: one line, no control characters, not long."""
    shown = "".join(letter if letter.isprintable() else "?" for letter in text[: most + 1])
    return shown if len(shown) <= most else f"{shown[: most - 3]}..."


def plain_text(text: str, most: int = 200) -> str:
    """A stranger's text as matplotlib writes it as it is: printable, and a dollar begins no formula."""
    return printable(text, most).replace("$", r"\$")
