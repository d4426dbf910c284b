"""`frugalfl explain`: figures of how a trained scheduler decides."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console

from .running import run_command


@dataclass(frozen=True)
class ExplainOptions:
    """Draw how a trained scheduler decides.

    The folder then holds counterfactuals.csv and invitations.png (how the chance to be invited moves with
    carbon, remaining session, loss, speed and staleness), waiting.png, along_the_run.png, habits.csv, and one
    episode beside a handcrafted scheduler's: episode.png, and film.png, an animated one, with --film.
    """

    scheduler: Annotated[str, tyro.conf.Positional]
    """folder of a run, or name of a trained scheduler that comes with the package"""
    out: Path
    """folder of the pictures"""
    env: str | None = None
    """the world, as in evaluate; by default the one it was trained in"""
    rival: str | None = None
    """handcrafted scheduler beside it; by default the one that did best when tuned in this world"""
    episodes: int = 16
    """test episodes to play"""
    seed: int = 0
    """of the episodes"""
    episode: int = 0
    """which episode is drawn"""
    film: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """draw the episode as an animated PNG too"""


def main(argv: Sequence[str] | None = None) -> int:
    """`frugalfl explain`; returns the exit code."""
    return run_command(ExplainOptions, _explain, "frugalfl explain", argv)


def _explain(options: ExplainOptions) -> None:
    # Imported late: --help should not wait for torch.
    from ..insight.explanation import explain, find_pair

    pair = find_pair(options.scheduler, options.env, options.rival)
    work = explain(pair, options.out, options.episodes, options.seed, options.episode, animate=options.film)
    with Console(stderr=True).status("") as status:
        for stage in work:
            status.update(stage)
    sys.stdout.write(f"Written: {options.out}\n")


if __name__ == "__main__":
    sys.exit(main())
