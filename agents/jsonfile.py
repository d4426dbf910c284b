"""JSON files that are written whole or not at all, and read with one-line errors."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


def write_json(path: Path, document: Any) -> None:
    """Write a document through a temporary file, so that a reader never sees half of it."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(json.dumps(document, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    draft.replace(path)


def read_json(path: Path, label: str) -> dict[str, Any]:
    """A JSON object from a file; ValueError beginning with `label` otherwise."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"{label}: {path}: {error.strerror}") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{label}: {path}: not JSON ({str(error).splitlines()[0]})") from None
    if not isinstance(document, dict):
        raise ValueError(f"{label}: {path}: expected a JSON object")
    return document
