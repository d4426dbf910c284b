"""Decisions of a live world of serving, as arrays by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

from ....envs.contract import ZoneFacts
from ....envs.serving import (
    HubFacts,
    ServingOutcome,
    ServingPlan,
    ServingSituation,
    ServingTerms,
    SlotFacts,
    TaskFacts,
)
from .checkpoints import Arrays, load_parts, save_parts

_PARTS = {"slots": SlotFacts, "tasks": TaskFacts, "hub": HubFacts, "zones": ZoneFacts, "terms": ServingTerms}


def save_step(
    out: Path,
    number: int,
    situation: ServingSituation,
    plan: ServingPlan,
    outcome: ServingOutcome,
    figures: Mapping[str, float],
) -> None:
    """Keep one decision: what was known, ordered and done, and the figures that tables show of it."""
    known = {
        f"{part}.{f.name}": getattr(getattr(situation, part), f.name)
        for part, kind in _PARTS.items()
        for f in fields(kind)
    }
    save_parts(out, number, known, vars(plan), vars(outcome), figures)


def load_step(out: Path, number: int) -> tuple[ServingSituation, ServingPlan, ServingOutcome]:
    """A decision that `save_step` kept; ValueError if it is missing or damaged."""

    def build(
        known: Arrays, plan: Arrays, outcome: Arrays
    ) -> tuple[ServingSituation, ServingPlan, ServingOutcome]:
        parts = {
            part: kind(**{f.name: known[f"{part}.{f.name}"] for f in fields(kind)})
            for part, kind in _PARTS.items()
        }
        return ServingSituation(**parts), ServingPlan(**plan), ServingOutcome(**outcome)

    return load_parts(out, number, build)
