"""A ladder by size: what the trained models themselves need, by the figures of another ladder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
from pydantic import Field, field_validator

from ....common.arrays import Floats
from ....common.settings import Settings
from ....common.units import BYTES_PER_GB
from .profiles import PROFILES, Hardware, Profile
from .settings import Models
from .trained import trained_ladder


class Sized(Settings):
    """How the bytes of trained models become a ladder.

    Attributes:
        like: the ladder whose milliseconds and joules are read at these bytes.
        times: larger than they are: a model of 10 kB stands for one of 1 GB with 100,000.
    """

    like: PROFILES.field() = "chat"  # type: ignore[valid-type]
    times: Annotated[float, Field(gt=0)] = 1.0

    @field_validator("like")
    @classmethod
    def _has_figures(cls, like: str | dict[str, Any]) -> str | dict[str, Any]:
        if PROFILES.choose(like).factory is sized:
            raise ValueError(f"{like!r}, expected a ladder with figures of its own, such as chat")
        return like


@PROFILES.register("sized", Sized)
def sized(nbytes: Floats, like: str | Mapping[str, Any] = "chat", times: float = 1.0) -> Profile:
    """Gigabytes are those of the trained models; milliseconds and joules are another ladder's at that size.

    Between two of its rungs both follow a power law of the gigabytes; below the smallest and above the
    largest they are proportional to them.

    Args:
        nbytes: `[M]`, of the models of each rung.
        like: see `Sized`.
        times: see `Sized`.
    """
    known = PROFILES.make(like)
    gigabytes = nbytes * times / BYTES_PER_GB

    def at(figures: tuple[float, ...]) -> tuple[float, ...]:
        return tuple(_at_size(np.array(known.gigabytes), np.array(figures), gigabytes).tolist())

    hardware = {
        name: Hardware(
            ms=at(each.ms),
            concurrency=each.concurrency,
            batches=each.batches,
            joules=tuple(zip(*(at(column) for column in zip(*each.joules, strict=True)), strict=True)),
        )
        for name, each in known.hardware.items()
    }
    return Profile(gigabytes=tuple(gigabytes.tolist()), hardware=hardware)


def make_profile(spec: str | Mapping[str, Any], models: Models) -> Profile:
    """The nominal ladder that a scenario names; one by size is made of its trained models.

    Raises:
        ValueError: one line: an unknown name or bad settings, or files that cannot be read.
    """
    chosen = PROFILES.choose(spec)
    return (
        chosen.make(nbytes=trained_ladder(models).bytes_of_rungs)
        if chosen.factory is sized
        else chosen.make()
    )


def _at_size(known: Floats, figures: Floats, wanted: Floats) -> Floats:
    """Figures at the gigabytes that are wanted, of those at the known ones, in whatever order these are."""
    order = np.argsort(known, kind="stable")
    x, y = np.log(known[order]), np.log(figures[order])
    beyond = wanted / np.clip(wanted, known.min(), known.max())
    found: Floats = np.exp(np.interp(np.log(wanted), x, y)) * beyond
    return found
