"""Request arrivals for the worlds: from the name of a model, settings, or a fitted generator."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

from ...common.registry import is_dotted
from ...common.spelling import suggest
from ..formats import is_generator_file, load_generator
from .episode import ArrivalModel
from .generator import ARRIVALS

ArrivalSpec: TypeAlias = str | Path | Mapping[str, object] | ArrivalModel


def make_arrivals(spec: ArrivalSpec) -> ArrivalModel:
    """The model of request arrivals that a specification describes.

    Args:
        spec: the name of a model; the path of a fitted generator; a mapping with the name under `kind` and
            the settings beside it; a dotted name `package.module:Class`; or a model.

    Raises:
        ValueError: one line naming the field, the value and what was expected.
    """
    if isinstance(spec, (str, Path)) and str(spec) not in ARRIVALS and is_generator_file(spec):
        spec = load_generator(spec, "arrivals")
    return ARRIVALS.make(_named(spec))


def check_arrivals(spec: ArrivalSpec) -> None:
    """Refuse what `make_arrivals` would refuse, as far as it can be said without reading a file.

    Raises:
        ValueError: one line naming the field, the value and what was expected, with a suggestion.
    """
    named = _named(spec)
    if not isinstance(named, ArrivalModel):
        ARRIVALS.choose(named)


def _named(spec: ArrivalSpec) -> str | Mapping[str, object] | ArrivalModel:
    """A specification with the kind written out, where it is a path."""
    if not isinstance(spec, (str, Path)):
        return spec
    name = str(spec)
    if name in ARRIVALS or is_dotted(name):
        return name
    raise ValueError(f"arrivals: {name!r} is no model and no file; {suggest(name, ARRIVALS)}")
