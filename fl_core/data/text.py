"""Plain text and LEAF's JSON as rows of characters, by the role or the file that they come from."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

from ...common.arrays import Floats32, Ints32
from ...common.reading import parse_json, read_document, reason
from ...common.sizes import check_values
from ...common.spelling import printable
from .dataset import DATASETS, Dataset, DatasetSource, language_data

_MOST_BYTES = 1 << 28
_OTHER = "\N{REPLACEMENT CHARACTER}"
# A speech in a play: the name and a colon on a line of their own, after an empty one or at the beginning.
_SPEECH = re.compile(r"(?:\A|\n[ \t]*\n)[ \t]*([^\n:]{1,60}):[ \t]*\n")


@DATASETS.register("text")
class Text(DatasetSource):
    """Any text as a language of characters; one client for each role or file.

    A file is plain text in UTF-8, gzipped or not, or LEAF's JSON (`users`, `user_data`, in it `x` texts and
    `y` the character that follows each), told by its content. Roles are the users of LEAF's JSON; in plain
    text the speakers of a play, written as a line `NAME:` after an empty one. Of a client's text the first
    three fifths are for training, the next fifth for validation and the last for testing, cut into rows of
    `context + 1` characters that overlap by one, so that each is predicted once. The score is the accuracy:
    the share of next characters that are right.

    Attributes:
        path: the file, a folder whose files are all read, or several of either.
        by: who is a client: a `role` or a `file`.
        context: characters that a model reads.
        symbols: most characters of the vocabulary; rarer ones share one symbol.
        min_rows: training rows that a client has at least; who has fewer is left out.
        max_rows: training rows of a client, at most; the first ones.
    """

    path: str | tuple[str, ...] = Field(default="data", min_length=1)
    by: Literal["role", "file"] = "role"
    context: int = Field(default=16, ge=1, le=4096)
    symbols: int = Field(default=128, ge=2, le=4096)
    min_rows: int = Field(default=3, ge=1)
    max_rows: int = Field(default=100_000, ge=1)

    def load(self, rng_seed: int) -> Dataset:
        """See `DatasetSource.load`; nothing is drawn."""
        speakers: dict[str, list[str]] = {}
        for file in self._files():
            for name, pieces in self._read(file).items():
                speakers.setdefault(name, []).extend(pieces)
        vocabulary = _vocabulary(speakers, self.symbols)
        parts: list[list[Floats32]] = [[], [], []]
        born: list[Ints32] = []
        for pieces in speakers.values():
            train, val, test = self._rows(_encoded("\n".join(pieces), vocabulary))
            if len(train) < self.min_rows:
                continue
            born.append(np.full(len(train), len(born), dtype=np.int32))
            for part, rows in zip(parts, (train, val, test), strict=True):
                part.append(rows)
        if not born:
            raise ValueError(
                f"dataset text: path: {self.path!r}: nobody has {self.min_rows} rows of {self.context + 1} "
                "characters, expected longer texts; take a smaller context or min_rows, or by: file"
            )
        name = f"text({_shown(self.path)}, by {self.by})"
        whole = [np.concatenate(part) for part in parts]
        return language_data(name, whole, len(vocabulary), np.concatenate(born))

    def _files(self) -> list[Path]:
        """All files, those of a folder by name."""
        found: list[Path] = []
        for path in map(Path, [self.path] if isinstance(self.path, str) else self.path):
            try:
                inside = sorted(path.iterdir()) if path.is_dir() else [path]
            except OSError as error:
                raise _refusal(path, reason(error)) from None
            found += [each for each in inside if not (each.name.startswith(".") or each.is_dir())]
        if not found:
            raise ValueError(f"dataset text: path: {self.path!r}: an empty folder, expected text files in it")
        return found

    def _read(self, file: Path) -> dict[str, list[str]]:
        """What each client says in a file."""
        try:
            text = read_document(file, _MOST_BYTES).replace("\r\n", "\n")
            if "\0" in text:
                raise ValueError("holds zero bytes")
            roles = _leaf(text) if text.lstrip().startswith("{") else None
        except (OSError, ValueError) as error:  # bytes that are no UTF-8 are a ValueError too
            raise _refusal(file, reason(error)) from None
        if self.by == "file":
            return {
                str(file): [text] if roles is None else [part for each in roles.values() for part in each]
            }
        if roles is None:
            roles = _speeches(text)
        if not roles:
            raise ValueError(
                f"dataset text: by: 'role': {file} has no line 'NAME:' after an empty one, expected the "
                "speakers of a play, or LEAF's JSON; take by: file"
            )
        return roles

    def _rows(self, codes: Ints32) -> list[Floats32]:
        """Rows for training, validation and test."""
        check_values("dataset text: its rows", codes.size, do="take max_rows", most=2**27)
        cuts = np.round(np.array([0.6, 0.8]) * codes.size).astype(int)
        return [_windows(part, self.context)[: self.max_rows] for part in np.split(codes, cuts)]


def _refusal(path: Path, why: str) -> ValueError:
    return ValueError(f"dataset text: path: {path}: {why}; expected text in UTF-8, or LEAF's JSON")


def _shown(path: str | tuple[str, ...]) -> str:
    first = Path(path if isinstance(path, str) else path[0]).name
    return printable(first, 40) + (", ..." if isinstance(path, tuple) and len(path) > 1 else "")


def _vocabulary(speakers: dict[str, list[str]], most: int) -> dict[str, int]:
    """A number for each character, by frequency; the last stands for all rarer ones, where there are any."""
    count: Counter[str] = Counter()
    for pieces in speakers.values():
        for piece in pieces:
            count.update(piece)
    count["\n"] += 1  # joins pieces
    by_frequency = sorted(count, key=lambda letter: (-count[letter], letter))
    kept = by_frequency if len(by_frequency) <= most else [*by_frequency[: most - 1], _OTHER]
    if len(kept) < 2:
        raise ValueError("dataset text: one character all along, expected a text")
    return {
        letter: index
        for index, letter in enumerate(sorted(set(kept) - {_OTHER}) + [_OTHER] * (_OTHER in kept))
    }


def _encoded(text: str, vocabulary: dict[str, int]) -> Ints32:
    other = len(vocabulary) - 1
    return np.fromiter((vocabulary.get(letter, other) for letter in text), dtype=np.int32, count=len(text))


def _windows(codes: Ints32, context: int) -> Floats32:
    """`[n, context + 1]`, whole rows one after another; the last character of one begins the next."""
    count = max(0, (codes.size - 1) // context)
    at = np.arange(count)[:, None] * context + np.arange(context + 1)
    rows: Floats32 = codes[at].astype(np.float32)
    return rows


def _speeches(text: str) -> dict[str, list[str]]:
    """What each speaker of a play says."""
    parts = _SPEECH.split(text)
    said: dict[str, list[str]] = {}
    for name, speech in zip(parts[1::2], parts[2::2], strict=True):
        said.setdefault(name.strip(), []).append(speech.strip("\n"))
    return said


def _leaf(text: str) -> dict[str, list[str]] | None:
    """What each user of a LEAF document wrote; windows that overlap are put together again."""
    document = parse_json(text)
    data = document.get("user_data") if isinstance(document, dict) else None
    if not isinstance(data, dict):
        raise ValueError("no object 'user_data', which LEAF's JSON has")
    return {user: _pieces(user, own) for user, own in data.items()}


def _pieces(user: str, own: object) -> list[str]:
    x, y = (own.get("x"), own.get("y")) if isinstance(own, dict) else (None, None)
    if not (isinstance(x, list) and isinstance(y, list) and len(x) == len(y)):
        raise ValueError(f"user {printable(user, 60)!r}: expected lists 'x' and 'y' of one length")
    pieces: list[list[str]] = []
    tail = ""
    for before, after in zip(x, y, strict=True):
        if not (isinstance(before, str) and isinstance(after, str)):
            raise ValueError(f"user {printable(user, 60)!r}: expected texts in 'x' and 'y'")
        if pieces and before and tail.endswith(before):
            pieces[-1].append(after)
        else:
            pieces.append([before, after])
        tail = before + after
        # The next window of a sliding one begins a character later.
        tail = tail if not before else tail[-len(before) :]
    return ["".join(piece) for piece in pieces]
