"""Declared hyperparameters (`knob`): dataclass fields that know their range, to be checked and tuned."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, TypeAlias, TypeVar, cast

import numpy as np

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Setting: TypeAlias = bool | int | float | str
"""Value of a hyperparameter, as files and commands have it."""
T = TypeVar("T")

OFF = "off"
"""What files and commands write for the value that switches a hyperparameter off (it may be infinite)."""
_OFF_SHARE = 0.4
"""Probability that a random draw leaves a hyperparameter with an "off" value switched off."""


@dataclass(frozen=True)
class Knob:
    """Range and meaning of one hyperparameter.

    Attributes:
        doc: what it does, with its unit.
        low: smallest value; None for a choice.
        high: largest value; None for a choice.
        log: whether random draws are uniform in the logarithm.
        choices: the values it may take instead of a range.
        off: a value outside the range that switches the mechanism off; None if there is none.
        integer: whether it takes whole numbers only.
    """

    doc: str
    low: float | None = None
    high: float | None = None
    log: bool = False
    choices: tuple[Setting, ...] = ()
    off: float | None = None
    integer: bool = False

    def check(self, name: str, value: object) -> Setting:
        """The value, converted to the declared type; ValueError naming field, value and expectation."""
        if self.choices:
            if not any(value == choice and type(value) is type(choice) for choice in self.choices):
                raise ValueError(f"{name}: {value!r}, expected one of {list(self.choices)}")
            return cast(Setting, value)
        if isinstance(value, str) and value == OFF and self.off is not None:
            value = self.off
        wanted = "a whole number" if self.integer else "a number"
        expected = f"{wanted} from {self.low:g} to {self.high:g}"
        expected += "" if self.off is None else f", or {OFF!r} ({self.off:g})"
        if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
            raise ValueError(f"{name}: {value!r}, expected {expected}")
        if self.off is not None and value == self.off:
            return int(value) if self.integer else float(value)
        assert self.low is not None
        assert self.high is not None
        if not self.low <= value <= self.high or (self.integer and int(value) != value):
            raise ValueError(f"{name}: {value}, expected {expected}")
        return int(value) if self.integer else float(value)

    def accepts(self, value: object) -> bool:
        """Whether `check` would let the value pass; those of one name may differ between schedulers."""
        try:
            self.check("value", value)
        except ValueError:
            return False
        return True

    def within(self, low: float, high: float) -> Knob:
        """The same with the part of its range that lies between these ends: a world may have less room."""
        if self.choices:
            return self
        assert self.low is not None
        assert self.high is not None
        bottom = max(self.low, low)
        return replace(self, low=bottom, high=max(bottom, min(self.high, high)))

    def among(self, choices: Collection[Setting]) -> Knob:
        """The same with those of its choices that are among these: a world may offer fewer."""
        return replace(self, choices=tuple(each for each in self.choices if each in choices))

    def draw(self, rng: np.random.Generator) -> Setting:
        """A random value of the range."""
        if self.choices:
            return self.choices[int(rng.integers(len(self.choices)))]
        switched_off = self.off is not None and rng.random() < _OFF_SHARE
        value = self.between(rng.random())
        return self.off if switched_off and self.off is not None else value

    def between(self, place: float) -> float | int:
        """The value at a place from 0, the low end of the range, to 1, the high one."""
        assert self.low is not None
        assert self.high is not None
        low, high = (math.log(self.low), math.log(self.high)) if self.log else (self.low, self.high)
        raw = low + place * (high - low)
        value = math.exp(raw) if self.log else raw
        if self.integer:
            return round(value)
        return float(np.clip(float(f"{value:.4g}"), self.low, self.high))


def knob(
    default: T,
    doc: str,
    *,
    low: float | None = None,
    high: float | None = None,
    log: bool = False,
    choices: tuple[Setting, ...] = (),
    off: float | None = None,
) -> T:
    """A dataclass field with a declared range; whole numbers only if the default is an int."""
    integer = isinstance(default, int) and not isinstance(default, bool)
    declared = Knob(doc, low, high, log, choices, off, integer)
    return field(default=default, metadata={"knob": declared})


def switch(default: bool, doc: str) -> bool:
    """A dataclass field that is on or off."""
    return knob(default, doc, choices=(False, True))


def knobs_of(owner: DataclassInstance | type[DataclassInstance]) -> dict[str, Knob]:
    """The declared hyperparameters of a dataclass or of an instance of one, in the order of declaration."""
    return {item.name: item.metadata["knob"] for item in fields(owner) if "knob" in item.metadata}


def check_knobs(owner: DataclassInstance) -> None:
    """Check and convert every hyperparameter in place; ValueError naming the first bad one."""
    label = getattr(owner, "name", type(owner).__name__)
    for name, declared in knobs_of(owner).items():
        setattr(owner, name, declared.check(f"{label}.{name}", getattr(owner, name)))


def settings_of(owner: DataclassInstance) -> dict[str, Setting]:
    """The present value of every hyperparameter, JSON-able: `OFF` where a mechanism is switched off."""
    values = {name: (getattr(owner, name), declared.off) for name, declared in knobs_of(owner).items()}
    return {name: OFF if off is not None and value == off else value for name, (value, off) in values.items()}


def draw_settings(
    owner: DataclassInstance | type[DataclassInstance], rng: np.random.Generator
) -> dict[str, Setting]:
    """A random setting of every hyperparameter."""
    return {name: declared.draw(rng) for name, declared in knobs_of(owner).items()}
