"""What came of an evaluation, as tables, and the folder it is kept in.

The folder: `config.json` (what was played), `episodes.csv` (one row per scheduler and episode), `curves.csv`
(one row per scheduler, episode and decision), `timelines/<scheduler>.npz` (one episode of each in full), and
`cells/` (the finished parts of an evaluation that is not over yet, see `agents.evaluation.sweep`).
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import pandas as pd

from ...common.arrays import AnyArray
from ...common.files import read_json, read_npz, slug, write_file, write_json, write_npz
from .measures import (
    Interval,
    bootstrap,
    holm_correction,
    interquartile_mean,
    mean,
    paired_difference,
    share_of_episodes_won,
    sign_rank_p_value,
)
from .timelines import Timeline

RESULT_FORMAT = "frugalfl-evaluation-1"
CONFIG, EPISODES, CURVES, TIMELINES = "config.json", "episodes.csv", "curves.csv", "timelines"

METRICS = (
    "net_points",
    "accuracy",
    "hours",
    "gigabytes",
    "kilowatt_hours",
    "kilograms",
    "wasted_share",
    "rounds",
    "jain",
    "participation_tv",
    "decision_ms",
)
"""Columns that are summarised where the table of episodes has them: worlds of serving lack some."""
CLIENT_METRICS = ("worst_client_accuracy", "p10_client_accuracy")
"""Columns that are summarised where the table has them: not every world tells single clients' accuracy."""
SERVED_METRICS = ("right_share", "latency_ms", "dropped_share", "regret_points", "regret_limit")
"""Likewise, of worlds with arrivals and of worlds of serving."""
FOUND = ("mia_auc", "mia_auc_sums", "reconstruction", "aia_gain")
"""What an eavesdropper found, where somebody listened."""
LEAKS = (*FOUND, "mia_auc_charged")
"""Likewise, and what was charged where leakage has a price; summarised where it makes sense."""

REGRETS = ("regret_points", "regret_limit", "own_regret", "regret_bound")
"""In worlds that serve: of every scheduler against the frozen optimum, or the best fixed placement in
hindsight (at least, and at most); of some, as their method counts it, with its bound."""

Row: TypeAlias = dict[str, object]
"""One row of a table, by column."""
_TEXT = {"scheduler": str, "kind": str}
# Newer pandas reads floats exactly by itself, and warns of the option that older ones need for it.
_OLD_PANDAS = tuple(map(int, pd.__version__.split(".")[:2])) < (3, 1)
_EXACT: Literal["round_trip"] | None = "round_trip" if _OLD_PANDAS else None


@dataclass(frozen=True)
class EvaluationResult:
    """Every episode of every scheduler on one world.

    Attributes:
        world: the scenario's name.
        split: train, val or test.
        episodes: one row per scheduler and episode: scheduler, kind, episode, seed, net_points (test accuracy
            gained, in points, minus the costs charged), accuracy (test), accuracy_start (test), val_accuracy,
            val_net_points (what the reward sums to), points_time, points_communication, points_emissions
            and, where it has a price, points_leakage (each negative), hours, gigabytes, kilowatt_hours,
            kilograms, wasted_share, rounds (in which somebody trained), decisions, stopped (1 where the
            scheduler ended the run), invitations, completions, lost, jain, participation_tv (total
            variation between the clients' target weights and their shares of the updates that arrived),
            decision_ms, val_score (net points on val for which its settings were chosen) and rounds_spent (of
            training, to tune or train it), both nan if unknown; where the world tells: worst_client_accuracy
            and p10_client_accuracy (test); with arrivals, where all accuracies of the test are shares of
            right answers given before anybody knew the labels: requests, refreshed (models sent), asked (of
            the hub, where there are early exits), drift_events, regret_points (behind the optimum frozen in
            each concept), own_regret and regret_bound (of a scheduler that learns online, in its own gains,
            and what its theory says that it cannot exceed; nan for the others); where somebody listened,
            means over the episode's victims of what was found: mia_auc (chance to tell a row trained on from
            another of its label by the messages), mia_auc_sums (the same by the models alone), reconstruction
            (distance of the reconstructed local model from the true one, in units of the initial model's) and
            aia_gain (of guessing a binary attribute over naming the more frequent value), nan where it makes
            no sense; where leakage has a price, mia_auc_charged (what was charged: the largest area so far,
            of all clients and against validation rows).
            In worlds of serving: net_points, accuracy (right answers over answers), right_share (over
            requests), latency_ms (of an answer that somebody waits for), points_answers and the other terms,
            loads, lost, repairs, and dropped_share, hub_share, asked_share, retried_share of the requests;
            regret_points of the placements against the best fixed one that was found, and regret_limit
            against what no fixed one exceeds.
        curves: one row per scheduler, episode and decision: hours, gigabytes, kilograms, validation accuracy,
            points spent, training rounds (net points where nobody trains); so far.
        timelines: the timeline of one episode per scheduler.
        zones: names of the grid zones; empty if they have none.
        config: what was played, as `config.json` has it; empty if nobody wrote it down.
    """

    world: str
    split: str
    episodes: pd.DataFrame
    curves: pd.DataFrame
    timelines: dict[str, Timeline] = field(default_factory=dict)
    zones: tuple[str, ...] = ()
    config: Mapping[str, object] = field(default_factory=dict)

    @property
    def kinds(self) -> dict[str, str]:
        """Kind by scheduler: handcrafted, learned, or ceiling (sees the future)."""
        return dict(zip(self.episodes["scheduler"], self.episodes["kind"], strict=True))

    @property
    def metrics(self) -> tuple[str, ...]:
        """The columns of this table that can be summarised."""
        known = (*METRICS, *CLIENT_METRICS, *SERVED_METRICS, *self.leaks)
        return tuple(name for name in known if name in self.episodes.columns)

    @property
    def serves(self) -> bool:
        """Whether it is of a world of serving."""
        return "right_share" in self.episodes

    @property
    def leaks(self) -> tuple[str, ...]:
        """The columns of this table that an eavesdropper has filled."""
        return tuple(name for name in LEAKS if name in self.episodes and self.episodes[name].notna().all())

    @property
    def regrets(self) -> tuple[str, ...]:
        """The columns of regrets that this table has, those that no scheduler fills left out."""
        there = (name for name in REGRETS if name in self.episodes)
        return tuple(name for name in there if self.episodes[name].notna().any())

    def values(self, scheduler: str, metric: str = "net_points") -> AnyArray:
        """A metric of one scheduler in the order of the episodes."""
        rows = self.episodes[self.episodes["scheduler"] == scheduler].sort_values("episode")
        if rows.empty:
            raise ValueError(
                f"scheduler: {scheduler!r} was not evaluated, expected one of {list(self.kinds)}"
            )
        return rows[metric].to_numpy(dtype=np.float64)

    def ranking(self) -> list[str]:
        """Scheduler names by the interquartile mean of their net points, best first."""
        score = {name: float(interquartile_mean(self.values(name))) for name in self.kinds}
        return sorted(score, key=lambda name: -score[name])

    def best(self, kind: str) -> str | None:
        """The best scheduler of a kind; None if there is none."""
        return next((name for name in self.ranking() if self.kinds[name] == kind), None)

    def fact(self, scheduler: str, column: str) -> float:
        """What is the same in all episodes of a scheduler, such as `rounds_spent`; nan if unknown."""
        return float(self.values(scheduler, column)[0]) if column in self.episodes else float("nan")

    def rival(self) -> str | None:
        """The handcrafted scheduler that others are compared with; None if there is none.

        The one with the best score on val when it was tuned: who is best here would be chosen by the luck of
        these episodes. Where none of them was tuned there is no other choice.
        """
        score = {name: self.fact(name, "val_score") for name in self.kinds}
        known = [name for name in score if self.kinds[name] == "handcrafted" and np.isfinite(score[name])]
        return max(known, key=lambda name: score[name]) if known else self.best("handcrafted")

    def summary(self) -> pd.DataFrame:
        """One row per scheduler (best first) and metric: iqm and mean, each with its 95% interval."""
        rows = []
        for name in self.ranking():
            for metric in self.metrics:
                values = self.values(name, metric)
                row: Row = {"scheduler": name, "kind": self.kinds[name], "metric": metric}
                row |= _columns("iqm", bootstrap(values, interquartile_mean))
                rows.append(row | _columns("mean", bootstrap(values, mean)))
        return pd.DataFrame(rows)

    def comparison(self) -> pd.DataFrame:
        """Every scheduler against the `rival`, episode by episode.

        Columns: scheduler, kind, rival, difference (mean of the paired differences of net points),
        difference_iqm, share_won (of the episodes, ties half), each with _low and _high; p_value of
        Wilcoxon's signed-rank test of the differences, and p_holm, the same after Holm's correction for all
        rows (the rival's own row is no test: both are 1 there).
        """
        rival = self.rival()
        rows = []
        for name in self.ranking() if rival is not None else []:
            pair = (self.values(name), self.values(str(rival)))
            row: Row = {"scheduler": name, "kind": self.kinds[name], "rival": rival}
            row |= _columns("difference", paired_difference(*pair, statistic=mean))
            row |= _columns("difference_iqm", paired_difference(*pair))
            row |= _columns("share_won", share_of_episodes_won(*pair))
            rows.append(row | {"p_value": sign_rank_p_value(*pair)})
        table = pd.DataFrame(rows)
        if rows:
            tested = (table["scheduler"] != rival).to_numpy()
            corrected = np.ones(len(table))
            corrected[tested] = holm_correction(table["p_value"].to_numpy()[tested])
            table["p_holm"] = corrected
        return table


def save_result(result: EvaluationResult, folder: Path | str) -> Path:
    """Write a result folder, each file whole or not at all; returns the folder."""
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    write_table(result.episodes, target / EPISODES)
    write_table(result.curves, target / CURVES)
    for timeline in result.timelines.values():
        write_timeline(timeline, target / TIMELINES)
    head = {"format": RESULT_FORMAT, "world": result.world, "split": result.split}
    write_json(target / CONFIG, {**head, **result.config, "zones": list(result.zones)})
    return target


def load_result(folder: Path | str) -> EvaluationResult:
    """Read a result folder; every number is the one that was written.

    Raises:
        ValueError: one line naming the file and what is wrong with it.
    """
    source = Path(folder)
    config = read_json(source / CONFIG, "result")
    if config.get("format") != RESULT_FORMAT:
        raise ValueError(
            f"result: {source / CONFIG}: format {config.get('format')!r}, expected {RESULT_FORMAT!r}, "
            "as `frugalfl evaluate --out` writes it"
        )
    timelines = [read_timeline(path) for path in sorted((source / TIMELINES).glob("*.npz"))]
    return EvaluationResult(
        str(config.get("world")),
        str(config.get("split")),
        read_table(source / EPISODES),
        read_table(source / CURVES),
        {timeline.scheduler: timeline for timeline in timelines},
        tuple(map(str, config.get("zones", ()))),
        config,
    )


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write a CSV whole or not at all; floats with all their digits."""
    write_file(path, lambda draft: table.to_csv(draft, index=False))


def read_table(path: Path) -> pd.DataFrame:
    """Read what `write_table` wrote, exactly; ValueError if it is not there or no table of episodes."""
    try:
        table = pd.read_csv(path, keep_default_na=False, na_values=[""], dtype=_TEXT, float_precision=_EXACT)
    except OSError as error:
        hint = "; the evaluation is not finished, give its command again"
        raise ValueError(f"result: {path}: {error.strerror}{hint}") from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"result: {path}: not a CSV table ({str(error).splitlines()[0]})") from None
    missing = [name for name in ("scheduler", "episode") if name not in table.columns]
    if missing:
        raise ValueError(f"result: {path}:1: no column {missing[0]!r}, expected a table of episodes")
    return table


def write_timeline(timeline: Timeline, folder: Path) -> Path:
    """Write `<scheduler>.npz`, arrays only (readable with `allow_pickle=False`); returns its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{slug(timeline.scheduler)}.npz"
    write_npz(path, {item.name: np.asarray(getattr(timeline, item.name)) for item in fields(timeline)})
    return path


def read_timeline(path: Path) -> Timeline:
    """Read what `write_timeline` wrote; ValueError naming the file."""
    arrays = read_npz(path, "result")
    missing = [item.name for item in fields(Timeline) if item.name not in arrays]
    if missing or arrays["episode"].shape != ():
        raise ValueError(f"result: {path}: not a timeline ({', '.join(missing) or 'episode'} is missing)")
    parts: dict[str, Any] = {item.name: arrays[item.name] for item in fields(Timeline)}
    return Timeline(**parts | {"scheduler": str(parts["scheduler"]), "episode": int(parts["episode"])})


def _columns(name: str, interval: Interval) -> dict[str, float]:
    return {name: interval.value, f"{name}_low": interval.low, f"{name}_high": interval.high}
