"""What several training seeds come to together, beside the handcrafted schedulers on the same episodes.

The evaluation must have played the trained runs under labels of their own, one per seed:

    frugalfl evaluate --env volunteers --out runs/results/volunteers \
        --schedulers s0=runs/volunteers/s0 s1=runs/volunteers/s1 ... all
    python benchmarks/seeds.py runs/results/volunteers

All seeds play the same episodes, so that the bootstrap draws both anew, episodes and seeds
(`crossed_bootstrap`): with seeds as strata, which is right for different tasks, the intervals would be far
too narrow.
"""

from __future__ import annotations

import argparse

import numpy as np

from frugalfl.agents.evaluation import EvaluationResult, load_result
from frugalfl.agents.evaluation.measures import Interval, crossed_bootstrap, interquartile_mean, mean
from frugalfl.agents.reports import COLUMNS, SPENT, rounds_spent

SHOWN = 8


def main() -> None:
    """Print one table and one verdict per evaluation folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folders", nargs="+", help="result folders of `frugalfl evaluate`")
    parser.add_argument("--shown", type=int, default=SHOWN, help="handcrafted schedulers in the table")
    parser.add_argument("--everybody", action="store_true", help="one more table: all in all the worlds")
    args = parser.parse_args()
    results = [load_result(folder) for folder in args.folders]
    for result in results:
        print(f"### {result.world}\n")
        print("\n".join(table(result, args.shown)), "\n")
        print("\n".join(f"- {line}" for line in verdict(result)), "\n")
    if args.everybody:
        print("\n".join(everybody(results)))


def of_kind(result: EvaluationResult, kind: str) -> list[str]:
    """Names of one kind, best first."""
    return [name for name in result.ranking() if result.kinds[name] == kind]


def pooled(result: EvaluationResult, names: list[str], metric: str) -> Interval:
    """Interquartile mean of all episodes of several runs, with an interval over runs and episodes."""
    return crossed_bootstrap(np.stack([result.values(name, metric) for name in names]), interquartile_mean)


def table(result: EvaluationResult, shown: int) -> list[str]:
    """Best known in hindsight, the learned seeds together, and the best handcrafted schedulers."""
    seeds, ceiling = of_kind(result, "learned"), of_kind(result, "ceiling")[:1]
    rows: list[tuple[str, list[str]]] = [(f"{name} (hindsight)", [name]) for name in ceiling]
    rows.append((f"**learned, {len(seeds)} seeds**", seeds))
    rows += [(name, [name]) for name in of_kind(result, "handcrafted")[:shown]]
    headings = [*(heading for heading, _, _ in COLUMNS.values()), SPENT]
    lines = [f"| scheduler | {' | '.join(headings)} |", "|---|" + "---:|" * len(headings)]
    for label, names in rows:
        cells = []
        for metric, (_, factor, decimals) in COLUMNS.items():
            value, low, high = (factor * part for part in pooled(result, names, metric))
            cells.append(f"{value:.{decimals}f} [{low:.{decimals}f}, {high:.{decimals}f}]")
        cells.append(", ".join(dict.fromkeys(rounds_spent(result, name) for name in names)))
        lines.append(f"| {label} | {' | '.join(cells)} |")
    return lines


def everybody(results: list[EvaluationResult]) -> list[str]:
    """Net points of everybody in every world, by the mean of their ranks."""
    cells: dict[str, list[str]] = {}
    ranks: dict[str, list[int]] = {}
    for result in results:
        seeds = of_kind(result, "learned")
        parts = {f"**learned, {len(seeds)} seeds**": seeds} if seeds else {}
        parts |= {name: [name] for name in result.ranking() if name not in seeds}
        points = {label: pooled(result, names, "net_points") for label, names in parts.items()}
        for rank, label in enumerate(sorted(points, key=lambda label: -points[label].value)):
            value, low, high = points[label]
            cells.setdefault(label, []).append(f"{value:.1f} [{low:.1f}, {high:.1f}]")
            ranks.setdefault(label, []).append(rank)
    complete = [label for label in cells if len(cells[label]) == len(results)]
    lines = ["| scheduler | " + " | ".join(result.world for result in results) + " |"]
    lines.append("|---|" + "---:|" * len(results))
    for label in sorted(complete, key=lambda label: float(np.mean(ranks[label]))):
        lines.append(f"| {label} | " + " | ".join(cells[label]) + " |")
    return lines


def verdict(result: EvaluationResult) -> list[str]:
    """Paired difference to the handcrafted rival, chosen on val, and the best known in hindsight."""
    seeds, rival = of_kind(result, "learned"), result.rival()
    if rival is None:
        raise ValueError(f"{result.world}: no handcrafted scheduler was evaluated, expected at least one")
    ours = pooled(result, seeds, "net_points")
    paired = crossed_bootstrap(np.stack([result.values(name) - result.values(rival) for name in seeds]), mean)
    each = ", ".join(f"{float(interquartile_mean(result.values(name))):.1f}" for name in sorted(seeds))
    ahead = sum(bool(np.mean(result.values(name) - result.values(rival)) > 0) for name in seeds)
    difference = f"{paired.value:+.2f} [{paired.low:+.2f}, {paired.high:+.2f}]"
    lines = [
        f"seeds, interquartile means: {each}; {ahead} of {len(seeds)} ahead of {rival}",
        f"learned minus {rival}, episode by episode: {difference}",
    ]
    for ceiling in of_kind(result, "ceiling")[:1]:
        top = pooled(result, [ceiling], "net_points").value
        lines.append(f"best known in hindsight: {top:.1f}, {top - ours.value:+.1f} on the learned seeds")
    return lines


if __name__ == "__main__":
    main()
