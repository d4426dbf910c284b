"""`frugalfl envs` and `frugalfl schedulers`: what comes with the package, as tables."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ...common.registry import Registry
from .running import run_command


@dataclass
class EnvOptions:
    """List the environments: their ids and what an agent sees, does and gets in each."""


@dataclass
class SchedulerOptions:
    """List the schedulers: handcrafted ones, whether they are tuned for a world, and trained ones."""

    world: str = "volunteers"
    """scenario whose tuning is looked up; of one of serving the parts of policies are listed"""


def envs(argv: Sequence[str] | None = None) -> int:
    """Run `frugalfl envs`; returns the exit code."""
    return run_command(EnvOptions, lambda _: _list_envs(), "frugalfl envs", argv)


def schedulers(argv: Sequence[str] | None = None) -> int:
    """Run `frugalfl schedulers`; returns the exit code."""
    return run_command(SchedulerOptions, _list_schedulers, "frugalfl schedulers", argv)


def _list_envs() -> None:
    # Imported late: --help waits for nothing.
    from ...envs.registration import entries, serving_entries

    rows = [
        (
            entry.id,
            entry.scenario,
            str(entry.kwargs.get("observation", "dict")),
            str(entry.kwargs.get("action", "levels")),
            "vector" if entry.kwargs.get("vector_reward") else "number",
        )
        for entry in (*entries(), *serving_entries())
    ]
    _print_table(("id", "world", "observation", "action", "reward"), rows)


def _list_schedulers(options: SchedulerOptions) -> None:
    from ...envs.any_world import is_serving, load_any
    from ..schedulers import SCHEDULERS, tuned_schedulers
    from ..schedulers.serving import POLICY_PARTS
    from ..zoo import find_card, shipped_names

    world = load_any(options.world).name
    scores = {name: f"{entry['score']:.1f}" for name, entry in tuned_schedulers(world).items()}
    known: Registry[Any] = POLICY_PARTS if is_serving(options.world) else SCHEDULERS
    rows = [(name, scores.get(name, "-"), _about(known[name])) for name in known]
    for name in shipped_names():
        home = load_any(find_card(name)[1].scenario).name
        rows.append((name, "-", f"Trained in {home}; its card tells how."))
    _print_table(("scheduler", f"net points when tuned ({world}, val)", "what it is"), rows)


def _about(scheduler: object) -> str:
    """The first line of a docstring."""
    return (inspect.getdoc(scheduler) or "").partition("\n")[0]


def _print_table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> None:
    """Columns side by side, the last one as long as it is."""
    table = [head, *rows]
    widths = [max(len(row[column]) for row in table) for column in range(len(head) - 1)]
    for row in table:
        cells = [cell.ljust(width) for cell, width in zip(row[:-1], widths, strict=True)]
        sys.stdout.write("  ".join([*cells, row[-1]]).rstrip() + "\n")
