"""Trained schedulers where they were not trained, against the best handcrafted ones: wins and losses alike.

    python benchmarks/generalisation.py --data RECORDINGS
    python benchmarks/generalisation.py --worlds phones --learned runs/phones/s0 --cases ten-times real-phones

Every case changes one thing of a world; nothing is trained or tuned again. Each trained scheduler plays the
same held-out episodes as the handcrafted schedulers that did best when they were tuned in that world. Stopped
and started again, the script goes on with the episodes that are missing. Cases on recorded traces need the
folder --data and are left out without it. Writes table.md, table.csv and one result folder per case.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from frugalfl.agents.evaluation import EvaluationResult, Study, sweep
from frugalfl.agents.evaluation.measures import bootstrap
from frugalfl.agents.execution import make_engine
from frugalfl.agents.players import name_players
from frugalfl.agents.schedulers import strongest
from frugalfl.envs.scenario import load_scenario

WORLDS = ("volunteers", "phones", "spotmarket")
AT_HOME = "at-home"


@dataclass(frozen=True)
class Case:
    """One change of a world.

    Attributes:
        name: of the row and the folder.
        changes: fields of the scenario.
        lacking: files that it needs and that are not there.
    """

    name: str
    changes: dict[str, Any]
    lacking: str = ""


def cases(world: str, data: Path | None) -> Iterator[Case]:
    """What is changed in a world, one thing at a time."""
    scenario = load_scenario(world)
    availability, zones = scenario.availability, scenario.carbon
    assert isinstance(availability, dict)
    assert isinstance(zones, list)
    yield Case(AT_HOME, {})
    yield Case("ten-times", {"clients": 10 * scenario.clients})
    yield Case("half", {"clients": scenario.clients // 2})
    yield Case("dirichlet", {"partition": {"kind": "dirichlet", "alpha": 0.3}})
    yield Case("iid", {"partition": {"kind": "iid"}})
    yield Case("synthetic-data", {"dataset": "synthetic", "partition": {"kind": "iid"}})
    yield Case("mlp", {"model": "mlp"})
    price = scenario.preferences.price_per_kg
    dear = [4 * each for each in price] if isinstance(price, tuple) else 4 * price
    yield Case("dear-carbon", {"preferences": {"price_per_kg": dear}})
    yield Case("no-availability-forecast", {"availability": {**availability, "forecast": "none"}})
    yield Case("no-carbon-forecast", {"carbon": {"zones": zones, "forecast": "none"}})
    noisy = {"kind": "noisy", "mape_day_ahead": 0.6}
    yield Case("wrong-carbon-forecast", {"carbon": {"zones": zones, "forecast": noisy}})
    if world == "volunteers":
        yield Case("false-announcements", {"availability": {**availability, "honesty": 0.5}})
    yield from _recorded(world, scenario.zones, data)


def _recorded(world: str, zones: int, data: Path | None) -> Iterator[Case]:
    """Recorded traces in place of the generators."""
    grids = _files(data, "electricitymaps_hpe_2023/*_hourly.csv")[:zones]
    lacking = "" if len(grids) == zones else f"{zones} files electricitymaps_hpe_2023/*_hourly.csv"
    yield Case("real-carbon", {"carbon": grids}, lacking)
    if world == "phones":
        phones = _files(data, "stunner_golf/peersim_session_100.txt")
        traces = {"kind": "file", "path": phones, "repeat": True}
        yield Case("real-phones", {"availability": traces}, "" if phones else "stunner_golf")
    if world == "spotmarket":
        spots = _files(data, "skypilot_spot_traces/availability/1-node/*/*.json")
        traces = {"kind": "file", "path": spots, "repeat": True}
        yield Case(
            "real-spot", {"availability": traces}, "" if spots else "skypilot_spot_traces/availability"
        )


def _files(data: Path | None, pattern: str) -> list[str]:
    return sorted(map(str, data.resolve().glob(pattern))) if data is not None else []


def players(world: str, learned: list[str], rivals: int) -> dict[str, str]:
    """The learned schedulers and the best handcrafted ones by their tuning on `val`."""
    return name_players([*(learned or [f"{world}-ppo"]), *strongest(world, rivals)])


def row_of(world: str, case: str, result: EvaluationResult) -> dict[str, Any]:
    """The best learned against the handcrafted rival, chosen on val, episode by episode."""
    learned, rival = result.best("learned"), result.rival()
    if learned is None or rival is None:
        raise ValueError(
            f"{world}/{case}: nobody learned or nobody handcrafted finished; see its failures.json"
        )
    paired = result.comparison().set_index("scheduler").loc[learned]
    low, high = float(paired["difference_low"]), float(paired["difference_high"])
    ours, theirs = (bootstrap(result.values(name)) for name in (learned, rival))
    co2 = [float(result.values(name, "kilograms").mean()) for name in (learned, rival)]
    return {
        "world": world,
        "case": case,
        "learned": learned,
        "net_points": ours[0],
        "net_points_low": ours[1],
        "net_points_high": ours[2],
        "rival": rival,
        "rival_net_points": theirs[0],
        "difference": float(paired["difference"]),
        "difference_low": low,
        "difference_high": high,
        "ahead": float(paired["share_won"]),
        "co2_change": co2[0] / co2[1] - 1.0,
        "verdict": "win" if low > 0 else "loss" if high < 0 else "tie",
    }


def page(rows: list[dict[str, Any]], left_out: list[str], episodes: int, command: str) -> str:
    """The table as Markdown."""
    lines = [
        "# Without training again",
        "",
        f"{episodes} paired `test` episodes per case; net points are interquartile means, differences means "
        "with 95% bootstrap intervals.",
        "",
        "| world | case | learned | handcrafted rival | difference | ahead in | CO2e | |",
        "|---|---|---:|---|---:|---:|---:|---|",
    ]
    for row in rows:
        interval = f"[{row['difference_low']:+.1f}, {row['difference_high']:+.1f}]"
        lines.append(
            f"| {row['world']} | {row['case']} | {row['net_points']:.1f} "
            f"| {row['rival_net_points']:.1f} ({row['rival']}) | {row['difference']:+.1f} {interval} "
            f"| {row['ahead']:.0%} | {row['co2_change']:+.0%} | {row['verdict']} |"
        )
    counts = pd.Series([row["verdict"] for row in rows]).value_counts().to_dict()
    lines += ["", ", ".join(f"{count} x {verdict}" for verdict, count in counts.items()) + "."]
    if left_out:
        lines += ["", "Left out: " + "; ".join(left_out) + "."]
    return "\n".join([*lines, "", f"Made by `{command}`.", ""])


def main() -> None:
    """Play every case and write the table."""
    args = arguments()
    command = shlex.join(["python", *sys.argv])
    args.out.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, Any]] = []
    left_out: list[str] = []
    with make_engine("local", args.jobs) as engine:
        for world in args.worlds:
            who = players(world, args.learned, args.rivals)
            for case in cases(world, args.data):
                if args.cases and case.name not in args.cases:
                    continue
                if case.lacking:
                    left_out.append(f"{world}/{case.name} (no {case.lacking} below --data)")
                    continue
                try:
                    scenario = load_scenario(world, **case.changes)
                    study = Study(scenario, "test", args.seed, args.episodes, batch=args.batch)
                    outcome = sweep(study, who, args.out / world / case.name, engine, command)
                    if outcome.result is None:
                        raise ValueError(next(iter(outcome.failures.values())))
                    rows.append(row_of(world, case.name, outcome.result))
                except ValueError as error:
                    left_out.append(f"{world}/{case.name} ({error})")
                    print(f"left out: {left_out[-1]}", flush=True)
                    continue
                row = rows[-1]
                print(f"{world:<11} {case.name:<25} {row['difference']:+6.1f} {row['verdict']}", flush=True)
    pd.DataFrame(rows).to_csv(args.out / "table.csv", index=False)
    text = page(rows, left_out, args.episodes, command)
    (args.out / "table.md").write_text(text, encoding="utf-8")
    print(text)


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--worlds", nargs="*", default=list(WORLDS), choices=WORLDS)
    parser.add_argument("--learned", nargs="*", default=[], help="names or runs; by default WORLD-ppo")
    parser.add_argument("--rivals", type=int, default=5, help="how many of the best tuned handcrafted ones")
    parser.add_argument("--cases", nargs="*", default=[], help="names of cases; all by default")
    parser.add_argument("--data", type=Path, help="folder of recorded traces")
    parser.add_argument("--episodes", type=int, default=64)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--out", type=Path, default=Path("runs/generalisation"))
    return parser.parse_args()


if __name__ == "__main__":
    main()
