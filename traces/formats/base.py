"""A trace file format, and the open table of the formats of one kind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from ...common.spelling import suggest
from .parsing import is_pickle, read_bytes, read_head

T = TypeVar("T")


@dataclass(frozen=True)
class Format(Generic[T]):
    """A file format: its name, how its beginning looks, and its reader.

    Attributes:
        name: what `format:` of a scenario and `--format` call it.
        recognises: whether the first lines (up to 64 KiB of text) are of this format; of a binary format,
            whether its first bytes are. None: it is read only where it is named.
        read: its reader. Availability: `read(path) -> AvailabilityTrace`. Carbon intensity:
            `read(path, kind) -> list[CarbonSeries]`, where `kind` says which of the file's intensities is
            wanted, or is None. ValueError of one line, with path and line number, for anything else.
        binary: whether files are pickles, of which `recognises` gets the first bytes as Latin-1 text.
        together: whether `read` takes a list of paths that were recorded together (availability only).
    """

    name: str
    recognises: Callable[[str], bool] | None
    read: Callable[..., T]
    binary: bool = False
    together: bool = False


class Formats(Generic[T]):
    """The formats of one kind by name, asked in their order which of them a file is in.

    Iterating gives names. A format of one's own joins with `add`; it is asked after those that came before.

    Args:
        what: the kind, as messages name it.
        formats: the first ones.
    """

    def __init__(self, what: str, *formats: Format[T]) -> None:
        self.what = what
        self._formats: dict[str, Format[T]] = {}
        for one in formats:
            self.add(one)

    def add(self, format: Format[T]) -> Format[T]:
        """Make a format known.

        Raises:
            ValueError: its name is that of another one.
        """
        if self._formats.setdefault(format.name, format) is not format:
            raise ValueError(f"{self.what} format: {format.name!r} is known already, expected another name")
        return format

    def remove(self, name: str) -> None:
        """Forget a format; nothing happens if it is not known."""
        self._formats.pop(name, None)

    def find(self, name: str) -> Format[T]:
        """The format of this name.

        Raises:
            ValueError: none has it; with a suggestion.
        """
        if name not in self._formats:
            raise ValueError(
                f"format: {name!r} is not {_article(self.what)} format; {suggest(name, self._formats)}"
            )
        return self._formats[name]

    def of_file(self, path: str | Path) -> Format[T] | None:
        """The first format that recognises a file, or None.

        Raises:
            ValueError: the file cannot be read, or is neither text nor a pickle.
        """
        first = read_bytes(path, limit=16)
        binary = is_pickle(first) and any(one.binary for one in self._formats.values())
        head = first.decode("latin-1") if binary else read_head(path)
        for one in self._formats.values():
            if one.binary == binary and one.recognises is not None and one.recognises(head):
                return one
        return None

    def __contains__(self, name: object) -> bool:
        return name in self._formats

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._formats))


def _article(what: str) -> str:
    return f"{'an' if what[0] in 'aeiou' else 'a'} {what}"
