"""Fitted generators as JSON documents, which worlds take wherever they take a trace file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from ...common.files import write_text
from .parsing import read_json

_FORMAT = "frugalfl-generator"


def save_generator(
    path: str | Path, of: str, spec: Mapping[str, object], fit: Mapping[str, object], source: str
) -> None:
    """Write a generator.

    Args:
        path: where to.
        of: "availability" or "carbon".
        spec: what `make_availability` or `make_carbon` takes.
        fit: goodness of fit, for readers.
        source: what it was fitted to.
    """
    document = {
        "format": _FORMAT,
        "version": 1,
        "of": of,
        "source": source,
        "spec": dict(spec),
        "fit": dict(fit),
    }
    write_text(Path(path), json.dumps(document, indent=1) + "\n")


def is_generator_file(path: str | Path) -> bool:
    """Whether a path names a generator that was written by `save_generator`."""
    if Path(path).suffix.lower() != ".json" or not Path(path).is_file():
        return False
    with open(path, "rb") as file:
        return _FORMAT.encode() in file.read(200)


def load_generator(path: str | Path, of: str) -> dict[str, object]:
    """The specification in a generator file.

    Raises:
        ValueError: if it is damaged, or a generator of something else.
    """
    document = read_json(path)
    if not isinstance(document, dict) or document.get("format") != _FORMAT or document.get("version") != 1:
        raise ValueError(f"{path}: expected a generator of version 1 written by `frugalfl traces fit`")
    if document.get("of") != of or not isinstance(document.get("spec"), dict):
        raise ValueError(f"{path}: a generator of {str(document.get('of'))[:40]!r}, expected one of {of}")
    return dict(document["spec"])
