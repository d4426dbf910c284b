"""A source of traces as scenarios name it: by a kind, a file, a fitted generator, or settings."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TypeVar

from ...common.registry import Registry, is_dotted
from ...common.spelling import suggest
from .generator_file import is_generator_file, load_generator

M = TypeVar("M")


def make_source(spec: str | Path | Mapping[str, object] | M, known: Registry[M], noun: str) -> M:
    """The model that a specification describes; a path is read as `kind: file`, or as a fitted generator.

    Args:
        spec: the name of a kind; the path of a trace file or of a fitted generator; a mapping with the name
            under `kind` (or `kind: file` and `path`) and the settings beside it; a dotted name
            `package.module:Class`; or a model.
        known: the kinds, `file` among them.
        noun: what one of them is called.

    Raises:
        ValueError: one line naming the field, the value and what was expected.
    """
    if isinstance(spec, (str, Path)) and str(spec) not in known and is_generator_file(spec):
        spec = load_generator(spec, known.what)
    return known.make(_named(spec, known.names(), known.what, noun))


def check_source(spec: str | Path | Mapping[str, object] | M, known: Registry[M], noun: str) -> None:
    """Refuse what `make_source` would refuse, as far as it can be said without reading a file.

    Raises:
        ValueError: one line naming the field, the value and what was expected, with a suggestion.
    """
    known.check(_named(spec, known.names(), known.what, noun))


def _named(
    spec: str | Path | Mapping[str, object] | M, kinds: Collection[str], what: str, noun: str
) -> str | Mapping[str, object] | M:
    """A specification with the kind written out, where it is a path."""
    if isinstance(spec, Mapping):
        return {"kind": "file", **spec} if "path" in spec and "kind" not in spec else spec
    if not isinstance(spec, (str, Path)):
        return spec
    name = str(spec)
    if name in kinds or is_dotted(name):
        return name
    if not Path(name).suffix and not Path(name).exists():
        raise ValueError(f"{what}: {name!r} is no {noun} and no file; {suggest(name, kinds)}")
    return {"kind": "file", "path": name}
